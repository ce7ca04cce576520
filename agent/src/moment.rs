//! Time as a device has it: timers that always go on, and a wall clock that may be wrong.

use std::ops::Add;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Clock;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A point of the time that timers run on. It means nothing after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Moment(Duration);

impl Moment {
    /// Where the time begins.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment this long after the beginning.
    #[must_use]
    pub const fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long `earlier` lies back; nothing when it is to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// The time of one device.
///
/// Timers run on the kernel's clock that counts suspended time too and that nobody can set. Only the
/// wall clock can be wrong, and no timer looks at it. With a test's manual clock both go by hand.
#[derive(Debug, Clone)]
pub struct Time {
    clock: Clock,
    began: DateTime<Utc>,
    skew: TimeDelta,
}

impl Time {
    /// The time that goes with this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let began = clock.now();
        Self { clock, began, skew: TimeDelta::zero() }
    }

    /// The same with a wall clock that is wrong.
    #[must_use]
    pub fn with_skew(self, skew: TimeDelta) -> Self {
        Self { skew, ..self }
    }

    /// The moment now.
    #[must_use]
    pub fn now(&self) -> Moment {
        if self.clock.is_manual() {
            return Moment((self.clock.now() - self.began).to_std().unwrap_or_default());
        }
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Moment(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default()))
    }

    /// What the device takes for the time of day.
    #[must_use]
    pub fn wall(&self) -> DateTime<Utc> {
        self.clock.now().checked_add_signed(self.skew).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Waits for `wait` to pass.
    pub async fn sleep(&self, wait: Duration) {
        self.clock.sleep(wait).await;
    }

    /// Waits until `end`; for ever when there is none.
    pub async fn sleep_until(&self, end: Option<Moment>) {
        match end {
            Some(end) => self.sleep(end.since(self.now())).await,
            None => std::future::pending().await,
        }
    }

    /// Waits for a future, but not longer than `limit`.
    pub async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(limit) => None,
        }
    }
}

/// The earlier of two moments that may be none.
#[must_use]
pub fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_wall_clock_moves_no_timer() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let right = Time::new(clock.clone());
        let wrong = right.clone().with_skew(TimeDelta::days(-3650));
        clock.advance(Duration::from_secs(90));
        assert_eq!(right.now(), wrong.now());
        assert_eq!(right.now().since(Moment::START), Duration::from_secs(90));
        assert_eq!((right.wall() - wrong.wall()).num_days(), 3650);
    }

    #[tokio::test]
    async fn a_limit_cuts_what_takes_too_long() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let time = Time::new(clock.clone());
        let waiter = tokio::spawn(async move {
            time.within(Duration::from_secs(5), std::future::pending::<()>()).await
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(5));
        assert_eq!(waiter.await.expect("the waiter does not panic"), None);
    }
}
