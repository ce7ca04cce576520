//! How long to wait before the next try.

use std::time::Duration;

use rand::RngExt as _;

/// Doubles from a first wait up to a limit, with full jitter: any wait up to the doubled one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
}

impl Backoff {
    /// Begins with waits up to `first`, ends with waits up to `limit`.
    #[must_use]
    pub const fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit }
    }

    /// The longest wait before try number `attempt` (from 1).
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.limit)
    }

    /// A wait before try number `attempt` (from 1), by chance between nothing and the ceiling.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place for jitter")]
    pub fn wait(&self, attempt: u32) -> Duration {
        self.ceiling(attempt).mul_f64(rand::rng().random_range(0.0..=1.0))
    }
}

/// A duration by chance between `1 - share` and `1 + share` times `around`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place for jitter")]
pub fn jitter(around: Duration, share: f64) -> Duration {
    let share = share.clamp(0.0, 1.0);
    around.mul_f64(rand::rng().random_range(1.0 - share..=1.0 + share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_never_pass_it() {
        let backoff = Backoff::new(Duration::from_secs(15), Duration::from_secs(900));
        let ceilings: Vec<_> = (1..=9).map(|try_| backoff.ceiling(try_).as_secs()).collect();
        assert_eq!(ceilings, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(backoff.ceiling(u32::MAX), Duration::from_secs(900));
        assert!((0..1000).all(|_| backoff.wait(3) <= Duration::from_secs(60)));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let around = Duration::from_secs(100);
        for _ in 0..1000 {
            let wait = jitter(around, 0.2);
            assert!(wait >= Duration::from_secs(80) && wait <= Duration::from_secs(120));
        }
    }
}
