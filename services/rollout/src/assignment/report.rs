//! What a device's report makes of a try.

use chrono::{DateTime, Utc};
use proto::reason;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Assignment, Change, Effect, Failure, State};
use crate::policy::Rules;
use crate::target::Image;

/// Where a service stands, as the device says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It pulls.
    Downloading,
    /// It has pulled.
    Staged,
    /// It swaps.
    Installing,
    /// The new one is being checked.
    Verifying,
    /// It runs as wanted.
    Running,
    /// It goes back.
    Reverting,
    /// It went back.
    Reverted,
    /// It failed.
    Failed,
    /// The device refuses it.
    Rejected,
    /// It waits.
    Deferred,
    /// It is off.
    Stopped,
}

/// One service of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Its name.
    pub name: String,
    /// What it runs.
    #[serde(flatten)]
    pub runs: Image,
    /// Where it stands.
    pub phase: Phase,
    /// Whether it runs and is healthy.
    pub healthy: bool,
    /// Why, UPPER_SNAKE.
    #[serde(default)]
    pub reason: String,
    /// For people.
    #[serde(default)]
    pub message: String,
    /// The rollout and try it is about; `None` = it does not say.
    #[serde(default)]
    pub about: Option<(Uuid, i32)>,
    /// How far a pull is.
    #[serde(default)]
    pub progress: i32,
    /// How often it was restarted.
    #[serde(default)]
    pub restarts: i32,
}

impl Observation {
    /// Whether it runs this image. A device that knows no digests or releases is believed by the
    /// reference, because it names the generation it acts on.
    #[must_use]
    pub fn runs(&self, wanted: &Image) -> bool {
        match (&self.runs.digest, &wanted.digest) {
            (Some(observed), Some(wanted)) => observed == wanted,
            (None, Some(_)) => false,
            (_, None) => {
                self.runs.image == wanted.image
                    && (self.runs.release_id.is_none() || self.runs.release_id == wanted.release_id)
            }
        }
    }
}

/// What one service's observation says about a try.
enum Reading {
    Nothing,
    Step(State, bool),
    Deferred,
    Failed { state: State, swapped: bool },
    WentBack,
    CouldNotGoBack,
}

impl Assignment {
    /// Whether an observation is about this try: it says so, or, when it says nothing, the device
    /// has accepted the target that carried the offer.
    #[must_use]
    pub fn concerns(&self, observation: &Observation, generation: i64) -> bool {
        match observation.about {
            Some((rollout, attempt)) => rollout == self.rollout && attempt == self.attempt,
            None => self.generation.is_some_and(|offered| generation >= offered),
        }
    }

    /// Takes a report of the target `generation` into account; `wanted` is the rollout's image.
    /// `None` = nothing changes.
    #[must_use]
    pub fn on_report(
        &self,
        observations: &[Observation],
        generation: i64,
        wanted: &Image,
        rules: &Rules,
        now: DateTime<Utc>,
    ) -> Option<Change> {
        if self.state == State::Reverting {
            return self.on_report_while_reverting(observations, generation, now);
        }
        if !self.state.is_active() {
            return None;
        }
        let mut next = self.clone();
        for observation in observations {
            let Some(index) = self.services.iter().position(|s| s.name == observation.name) else {
                continue;
            };
            if !self.concerns(observation, generation) {
                continue;
            }
            match self.read(observation, wanted) {
                Reading::Nothing => {}
                Reading::Step(state, healthy) => {
                    let service = &mut next.services[index];
                    service.state = service.state.max(state);
                    service.healthy = healthy;
                }
                Reading::Deferred => {
                    let assignment = next.deferred_by_device(&observation.reason, now);
                    return Some(Change { assignment, effect: Effect::Restore });
                }
                Reading::Failed { .. } if is_incompatible(&observation.reason) => {
                    let assignment = next.ended(State::Skipped, reason::INCOMPATIBLE);
                    return Some(Change { assignment, effect: Effect::Restore });
                }
                Reading::Failed { state, swapped } => {
                    let failure = Failure {
                        state,
                        reason: or_default(&observation.reason, state),
                        message: observation.message.clone(),
                        swapped,
                    };
                    return Some(next.fail(failure, rules, now));
                }
                Reading::WentBack => return Some(next.went_back(observation, now)),
                Reading::CouldNotGoBack => return Some(next.could_not_go_back(observation, now)),
            }
        }
        next.advance(rules, now);
        (next != *self).then_some(Change { assignment: next, effect: Effect::None })
    }

    /// What one observation says, while the try is under way.
    fn read(&self, observation: &Observation, wanted: &Image) -> Reading {
        let new = observation.runs(wanted);
        match observation.phase {
            Phase::Downloading => Reading::Step(State::Downloading, false),
            Phase::Staged => Reading::Step(State::Staged, false),
            Phase::Installing => Reading::Step(State::Installing, false),
            Phase::Verifying => Reading::Step(State::Verifying, new && observation.healthy),
            Phase::Running | Phase::Stopped if new => {
                Reading::Step(State::Verifying, observation.healthy)
            }
            // It runs what it ran before: it knows of the offer and has not begun, or has gone
            // back without a word.
            Phase::Running | Phase::Stopped if self.state.is_swapped() => {
                Reading::Failed { state: State::Failed, swapped: true }
            }
            Phase::Running | Phase::Stopped => Reading::Step(State::Acked, false),
            Phase::Deferred => Reading::Deferred,
            Phase::Rejected => Reading::Failed { state: State::Rejected, swapped: false },
            Phase::Failed => {
                Reading::Failed { state: State::Failed, swapped: new || self.state.is_swapped() }
            }
            Phase::Reverting => Reading::Failed { state: State::Failed, swapped: true },
            Phase::Reverted => Reading::WentBack,
        }
    }

    /// Takes the step of its slowest service; timers begin anew with a new step.
    fn advance(&mut self, rules: &Rules, now: DateTime<Utc>) {
        let slowest = self.services.iter().map(|service| service.state).min();
        let state = slowest.unwrap_or(self.state).max(self.state);
        let healthy = state == State::Verifying && self.services.iter().all(|s| s.healthy);
        let turned = state != self.state || healthy != self.healthy_since.is_some();
        self.state = state;
        self.healthy_since = match (healthy, self.healthy_since) {
            (true, since) => since.or(Some(now)),
            (false, _) => None,
        };
        if turned {
            let step = match state {
                State::Acked | State::Downloading => Some(rules.timers.pull),
                State::Staged | State::Installing => Some(rules.timers.install),
                State::Verifying if healthy => None,
                State::Verifying => Some(rules.timers.verify),
                _ => return,
            };
            self.step_deadline = step.map(|step| now + step);
        }
    }

    /// The device went back by itself.
    fn went_back(mut self, observation: &Observation, now: DateTime<Utc>) -> Change {
        self.state = State::Reverted;
        self.reason = or_default(&observation.reason, State::Failed);
        observation.message.clone_into(&mut self.message);
        self.failed = true;
        self.stop_timers();
        self.decided_at = Some(now);
        Change { assignment: self, effect: Effect::Restore }
    }

    fn could_not_go_back(mut self, observation: &Observation, now: DateTime<Utc>) -> Change {
        self.state = State::RevertFailed;
        self.reason = or_default(&observation.reason, State::Failed);
        observation.message.clone_into(&mut self.message);
        self.failed = true;
        self.stop_timers();
        self.decided_at = self.decided_at.or(Some(now));
        Change { assignment: self, effect: Effect::None }
    }

    /// A device on its way back is back when every service runs its fallback under the target that
    /// asked for it.
    fn on_report_while_reverting(
        &self,
        observations: &[Observation],
        generation: i64,
        now: DateTime<Utc>,
    ) -> Option<Change> {
        if self.generation.is_none_or(|asked| generation < asked) {
            return None;
        }
        let mut back = 0;
        for service in &self.services {
            let Some(seen) = observations.iter().find(|seen| seen.name == service.name) else {
                continue;
            };
            match self.read_back(seen, &service.fallback) {
                Reading::WentBack => back += 1,
                Reading::CouldNotGoBack => return Some(self.clone().could_not_go_back(seen, now)),
                Reading::Nothing
                | Reading::Step(..)
                | Reading::Deferred
                | Reading::Failed { .. } => {}
            }
        }
        (back == self.services.len()).then(|| {
            let mut next = self.clone();
            next.state = State::Reverted;
            next.stop_timers();
            Change { assignment: next, effect: Effect::None }
        })
    }

    fn read_back(&self, seen: &Observation, fallback: &Image) -> Reading {
        match seen.phase {
            Phase::Running | Phase::Stopped | Phase::Reverted if seen.runs(fallback) => {
                Reading::WentBack
            }
            Phase::Failed if seen.about.is_none() => Reading::CouldNotGoBack,
            Phase::Downloading
            | Phase::Staged
            | Phase::Installing
            | Phase::Verifying
            | Phase::Running
            | Phase::Reverting
            | Phase::Reverted
            | Phase::Failed
            | Phase::Rejected
            | Phase::Deferred
            | Phase::Stopped => Reading::Nothing,
        }
    }
}

/// A device that cannot run the release says nothing about whether it works.
fn is_incompatible(reason: &str) -> bool {
    matches!(reason, reason::WRONG_PLATFORM | reason::INCOMPATIBLE)
}

/// The reason the device gave; a plain one when it gave none.
fn or_default(given: &str, state: State) -> String {
    let text = match state {
        _ if !given.is_empty() => given,
        State::Rejected => reason::VETO,
        _ => reason::START_FAILED,
    };
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, offered, queued};
    use super::*;
    use crate::target::tests::pinned;

    fn new() -> Image {
        pinned("docker.io/library/redis:8", '3')
    }

    fn old() -> Image {
        pinned("docker.io/library/redis:7", '1')
    }

    fn seen(phase: Phase, runs: Image, healthy: bool) -> Observation {
        Observation {
            name: "cache".to_owned(),
            runs,
            phase,
            healthy,
            reason: String::new(),
            message: String::new(),
            about: Some((Uuid::nil(), 1)),
            progress: 0,
            restarts: 0,
        }
    }

    fn report(assignment: &Assignment, seen: Observation, second: i64) -> Option<Change> {
        assignment.on_report(&[seen], 2, &new(), &Rules::default(), at(second))
    }

    #[test]
    fn a_device_walks_through_its_steps_and_each_has_its_timer() {
        let rules = Rules::default();
        let mut assignment = offered();
        for (phase, runs, healthy, state, due) in [
            (Phase::Running, old(), true, State::Acked, 1 + 1800),
            (Phase::Downloading, old(), true, State::Downloading, 2 + 1800),
            (Phase::Staged, old(), true, State::Staged, 3 + 600),
            (Phase::Installing, old(), false, State::Installing, 4 + 600),
            (Phase::Verifying, new(), false, State::Verifying, 5 + 300),
            (Phase::Verifying, new(), true, State::Verifying, 6 + 60),
        ] {
            let second = due % 60;
            let change = report(&assignment, seen(phase, runs, healthy), second).expect("a change");
            assignment = change.assignment;
            assert_eq!((assignment.state, change.effect), (state, Effect::None));
            assert_eq!(assignment.due_at(&rules), Some(at(due)), "{state:?}");
        }
    }

    #[test]
    fn a_report_that_says_nothing_new_changes_nothing() {
        let healthy = seen(Phase::Running, new(), true);
        let first = report(&offered(), healthy.clone(), 5).expect("a change").assignment;
        assert_eq!(first.healthy_since, Some(at(5)));
        assert_eq!(report(&first, healthy, 30), None, "the soak goes on from its beginning");
    }

    #[test]
    fn a_break_in_health_begins_the_soak_anew() {
        let first = report(&offered(), seen(Phase::Running, new(), true), 5).unwrap().assignment;
        let sick = report(&first, seen(Phase::Running, new(), false), 20).unwrap().assignment;
        assert_eq!((sick.healthy_since, sick.step_deadline), (None, Some(at(320))));
        let well = report(&sick, seen(Phase::Running, new(), true), 30).unwrap().assignment;
        assert_eq!(well.healthy_since, Some(at(30)));
    }

    #[test]
    fn a_late_report_of_an_earlier_step_does_not_take_it_back() {
        let verifying = report(&offered(), seen(Phase::Verifying, new(), false), 5).unwrap();
        let late = report(&verifying.assignment, seen(Phase::Downloading, old(), false), 6);
        assert!(late.is_none_or(|change| change.assignment.state == State::Verifying));
    }

    #[test]
    fn a_failed_pull_is_tried_again_and_the_last_try_counts() {
        let mut failed = seen(Phase::Failed, old(), true);
        failed.reason = reason::PULL_FAILED.to_owned();
        let change = report(&offered(), failed.clone(), 5).unwrap();
        let Effect::Retry(at_) = change.effect else { panic!("{:?}", change.effect) };
        assert!(at_ >= at(5) && at_ <= at(20));
        assert!(!change.assignment.failed);

        let mut last = offered();
        last.attempt = 4;
        failed.about = Some((Uuid::nil(), 4));
        let change = report(&last, failed, 5).unwrap();
        assert_eq!((change.effect, change.assignment.state), (Effect::Restore, State::Failed));
        assert!(change.assignment.failed);
    }

    #[test]
    fn a_failure_after_the_swap_goes_back_and_is_not_tried_again() {
        let verifying = report(&offered(), seen(Phase::Verifying, new(), false), 5).unwrap();
        let mut failed = seen(Phase::Failed, new(), false);
        failed.reason = reason::HEALTH_CHECK_FAILED.to_owned();
        let change = report(&verifying.assignment, failed, 9).unwrap();
        assert_eq!((change.effect, change.assignment.state), (Effect::Restore, State::Reverting));
        assert!(change.assignment.failed);

        let reverting = change.assignment.reverting(3, &Rules::default(), at(9));
        let stale = reverting.on_report(
            &[seen(Phase::Running, old(), true)],
            2,
            &new(),
            &Rules::default(),
            at(10),
        );
        assert_eq!(stale, None, "a report of the old target says nothing about the way back");
        let mut back = seen(Phase::Running, old(), true);
        back.about = None;
        let change = reverting.on_report(&[back], 3, &new(), &Rules::default(), at(11)).unwrap();
        assert_eq!(change.assignment.state, State::Reverted);
        assert!(change.assignment.failed, "it stays a failure of the release");
    }

    #[test]
    fn a_device_that_went_back_alone_counts_as_failed() {
        let mut reverted = seen(Phase::Reverted, old(), true);
        reverted.reason = reason::NO_CONTACT.to_owned();
        let change = report(&offered(), reverted, 5).unwrap();
        assert_eq!((change.assignment.state, change.effect), (State::Reverted, Effect::Restore));
        assert!(change.assignment.failed);
    }

    #[test]
    fn a_refusal_is_final() {
        let mut refused = seen(Phase::Rejected, old(), true);
        refused.reason = reason::BAD_CONFIG.to_owned();
        let change = report(&offered(), refused, 5).unwrap();
        assert_eq!((change.assignment.state, change.effect), (State::Rejected, Effect::Restore));
    }

    #[test]
    fn a_device_that_cannot_run_it_is_left_out_and_does_not_count() {
        let mut refused = seen(Phase::Rejected, old(), true);
        refused.reason = reason::WRONG_PLATFORM.to_owned();
        let change = report(&offered(), refused, 5).unwrap();
        assert_eq!((change.assignment.state, change.assignment.failed), (State::Skipped, false));
    }

    #[test]
    fn what_is_not_about_this_try_is_passed_over() {
        let mut other = seen(Phase::Failed, old(), true);
        other.about = Some((Uuid::nil(), 2));
        assert_eq!(report(&offered(), other, 5), None);
        let mut silent = seen(Phase::Running, new(), true);
        silent.about = None;
        let early = offered().on_report(&[silent], 1, &new(), &Rules::default(), at(5));
        assert_eq!(early, None, "the device has not accepted the target yet");
        assert_eq!(report(&queued(), seen(Phase::Running, new(), true), 5), None);
    }

    #[test]
    fn two_services_succeed_together_or_not_at_all() {
        let mut two = offered();
        let mut second = two.services[0].clone();
        second.name = "queue".to_owned();
        two.services.push(second);
        let first = report(&two, seen(Phase::Running, new(), true), 5).unwrap().assignment;
        assert_eq!((first.state, first.healthy_since), (State::Offered, None));
        let mut other = seen(Phase::Running, new(), true);
        other.name = "queue".to_owned();
        let both = report(&first, other, 8).unwrap().assignment;
        assert_eq!((both.state, both.healthy_since), (State::Verifying, Some(at(8))));
    }
}
