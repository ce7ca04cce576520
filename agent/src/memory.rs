//! What the agent knows only while it runs: since when things are as they are.
//!
//! All of it may be lost at any time; then verifying begins anew and restarts are not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::{Container, ContainerState, EngineError, LocalImage};
use crate::moment::Moment;
use crate::timing::Timing;

/// What is seen on the device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its images.
    pub images: Vec<LocalImage>,
    /// The pull that is under way.
    pub pull: Option<Pull>,
}

/// A pull that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The image.
    pub identity: String,
    /// How far it is, 0 to 100.
    pub percent: i32,
    /// When bytes came last.
    pub moved: Moment,
}

/// The memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    uptimes: BTreeMap<String, Uptime>,
    troubles: BTreeMap<String, Trouble>,
    /// How the services of the transaction are since their swap.
    pub soak: Option<Soak>,
    /// Whether the server has heard that the transaction soaked, and wants it.
    pub confirmed: bool,
    /// When the server answered last.
    pub contact: Option<Moment>,
    /// When the target came; none when that was before this start.
    pub target_came: Option<Moment>,
}

/// Since when a container runs, or does not.
#[derive(Debug, Clone)]
struct Uptime {
    /// None once the agent has started it, until that is seen.
    starts: Option<u64>,
    running: bool,
    has_run: bool,
    since: Moment,
    restarts: u32,
    tries: u32,
    next: Moment,
}

/// How the services of a transaction are, taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soak {
    /// Since when they are not all healthy, or were not before they became so.
    pub unhealthy_since: Moment,
    /// Since when all are healthy.
    pub healthy_since: Option<Moment>,
    /// How often that ended.
    pub breaks: u32,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub error: EngineError,
    /// How often in a row.
    pub tries: u32,
    /// When to try again.
    pub retry: Moment,
}

impl Soak {
    /// Begins without health.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self { unhealthy_since: now, healthy_since: None, breaks: 0 }
    }

    /// Notes whether all services are healthy.
    pub fn observe(&mut self, healthy: bool, now: Moment) {
        match (healthy, self.healthy_since) {
            (true, None) => self.healthy_since = Some(now),
            (false, Some(_)) => {
                self.healthy_since = None;
                self.unhealthy_since = now;
                self.breaks += 1;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

impl Memory {
    /// Notes what is seen. Returns the containers that ended and were started again unseen.
    pub fn observe(
        &mut self,
        containers: &[Container],
        timing: &Timing,
        now: Moment,
    ) -> BTreeSet<String> {
        self.uptimes.retain(|id, _| containers.iter().any(|container| container.id == *id));
        let mut restarted = BTreeSet::new();
        for container in containers {
            let running = container.is_running();
            let uptime = self.uptimes.entry(container.id.clone()).or_insert(Uptime {
                starts: Some(container.starts),
                running,
                has_run: false,
                since: now,
                restarts: 0,
                tries: 0,
                next: now,
            });
            if uptime.note(running, container.starts, timing, now) {
                restarted.insert(container.id.clone());
            }
        }
        restarted
    }

    /// How often a container was restarted since it began.
    #[must_use]
    pub fn restarts(&self, id: &str) -> u32 {
        self.uptimes.get(id).map_or(0, |uptime| uptime.restarts)
    }

    /// When a container that ended may be started again.
    #[must_use]
    pub fn next_start(&self, id: &str) -> Moment {
        self.uptimes.get(id).map_or(Moment::START, |uptime| uptime.next)
    }

    /// Notes that the agent started a container. It counts as a restart if it had run before; what
    /// ended before this agent started was ended by it or by the machine, and does not count.
    pub fn note_start(&mut self, container: &Container, now: Moment) {
        let had_ended = matches!(container.state, ContainerState::Exited { .. });
        let Some(uptime) = self.uptimes.get_mut(&container.id) else { return };
        if uptime.has_run && had_ended {
            uptime.restarts += 1;
            uptime.tries += 1;
        }
        // It may end before it is seen to run.
        (uptime.starts, uptime.running, uptime.has_run, uptime.since) = (None, true, true, now);
    }

    /// Forgets the restarts of a container: it begins.
    pub fn note_begin(&mut self, id: &str) {
        if let Some(uptime) = self.uptimes.get_mut(id) {
            (uptime.restarts, uptime.tries) = (0, 0);
        }
    }

    /// What is known about a call that failed.
    #[must_use]
    pub fn trouble(&self, call: &str) -> Option<&Trouble> {
        self.troubles.get(call)
    }

    /// Notes how a call went.
    pub fn note_call(&mut self, call: &str, failed: Option<(EngineError, Moment)>) {
        match failed {
            None => {
                self.troubles.remove(call);
            }
            Some((error, retry)) => {
                let tries = self.tries(call) + 1;
                self.troubles.insert(call.to_owned(), Trouble { error, tries, retry });
            }
        }
    }

    /// How often a call has failed in a row.
    #[must_use]
    pub fn tries(&self, call: &str) -> u32 {
        self.troubles.get(call).map_or(0, |trouble| trouble.tries)
    }

    /// Forgets the troubles of an update that ended, so that the next one begins without.
    pub fn forget_troubles(&mut self) {
        self.troubles.clear();
    }
}

impl Uptime {
    /// Notes whether the container runs. Returns whether it was restarted unseen.
    fn note(&mut self, running: bool, starts: u64, timing: &Timing, now: Moment) -> bool {
        let restarted = running && self.running && self.starts.is_some_and(|known| known != starts);
        if restarted {
            self.restarts += 1;
            self.since = now;
        } else if running != self.running {
            self.running = running;
            self.since = now;
            if !running {
                self.next = now + self.wait(timing);
            }
        } else if running && now.since(self.since) >= timing.restart_reset {
            self.tries = 0;
        }
        self.has_run |= running;
        self.starts = Some(starts);
        restarted
    }

    fn wait(&self, timing: &Timing) -> Duration {
        timing.restart.saturating_mul(1 << self.tries.min(20)).min(timing.restart_limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Health;
    use crate::image::Image;

    fn container(state: ContainerState, starts: u64) -> Container {
        Container {
            id: "c".to_owned(),
            service: "web".to_owned(),
            spec: "s".to_owned(),
            image: Image::parse("docker.io/library/redis:7", "", "r").unwrap(),
            digest: String::new(),
            state,
            health: Health::Unchecked,
            starts,
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    const EXITED: ContainerState = ContainerState::Exited { code: 1, oom_killed: false };

    #[test]
    fn restarts_wait_longer_each_time_and_recover_after_a_good_while() {
        let (mut memory, timing) = (Memory::default(), Timing::device());
        let mut now = 0;
        let mut waits = Vec::new();
        for round in 0..12 {
            let running = container(ContainerState::Running, round);
            memory.observe(&[running], &timing, at(now));
            now += 1;
            let ended = container(EXITED, round);
            memory.observe(std::slice::from_ref(&ended), &timing, at(now));
            let wait = memory.next_start("c").since(at(now)).as_secs();
            waits.push(wait);
            now += wait;
            memory.note_start(&ended, at(now));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(memory.restarts("c"), 12);

        memory.observe(&[container(ContainerState::Running, 20)], &timing, at(now));
        memory.observe(&[container(ContainerState::Running, 20)], &timing, at(now + 600));
        memory.observe(&[container(EXITED, 20)], &timing, at(now + 601));
        assert_eq!(memory.next_start("c").since(at(now + 601)).as_secs(), 1);
    }

    #[test]
    fn what_ends_before_it_is_seen_to_run_is_restarted_ever_more_slowly() {
        let (mut memory, timing) = (Memory::default(), Timing::device());
        let created = container(ContainerState::Created, 0);
        memory.observe(std::slice::from_ref(&created), &timing, at(0));
        memory.note_start(&created, at(0));
        for (restarts, wait) in [(0, 1), (1, 2), (2, 4)] {
            let ended = container(EXITED, u64::from(restarts) + 1);
            memory.observe(std::slice::from_ref(&ended), &timing, at(0));
            assert_eq!(memory.restarts("c"), restarts);
            assert_eq!(memory.next_start("c"), at(wait));
            memory.note_start(&ended, at(0));
        }
    }

    #[test]
    fn what_ended_before_the_agent_started_is_started_at_once_and_not_counted() {
        let (mut memory, timing) = (Memory::default(), Timing::device());
        let ended = container(EXITED, 1);
        memory.observe(std::slice::from_ref(&ended), &timing, at(5));
        assert_eq!(memory.next_start("c"), at(5));
        memory.note_start(&ended, at(9));
        assert_eq!(memory.restarts("c"), 0);
    }

    #[test]
    fn a_restart_between_two_looks_is_seen() {
        let (mut memory, timing) = (Memory::default(), Timing::device());
        let look = |starts| container(ContainerState::Running, starts);
        assert!(memory.observe(&[look(1)], &timing, at(0)).is_empty());
        assert!(memory.observe(&[look(2)], &timing, at(1)).contains("c"));
        assert_eq!(memory.restarts("c"), 1);
    }

    #[test]
    fn a_break_restarts_the_soak_and_is_counted() {
        let mut soak = Soak::new(at(0));
        soak.observe(true, at(5));
        soak.observe(true, at(9));
        assert_eq!(soak.healthy_since, Some(at(5)));
        soak.observe(false, at(10));
        assert_eq!((soak.healthy_since, soak.unhealthy_since, soak.breaks), (None, at(10), 1));
        soak.observe(true, at(12));
        assert_eq!(soak.healthy_since, Some(at(12)));
    }
}
