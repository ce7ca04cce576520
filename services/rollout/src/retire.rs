//! Devices that go: revoked ones hear nothing any more, deleted ones are forgotten. No rollout waits
//! for either.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::event::{Event, Resource};
use runtime::{Caller, database};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::App;
use crate::assignment::{Assignment, Change, Effect, State};
use crate::change::{self, Targets};
use crate::convert;
use crate::device::{Device, DeviceId};
use crate::drive::{self, commit_targets};
use crate::error::Error;
use crate::session::End;
use crate::store::assignment::Stored;
use crate::store::{self};

/// Ends a device's credentials and its stream. What it was sent is taken back, for the day on which
/// it gets a new token.
pub async fn revoke(app: &App, caller: &Caller, id: DeviceId) -> Result<(), Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    store::session::touch(&mut tx, id.0).await?;
    let (rollouts, targets) = let_go(app, &mut tx, id, now).await?;
    store::device::lock(&mut tx, id).await?;
    let before = store::device::get(&mut tx, id, app.heard_since(now)).await?.device;
    if before.revoked_at.is_some() {
        return Ok(());
    }
    let next = Device {
        revoked_at: Some(now),
        updated_at: now,
        version: before.version + 1,
        ..before.clone()
    };
    store::device::update(&mut tx, &next).await?;
    store::credential::delete(&mut tx, id).await?;
    let event = Event::by(caller, "device.revoked", resource(&next), now)
        .before(facts(&before))
        .after(facts(&next));
    app.outbox.append(&mut tx, &event).await?;
    commit_targets(app, tx, targets, now).await?;
    app.sessions.end(id.0, i64::MAX, End::Revoked);
    drive::wake(app, &rollouts, now).await;
    Ok(())
}

/// Removes a device with all that is known of it.
pub async fn delete(app: &App, caller: &Caller, id: DeviceId) -> Result<pb::Device, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    store::session::touch(&mut tx, id.0).await?;
    let (rollouts, _) = let_go(app, &mut tx, id, now).await?;
    store::device::lock(&mut tx, id).await?;
    let picture = store::device::get(&mut tx, id, app.heard_since(now)).await?;
    store::device::delete(&mut tx, id).await?;
    let event = Event::by(caller, "device.deleted", resource(&picture.device), now)
        .before(facts(&picture.device));
    app.outbox.append(&mut tx, &event).await?;
    app.outbox.commit(tx).await?;
    app.sessions.end(id.0, i64::MAX, End::Revoked);
    drive::wake(app, &rollouts, now).await;
    Ok(convert::device_to_pb(&picture, now))
}

/// Ends what rollouts have open with a device; names the rollouts, and the target without them.
async fn let_go(
    app: &App,
    db: &mut PgConnection,
    device: DeviceId,
    now: DateTime<Utc>,
) -> Result<(Vec<Uuid>, Targets), Error> {
    let mut of_rollout: BTreeMap<Uuid, Vec<(Stored, Change)>> = BTreeMap::new();
    for stored in store::assignment::lock_open(db, device.0).await? {
        let change = gone(&stored.try_, now);
        of_rollout.entry(stored.try_.rollout).or_default().push((stored, change));
    }
    let rollouts = of_rollout.keys().copied().collect();
    let mut targets = BTreeMap::new();
    for (rollout, changes) in of_rollout {
        let frozen = app.frozen.get(db, rollout).await?;
        targets.extend(change::apply(db, &app.outbox, &frozen, changes, now).await?);
    }
    Ok((rollouts, targets.into_iter().collect()))
}

/// What becomes of a try whose device is gone: it says nothing about the release; a way back that it
/// had begun stays open for ever.
fn gone(try_: &Assignment, now: DateTime<Utc>) -> Change {
    if try_.state == State::Reverting {
        let mut next = try_.clone().ended(State::RevertFailed, reason::DEVICE_REVOKED);
        next.decided_at = try_.decided_at.or(Some(now));
        return Change { assignment: next, effect: Effect::None };
    }
    let left_out = try_.clone().ended(State::Skipped, reason::DEVICE_REVOKED);
    Change { assignment: left_out, effect: Effect::Restore }
}

/// A device as events name it.
pub(crate) fn resource(device: &Device) -> Resource {
    Resource::new("device", device.id, device.name.clone())
}

/// What events tell of a device.
pub(crate) fn facts(device: &Device) -> Value {
    json!({
        "name": device.name,
        "fleet": device.fleet,
        "labels": device.labels,
        "pinned": device.pinned,
        "pin_reason": device.pin_reason,
        "revoked": device.revoked_at.is_some(),
    })
}
