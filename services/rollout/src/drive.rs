//! Driving rollouts: claim one that is due, look, plan, apply, until it rests.
//!
//! Any replica may do it. A claim is a lease with a fence: what is applied names fence and version,
//! and is refused when another replica, or a command, was faster. Nothing is remembered between
//! looks, so a driver that dies in the middle leaves a rollout that any other one takes up.

mod offer;
mod step;
mod template;

pub(crate) use step::{plain, resource, turn};

use std::time::Duration;

use chrono::{DateTime, Utc};
use runtime::context::{self, Context};
use runtime::worker::Progress;
use runtime::{crash, database};
use sqlx::PgConnection;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::app::App;
use crate::assignment::Assignment;
use crate::change;
use crate::error::Error;
use crate::frozen::Frozen;
use crate::plan::{self, Batch, Plan, Step, View};
use crate::policy::Rules;
use crate::rollout::{Rollout, RolloutId};
use crate::store::lease::Lease;
use crate::store::outlook::Outlook;
use crate::store::{self};

/// How many due timers one transaction handles.
const DUE: i64 = 500;

/// Drives one rollout that is due, until it rests.
pub async fn drive_one(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    let Some((lease, traceparent)) = store::lease::claim(&mut db, now).await? else {
        return Ok(store::lease::next_wake(&mut db).await?.map_or(Progress::Idle, Progress::Until));
    };
    drop(db);
    // What is done for the rollout belongs to the trace of what made it.
    let request_id = format!("rollout-{}", lease.rollout);
    let scope = Context { request_id, traceparent };
    let wake_at = match context::scope(scope, drive(app, lease)).await {
        Ok(wake_at) => wake_at,
        Err(Error::LeaseLost) => Some(now),
        Err(error) => {
            let mut db = app.pool.acquire().await?;
            store::lease::release(&mut db, lease, Some(now + RETRY)).await?;
            return Err(error);
        }
    };
    let mut db = app.pool.acquire().await?;
    store::lease::release(&mut db, lease, wake_at).await?;
    Ok(Progress::More)
}

/// Makes rollouts due whose devices changed: after the commit of that change, so that nobody who holds
/// devices' rows waits for a driver that holds the rollout's. A wake-up that is lost is found by the
/// sweep.
pub(crate) async fn wake(app: &App, rollouts: &[Uuid], now: DateTime<Utc>) {
    if rollouts.is_empty() {
        return;
    }
    let woken = async {
        let mut db = app.pool.acquire().await?;
        store::lease::wake(&mut db, rollouts, now).await
    };
    if let Err(error) = woken.await {
        tracing::warn!("rollouts are looked at by the next sweep, not now: {error}");
    }
    app.driver.ring();
}

/// How soon a rollout is looked at again whose step failed.
const RETRY: Duration = Duration::from_secs(2);

/// Looks, plans and applies until nothing is left to do now; returns when to look again.
async fn drive(app: &App, lease: Lease) -> Result<Option<DateTime<Utc>>, Error> {
    loop {
        let mut db = app.pool.acquire().await?;
        // One time for both: what is not due for the timers is still to come for the plan.
        let now = database::now(&mut db, &app.clock).await?;
        drop(db);
        if work_off_due(app, lease, now).await? {
            continue;
        }
        let mut db = app.pool.acquire().await?;
        let look = Look::at(&mut db, lease.rollout, app.heard_since(now), now).await?;
        drop(db);
        let Plan { steps, wake_at } = plan::plan(&look.view(), now);
        if steps.is_empty() {
            app.rollout_changed();
            return Ok(wake_at);
        }
        for step in steps {
            let span = step_span(lease, &step);
            step::apply(app, lease, &look, step, now).instrument(span).await?;
        }
    }
}

fn step_span(lease: Lease, step: &Step) -> Span {
    let span =
        tracing::info_span!("rollout.step", rollout.id = %lease.rollout, rollout.step = ?step);
    context::link_trace(&span, context::scope_traceparent().as_deref());
    span
}

/// Handles timers that are due. Returns whether there were any.
async fn work_off_due(app: &App, lease: Lease, now: DateTime<Utc>) -> Result<bool, Error> {
    let mut tx = app.pool.begin().await?;
    let due = store::assignment::lock_due(&mut tx, lease.rollout, now, DUE).await?;
    if due.is_empty() {
        return Ok(false);
    }
    let frozen = app.frozen.get(&mut tx, lease.rollout.0).await?;
    let devices: Vec<_> = due.iter().map(|stored| stored.try_.device).collect();
    let online = store::outlook::online(&mut tx, &devices, app.heard_since(now)).await?;
    let mut changes = Vec::new();
    let mut waiting = Vec::new();
    for stored in due {
        let is_online = online.contains(&stored.try_.device);
        match stored.try_.on_due(is_online, &frozen.rules, now) {
            Some(change) => changes.push((stored, change)),
            None => {
                waiting.push((stored.id, again_at(&stored.try_, is_online, &frozen.rules, now)))
            }
        }
    }
    let any = !changes.is_empty();
    store::assignment::postpone(&mut tx, &waiting).await?;
    let targets = change::apply(&mut tx, &app.outbox, &frozen, changes, now).await?;
    app.outbox.commit(tx).await?;
    app.deliver(targets, now);
    Ok(any)
}

/// When to look again at a try for which there is nothing to do: at its own time when its device is
/// there, else in a while.
fn again_at(
    try_: &Assignment,
    is_online: bool,
    rules: &Rules,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let later = now + POSTPONE;
    let own = try_.due_at(rules).filter(|at| is_online && *at > now);
    own.unwrap_or(later)
}

/// How long a timer rests whose device has to be heard of first.
const POSTPONE: Duration = Duration::from_secs(5);

/// A rollout as it was found.
pub(crate) struct Look {
    pub(crate) rollout: Rollout,
    pub(crate) frozen: Frozen,
    pub(crate) batches: Vec<Batch>,
    outlook: Outlook,
    older_turning: bool,
    /// When.
    pub(crate) at: DateTime<Utc>,
}

impl Look {
    /// Looks at a rollout.
    pub(crate) async fn at(
        db: &mut PgConnection,
        id: RolloutId,
        heard_since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let rollout = store::rollout::get(db, id).await?;
        let mut batches = store::batch::all(db, id).await?;
        store::outlook::tally(db, id, rollout.acknowledged_at, &mut batches).await?;
        let streak = rollout.policy.rules.max_consecutive;
        let outlook =
            store::outlook::outlook(db, id, rollout.acknowledged_at, streak, now, heard_since)
                .await?;
        let older_turning = store::rollout::older_turning(db, &rollout).await?;
        let frozen = Frozen::from(&rollout);
        Ok(Self { rollout, frozen, batches, outlook, older_turning, at: now })
    }

    /// What the plan sees.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            rollout: &self.rollout,
            batches: &self.batches,
            streak: self.outlook.streak,
            ready: self.outlook.ready,
            substitutes: self.outlook.substitutes,
            older_turning: self.older_turning,
            next_due: self.outlook.next_due,
        }
    }
}

/// Commits a change of targets and tells the devices.
pub(crate) async fn commit_targets(
    app: &App,
    tx: sqlx::Transaction<'_, sqlx::Postgres>,
    targets: change::Targets,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    app.outbox.commit(tx).await?;
    if !targets.is_empty() {
        crash::point("target_bumped");
    }
    app.deliver(targets, now);
    Ok(())
}
