//! A device, its engine and its server without sockets, tasks or waiting: time passes when nothing
//! else is left to do, and the power can go between any two lines.

mod server;

use std::sync::Arc;
use std::time::Duration;

use agent::chance::Chance;
use agent::engine::simulated::{Bench, Fault, Pace, PullCourse};
use agent::engine::{Container, EngineError};
use agent::image::Image;
use agent::journal::{Journal, decode, encode};
use agent::machine::{Action, Machine, SessionTerms, Setup};
use agent::memory::{Observed, Pull};
use agent::moment::Moment;
use agent::plan::Call;
use agent::platform::Platform;
use agent::timing::Timing;
use agent::transaction::Phase;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use workload::DevicePolicy;

use crate::targets::DEVICE;
use server::Server;

/// A pull that is under way.
struct UnderWay {
    image: Image,
    began: Moment,
    course: PullCourse,
}

pub struct World {
    pub server: Server,
    pub bench: Bench,
    pub now: Moment,
    pub machine: Machine,
    /// Every call of the engine that changes something, and when.
    pub calls: Vec<(Moment, Call)>,
    /// How often the journal was stored.
    pub saves: usize,
    /// The power goes after so many further lines.
    pub cut_after: Option<u32>,
    /// Whether a crash ends the agent alone, or the machine.
    pub cut_is_reboot: bool,
    timing: Arc<Timing>,
    disk: Vec<u8>,
    pull: Option<UnderWay>,
    linked: bool,
    delivered: i64,
    boots: u32,
    chance: Chance,
}

/// What a tick did.
#[derive(Debug, PartialEq)]
pub enum Tick {
    Did(Call),
    Waited,
    Crashed,
}

impl World {
    pub fn new(faults: Vec<Fault>) -> Self {
        let pace = Pace {
            pull: (Duration::from_secs(5), Duration::from_secs(20)),
            healthy: (Duration::from_secs(1), Duration::from_secs(4)),
        };
        let platform = Platform::new("linux", "amd64");
        let mut chance = Chance::seeded(1);
        let timing = Arc::new(Timing::device());
        let journal = Journal::default();
        let machine = Machine::new(setup(&timing, "boot-0", chance.fork()), journal, Moment::START);
        Self {
            server: Server::default(),
            bench: Bench::new(platform, pace, faults, chance.fork()),
            now: Moment::START,
            machine,
            calls: Vec::new(),
            saves: 0,
            cut_after: None,
            cut_is_reboot: true,
            timing,
            disk: encode(&Journal::default()),
            pull: None,
            linked: false,
            delivered: -1,
            boots: 0,
            chance,
        }
    }

    /// Does one thing, or lets time pass.
    pub fn tick(&mut self) -> Tick {
        self.talk();
        self.end_pull();
        let observed = Observed {
            containers: self.bench.containers(self.now),
            images: self.bench.images().to_vec(),
            pull: self.pull_seen(),
        };
        self.machine.observe(observed, self.now);
        let action = self.machine.step(self.now);
        if !self.save() || !self.report() {
            return Tick::Crashed;
        }
        match action {
            Action::Call(call) => self.call(call),
            Action::Wait(until) => self.wait(until),
        }
    }

    /// Ticks until something holds.
    pub fn run_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..20_000 {
            if is_so(self) {
                return;
            }
            self.tick();
        }
        panic!("{what} did not come; the journal: {:#?}", self.machine.journal());
    }

    /// Ticks until nothing happens for this long.
    pub fn settle(&mut self, quiet: Duration) {
        let mut since = self.now;
        for _ in 0..100_000 {
            let idle = self.tick() == Tick::Waited;
            let busy = self.machine.phase().is_some() || self.pull.is_some();
            if !idle || busy {
                since = self.now;
            }
            if self.now.since(since) >= quiet {
                return;
            }
        }
        panic!("the device does not come to rest: {:#?}", self.machine.journal());
    }

    /// Ticks until no update has been under way for this long; what crashes may go on crashing.
    pub fn finish(&mut self, quiet: Duration) {
        let mut since = self.now;
        for _ in 0..200_000 {
            self.tick();
            if self.machine.phase().is_some() {
                since = self.now;
            }
            if self.now.since(since) >= quiet {
                return;
            }
        }
        panic!("the update does not end: {:#?}", self.machine.journal());
    }

    /// Gives the device a target.
    pub fn send(&mut self, target: pb::TargetState) {
        self.server.target = target;
    }

    /// The power goes, or only the agent ends; the journal is what was stored last.
    pub fn crash(&mut self, reboot: bool) {
        if reboot {
            self.boots += 1;
            self.bench.cut_power(self.now);
        }
        self.pull = None;
        self.linked = false;
        self.delivered = -1;
        let journal = decode(&self.disk).expect("the journal is whole");
        let boot = format!("boot-{}", self.boots);
        let setup = setup(&self.timing, &boot, self.chance.fork());
        self.machine = Machine::new(setup, journal, self.now);
    }

    /// The journal is lost.
    pub fn lose_journal(&mut self) {
        self.disk = encode(&Journal::default());
        self.crash(false);
    }

    /// The journal as it was stored last.
    pub fn stored(&self) -> Journal {
        decode(&self.disk).expect("the journal is whole")
    }

    /// What runs of a service.
    pub fn running(&mut self, service: &str) -> Option<Container> {
        let containers = self.bench.containers(self.now);
        let mut running =
            containers.into_iter().filter(|one| one.service == service && one.is_running());
        let first = running.next();
        assert!(running.next().is_none(), "`{service}` runs twice");
        first
    }

    /// The tag of what runs of a service; empty = nothing.
    pub fn version(&mut self, service: &str) -> String {
        let running = self.running(service);
        let reference = running.map(|container| container.image.reference).unwrap_or_default();
        reference.rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// The newest row that the server has of a service.
    pub fn row(&self, service: &str) -> pb::ServiceReport {
        let newest = self.server.reports.last().expect("a report came");
        let row = newest.services.iter().find(|row| row.name == service);
        row.expect("the service is reported").clone()
    }

    /// The phases that were reported of a service under an attempt, without repetitions.
    pub fn phases(&self, service: &str, rollout: &str) -> Vec<pb::Phase> {
        let rows = self.server.reports.iter().flat_map(|report| &report.services);
        let of_it = rows.filter(|row| row.name == service && row.rollout_id == rollout);
        let mut phases: Vec<pb::Phase> = of_it.map(pb::ServiceReport::phase).collect();
        phases.dedup();
        phases
    }

    /// The calls of the engine since the one with this number, by name.
    pub fn calls_since(&self, first: usize) -> Vec<String> {
        self.calls[first..].iter().map(|(_, call)| call.key()).collect()
    }

    pub fn phase(&self) -> Option<Phase> {
        self.machine.phase()
    }

    /// Counts a line. Says whether the power is still there.
    fn line(&mut self) -> bool {
        let Some(left) = &mut self.cut_after else { return true };
        if *left > 0 {
            *left -= 1;
            return true;
        }
        self.cut_after = None;
        self.crash(self.cut_is_reboot);
        false
    }

    fn save(&mut self) -> bool {
        if self.machine.unsaved() {
            if !self.line() {
                return false;
            }
            self.disk = encode(self.machine.journal());
            self.saves += 1;
        }
        self.line()
    }

    /// Opens a session where there is none, and delivers the target.
    fn talk(&mut self) {
        if !self.server.online {
            if self.linked {
                self.machine.unlinked();
                self.linked = false;
                self.delivered = -1;
            }
            return;
        }
        if !self.linked {
            let interval = Some(Duration::from_secs(300));
            let terms =
                SessionTerms { last_seq: self.server.last_seq(), report_interval: interval };
            self.machine.linked(terms, self.now);
            self.linked = true;
        }
        if self.delivered != self.server.target.generation {
            self.delivered = self.server.target.generation;
            self.machine.offer(&self.server.target, self.now);
        }
        if self.machine.must_ask() && self.server.answers {
            let journal = self.machine.journal();
            if journal.etag() == self.server.target.etag {
                self.machine.target_is_known(self.now);
            } else {
                self.machine.offer(&self.server.target, self.now);
            }
        }
    }

    fn report(&mut self) -> bool {
        let Some(report) = self.machine.report(self.now) else { return true };
        if !self.save() {
            return false;
        }
        let seq = report.seq;
        let response = self.server.store(report);
        if !self.line() {
            return false;
        }
        let answer = if self.server.answers {
            Ok(response)
        } else {
            Err(Problem::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "no answer"))
        };
        self.machine.answered(seq, answer, self.now);
        true
    }

    fn call(&mut self, call: Call) -> Tick {
        self.calls.push((self.now, call.clone()));
        let result = match &call {
            Call::Pull(image) => {
                let course = self.bench.begin_pull(image);
                self.pull = Some(UnderWay { image: image.clone(), began: self.now, course });
                self.machine.observe_pull(self.pull_seen());
                return Tick::Did(call);
            }
            Call::CancelPull => {
                self.pull = None;
                Ok(())
            }
            Call::Create(container) => self.bench.create(container),
            Call::Start(id) => match self.bench.start(id, self.now) {
                Some(result) => result,
                None => {
                    self.now = self.now + self.timing.engine_write;
                    Err(EngineError::Hung)
                }
            },
            Call::Stop(id, _) => self.bench.stop(id, self.now),
            Call::Remove(id) => self.bench.remove(id, self.now),
            Call::RemoveImage(identity) => self.bench.remove_image(identity),
        };
        if !self.line() {
            return Tick::Crashed;
        }
        self.machine.done(&call, result, self.now);
        Tick::Did(call)
    }

    /// Lets time pass until something may happen.
    fn wait(&mut self, until: Option<Moment>) -> Tick {
        let interval = self.now + self.machine.observe_interval();
        let pull = self.pull.as_ref().and_then(|pull| Some(pull.began + pull.course.takes?));
        let due = self.machine.report_due(self.now).filter(|due| *due > self.now);
        let wakes = [until, Some(interval), self.bench.next_change(), pull, due];
        let soon = wakes.into_iter().flatten().min().expect("there is an interval");
        self.now = soon.max(self.now + Duration::from_millis(1));
        Tick::Waited
    }

    fn pull_seen(&self) -> Option<Pull> {
        let pull = self.pull.as_ref()?;
        // What moves at all moves all the time.
        let moved = if pull.course.takes.is_some() { self.now } else { pull.began };
        Some(Pull { identity: pull.image.identity(), percent: 50, moved })
    }

    fn end_pull(&mut self) {
        let is_over = self
            .pull
            .as_ref()
            .and_then(|pull| Some(pull.began + pull.course.takes?))
            .is_some_and(|end| end <= self.now);
        if !is_over {
            return;
        }
        let Some(pull) = self.pull.take() else { return };
        let wrong =
            pull.course.brings.as_ref().is_ok_and(|local| {
                !pull.image.digest.is_empty() && local.digest != pull.image.digest
            });
        let foreign = pull
            .course
            .brings
            .as_ref()
            .is_ok_and(|local| !self.bench.platform().runs(&local.platform));
        let result = if wrong {
            Err(EngineError::DigestMismatch(pull.image.reference.clone()))
        } else if foreign {
            Err(EngineError::WrongPlatform(pull.image.reference.clone()))
        } else {
            self.bench.end_pull(pull.course)
        };
        self.machine.done(&Call::Pull(pull.image), result, self.now);
    }
}

fn setup(timing: &Arc<Timing>, boot_id: &str, chance: Chance) -> Setup {
    Setup {
        device_id: DEVICE.to_owned(),
        boot_id: boot_id.to_owned(),
        platform: Platform::new("linux", "amd64"),
        policy: Arc::new(DevicePolicy::default()),
        timing: Arc::clone(timing),
        chance,
    }
}
