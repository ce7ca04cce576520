//! Random histories: whatever the server wants, whatever breaks, whenever the power goes.

use std::time::Duration;

use agent::engine::simulated::{Fault, FaultKind};
use agent::plan::Call;
use agent::transaction::Phase;
use proptest::prelude::*;
use proto::rollout::v1 as pb;

use crate::targets::{reference, service, target, update, with};
use crate::world::{Tick, World};

const SERVICES: [&str; 3] = ["api", "db", "web"];

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    /// The server wants these versions, by a rollout each, or by one for all; none = no such
    /// service.
    Want { versions: [Option<u8>; 3], together: bool, by_rollout: bool },
    /// The server wants the same under another attempt.
    Retry,
    /// The power goes after so many lines.
    Cut { lines: u32, reboot: bool },
    /// The network goes, or comes.
    Online(bool),
    /// Answers get lost, or not.
    Answers(bool),
    /// So many things are done.
    Run(u16),
    /// The server counts what is under way as over.
    GiveUp,
}

fn event() -> impl Strategy<Value = Event> {
    let version = || prop::option::weighted(0.9, 1..4_u8);
    prop_oneof![
        4 => ([version(), version(), version()], any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(versions, together, by_rollout)| Event::Want {
                versions,
                together,
                by_rollout
            }),
        1 => Just(Event::Retry),
        3 => (0..60_u32, any::<bool>()).prop_map(|(lines, reboot)| Event::Cut { lines, reboot }),
        2 => any::<bool>().prop_map(Event::Online),
        1 => any::<bool>().prop_map(Event::Answers),
        6 => (1..120_u16).prop_map(Event::Run),
        1 => Just(Event::GiveUp),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let kind = prop_oneof![
        Just(FaultKind::PullFails),
        Just(FaultKind::Stall),
        Just(FaultKind::Corrupt),
        Just(FaultKind::NoSpace),
        Just(FaultKind::WrongPlatform),
        Just(FaultKind::StartFails),
        Just(FaultKind::Hang),
        Just(FaultKind::ExitAtOnce),
        Just(FaultKind::CrashAfter(Duration::from_secs(20))),
        Just(FaultKind::Flap(Duration::from_secs(15))),
        Just(FaultKind::Unhealthy),
    ];
    // Version 1 is good: there is always something to go back to that works.
    (kind, 0..3_usize, 2..4_u8, prop::option::of(1..4_u32)).prop_map(
        |(kind, place, version, times)| Fault {
            times,
            ..Fault::of(&reference(SERVICES[place], &version.to_string()), kind)
        },
    )
}

/// A history as it goes on.
struct History {
    world: World,
    generation: i64,
    rollouts: u32,
    versions: [u8; 3],
}

impl History {
    fn new(faults: Vec<Fault>) -> Self {
        let mut world = World::new(faults);
        let services = SERVICES.map(|name| service(name, "1")).to_vec();
        world.send(with(target(1), services));
        world.settle(Duration::from_secs(1_200));
        Self { world, generation: 1, rollouts: 0, versions: [1; 3] }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Want { versions, together, by_rollout } => {
                self.want(*versions, *together, *by_rollout);
            }
            Event::Retry => self.retry(),
            Event::Cut { lines, reboot } => {
                self.world.cut_after = Some(*lines);
                self.world.cut_is_reboot = *reboot;
            }
            Event::Online(online) => self.world.server.online = *online,
            Event::Answers(answers) => self.world.server.answers = *answers,
            Event::Run(ticks) => (0..*ticks).for_each(|_| self.tick()),
            Event::GiveUp => {
                let services = self.world.server.target.services.iter();
                let attempts = services.filter_map(|one| one.rollout.as_ref());
                let over: Vec<_> = attempts.map(|one| (one.id.clone(), one.attempt)).collect();
                self.world.server.over.extend(over);
            }
        }
    }

    fn want(&mut self, versions: [Option<u8>; 3], together: bool, by_rollout: bool) {
        self.rollouts += 1;
        let mut services = Vec::new();
        for (place, version) in versions.into_iter().enumerate() {
            let Some(version) = version else { continue };
            let (name, before) = (SERVICES[place], self.versions[place].to_string());
            let rollout = match together {
                true => format!("r{}", self.rollouts),
                false => format!("r{}-{name}", self.rollouts),
            };
            services.push(match by_rollout {
                true => update(name, &version.to_string(), &rollout, 1, &before),
                false => service(name, &version.to_string()),
            });
            // Version 1 is what to go back to: the server knows that it works.
            self.versions[place] = 1;
        }
        self.generation += 1;
        self.world.send(with(target(self.generation), services));
    }

    fn retry(&mut self) {
        let mut services = self.world.server.target.services.clone();
        for rollout in services.iter_mut().filter_map(|service| service.rollout.as_mut()) {
            rollout.attempt += 1;
        }
        self.generation += 1;
        self.world.send(with(target(self.generation), services));
    }

    /// Does one thing and looks that nothing happened that must not.
    fn tick(&mut self) {
        let before = self.world.stored();
        let containers = self.world.bench.containers(self.world.now);
        let tick = self.world.tick();
        for name in SERVICES {
            self.world.running(name);
        }
        let Tick::Did(call) = tick else { return };
        let stored = self.world.stored();
        match call {
            Call::Stop(id, _) => {
                let stopped = containers.iter().find(|one| one.id == id).unwrap();
                let wanted = self.world.machine.journal().target.as_ref().unwrap();
                let confirmed = before.confirmed.get(&stopped.service);
                let is_good = confirmed.is_some_and(|one| one.recipe.spec() == stopped.spec);
                if wanted.service(&stopped.service).is_none() || !is_good {
                    return;
                }
                let transaction = stored.transaction.as_ref().expect("it is being swapped");
                assert!(
                    matches!(transaction.phase, Phase::Swapping | Phase::Reverting),
                    "what is good stops only in a swap that was stored: {transaction:?}"
                );
                for leg in &transaction.legs {
                    let made = containers.iter().any(|one| one.spec == leg.to.spec());
                    assert!(made, "everything new was made before the old one stopped");
                }
            }
            Call::Remove(id) => {
                let removed = containers.iter().find(|one| one.id == id).unwrap();
                assert!(!removed.is_running());
                let target = self.world.machine.journal().target.as_ref().unwrap();
                if target.service(&removed.service).is_some() {
                    let confirmed = stored.confirmed.get(&removed.service);
                    let is_good = confirmed.is_some_and(|one| one.recipe.spec() == removed.spec);
                    let legs = stored.transaction.iter().flat_map(|one| &one.legs);
                    let is_fallback = legs.filter_map(|leg| leg.from.as_ref());
                    let is_fallback =
                        is_fallback.map(|from| from.spec()).any(|s| s == removed.spec);
                    assert!(!is_good && !is_fallback, "what can be gone back to stays");
                }
            }
            Call::Pull(_)
            | Call::CancelPull
            | Call::Create(_)
            | Call::Start(_)
            | Call::RemoveImage(_) => {}
        }
    }

    /// Lets everything that is under way come to its end, with a server that answers.
    fn end(&mut self) {
        self.world.cut_after = None;
        self.world.server.online = true;
        self.world.server.answers = true;
        self.world.finish(Duration::from_secs(1_500));
    }

    fn look_at_the_end(&mut self) {
        let target = self.world.server.target.clone();
        let journal = self.world.machine.journal().clone();
        assert_eq!((journal.generation(), journal.etag()), (target.generation, &*target.etag));
        assert!(journal.outbox.is_empty(), "everything was told");
        for wanted in &target.services {
            let runs = self.world.version(&wanted.name);
            let is_wanted = wanted.image.ends_with(&format!(":{runs}")) && !runs.is_empty();
            let row = self.world.row(&wanted.name);
            let ended = matches!(
                row.phase(),
                pb::Phase::Failed | pb::Phase::Reverted | pb::Phase::Rejected
            );
            let kept = row.phase() == pb::Phase::Running && !row.healthy;
            assert!(is_wanted || ended || kept, "`{}` runs `{runs}`: {row:?}", wanted.name);
            if ended {
                assert!(!row.reason.is_empty(), "{row:?}");
            }
        }
        let containers = self.world.bench.containers(self.world.now);
        let named = |name: &str| target.services.iter().any(|service| service.name == name);
        assert!(containers.iter().all(|container| named(&container.service)));
        for (attempt, phases) in self.world.server.endings() {
            assert_eq!(phases.len(), 1, "{attempt:?} ended twice: {phases:?}");
        }
        let seqs: Vec<i64> = self.world.server.reports.iter().map(|report| report.seq).collect();
        assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
    }

    fn look_that_it_rests(&mut self) {
        let calls = self.world.calls.len();
        let target = self.world.server.target.clone();
        for _ in 0..100 {
            assert!(!self.world.machine.offer(&target, self.world.now));
        }
        let crashing = self
            .world
            .server
            .reports
            .last()
            .is_some_and(|report| report.services.iter().any(|row| !row.healthy));
        for _ in 0..20 {
            self.world.tick();
        }
        assert!(crashing || self.world.calls.len() == calls, "{:?}", self.world.calls_since(calls));
    }
}

proptest! {
    #[test]
    fn a_device_always_ends_with_what_is_wanted_or_with_what_was_good(
        faults in prop::collection::vec(fault(), 0..4),
        events in prop::collection::vec(event(), 1..14),
    ) {
        let mut history = History::new(faults);
        for event in &events {
            history.happen(event);
        }
        history.end();
        history.look_at_the_end();
        history.look_that_it_rests();
    }
}
