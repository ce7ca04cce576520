//! Where a rollout stands in its steps.

use chrono::{DateTime, Utc};

use crate::documents::rollout::{Batch, Rollout, Tally};

/// What a step is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not begun.
    Waiting,
    /// Devices move.
    Running,
    /// It is complete and watched until then.
    Soaking(DateTime<Utc>),
    /// It is complete.
    Complete,
    /// The rollout turned or ended before it was complete.
    Stopped,
    /// The rollout turned or ended before any of its devices was sent anything.
    NotSent,
}

impl Stage {
    /// What a step is doing now.
    pub fn of(batch: &Batch, now: DateTime<Utc>) -> Self {
        match (batch.state.as_str(), batch.soak_ends_at) {
            ("soaking", Some(end)) if end > now => Self::Soaking(end),
            ("soaking" | "complete", _) => Self::Complete,
            ("waiting", _) => Self::Waiting,
            ("stopped", _) if batch.tally.cancelled >= batch.size => Self::NotSent,
            ("stopped", _) => Self::Stopped,
            (_, _) => Self::Running,
        }
    }
}

/// The step that is on: the last one that has begun, else the first.
pub fn current(rollout: &Rollout, now: DateTime<Utc>) -> Option<&Batch> {
    let begun = |batch: &&Batch| !matches!(Stage::of(batch, now), Stage::Waiting | Stage::NotSent);
    rollout.batches.iter().rev().find(begun).or(rollout.batches.first())
}

/// What the rollout waits for, in a word.
pub fn next(rollout: &Rollout, now: DateTime<Utc>) -> String {
    match (rollout.status.as_str(), rollout.state.as_str()) {
        (_, "rolling_back") => return "rolled-back".to_owned(),
        (_, "cancelling") => return "cancelled".to_owned(),
        ("paused", _) => return "resume".to_owned(),
        ("pending" | "scheduled", _) => return "start".to_owned(),
        (_, _) if rollout.is_over() => return "none".to_owned(),
        (_, _) => {}
    }
    let Some(batch) = current(rollout, now) else { return "end".to_owned() };
    let Some(after) = rollout.batches.iter().find(|after| after.number > batch.number) else {
        return "end".to_owned();
    };
    match Stage::of(batch, now) {
        Stage::Waiting => format!("batch-{}", batch.number),
        Stage::Running => "soak".to_owned(),
        Stage::Soaking(_) | Stage::Complete if after.gated => "promote".to_owned(),
        Stage::Soaking(_) | Stage::Complete => format!("batch-{}", after.number),
        Stage::Stopped | Stage::NotSent => "end".to_owned(),
    }
}

/// Steps that are told in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The first step.
    pub first: u64,
    /// The last step; the first one where there is only one.
    pub last: u64,
    /// How many devices.
    pub size: u64,
    /// How they stand.
    pub tally: Tally,
    /// What they are doing.
    pub stage: Stage,
    /// Whether a person must promote it.
    pub gated: bool,
}

impl Group {
    /// `3`, or `1-2`.
    pub fn label(&self) -> String {
        if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        }
    }

    fn of(batch: &Batch, now: DateTime<Utc>) -> Self {
        Self {
            first: batch.number,
            last: batch.number,
            size: batch.size,
            tally: batch.tally,
            stage: Stage::of(batch, now),
            gated: batch.gated,
        }
    }

    /// Whether one line can tell both.
    fn goes_with(&self, next: &Self, waiting_too: bool) -> bool {
        let both = |stage| self.stage == stage && next.stage == stage;
        both(Stage::Complete) || both(Stage::NotSent) || (waiting_too && both(Stage::Waiting))
    }
}

/// The steps, complete ones together; in at most `room` lines also those that wait.
pub fn groups(rollout: &Rollout, now: DateTime<Utc>, room: usize) -> Vec<Group> {
    let groups = fold(rollout, now, false);
    if groups.len() <= room { groups } else { fold(rollout, now, true) }
}

fn fold(rollout: &Rollout, now: DateTime<Utc>, waiting_too: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for batch in &rollout.batches {
        let next = Group::of(batch, now);
        match groups.last_mut() {
            Some(last) if last.goes_with(&next, waiting_too) => {
                last.last = next.last;
                last.size += next.size;
                last.tally = last.tally.plus(next.tally);
            }
            Some(_) | None => groups.push(next),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn rollout(states: &[&str]) -> Rollout {
        let batch = |(index, state): (usize, &&str)| Batch {
            number: index as u64 + 1,
            size: 10,
            state: (*state).to_owned(),
            soak_ends_at: (*state == "soaking").then(|| now() + TimeDelta::minutes(5)),
            ..Batch::default()
        };
        Rollout {
            status: "in_progress".to_owned(),
            state: "running".to_owned(),
            batches: states.iter().enumerate().map(batch).collect(),
            ..Rollout::default()
        }
    }

    #[test]
    fn what_comes_next_is_told_in_a_word() {
        for (states, word) in [
            (&["waiting", "waiting"][..], "batch-1"),
            (&["running", "waiting"], "soak"),
            (&["soaking", "waiting"], "batch-2"),
            (&["complete", "running"], "end"),
            (&[], "end"),
        ] {
            assert_eq!(next(&rollout(states), now()), word, "{states:?}");
        }
        let mut gated = rollout(&["complete", "waiting"]);
        gated.batches[1].gated = true;
        assert_eq!(next(&gated, now()), "promote");
        gated.status = "paused".to_owned();
        assert_eq!(next(&gated, now()), "resume");
    }

    #[test]
    fn steps_fold_until_they_fit() {
        let labels = |states: &[&str], room| {
            let groups = groups(&rollout(states), now(), room);
            groups.iter().map(Group::label).collect::<Vec<_>>()
        };
        let states = ["complete", "complete", "soaking", "waiting", "waiting", "waiting"];
        assert_eq!(labels(&states, 9), ["1-2", "3", "4", "5", "6"]);
        assert_eq!(labels(&states, 3), ["1-2", "3", "4-6"]);

        let mut turned = rollout(&["complete", "stopped", "stopped", "stopped"]);
        for batch in &mut turned.batches[2..] {
            batch.tally.cancelled = batch.size;
        }
        let stages =
            groups(&turned, now(), 9).into_iter().map(|group| (group.label(), group.stage));
        let told = [("1", Stage::Complete), ("2", Stage::Stopped), ("3-4", Stage::NotSent)];
        assert!(stages.eq(told.map(|(label, stage)| (label.to_owned(), stage))));
        assert_eq!(current(&turned, now()).map(|batch| batch.number), Some(2));
    }
}
