//! Devices come into being: enrolled by key, or made by an operator before they call.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proto::reason;
use proto::rollout::v1::{EnrollRequest, EnrollResponse};
use runtime::event::{Event, Resource};
use runtime::secret::{Hash, Secret};
use runtime::{Caller, crash, database};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::App;
use crate::device::{Device, DeviceId, Hardware, check_fleet, check_labels, check_name};
use crate::error::Error;
use crate::store::key::Key;
use crate::store::{self};
use crate::target::Target;

/// What begins every device token.
const PREFIX: &str = "gdd_";
/// How long an older token works beside a newer one that was not used yet.
const OVERLAP: TimeDelta = TimeDelta::hours(24);

/// A device to make.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// What to call it; empty = after its id.
    pub name: String,
    /// Its fleet.
    pub fleet: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is.
    pub hardware: Hardware,
}

/// Makes the caller a device of its key's fleet.
pub async fn enrol(
    app: &App,
    caller: &Caller,
    request: EnrollRequest,
) -> Result<EnrollResponse, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let key = open_key(&mut tx, &request.enrolment_key, now).await?;
    let new = NewDevice {
        name: request.name,
        fleet: key.fleet.clone(),
        labels: request.labels.into_iter().collect(),
        hardware: request.platform.map(Hardware::from).unwrap_or_default(),
    };
    store::key::count_use(&mut tx, key.id).await?;
    let (device, token) = make(&mut tx, new, None, now).await?;
    let who = Resource::new("device", device.id, device.name.clone());
    let event = Event::of(
        runtime::Actor::new(runtime::ActorKind::Device, device.id.to_string(), device.name.clone()),
        "device.enrolled",
        who,
        now,
    )
    .from_ip(caller.ip())
    .after(json!({"fleet": device.fleet, "labels": device.labels, "enrolment_key": key.name}));
    app.outbox.append(&mut tx, &event).await?;
    app.outbox.commit(tx).await?;
    crash::point("device_enrolled");
    Ok(EnrollResponse {
        device_id: device.id.to_string(),
        token: token.expose().to_owned(),
        name: device.name,
        fleet: device.fleet,
        labels: device.labels.into_iter().collect(),
    })
}

/// Finds the key and sees that it still opens the door.
async fn open_key(db: &mut PgConnection, secret: &str, now: DateTime<Utc>) -> Result<Key, Error> {
    let refused = |reason, message| Err(Error::KeyRefused { reason, message });
    let Some(key) = store::key::lock(db, &Hash::of(secret.trim())).await? else {
        return refused(
            reason::ENROLMENT_KEY_UNKNOWN,
            "the enrolment key is not known here; an operator makes one with `slipway enrolment-key create`",
        );
    };
    if key.revoked_at.is_some() {
        return refused(
            reason::ENROLMENT_KEY_UNKNOWN,
            "the enrolment key was ended; ask for another",
        );
    }
    if key.expires_at.is_some_and(|end| end <= now) {
        return refused(
            reason::ENROLMENT_KEY_EXPIRED,
            "the enrolment key has ended; ask for another",
        );
    }
    if key.quota > 0 && key.used >= key.quota {
        return refused(
            reason::ENROLMENT_QUOTA_USED,
            "the enrolment key was used as often as it may be; ask the operator for another key, trying \
             this one again does not help",
        );
    }
    Ok(key)
}

/// Makes a device with its first token. It runs its fleet's template from the start.
pub async fn make(
    db: &mut PgConnection,
    new: NewDevice,
    request_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<(Device, Secret), Error> {
    let id = DeviceId::new(now);
    let mut name = new.name.trim().to_owned();
    if name.is_empty() {
        let digits = id.0.simple().to_string();
        name = format!("device-{}", &digits[digits.len() - 8..]);
    }
    check_name("name", &name)?;
    check_fleet("fleet", &new.fleet)?;
    check_labels("labels", &new.labels)?;
    let device = Device {
        id,
        name,
        fleet: new.fleet,
        labels: new.labels,
        hardware: new.hardware,
        agent_version: String::new(),
        pinned: false,
        pin_reason: String::new(),
        revoked_at: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    store::fleet::ensure(db, &device.fleet, now).await?;
    store::device::insert(db, &device, request_id).await?;
    let template = store::fleet::template(db, &device.fleet).await?.unwrap_or_default();
    let target = match template.is_empty() {
        true => Target::default(),
        false => Target::default().replaced(template),
    };
    store::target::insert(db, id.0, &target).await?;
    let token = new_token(db, id, now).await?;
    Ok((device, token))
}

/// Gives a device one more token; those it has end when the new one is used, or in a day.
pub async fn new_token(
    db: &mut PgConnection,
    device: DeviceId,
    now: DateTime<Utc>,
) -> Result<Secret, Error> {
    store::credential::end(db, device, now + OVERLAP).await?;
    let token = Secret::generate(PREFIX);
    store::credential::insert(db, device, &token.hash(), now).await?;
    Ok(token)
}
