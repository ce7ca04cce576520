//! When a rollout stops by itself.
//!
//! Looked at with every report, for each batch and for the whole rollout. Failures that a person has
//! acknowledged by resuming no longer count.

use proto::reason;

use super::{Batch, View, total};
use crate::tally::Tally;

/// Why a rollout stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// For programs.
    pub reason: &'static str,
    /// For people, in a sentence with the numbers.
    pub detail: String,
}

impl Trip {
    /// The approval was taken back.
    #[must_use]
    pub fn approval_lost(why: &str) -> Self {
        let detail = format!("{why}; approve it again, or cancel the rollout");
        Self { reason: reason::APPROVAL_LOST, detail }
    }

    /// Too few devices can show that it works.
    #[must_use]
    pub fn no_evidence(batch: &Batch, missing: u32) -> Self {
        let done = batch.tally.succeeded;
        Self {
            reason: reason::NO_EVIDENCE,
            detail: format!(
                "batch {} has {}, {missing} fewer than it takes to go on",
                batch.number,
                devices_that_are("updated", done),
            ),
        }
    }
}

/// Says whether the rollout has to stop.
#[must_use]
pub fn trip(view: &View<'_>) -> Option<Trip> {
    let rules = &view.rollout.policy.rules;
    let all = total(view.batches);
    if rules.max_failures > 0 && all.fresh_failures >= rules.max_failures {
        return Some(Trip {
            reason: reason::MAX_FAILURES,
            detail: format!("{} failed; limit {}", devices(all.fresh_failures), rules.max_failures),
        });
    }
    if rules.max_consecutive > 0 && view.streak >= rules.max_consecutive {
        return Some(Trip {
            reason: reason::MAX_CONSECUTIVE,
            detail: format!(
                "{} in a row failed; limit {}",
                devices(view.streak),
                rules.max_consecutive
            ),
        });
    }
    view.batches
        .iter()
        .filter(|batch| batch.started_at.is_some())
        .map(|batch| (format!("batch {}", batch.number), batch.tally))
        .chain([("the rollout".to_owned(), all)])
        .find_map(|(part, tally)| {
            ratio_trip(&part, &tally, rules.max_failure_ratio, rules.min_sample)
        })
}

/// The budget of failures is used up, or, with enough devices decided, they fail at too high a rate.
fn ratio_trip(part: &str, tally: &Tally, ratio: f64, min_sample: u32) -> Option<Trip> {
    let (failed, expected) = (tally.fresh_failures, tally.expected());
    let decided = tally.succeeded + failed;
    let used_up = f64::from(failed) > ratio * f64::from(expected);
    let early = decided >= min_sample && f64::from(failed) > ratio * f64::from(decided);
    if failed == 0 || !(used_up || early) {
        return None;
    }
    let of = if used_up { expected } else { decided };
    Some(Trip {
        reason: reason::FAILURE_RATIO,
        detail: format!(
            "{failed} of {} of {part} failed; at most {} % may",
            devices(of),
            (ratio * 1000.0).round() / 10.0,
        ),
    })
}

/// So many devices, for people.
#[must_use]
pub fn devices(count: u32) -> String {
    devices_that_are("", count)
}

/// So many devices of a kind, for people: "1 offline device", "3 more devices".
#[must_use]
pub fn devices_that_are(kind: &str, count: u32) -> String {
    let space = if kind.is_empty() { "" } else { " " };
    let noun = if count == 1 { "device" } else { "devices" };
    format!("{count} {kind}{space}{noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(devices: u32, succeeded: u32, failed: u32) -> Tally {
        let queued = devices - succeeded - failed;
        Tally { queued, succeeded, failed, fresh_failures: failed, ..Tally::default() }
    }

    fn trips(devices: u32, succeeded: u32, failed: u32) -> bool {
        ratio_trip("batch 1", &tally(devices, succeeded, failed), 0.2, 5).is_some()
    }

    #[test]
    fn the_first_failure_of_a_small_batch_uses_its_budget_up() {
        assert!(trips(1, 0, 1));
        assert!(trips(4, 3, 1));
        assert!(!trips(5, 0, 1), "one of five is 20 %, and more than 20 % stops");
    }

    #[test]
    fn a_high_rate_stops_a_large_batch_before_its_budget_is_used_up() {
        assert!(!trips(1_000, 0, 4), "four decided devices are too few to tell");
        assert!(trips(1_000, 3, 2), "two of five are more than 20 %");
        assert!(!trips(1_000, 4, 1), "one of five is not");
        assert!(trips(1_000, 799, 201), "201 of 1,000 are more than 20 %");
        assert!(!trips(1_000, 800, 200));
    }

    #[test]
    fn acknowledged_failures_and_offline_devices_do_not_count() {
        let mut acknowledged = tally(4, 3, 1);
        acknowledged.fresh_failures = 0;
        assert_eq!(ratio_trip("batch 1", &acknowledged, 0.2, 5), None);
        let mut offline = tally(10, 7, 2);
        offline.queued = 0;
        offline.deferred = 1;
        let trip = ratio_trip("batch 1", &offline, 0.2, 5).expect("2 of 9");
        assert_eq!(trip.detail, "2 of 9 devices of batch 1 failed; at most 20 % may");
    }
}
