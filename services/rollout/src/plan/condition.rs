//! The conditions of the next step, each with its value: what `explain` shows.

use chrono::{DateTime, Utc};

use super::{View, current_batch, is_complete, missing_evidence, next_batch, total, trip};
use crate::rollout::State;

/// How a condition came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not hold, and a person has to do something.
    Blocks,
    /// It does not hold yet.
    Waits,
    /// It is not asked yet.
    Later,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is asked.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found, in a few words.
    pub detail: String,
}

/// Lists every condition of the rollout's next step, in the order they are asked.
#[must_use]
pub fn conditions(view: &View<'_>, now: DateTime<Utc>) -> Vec<Condition> {
    let mut list = vec![approval(view), state(view), failures(view), streak(view)];
    let Some(current) = current_batch(view.batches) else { return list };
    let tally = &current.tally;
    let mut push = |name, outcome, detail: String| list.push(Condition { name, outcome, detail });

    let open = tally.queued + tally.active;
    let complete = is_complete(current);
    push(
        "the batch is complete",
        if complete { Outcome::Holds } else { Outcome::Waits },
        format!(
            "batch {}: {} of {} updated, {open} to go, {} failed, {} put off",
            current.number,
            tally.succeeded,
            tally.devices(),
            tally.failures(),
            tally.deferred
        ),
    );
    let Some(next) = next_batch(view.batches, current) else { return list };

    let missing = missing_evidence(current, view.rollout.policy.rules.min_sample);
    let promoted = next.promoted_at.is_some();
    push(
        "enough devices show that it works",
        match missing {
            0 => Outcome::Holds,
            _ if promoted => Outcome::Holds,
            _ if complete => Outcome::Blocks,
            _ => Outcome::Waits,
        },
        if missing == 0 { "yes".to_owned() } else { format!("{missing} more needed") },
    );
    let soaked = current.completed_at.map(|at| at + current.soak);
    push(
        "the batch has soaked",
        match soaked {
            _ if promoted => Outcome::Holds,
            Some(end) if end <= now => Outcome::Holds,
            Some(_) => Outcome::Waits,
            None => Outcome::Later,
        },
        match soaked {
            Some(end) if end > now => format!("{} s left", (end - now).num_seconds()),
            Some(_) => "yes".to_owned(),
            None => format!("{} s from when it is complete", current.soak.as_secs()),
        },
    );
    if current.manual_gate {
        push(
            "a person promotes the next batch",
            if promoted { Outcome::Holds } else { Outcome::Blocks },
            format!("batch {}", next.number),
        );
    }
    list
}

fn approval(view: &View<'_>) -> Condition {
    let revoked = &view.rollout.revoked_reason;
    Condition {
        name: "the release is approved",
        outcome: if revoked.is_empty() { Outcome::Holds } else { Outcome::Blocks },
        detail: if revoked.is_empty() { "yes".to_owned() } else { revoked.clone() },
    }
}

fn state(view: &View<'_>) -> Condition {
    let rollout = view.rollout;
    let outcome = match rollout.state {
        State::Running | State::Settling => Outcome::Holds,
        State::Pending if view.older_turning => Outcome::Waits,
        State::Pending | State::Paused => Outcome::Blocks,
        State::RollingBack | State::Cancelling => Outcome::Waits,
        // What is over waits for nothing.
        State::Succeeded => Outcome::Holds,
        State::RolledBack
        | State::RollbackIncomplete
        | State::Cancelled
        | State::Superseded
        | State::Failed => Outcome::Blocks,
    };
    let word = rollout.state.as_str().replace('_', " ");
    let detail = match (&*rollout.state_detail, view.older_turning) {
        ("", true) => format!("{word}: an older rollout goes back first"),
        ("", false) => word,
        (detail, _) => format!("{word}: {detail}"),
    };
    Condition { name: "the rollout runs", outcome, detail }
}

fn failures(view: &View<'_>) -> Condition {
    let all = total(view.batches);
    let tripped = trip(view);
    Condition {
        name: "failures stay within the limit",
        outcome: if tripped.is_none() { Outcome::Holds } else { Outcome::Blocks },
        detail: tripped.map_or_else(
            || {
                let decided = all.succeeded + all.fresh_failures;
                let decided = super::devices_that_are("decided", decided);
                format!("{} of {decided} failed", all.fresh_failures)
            },
            |trip| trip.detail,
        ),
    }
}

fn streak(view: &View<'_>) -> Condition {
    let limit = view.rollout.policy.rules.max_consecutive;
    let over = limit > 0 && view.streak >= limit;
    Condition {
        name: "failures in a row stay within the limit",
        outcome: if over { Outcome::Blocks } else { Outcome::Holds },
        detail: if limit == 0 {
            "no limit".to_owned()
        } else {
            format!("{} of {limit}", view.streak)
        },
    }
}
