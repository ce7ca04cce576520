//! When to connect again.
//!
//! Ten thousand devices lose their server at the same moment and must not come back at the same
//! moment: every wait has its jitter, put on after the limit.

use std::time::Duration;

use crate::chance::Chance;
use crate::timing::LinkTiming;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The server could not be reached.
    Unreachable,
    /// The stream did not open, or broke.
    Broken,
    /// The server goes away and says when to come again.
    Drained(Duration),
    /// A newer stream of the same device took its place.
    Superseded,
    /// The server has too much to do, and may say when to come again.
    Busy(Option<Duration>),
    /// The server does not know the device, or not any more.
    Unknown,
    /// It is time to try a stream again instead of asking.
    Retry,
}

/// What the last endings were.
#[derive(Debug, Default)]
pub struct Reconnect {
    tries: u32,
    unknown: u32,
    broken: u32,
}

impl Reconnect {
    /// How long to wait after the start.
    #[must_use]
    pub fn boot(timing: &LinkTiming, chance: &mut Chance) -> Duration {
        chance.between(Duration::ZERO, timing.boot)
    }

    /// How long to wait after a connection ended that had lasted so long.
    pub fn after(
        &mut self,
        ending: &Ending,
        lasted: Duration,
        timing: &LinkTiming,
        chance: &mut Chance,
    ) -> Duration {
        if lasted >= timing.good {
            *self = Self::default();
        }
        match ending {
            Ending::Broken => self.broken = self.broken.saturating_add(1),
            Ending::Unreachable
            | Ending::Drained(_)
            | Ending::Superseded
            | Ending::Busy(_)
            | Ending::Unknown
            | Ending::Retry => {}
        }
        match ending {
            Ending::Unreachable | Ending::Broken | Ending::Busy(None) => {
                self.next_try(timing, chance)
            }
            Ending::Drained(hint) => {
                self.tries = self.tries.max(1);
                *hint
            }
            Ending::Busy(Some(hint)) => chance.between(*hint, hint.saturating_mul(2)),
            Ending::Superseded => chance.between(timing.superseded.0, timing.superseded.1),
            Ending::Unknown => {
                let (low, high) = timing.unauthenticated;
                self.unknown = self.unknown.saturating_add(1);
                let doubled = low.saturating_mul(1 << self.unknown.min(20));
                chance.between(low, doubled.min(high))
            }
            Ending::Retry => Duration::ZERO,
        }
    }

    /// Says whether streams broke so often that it is better to ask for the target.
    #[must_use]
    pub fn asks_instead(&self, timing: &LinkTiming) -> bool {
        self.broken >= timing.broken_streams
    }

    /// Notes that asking does not work either: the server is away, streams are not to blame.
    pub fn blame_server(&mut self) {
        self.broken = 0;
    }

    /// Allows one stream; if it breaks too, asking goes on.
    pub fn allow_one_stream(&mut self, timing: &LinkTiming) {
        self.broken = timing.broken_streams.saturating_sub(1);
    }

    fn next_try(&mut self, timing: &LinkTiming, chance: &mut Chance) -> Duration {
        let tries = self.tries;
        self.tries = tries.saturating_add(1);
        if tries == 0 {
            return chance.between(Duration::ZERO, timing.first);
        }
        let doubled = timing.unit.saturating_mul(1 << tries.min(20));
        chance.around(doubled.min(timing.limit), 0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::Timing;

    const SHORT: Duration = Duration::from_secs(1);

    fn wait(reconnect: &mut Reconnect, ending: &Ending, chance: &mut Chance) -> Duration {
        reconnect.after(ending, SHORT, &Timing::device().link, chance)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn ten_thousand_devices_come_back_spread_over_half_a_minute() {
        let mut buckets = [0_u32; 30];
        for device in 0..10_000 {
            let mut chance = Chance::seeded(device);
            let wait = wait(&mut Reconnect::default(), &Ending::Broken, &mut chance);
            buckets[usize::try_from(wait.as_secs()).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (250..420).contains(count)), "{buckets:?}");
    }

    #[test]
    fn waits_double_to_a_quarter_of_an_hour_with_jitter_behind_the_limit() {
        let mut chance = Chance::seeded(1);
        let (mut reconnect, mut longest) = (Reconnect::default(), Duration::ZERO);
        for tries in 0..200_u32 {
            let wait = wait(&mut reconnect, &Ending::Unreachable, &mut chance);
            let around = seconds(900).min(seconds(1) * (1 << tries.min(20)));
            let range = if tries == 0 {
                Duration::ZERO..=seconds(30)
            } else {
                around / 2..=around.mul_f64(1.5)
            };
            assert!(range.contains(&wait), "try {tries}: {wait:?}");
            longest = longest.max(wait);
        }
        assert!(longest > seconds(1_200));
    }

    #[test]
    fn a_stream_that_lasted_makes_the_next_wait_a_first_one() {
        let (timing, mut chance) = (Timing::device().link, Chance::seeded(2));
        let mut reconnect = Reconnect::default();
        (0..9).for_each(|_| {
            wait(&mut reconnect, &Ending::Broken, &mut chance);
        });
        assert!(reconnect.asks_instead(&timing));
        let wait = reconnect.after(&Ending::Broken, timing.good, &timing, &mut chance);
        assert!(wait <= timing.first && !reconnect.asks_instead(&timing));
    }

    #[test]
    fn each_ending_has_its_own_wait() {
        let mut chance = Chance::seeded(3);
        let mut fresh = |ending: &Ending| wait(&mut Reconnect::default(), ending, &mut chance);
        for _ in 0..1_000 {
            assert_eq!(fresh(&Ending::Drained(seconds(7))), seconds(7));
            let busy = fresh(&Ending::Busy(Some(seconds(10))));
            assert!(busy >= seconds(10) && busy <= seconds(20));
            let superseded = fresh(&Ending::Superseded);
            assert!(superseded >= seconds(300) && superseded <= seconds(900));
            let unknown = fresh(&Ending::Unknown);
            assert!(unknown >= seconds(300) && unknown <= seconds(3_600));
        }
    }

    #[test]
    fn a_device_that_stays_unknown_asks_ever_more_rarely() {
        let (mut reconnect, mut chance) = (Reconnect::default(), Chance::seeded(4));
        let waits: Vec<_> =
            (0..50).map(|_| wait(&mut reconnect, &Ending::Unknown, &mut chance)).collect();
        assert!(waits[0] <= seconds(600));
        assert!(waits.iter().all(|wait| *wait <= seconds(3_600)));
        assert!(waits.iter().any(|wait| *wait > seconds(2_400)));
    }

    #[test]
    fn unreachable_servers_are_no_broken_streams() {
        let (timing, mut chance) = (Timing::device().link, Chance::seeded(5));
        let mut reconnect = Reconnect::default();
        (0..20).for_each(|_| {
            wait(&mut reconnect, &Ending::Unreachable, &mut chance);
        });
        assert!(!reconnect.asks_instead(&timing));
    }
}
