//! What a rollout does next: a pure function of how it stands and the time.
//!
//! One call answers one look. Each step is applied in one transaction; what it changes is seen at
//! the next look, which follows at once. Nothing is remembered between looks but what is stored.

mod condition;
mod trip;

use chrono::{DateTime, Utc};
use proto::reason;

use crate::policy::{OnFailure, Strategy};
use crate::rollout::{CANCEL_PATIENCE, Rollout, State};
use crate::tally::Tally;

pub use condition::{Condition, Outcome, conditions};
pub use trip::{Trip, devices, devices_that_are, trip};

/// A batch as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// From 1.
    pub number: u32,
    /// How many devices were planned; substitutes come on top.
    pub size: u32,
    /// How long it is watched when it is complete.
    pub soak: std::time::Duration,
    /// The share that must have succeeded.
    pub success_threshold: f64,
    /// A person lets the next one begin.
    pub manual_gate: bool,
    /// When a person let this one begin.
    pub promoted_at: Option<DateTime<Utc>>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was complete.
    pub completed_at: Option<DateTime<Utc>>,
    /// How its devices stand.
    pub tally: Tally,
}

/// A rollout as it stands.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The rollout.
    pub rollout: &'a Rollout,
    /// Its batches, in order.
    pub batches: &'a [Batch],
    /// How many of the last decided devices failed without a break, since the last resume.
    pub streak: u32,
    /// How many devices could be sent now, were there room: queued ones of batches that have begun,
    /// and tries whose wait is over.
    pub ready: u32,
    /// How many connected devices of later batches could take the place of missing ones.
    pub substitutes: u32,
    /// Whether an older rollout of the same scope is still taking devices back.
    pub older_turning: bool,
    /// The next moment at which a device's timer has something to say.
    pub next_due: Option<DateTime<Utc>>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Pending becomes running.
    Start,
    /// It never begins.
    Fail(Trip),
    /// A batch begins.
    StartBatch(u32),
    /// Up to this many ready devices are sent the release.
    Offer(u32),
    /// Up to this many connected devices of later batches join a batch.
    Substitute {
        /// The batch that they join.
        batch: u32,
        /// How many.
        count: u32,
    },
    /// A batch is complete.
    CompleteBatch(u32),
    /// All is sent.
    Settle,
    /// Nothing more is sent.
    Pause(Trip),
    /// Devices go back.
    RollBack(Trip),
    /// It ends; devices keep what they have.
    Cancel(Trip),
    /// Up to this many updated devices are sent back, those of the newest batch first.
    Revert(u32),
    /// It has ended.
    Finish(State),
}

/// What to do now, and when to look again although nothing happened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// `None` = only when something happens.
    pub wake_at: Option<DateTime<Utc>>,
}

impl Plan {
    fn now(step: Step) -> Self {
        Self { steps: vec![step], wake_at: None }
    }

    fn wait(until: impl IntoIterator<Item = Option<DateTime<Utc>>>) -> Self {
        Self { steps: Vec::new(), wake_at: until.into_iter().flatten().min() }
    }

    fn or_wait(mut self, until: Option<DateTime<Utc>>) -> Self {
        self.wake_at = [self.wake_at, until].into_iter().flatten().min();
        self
    }
}

/// Says what a rollout does next.
#[must_use]
pub fn plan(view: &View<'_>, now: DateTime<Utc>) -> Plan {
    let plan = match view.rollout.state {
        State::Pending => begin(view, now),
        State::Running | State::Settling => go_forward(view, now),
        State::RollingBack => go_back(view, State::RolledBack),
        State::Cancelling if view.rollout.cancel_reverts => go_back(view, State::Cancelled),
        State::Cancelling => cancel(view, now),
        State::Succeeded => catch_up(view),
        State::Paused
        | State::RolledBack
        | State::RollbackIncomplete
        | State::Cancelled
        | State::Superseded
        | State::Failed => Plan::default(),
    };
    plan.or_wait(view.next_due)
}

fn begin(view: &View<'_>, now: DateTime<Utc>) -> Plan {
    let rollout = view.rollout;
    if !rollout.revoked_reason.is_empty() {
        return Plan::now(Step::Fail(Trip::approval_lost(&rollout.revoked_reason)));
    }
    if view.older_turning {
        return Plan::default();
    }
    let start_at = rollout.policy.rules.start_at;
    match rollout.policy.strategy {
        Strategy::Auto | Strategy::Staged => Plan::now(Step::Start),
        Strategy::Manual | Strategy::Scheduled if rollout.start_requested => Plan::now(Step::Start),
        Strategy::Manual => Plan::default(),
        Strategy::Scheduled if start_at.is_none_or(|start| start <= now) => Plan::now(Step::Start),
        Strategy::Scheduled => Plan::wait([start_at]),
    }
}

fn go_forward(view: &View<'_>, now: DateTime<Utc>) -> Plan {
    let rollout = view.rollout;
    if !rollout.revoked_reason.is_empty() {
        return Plan::now(Step::Pause(Trip::approval_lost(&rollout.revoked_reason)));
    }
    if let Some(trip) = trip(view) {
        return Plan::now(match rollout.policy.rules.on_failure {
            OnFailure::Rollback => Step::RollBack(trip),
            OnFailure::Pause => Step::Pause(trip),
            OnFailure::Cancel => Step::Cancel(trip),
        });
    }
    let Some(current) = current_batch(view.batches) else {
        return match view.batches.first() {
            Some(first) => Plan::now(Step::StartBatch(first.number)),
            None => Plan::now(Step::Finish(State::Succeeded)),
        };
    };
    let room = rollout.max_in_flight().saturating_sub(total(view.batches).in_flight());
    if view.ready > 0 && room > 0 {
        return Plan::now(Step::Offer(room.min(view.ready)));
    }
    match next_batch(view.batches, current) {
        Some(next) => advance(view, current, next, now),
        None => settle(view, current),
    }
}

/// The step from one batch to the next.
fn advance(view: &View<'_>, current: &Batch, next: &Batch, now: DateTime<Utc>) -> Plan {
    if !is_complete(current) {
        return Plan::default();
    }
    let missing = missing_evidence(current, view.rollout.policy.rules.min_sample);
    if missing > 0 && next.promoted_at.is_none() {
        return find_evidence(view, current, missing);
    }
    let Some(completed_at) = current.completed_at else {
        return Plan::now(Step::CompleteBatch(current.number));
    };
    let soaked_at = completed_at + current.soak;
    match next.promoted_at {
        Some(_) => Plan::now(Step::StartBatch(next.number)),
        None if current.manual_gate => Plan::default(),
        None if soaked_at <= now => Plan::now(Step::StartBatch(next.number)),
        None => Plan::wait([Some(soaked_at)]),
    }
}

/// Too few devices of the batch can show that the release works: others take their place, or, while
/// all are away, it waits, or a person has to say. It is never passed on trust.
fn find_evidence(view: &View<'_>, current: &Batch, missing: u32) -> Plan {
    let count = missing.min(view.substitutes);
    if count > 0 {
        return Plan::now(Step::Substitute { batch: current.number, count });
    }
    if current.tally.expected() == 0 && current.tally.deferred > 0 {
        return Plan::default();
    }
    Plan::now(Step::Pause(Trip::no_evidence(current, missing)))
}

/// The end: all is sent, the last devices are awaited.
fn settle(view: &View<'_>, last: &Batch) -> Plan {
    let all = total(view.batches);
    let undecided = all.active + all.queued + all.returning;
    if undecided == 0 {
        let nobody_came = all.succeeded == 0 && all.failures() == 0 && all.deferred > 0;
        if nobody_came {
            return Plan::default();
        }
        if last.completed_at.is_none() {
            return Plan::now(Step::CompleteBatch(last.number));
        }
        return Plan::now(Step::Finish(State::Succeeded));
    }
    if view.rollout.state == State::Running && is_complete(last) {
        return Plan::now(Step::Settle);
    }
    Plan::default()
}

/// Takes updated devices back, a few at a time, until none is left.
fn go_back(view: &View<'_>, end: State) -> Plan {
    let all = total(view.batches);
    let room = view.rollout.max_in_flight().saturating_mul(2).saturating_sub(all.returning);
    if all.succeeded > 0 {
        return if room > 0 {
            Plan::now(Step::Revert(room.min(all.succeeded)))
        } else {
            Plan::default()
        };
    }
    if all.returning + all.active + all.queued > 0 {
        return Plan::default();
    }
    match end {
        State::RolledBack if all.revert_failed > 0 => {
            Plan::now(Step::Finish(State::RollbackIncomplete))
        }
        end => Plan::now(Step::Finish(end)),
    }
}

fn cancel(view: &View<'_>, now: DateTime<Utc>) -> Plan {
    let all = total(view.batches);
    let patience = view.rollout.turned_at.map(|since| since + CANCEL_PATIENCE);
    let still = all.active + all.returning == 0;
    if still || patience.is_none_or(|end| end <= now) {
        return Plan::now(Step::Finish(State::Cancelled));
    }
    Plan::wait([patience])
}

/// Devices that come back after the rollout has succeeded get what everybody has.
fn catch_up(view: &View<'_>) -> Plan {
    let room = view
        .rollout
        .max_in_flight()
        .saturating_sub(total(view.batches).in_flight())
        .min(view.ready);
    if room == 0 || !view.rollout.revoked_reason.is_empty() {
        return Plan::default();
    }
    Plan::now(Step::Offer(room))
}

/// The last batch that has begun.
#[must_use]
pub fn current_batch(batches: &[Batch]) -> Option<&Batch> {
    batches.iter().rev().find(|batch| batch.started_at.is_some())
}

/// The batch after this one.
#[must_use]
pub fn next_batch<'a>(batches: &'a [Batch], current: &Batch) -> Option<&'a Batch> {
    batches.iter().find(|batch| batch.number > current.number)
}

/// All batches together.
#[must_use]
pub fn total(batches: &[Batch]) -> Tally {
    let mut all = Tally::default();
    for batch in batches {
        all += batch.tally;
    }
    all
}

/// Whether every device of a batch has been sent the release, and enough are done with it.
#[must_use]
pub fn is_complete(batch: &Batch) -> bool {
    let tally = &batch.tally;
    if tally.queued > 0 {
        return false;
    }
    let expected = tally.expected();
    tally.active == 0
        || (expected > 0
            && f64::from(tally.succeeded) >= batch.success_threshold * f64::from(expected))
}

/// How many more devices must succeed before the next batch may begin.
#[must_use]
pub fn missing_evidence(batch: &Batch, min_sample: u32) -> u32 {
    // A substitute adds nothing to what is asked of the batch it joins, and takes from the other.
    let devices = batch.size.min(batch.tally.devices());
    let speaking = devices.saturating_sub(batch.tally.left_out());
    if speaking == 0 {
        return 0;
    }
    min_sample.min(speaking).max(1).saturating_sub(batch.tally.succeeded)
}

/// Why a rollout that is running does not move, for people; empty when it moves.
#[must_use]
pub fn waiting_reason(view: &View<'_>) -> &'static str {
    let all = total(view.batches);
    let idle = all.active + all.returning == 0 && view.ready == 0;
    match view.rollout.state {
        State::Pending if view.older_turning => reason::WAITING_FOR_ROLLBACK,
        State::Running if idle && all.deferred > 0 && all.expected() == 0 => {
            reason::WAITING_FOR_DEVICES
        }
        _ => "",
    }
}
