//! Applying one step of a plan, in one transaction.

use chrono::{DateTime, Utc};
use proto::reason;
use runtime::Actor;
use runtime::event::{Event, Resource};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Look, commit_targets, offer, template};
use crate::app::App;
use crate::assignment::{Change, Effect, State as Try};
use crate::change::{self, Targets};
use crate::error::Error;
use crate::plan::{Step, Trip};
use crate::rollout::{Rollout, State};
use crate::store::batch::Mark;
use crate::store::lease::Lease;
use crate::store::{self};
use crate::withdraw::Turn;

/// Applies a step, unless the rollout changed since it was looked at.
pub(super) async fn apply(
    app: &App,
    lease: Lease,
    look: &Look,
    step: Step,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rollout = &look.rollout;
    let mut tx = app.pool.begin().await?;
    store::lease::begin_change(&mut tx, lease, rollout.version, now).await?;
    let db = &mut *tx;
    let targets = match step {
        Step::Start => {
            enter(app, db, rollout, State::Running, &plain(), "image.rollout_started", now).await?
        }
        Step::Fail(why) => fail(app, db, look, &why, now).await?,
        Step::StartBatch(number) => {
            mark(app, db, look, number, Mark::Started, now).await?;
            Targets::new()
        }
        Step::CompleteBatch(number) => {
            mark(app, db, look, number, Mark::Completed, now).await?;
            Targets::new()
        }
        Step::Offer(count) => offer::offer(app, db, look, count, now).await?,
        Step::Substitute { batch, count } => {
            let heard_since = app.heard_since(now);
            store::outlook::substitute(db, rollout.id, batch, count, now, heard_since).await?;
            Targets::new()
        }
        Step::Settle => {
            store::rollout::set_state(db, rollout.id, State::Settling, &plain(), now).await?;
            Targets::new()
        }
        Step::Pause(why) => {
            enter(app, db, rollout, State::Paused, &why, "image.rollout_paused", now).await?
        }
        Step::RollBack(why) => turn(app, db, look, State::RollingBack, true, &why, now).await?,
        Step::Cancel(why) => turn(app, db, look, State::Cancelling, false, &why, now).await?,
        Step::Revert(count) => revert(app, db, look, count, now).await?,
        Step::Finish(state) => finish(app, db, look, state, now).await?,
    };
    commit_targets(app, tx, targets, now).await
}

/// A change of state that needs no explanation.
pub(crate) fn plain() -> Trip {
    Trip { reason: "", detail: String::new() }
}

/// Stores a new state and tells it.
async fn enter(
    app: &App,
    db: &mut PgConnection,
    rollout: &Rollout,
    state: State,
    why: &Trip,
    kind: &'static str,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    store::rollout::set_state(db, rollout.id, state, why, now).await?;
    app.outbox.append(db, &told(rollout, kind, state, why, now)).await?;
    Ok(Targets::new())
}

/// What the driver tells about a rollout.
fn told(
    rollout: &Rollout,
    kind: &'static str,
    state: State,
    why: &Trip,
    now: DateTime<Utc>,
) -> Event {
    Event::of(Actor::system("rollout"), kind, resource(rollout), now)
        .before(json!({"state": rollout.state.as_str()}))
        .after(json!({"state": state.as_str(), "reason": why.reason, "detail": why.detail}))
}

/// A rollout as events name it.
pub(crate) fn resource(rollout: &Rollout) -> Resource {
    Resource::new("rollout", rollout.id, rollout.release.title())
}

/// It never begins: nobody is sent anything.
async fn fail(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    why: &Trip,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let tries = store::assignment::lock_in(db, look.rollout.id, &[Try::Queued], i64::MAX).await?;
    let targets = change::withdraw(db, &app.outbox, &look.frozen, Turn::Keep, tries, now).await?;
    enter(app, db, &look.rollout, State::Failed, why, "image.rollout_failed", now).await?;
    Ok(targets)
}

async fn mark(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    number: u32,
    mark: Mark,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    store::batch::mark(db, look.rollout.id, number, mark, now).await?;
    let kind = match mark {
        Mark::Started => "image.rollout_batch_started",
        Mark::Completed => "image.rollout_batch_completed",
        Mark::Promoted => return Ok(()),
    };
    let event = Event::of(Actor::system("rollout"), kind, resource(&look.rollout), now)
        .after(batch_facts(look, number));
    app.outbox.append(db, &event).await?;
    Ok(())
}

fn batch_facts(look: &Look, number: u32) -> Value {
    let tally = look.batches.iter().find(|batch| batch.number == number).map(|batch| batch.tally);
    let tally = tally.unwrap_or_default();
    json!({
        "batch_number": number,
        "batches": look.batches.len(),
        "devices": tally.devices(),
        "succeeded": tally.succeeded,
        "failed": tally.failures(),
        "deferred": tally.deferred,
    })
}

/// The rollout turns: who has not begun is let go, and, when it goes back, who has begun goes with
/// it. The driver and the commands both turn a rollout here.
pub(crate) async fn turn(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    state: State,
    reverts: bool,
    why: &Trip,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let rollout = &look.rollout;
    let states: Vec<Try> =
        Try::ALL.into_iter().filter(|state| !state.is_over() && *state != Try::Reverting).collect();
    let tries = store::assignment::lock_in(db, rollout.id, &states, i64::MAX).await?;
    let turn = if reverts { Turn::Back } else { Turn::Keep };
    let targets = change::withdraw(db, &app.outbox, &look.frozen, turn, tries, now).await?;
    store::rollout::set_cancel_reverts(db, rollout.id, reverts).await?;
    store::rollout::set_state(db, rollout.id, state, why, now).await?;
    if state == State::RollingBack {
        store::release::quarantine(db, rollout, now).await?;
    }
    Ok(targets)
}

/// Sends updated devices back, those of the newest batch first.
async fn revert(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    count: u32,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let tries =
        store::assignment::lock_in(db, look.rollout.id, &[Try::Succeeded], i64::from(count))
            .await?;
    let devices: Vec<_> = tries.iter().map(|stored| stored.try_.device).collect();
    let revoked = store::device::revoked(db, &devices).await?;
    let changes = tries
        .into_iter()
        .map(|stored| {
            let mut next = stored.try_.clone();
            next.state = Try::Reverting;
            // Who hears nothing any more is not waited for; its target is right when it does again.
            if revoked.contains(&next.device) {
                next = next.ended(Try::RevertFailed, reason::DEVICE_REVOKED);
            }
            (stored, Change { assignment: next, effect: Effect::Restore })
        })
        .collect();
    change::apply(db, &app.outbox, &look.frozen, changes, now).await
}

/// It has ended. What still moves after a cancel that waited long enough is let go as it is.
async fn finish(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    state: State,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let rollout = &look.rollout;
    let (kind, why) = match state {
        State::Succeeded => ("image.rollout_completed", ending(look)),
        State::RolledBack | State::RollbackIncomplete => {
            ("image.rollout_rolled_back", kept(rollout))
        }
        State::Cancelled => ("image.rollout_cancelled", kept(rollout)),
        State::Pending
        | State::Running
        | State::Paused
        | State::Settling
        | State::RollingBack
        | State::Cancelling
        | State::Superseded
        | State::Failed => ("image.rollout_failed", kept(rollout)),
    };
    if state == State::Cancelled {
        let moving: Vec<_> = Try::ALL.into_iter().filter(|state| state.is_active()).collect();
        let tries = store::assignment::lock_in(db, rollout.id, &moving, i64::MAX).await?;
        let rows: Vec<_> = tries
            .into_iter()
            .map(|stored| (stored.id, stored.try_.ended(Try::Cancelled, "")))
            .collect();
        store::assignment::update(db, &rows, &look.frozen.rules, now).await?;
    }
    if state == State::Succeeded {
        template::follow(app, db, look, now).await?;
    }
    enter(app, db, rollout, state, &why, kind, now).await
}

/// Why it turned stays what there is to say about it.
fn kept(rollout: &Rollout) -> Trip {
    Trip { reason: static_reason(&rollout.state_reason), detail: rollout.state_detail.clone() }
}

/// Reasons are constants; one that was stored is one of them.
fn static_reason(stored: &str) -> &'static str {
    [
        reason::OPERATOR,
        reason::APPROVAL_LOST,
        reason::FAILURE_RATIO,
        reason::MAX_FAILURES,
        reason::MAX_CONSECUTIVE,
        reason::NO_EVIDENCE,
    ]
    .into_iter()
    .find(|known| *known == stored)
    .unwrap_or("")
}

fn ending(look: &Look) -> Trip {
    let all = crate::plan::total(&look.batches);
    let why = |reason, detail| Trip { reason, detail };
    match (all.succeeded, all.deferred) {
        (0, _) if all.failures() == 0 => {
            why(reason::NOTHING_TO_DO, "no device needed it".to_owned())
        }
        (_, 0) => plain(),
        (_, away) => {
            let away = crate::plan::devices_that_are("offline", away);
            why("", format!("sent when they come back: {away}"))
        }
    }
}
