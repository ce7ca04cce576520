//! Targets set by operators: they take over from whatever rollout is changing the same services.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::event::{Event, Resource};
use runtime::{Caller, database};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::App;
use crate::assignment::State as Try;
use crate::change::Targets;
use crate::convert;
use crate::device::{DeviceId, check_fleet};
use crate::drive::{self, commit_targets};
use crate::error::Error;
use crate::retire::resource;
use crate::store::{self};
use crate::target::Service;

/// Sets what a device runs: admitted references, and no others. The rollouts that are changing what
/// is taken over let the device go.
pub async fn set(
    app: &App,
    caller: &Caller,
    request: pb::SetDeviceTargetRequest,
) -> Result<pb::TargetState, Error> {
    let id = DeviceId::parse("device_id", &request.device_id)?;
    let services = convert::services_from_pb(request.services)?;
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let missing = || Error::DeviceNotFound(id.to_string());
    let seen = store::target::get(&mut tx, &[id.0]).await?.remove(&id.0).ok_or_else(missing)?;
    let replaced = replaced(&seen.services, &services);
    let rollouts = end_tries(&mut tx, id.0, &replaced, now).await?;
    let before = store::target::lock(&mut tx, &[id.0]).await?.remove(&id.0).ok_or_else(missing)?;
    if before.generation != seen.generation {
        return Err(Error::LeaseLost);
    }
    if !request.etag.is_empty() && request.etag.trim_matches('"') != before.etag {
        return Err(Error::StaleEtag);
    }
    let target = before.replaced(kept_updates(&before.services, services));
    if target.etag == before.etag {
        return Ok(convert::target_to_pb(id.0, &before, now));
    }
    let targets: Targets = vec![(id.0, target.clone())];
    store::target::update(&mut tx, &targets).await?;
    let picture = store::device::get(&mut tx, id, app.heard_since(now)).await?;
    let event = Event::by(caller, "device.target_set", resource(&picture.device), now)
        .before(json!({"generation": before.generation, "services": before.services}))
        .after(json!({"generation": target.generation, "services": target.services}));
    app.outbox.append(&mut tx, &event).await?;
    commit_targets(app, tx, targets, now).await?;
    drive::wake(app, &rollouts, now).await;
    Ok(convert::target_to_pb(id.0, &target, now))
}

/// Sets what new devices of a fleet run, and those that run nothing yet. Returns how many those are.
pub async fn set_template(
    app: &App,
    caller: &Caller,
    request: pb::SetFleetTemplateRequest,
) -> Result<i32, Error> {
    check_fleet("fleet", &request.fleet)?;
    let template = convert::services_from_pb(request.services)?;
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let before = store::fleet::template(&mut tx, &request.fleet).await?.unwrap_or_default();
    store::fleet::set_template(&mut tx, &request.fleet, &template, now).await?;
    let mut targets = Targets::new();
    if !template.is_empty() {
        let bare = store::fleet::without_target(&mut tx, &request.fleet).await?;
        for (device, target) in store::target::lock(&mut tx, &bare).await? {
            if target.generation == 0 {
                targets.push((device, target.replaced(template.clone())));
            }
        }
    }
    store::target::update(&mut tx, &targets).await?;
    let fleet = Resource::new("fleet", &request.fleet, request.fleet.clone());
    let event = Event::by(caller, "fleet.template_set", fleet, now)
        .before(json!({"services": before}))
        .after(json!({"services": template, "devices": targets.len()}));
    app.outbox.append(&mut tx, &event).await?;
    let devices = i32::try_from(targets.len()).unwrap_or(i32::MAX);
    commit_targets(app, tx, targets, now).await?;
    Ok(devices)
}

/// Ends the tries of a device whose services an operator takes over, and names their rollouts.
async fn end_tries(
    db: &mut PgConnection,
    device: Uuid,
    taken: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, Error> {
    let mut rollouts = Vec::new();
    for stored in store::assignment::lock_active(db, &[device]).await? {
        if !stored.try_.services.iter().any(|service| taken.contains(&service.name)) {
            continue;
        }
        let rollout =
            store::rollout::get(db, crate::rollout::RolloutId(stored.try_.rollout)).await?;
        let ended = stored.try_.clone().ended(Try::Cancelled, reason::OPERATOR);
        store::assignment::update(db, &[(stored.id, ended)], &rollout.policy.rules, now).await?;
        rollouts.push(rollout.id.0);
    }
    Ok(rollouts)
}

/// The services that a new target takes over: they are gone, or are to run something else.
fn replaced(before: &[Service], after: &[Service]) -> BTreeSet<String> {
    before
        .iter()
        .filter(|old| !after.iter().any(|new| new.name == old.name && new.runs.is(&old.runs)))
        .map(|old| old.name.clone())
        .collect()
}

/// A service that stays as it is keeps the update it has: an operator who repeats what is there
/// changes nothing.
fn kept_updates(before: &[Service], services: Vec<Service>) -> Vec<Service> {
    let before: BTreeMap<_, _> =
        before.iter().map(|service| (service.name.as_str(), service)).collect();
    services
        .into_iter()
        .map(|mut service| {
            if let Some(old) = before.get(service.name.as_str())
                && old.runs.is(&service.runs)
            {
                service.update.clone_from(&old.update);
            }
            service
        })
        .collect()
}
