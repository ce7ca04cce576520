//! The clock that is handed in.
//!
//! Nothing else in Slipway asks the system for the time. A test cranks a manual clock by hand; a
//! process has the system's.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// Tells the time, and lets tasks wait for one.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System { offset: TimeDelta },
    Manual(Arc<watch::Sender<DateTime<Utc>>>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System { offset: TimeDelta::zero() })
    }

    /// The system's clock, wrong by `offset`: what a machine with a bad clock has.
    #[must_use]
    pub fn skewed(offset: TimeDelta) -> Self {
        Self(Kind::System { offset })
    }

    /// A clock that stands still until it is [advanced](Self::advance).
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Kind::Manual(Arc::new(watch::channel(start).0)))
    }

    /// The time now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::System { offset } => Utc::now() + *offset,
            Kind::Manual(now) => *now.borrow(),
        }
    }

    /// Whether the time comes from a test's hand, so that the database's must not be used.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(self.0, Kind::Manual(_))
    }

    /// Moves a manual clock forward and wakes who waits. The system's clock cannot be moved.
    ///
    /// # Panics
    ///
    /// On the system's clock.
    pub fn advance(&self, step: Duration) {
        let Kind::Manual(now) = &self.0 else { panic!("only a manual clock can be advanced") };
        let step = TimeDelta::from_std(step).expect("a test's step fits a time delta");
        now.send_modify(|now| *now += step);
    }

    /// Waits for `wait` to pass on this clock.
    pub async fn sleep(&self, wait: Duration) {
        match &self.0 {
            Kind::System { .. } => tokio::time::sleep(wait).await,
            Kind::Manual(now) => {
                let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
                let end = now.borrow().checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
                let mut watch = now.subscribe();
                // An error means that the clock is gone, and with it the test.
                let _ = watch.wait_for(|now| *now >= end).await;
            }
        }
    }

    /// Waits until `end`; returns at once when it has passed.
    pub async fn sleep_until(&self, end: DateTime<Utc>) {
        let wait = (end - self.now()).to_std().unwrap_or_default();
        self.sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_a_sleeper_when_it_is_advanced() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.expect("the sleeper does not panic");
        assert_eq!(clock.now().timestamp(), 60);
    }
}
