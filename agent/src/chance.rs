//! Chance that is handed in: the same seed gives the same course of things.

use std::time::Duration;

use runtime::secret::random_bytes;

/// A source of chance for jitter and for simulated faults, not for keys.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The source that begins with this seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A source that nobody can foretell.
    #[must_use]
    pub fn from_system() -> Self {
        let mut seed = [0; 8];
        random_bytes(&mut seed);
        Self(u64::from_le_bytes(seed))
    }

    /// Another source that begins where this one stands.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number from 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        let bits = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// Whether something of this probability happens.
    pub fn hits(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A duration between two.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.unit())
    }

    /// A duration between `1 - share` and `1 + share` times `around`.
    pub fn around(&mut self, around: Duration, share: f64) -> Duration {
        self.between(around.mul_f64(1.0 - share), around.mul_f64(1.0 + share))
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_course() {
        let (mut one, mut other) = (Chance::seeded(7), Chance::seeded(7));
        assert!((0..100).all(|_| one.next() == other.next()));
        assert_ne!(Chance::seeded(7).next(), Chance::seeded(8).next());
    }

    #[test]
    fn durations_stay_within_their_bounds_and_fill_them() {
        let mut chance = Chance::seeded(1);
        let (low, high) = (Duration::from_secs(10), Duration::from_secs(20));
        let drawn: Vec<_> = (0..1000).map(|_| chance.between(low, high)).collect();
        assert!(drawn.iter().all(|wait| (low..high).contains(wait)));
        assert!(drawn.iter().any(|wait| *wait < Duration::from_secs(11)));
        assert!(drawn.iter().any(|wait| *wait > Duration::from_secs(19)));
    }
}
