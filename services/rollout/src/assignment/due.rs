//! What a timer makes of a try.

use chrono::{DateTime, Utc};
use proto::reason;

use super::{Assignment, Change, Effect, Failure, State};
use crate::policy::Rules;

impl Assignment {
    /// Looks at its timers. `online` = the device is connected, or was heard of lately. `None` =
    /// nothing is due, or it waits for the device to come back.
    #[must_use]
    pub fn on_due(&self, online: bool, rules: &Rules, now: DateTime<Utc>) -> Option<Change> {
        match self.state {
            State::Deferred => self.expired(rules, now).or_else(|| self.asked_again(now)),
            State::Verifying if self.is_soaked(rules, now) && online => {
                Some(self.clone().succeed(now))
            }
            // It is looked at early when its stream has been away for a while.
            State::Offered | State::Acked | State::Downloading | State::Staged
                if !online || self.is_late(now) =>
            {
                Some(self.timed_out(online, rules, now))
            }
            State::Installing | State::Verifying if self.is_late(now) => {
                Some(self.timed_out(online, rules, now))
            }
            State::Reverting if self.is_late(now) => {
                let mut next = self.clone().ended(State::RevertFailed, reason::TIMED_OUT);
                next.decided_at = self.decided_at.or(Some(now));
                Some(Change { assignment: next, effect: Effect::None })
            }
            _ => None,
        }
    }

    fn is_soaked(&self, rules: &Rules, now: DateTime<Utc>) -> bool {
        self.healthy_since.is_some_and(|since| since + rules.device_soak <= now)
    }

    fn is_late(&self, now: DateTime<Utc>) -> bool {
        [self.step_deadline, self.total_deadline].into_iter().flatten().any(|end| end <= now)
    }

    /// An offline device that had not swapped is put off, and finds its old target when it comes
    /// back before it is its turn again; everything else that is late has failed.
    fn timed_out(&self, online: bool, rules: &Rules, now: DateTime<Utc>) -> Change {
        let swapped = self.state.is_swapped();
        if !online && !swapped {
            let next = self.clone().deferred(reason::OFFLINE, now);
            return Change { assignment: next, effect: Effect::Restore };
        }
        let step = self.state.as_str();
        let failure = Failure {
            state: State::TimedOut,
            reason: reason::TIMED_OUT.to_owned(),
            message: format!("the device was {step} for too long"),
            swapped,
        };
        self.clone().fail(failure, rules, now)
    }

    fn expired(&self, rules: &Rules, now: DateTime<Utc>) -> Option<Change> {
        let since = self.deferred_at?;
        (since + rules.offline_ttl <= now).then(|| {
            let next = self.clone().ended(State::Skipped, reason::EXPIRED);
            Change { assignment: next, effect: Effect::None }
        })
    }

    /// A device that asked to be put off is queued again.
    fn asked_again(&self, now: DateTime<Utc>) -> Option<Change> {
        self.retry_at.filter(|at| *at <= now)?;
        let mut next = self.clone();
        next.state = State::Queued;
        next.reason.clear();
        next.stop_timers();
        Some(Change { assignment: next, effect: Effect::None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, offered, queued};
    use super::*;

    fn verifying(healthy_since: Option<i64>) -> Assignment {
        let mut assignment = offered();
        assignment.state = State::Verifying;
        assignment.step_deadline = healthy_since.is_none().then(|| at(300));
        assignment.healthy_since = healthy_since.map(at);
        assignment
    }

    #[test]
    fn a_soaked_device_succeeds_only_while_it_is_there() {
        let rules = Rules::default();
        let healthy = verifying(Some(10));
        assert_eq!(healthy.on_due(true, &rules, at(69)), None);
        let change = healthy.on_due(true, &rules, at(70)).unwrap();
        assert_eq!((change.assignment.state, change.effect), (State::Succeeded, Effect::Confirm));
        assert_eq!(healthy.on_due(false, &rules, at(70)), None);
        let change = healthy.on_due(false, &rules, at(7200)).unwrap();
        assert_eq!(change.assignment.state, State::Reverting, "silence after the swap is failure");
        assert!(change.assignment.failed);
    }

    #[test]
    fn silence_before_the_swap_puts_an_offline_device_off() {
        let rules = Rules::default();
        let change = offered().on_due(false, &rules, at(120)).unwrap();
        assert_eq!((change.assignment.state, change.effect), (State::Deferred, Effect::Restore));
        let change = offered().on_due(true, &rules, at(120)).unwrap();
        assert!(matches!(change.effect, Effect::Retry(_)), "a connected device is tried again");
    }

    #[test]
    fn a_device_that_is_away_before_the_swap_is_put_off_before_it_is_late() {
        let rules = Rules::default();
        assert_eq!(offered().on_due(true, &rules, at(30)), None);
        let change = offered().on_due(false, &rules, at(30)).unwrap();
        assert_eq!((change.assignment.state, change.effect), (State::Deferred, Effect::Restore));
        assert_eq!(verifying(None).on_due(false, &rules, at(30)), None);
    }

    #[test]
    fn silence_after_the_swap_is_a_failure() {
        let change = verifying(None).on_due(true, &Rules::default(), at(300)).unwrap();
        assert_eq!((change.assignment.state, change.effect), (State::Reverting, Effect::Restore));
        assert_eq!(change.assignment.reason, reason::TIMED_OUT);
    }

    #[test]
    fn a_device_that_stays_away_is_left_out() {
        let rules = Rules::default();
        let away = queued().deferred(reason::OFFLINE, at(0));
        assert_eq!(away.on_due(false, &rules, at(7 * 86_400 - 1)), None);
        let change = away.on_due(false, &rules, at(7 * 86_400)).unwrap();
        assert_eq!(change.assignment.state, State::Skipped);
        assert_eq!(change.assignment.reason, reason::EXPIRED);
    }

    #[test]
    fn a_device_that_asked_to_be_put_off_is_asked_again() {
        let rules = Rules::default();
        let locked = offered().deferred_by_device(reason::LOCKED, at(0));
        assert_eq!(locked.due_at(&rules), Some(at(300)));
        let change = locked.on_due(true, &rules, at(300)).unwrap();
        assert_eq!((change.assignment.state, change.effect), (State::Queued, Effect::None));
    }

    #[test]
    fn a_way_back_that_takes_too_long_has_failed() {
        let rules = Rules::default();
        let reverting = offered().reverting(3, &rules, at(0));
        let change = reverting.on_due(true, &rules, at(7200)).unwrap();
        assert_eq!(change.assignment.state, State::RevertFailed);
    }
}
