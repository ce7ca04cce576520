//! One try of one device: its states, and what reports and timers make of it.
//!
//! Pure: a report or a due timer goes in, the assignment as it then is and what has to happen comes
//! out. Intermediate reports may be missing; only what runs and whether it is healthy is needed.
//! A state that is over never comes back: a new try is a new assignment.

mod due;
mod report;
mod state;

use std::time::Duration;

use chrono::{DateTime, Utc};
use proto::reason;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::policy::{Retry, Rules};
use crate::target::Image;

pub use report::{Observation, Phase};
pub use state::{Standing, State};

/// One service of an assignment: what it ran before, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The service's name on the device.
    pub name: String,
    /// What it goes back to.
    pub fallback: Image,
    /// How far it is.
    pub state: State,
    /// Whether it was last reported to run what is wanted, healthy.
    #[serde(default)]
    pub healthy: bool,
}

/// One try of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The rollout.
    pub rollout: Uuid,
    /// The device.
    pub device: Uuid,
    /// Which try, from 1.
    pub attempt: i32,
    /// Where it stands.
    pub state: State,
    /// Why, UPPER_SNAKE; empty = it is plain.
    pub reason: String,
    /// What the device said.
    pub message: String,
    /// Counts as a failure of the release.
    pub failed: bool,
    /// Its services.
    pub services: Vec<Progress>,
    /// The target generation that brought the offer, or took it back.
    pub generation: Option<i64>,
    /// When the present step must be done.
    pub step_deadline: Option<DateTime<Utc>>,
    /// When the attempt must be done.
    pub total_deadline: Option<DateTime<Utc>>,
    /// Since when all its services are healthy.
    pub healthy_since: Option<DateTime<Utc>>,
    /// When it was decided whether the release works here.
    pub decided_at: Option<DateTime<Utc>>,
    /// When the next try begins.
    pub retry_at: Option<DateTime<Utc>>,
    /// Since when it is put off.
    pub deferred_at: Option<DateTime<Utc>>,
}

/// What has to happen beside storing the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The device's target is set back: a new generation with the fallback.
    Restore,
    /// A new try is queued for this time; the target stays until then.
    Retry(DateTime<Utc>),
    /// The release works on this device: its image becomes what is known to be good.
    Confirm,
}

/// An assignment after something happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As it is now.
    pub assignment: Assignment,
    /// What has to happen.
    pub effect: Effect,
}

impl Assignment {
    /// Sends the offer: the target of this generation carries it.
    #[must_use]
    pub fn offered(mut self, generation: i64, rules: &Rules, now: DateTime<Utc>) -> Self {
        self.state = State::Offered;
        self.reason.clear();
        self.generation = Some(generation);
        self.step_deadline = Some(now + rules.timers.ack);
        self.total_deadline = Some(now + rules.timers.total);
        self.healthy_since = None;
        self.retry_at = None;
        self.deferred_at = None;
        self
    }

    /// Puts it off until the device is back, or free.
    #[must_use]
    pub fn deferred(mut self, reason: &str, now: DateTime<Utc>) -> Self {
        self.state = State::Deferred;
        reason.clone_into(&mut self.reason);
        self.stop_timers();
        self.deferred_at = Some(now);
        self
    }

    /// Puts it off because the device asks for it; it is asked again in a while.
    fn deferred_by_device(self, reason: &str, now: DateTime<Utc>) -> Self {
        let mut next = self.deferred(reason, now);
        next.retry_at = Some(now + ASK_AGAIN);
        next
    }

    /// Ends it without a verdict on the release.
    #[must_use]
    pub fn ended(mut self, state: State, reason: &str) -> Self {
        self.state = state;
        reason.clone_into(&mut self.reason);
        self.stop_timers();
        self
    }

    /// Sends the device back: the target of this generation carries the fallback.
    #[must_use]
    pub fn reverting(mut self, generation: i64, rules: &Rules, now: DateTime<Utc>) -> Self {
        self.state = State::Reverting;
        self.generation = Some(generation);
        self.stop_timers();
        self.total_deadline = Some(now + rules.timers.total);
        self
    }

    /// A break of the session ends the soak: the device has to say anew that it is healthy. `None` =
    /// nothing was soaking.
    #[must_use]
    pub fn session_broke(&self, rules: &Rules, now: DateTime<Utc>) -> Option<Self> {
        self.healthy_since?;
        let mut next = self.clone();
        next.healthy_since = None;
        next.services.iter_mut().for_each(|service| service.healthy = false);
        next.step_deadline = Some(now + rules.timers.verify);
        Some(next)
    }

    /// The next moment at which a timer has something to say.
    #[must_use]
    pub fn due_at(&self, rules: &Rules) -> Option<DateTime<Utc>> {
        match self.state {
            State::Queued => self.retry_at,
            State::Deferred => {
                let expires = self.deferred_at.map(|since| since + rules.offline_ttl);
                [expires, self.retry_at].into_iter().flatten().min()
            }
            state if state.is_active() => {
                let soaked = self.healthy_since.map(|since| since + rules.device_soak);
                [soaked, self.step_deadline, self.total_deadline].into_iter().flatten().min()
            }
            _ => None,
        }
    }

    /// Fails this try. Before the swap it is tried again while tries are left, unless the device
    /// refused for good; after the swap the device goes back and is not tried again.
    fn fail(mut self, failure: Failure, rules: &Rules, now: DateTime<Utc>) -> Change {
        self.reason = failure.reason;
        self.message = failure.message;
        self.stop_timers();
        self.decided_at = Some(now);
        if !failure.swapped && is_retried(&self.reason) && self.tries_left(&rules.retry) {
            let wait = self.backoff(&rules.retry);
            self.state = failure.state;
            return Change { assignment: self, effect: Effect::Retry(now + wait) };
        }
        self.failed = true;
        self.state = if failure.swapped { State::Reverting } else { failure.state };
        if self.state == State::Reverting {
            self.total_deadline = Some(now + rules.timers.total);
        }
        Change { assignment: self, effect: Effect::Restore }
    }

    fn succeed(mut self, now: DateTime<Utc>) -> Change {
        self.state = State::Succeeded;
        self.reason.clear();
        self.message.clear();
        self.stop_timers();
        self.decided_at = Some(now);
        Change { assignment: self, effect: Effect::Confirm }
    }

    fn stop_timers(&mut self) {
        self.step_deadline = None;
        self.total_deadline = None;
        self.healthy_since = None;
        self.retry_at = None;
        self.deferred_at = None;
    }

    fn tries_left(&self, retry: &Retry) -> bool {
        u32::try_from(self.attempt).is_ok_and(|attempt| attempt <= retry.max)
    }

    /// Any wait up to the doubled backoff, by the hash of device and attempt: jitter without chance,
    /// so that planning stays a function of its input.
    fn backoff(&self, retry: &Retry) -> Duration {
        let doublings = u32::try_from(self.attempt - 1).unwrap_or(0).min(20);
        let ceiling = retry.backoff.saturating_mul(1 << doublings).min(Retry::LIMIT);
        let mut hash = Sha256::new();
        hash.update(self.rollout.as_bytes());
        hash.update(self.device.as_bytes());
        hash.update(self.attempt.to_be_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        ceiling.mul_f64(f64::from(u16::from_be_bytes([hash[0], hash[1]])) / f64::from(u16::MAX))
    }
}

/// How long a device that asked to be put off is left alone.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// How a try failed.
struct Failure {
    /// The state it ends in when the device had not swapped yet.
    state: State,
    reason: String,
    message: String,
    /// Whether the new one runs, or ran.
    swapped: bool,
}

/// Whether a failure before the swap may be gone at the next try.
fn is_retried(reason: &str) -> bool {
    !matches!(
        reason,
        reason::DIGEST_MISMATCH
            | reason::WRONG_PLATFORM
            | reason::BAD_CONFIG
            | reason::VETO
            | reason::INCOMPATIBLE
            | reason::BOOT_LOOP
            | reason::HEALTH_CHECK_FAILED
            | reason::FLAPPING
            | reason::NO_CONTACT
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::target::tests::pinned;

    pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    pub(crate) fn queued() -> Assignment {
        let fallback = pinned("docker.io/library/redis:7", '1');
        Assignment {
            rollout: Uuid::nil(),
            device: Uuid::from_u128(7),
            attempt: 1,
            state: State::Queued,
            reason: String::new(),
            message: String::new(),
            failed: false,
            services: vec![Progress {
                name: "cache".to_owned(),
                fallback,
                state: State::Offered,
                healthy: false,
            }],
            generation: None,
            step_deadline: None,
            total_deadline: None,
            healthy_since: None,
            decided_at: None,
            retry_at: None,
            deferred_at: None,
        }
    }

    pub(crate) fn offered() -> Assignment {
        queued().offered(2, &Rules::default(), at(0))
    }

    #[test]
    fn an_offer_starts_the_acknowledgement_timer() {
        assert_eq!(offered().due_at(&Rules::default()), Some(at(120)));
    }

    #[test]
    fn waits_between_tries_double_and_stay_below_their_ceiling() {
        let retry = Retry::default();
        for (attempt, ceiling) in [(1, 15), (2, 30), (3, 60), (9, 900)] {
            let mut try_ = queued();
            try_.attempt = attempt;
            assert!(try_.backoff(&retry) <= Duration::from_secs(ceiling));
            assert_eq!(try_.backoff(&retry), try_.backoff(&retry));
        }
    }
}
