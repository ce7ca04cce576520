//! Applying what became of tries: rows, targets, new tries, events, in the caller's transaction.
//!
//! Rows are always locked in one order: statuses, rollouts, assignments, targets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proto::reason;
use runtime::Actor;
use runtime::event::{Event, Resource};
use runtime::outbox::Outbox;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::assignment::{Assignment, Change, Effect, State};
use crate::error::Error;
use crate::frozen::Frozen;
use crate::store::assignment::Stored;
use crate::store::{self};
use crate::target::{Image, Target};
use crate::withdraw::{Disposition, Turn, disposition};

/// Targets that changed, to be told to their devices after the commit.
pub type Targets = Vec<(Uuid, Target)>;

/// Stores changes of tries of one rollout and does what they ask for.
pub async fn apply(
    db: &mut PgConnection,
    outbox: &Outbox,
    frozen: &Frozen,
    changes: Vec<(Stored, Change)>,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let restored: Vec<_> = changes
        .iter()
        .filter(|(_, change)| change.effect == Effect::Restore)
        .map(|(stored, _)| stored.try_.device)
        .collect();
    let targets = restore(db, frozen, &restored).await?;
    let generations: BTreeMap<_, _> =
        targets.iter().map(|(device, target)| (*device, target.generation)).collect();

    let mut rows = Vec::with_capacity(changes.len());
    let (mut retries, mut good, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for (stored, change) in changes {
        let mut next = change.assignment;
        match change.effect {
            Effect::None => {}
            Effect::Restore => {
                next = sent_back(next, generations.get(&stored.try_.device).copied(), frozen, now)
            }
            Effect::Retry(at) => retries.push((stored.id, at)),
            Effect::Confirm => good.push((next.device, working(&next, frozen))),
        }
        events.extend(told(&stored, &next, frozen, now));
        rows.push((stored.id, next));
    }
    store::assignment::update(db, &rows, &frozen.rules, now).await?;
    store::assignment::try_again(db, &retries, now).await?;
    store::target::confirm(db, &good).await?;
    outbox.append_all(db, &events).await?;
    Ok(targets)
}

/// A device that is sent back is watched until it is back; one whose target no longer carries the
/// release, because an operator changed it meanwhile, is not.
fn sent_back(
    next: Assignment,
    generation: Option<i64>,
    frozen: &Frozen,
    now: DateTime<Utc>,
) -> Assignment {
    match (next.state, generation) {
        (State::Reverting, Some(generation)) => next.reverting(generation, &frozen.rules, now),
        (State::Reverting, None) => next.ended(State::Reverted, reason::OPERATOR),
        _ => next,
    }
}

fn working(try_: &Assignment, frozen: &Frozen) -> BTreeMap<String, Image> {
    try_.services.iter().map(|service| (service.name.clone(), frozen.image.clone())).collect()
}

/// Sets the targets of devices back that still carry the release.
async fn restore(
    db: &mut PgConnection,
    frozen: &Frozen,
    devices: &[Uuid],
) -> Result<Targets, Error> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let targets = store::target::lock(db, devices).await?;
    let restored: Targets = targets
        .into_iter()
        .filter_map(|(device, target)| Some((device, target.restored(frozen.id.0, &frozen.image)?)))
        .collect();
    store::target::update(db, &restored).await?;
    Ok(restored)
}

/// Takes offers back because the rollout turns.
pub async fn withdraw(
    db: &mut PgConnection,
    outbox: &Outbox,
    frozen: &Frozen,
    turn: Turn,
    tries: Vec<Stored>,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let changes = tries
        .into_iter()
        .filter_map(|stored| {
            let next = match disposition(turn, stored.try_.state) {
                Disposition::Leave => return None,
                Disposition::End(state) => stored.try_.clone().ended(state, ""),
                Disposition::Revert => {
                    Assignment { state: State::Reverting, ..stored.try_.clone() }
                }
            };
            Some((stored, Change { assignment: next, effect: Effect::Restore }))
        })
        .collect();
    apply(db, outbox, frozen, changes, now).await
}

/// The event of a try that has failed, or gone back.
fn told(stored: &Stored, next: &Assignment, frozen: &Frozen, now: DateTime<Utc>) -> Option<Event> {
    let failed_now = next.failed && !stored.try_.failed;
    let back_now = next.state == State::Reverted && stored.try_.state != State::Reverted;
    let kind = match (failed_now, back_now) {
        (_, true) => "image.rollout_device_rolled_back",
        (true, false) => "image.rollout_device_failed",
        (false, false) => return None,
    };
    let resource = Resource::new("rollout", frozen.id, frozen.title.clone());
    Some(Event::of(Actor::system("rollout"), kind, resource, now).after(json!({
        "device_id": next.device,
        "device_name": stored.device_name,
        "batch_number": stored.batch_number,
        "attempt": next.attempt,
        "state": next.state.as_str(),
        "reason": next.reason,
        "message": next.message,
    })))
}
