//! What a device knows and decides, without doing anything.
//!
//! The machine is told what the server says, what is seen, and how calls went. It says what to do
//! next and what to report. Whoever drives it stores the journal whenever [`Machine::unsaved`] says
//! so, before the step or the report that came with it goes out; so does [`Device`](crate::Device),
//! and so do tests that cut the power between any two lines.

mod calls;
mod reporting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proto::rollout::v1 as pb;
use workload::DevicePolicy;

use crate::chance::Chance;
use crate::engine::EngineError;
use crate::journal::{Change, Ended, Journal};
use crate::memory::{Memory, Observed, Pull, Soak};
use crate::moment::{Moment, earlier};
use crate::plan::{Call, Step, View, is_well, plan};
use crate::platform::Platform;
use crate::row::Standing;
use crate::target::Target;
use crate::timing::Timing;
use crate::transaction::{Leg, Phase, Transaction};
use reporting::Reporting;

pub use reporting::SessionTerms;

/// No plan takes as many notes in a row; more of them mean that two rules contradict each other.
const MAX_NOTES: usize = 10_000;

/// What a machine is made with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The device's id.
    pub device_id: String,
    /// Changes with every start of the kernel.
    pub boot_id: String,
    /// What the device is.
    pub platform: Platform,
    /// What its owner allows.
    pub policy: Arc<DevicePolicy>,
    /// The agent's own durations.
    pub timing: Arc<Timing>,
    /// Jitter.
    pub chance: Chance,
}

/// How updates went since this start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Updates that began.
    pub begun: u32,
    /// Updates that were committed.
    pub committed: u32,
    /// Updates that went back.
    pub reverted: u32,
    /// Updates that failed without going back, or could not go back.
    pub failed: u32,
    /// Updates that were refused.
    pub rejected: u32,
}

/// What whoever drives a machine is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// To have the engine do something.
    Call(Call),
    /// Nothing until something changes, or until the moment has come.
    Wait(Option<Moment>),
}

/// A device without its hands.
#[derive(Debug)]
pub struct Machine {
    setup: Setup,
    journal: Journal,
    memory: Memory,
    observed: Observed,
    engine_fault: Option<EngineError>,
    looked: bool,
    reporting: Reporting,
    tally: Tally,
    unsaved: bool,
    ask: bool,
    asked: bool,
}

impl Machine {
    /// Takes up what the journal says.
    #[must_use]
    pub fn new(setup: Setup, mut journal: Journal, now: Moment) -> Self {
        let unsaved = journal.resume(&setup.boot_id, now);
        let reporting = Reporting::new(&setup.timing, journal.seq_reserved + 1);
        Self {
            setup,
            journal,
            memory: Memory::default(),
            observed: Observed::default(),
            engine_fault: None,
            looked: false,
            reporting,
            tally: Tally::default(),
            unsaved,
            ask: false,
            asked: false,
        }
    }

    /// What the device remembers.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What was seen last.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// How updates went.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether the journal must be stored before anything else is done; it counts as stored then.
    pub fn unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }

    /// Says that storing the journal failed.
    pub fn not_saved(&mut self) {
        self.unsaved = true;
    }

    /// Notes that the server answered something.
    pub fn heard(&mut self, now: Moment) {
        self.memory.contact = Some(now);
    }

    /// Takes a target that the server sent. Returns whether there may be something to do: never for
    /// one that is known or older.
    pub fn offer(&mut self, message: &pb::TargetState, now: Moment) -> bool {
        self.heard(now);
        self.asked = false;
        let (generation, etag) = (self.journal.generation(), self.journal.etag());
        let is_older = message.generation < generation;
        let is_known = message.generation == generation && message.etag == etag;
        // Generation 0 says that there never was a target: nothing is to be removed because of it.
        if is_older || is_known || message.generation == 0 {
            return false;
        }
        if message.etag == etag
            && let Some(target) = &mut self.journal.target
        {
            target.generation = message.generation;
            self.unsaved = true;
            return false;
        }
        match Target::parse(message, &self.setup.device_id, &self.setup.policy) {
            Ok(target) => {
                self.journal.accept(target);
                self.memory.target_came = Some(now);
                self.memory.forget_troubles();
                self.unsaved = true;
                true
            }
            Err(error) => {
                tracing::warn!(
                    device.id = self.setup.device_id,
                    generation = message.generation,
                    "a target was not accepted: {error}"
                );
                false
            }
        }
    }

    /// Notes that the server, asked, has no other target. What soaked is then what it wants, even
    /// if it no longer counts the attempt as active. Returns whether that ends anything.
    pub fn target_is_known(&mut self, now: Moment) -> bool {
        self.heard(now);
        let confirms = std::mem::take(&mut self.asked) && self.phase() == Some(Phase::Confirming);
        self.memory.confirmed |= confirms;
        confirms
    }

    /// Whether the server must be asked for the target: it said that the attempt is over. It counts
    /// as asked then.
    pub fn must_ask(&mut self) -> bool {
        let ask = std::mem::take(&mut self.ask);
        self.asked |= ask;
        ask
    }

    /// Notes what is seen.
    pub fn observe(&mut self, observed: Observed, now: Moment) {
        let Self { memory, setup, .. } = self;
        let restarted = memory.observe(&observed.containers, &setup.timing, now);
        self.observed = observed;
        (self.engine_fault, self.looked) = (None, true);
        self.observe_soak(&restarted, now);
    }

    /// Notes how the services of the update are, once it has swapped.
    fn observe_soak(&mut self, restarted: &BTreeSet<String>, now: Moment) {
        let Some(transaction) = &self.journal.transaction else { return };
        if !matches!(transaction.phase, Phase::Verifying | Phase::Confirming) {
            return;
        }
        let container = |leg: &Leg| {
            let mut containers = self.observed.containers.iter();
            containers.find(|one| one.service == leg.service && one.spec == leg.to.spec())
        };
        let is_leg_well = |leg| container(leg).is_some_and(|found| is_well(found, &leg.to));
        let broke = |leg| container(leg).is_some_and(|found| restarted.contains(&found.id));
        let well = transaction.legs.iter().all(is_leg_well);
        let broke = transaction.legs.iter().any(broke);
        let soak = self.memory.soak.get_or_insert_with(|| Soak::new(now));
        if broke {
            soak.observe(false, now);
        }
        soak.observe(well, now);
    }

    /// Notes how far the pull is.
    pub fn observe_pull(&mut self, pull: Option<Pull>) {
        self.observed.pull = pull;
    }

    /// Notes that the engine could not be looked at.
    pub fn engine_failed(&mut self, error: EngineError) {
        (self.engine_fault, self.looked) = (Some(error), true);
    }

    /// Returns what to do next.
    pub fn step(&mut self, now: Moment) -> Action {
        self.count_powered(now);
        for _ in 0..MAX_NOTES {
            match plan(&self.view(now)) {
                Step::Note(change) => self.apply(change, now),
                Step::Call(call) => return Action::Call(call),
                Step::Wait(until) => return Action::Wait(until),
            }
        }
        tracing::error!(device.id = self.setup.device_id, "the plan does not come to an end");
        Action::Wait(Some(now + self.setup.timing.observe))
    }

    fn apply(&mut self, change: Change, now: Moment) {
        let phase = self.phase();
        match &change {
            Change::Begin(_) | Change::Leave | Change::Commit | Change::Settle(_) => {
                self.memory.soak = None;
                self.memory.confirmed = false;
                self.memory.forget_troubles();
            }
            Change::Revert(_) => {
                self.memory.soak = None;
                self.memory.forget_troubles();
            }
            Change::Advance(_) => self.memory.confirmed = false,
            Change::Readopt(..) => self.memory.confirmed = false,
            Change::Started(service) => self.note_begin(service),
            Change::Forget(_) | Change::Collected(_) => {}
        }
        self.count(&change);
        // That a service was started is seen again after a crash.
        self.unsaved |= !matches!(change, Change::Started(_));
        let swapped =
            phase == Some(Phase::Swapping) && matches!(change, Change::Advance(Phase::Verifying));
        self.journal.apply(change, now);
        if swapped {
            self.memory.soak = None;
            self.observe_soak(&BTreeSet::new(), now);
        }
    }

    fn note_begin(&mut self, service: &str) {
        let running = self.observed.containers.iter();
        let running = running.filter(|one| one.service == service && one.is_running());
        running.for_each(|container| self.memory.note_begin(&container.id));
    }

    fn count(&mut self, change: &Change) {
        match change {
            Change::Begin(_) => self.tally.begun += 1,
            Change::Commit => self.tally.committed += 1,
            Change::Settle(ended) => {
                let standing = ended.first().map(|Ended { outcome, .. }| outcome.standing);
                match standing {
                    Some(Standing::Reverted) => self.tally.reverted += 1,
                    Some(Standing::Rejected) => self.tally.rejected += 1,
                    Some(_) => self.tally.failed += 1,
                    None => {}
                }
            }
            Change::Readopt(..)
            | Change::Advance(_)
            | Change::Started(_)
            | Change::Leave
            | Change::Revert(_)
            | Change::Forget(_)
            | Change::Collected(_) => {}
        }
    }

    /// Stores the powered time of what is being verified now and then, so that a machine that is
    /// switched off again and again does not wait for ever.
    fn count_powered(&mut self, now: Moment) {
        let Some(transaction) = &mut self.journal.transaction else { return };
        let timed = matches!(transaction.phase, Phase::Verifying | Phase::Confirming);
        if timed && now.since(transaction.counted_at) >= self.setup.timing.journal {
            transaction.count(now);
            self.unsaved = true;
        }
    }

    /// How far the update under way is.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.journal.transaction.as_ref().map(|transaction| transaction.phase)
    }

    /// How often to look when nothing happens, given what is under way.
    #[must_use]
    pub fn observe_interval(&self) -> Duration {
        let timing = &self.setup.timing;
        let swapping = self.phase().is_some_and(|phase| !phase.is_before_swap());
        if swapping { timing.observe_swap } else { timing.observe }
    }

    /// The moment to look again at the latest, given when the plan wants to.
    #[must_use]
    pub fn wake(&self, planned: Option<Moment>, now: Moment) -> Option<Moment> {
        earlier(planned, Some(now + self.observe_interval()))
    }

    fn view(&self, now: Moment) -> View<'_> {
        View {
            journal: &self.journal,
            observed: &self.observed,
            memory: &self.memory,
            timing: &self.setup.timing,
            platform: &self.setup.platform,
            now,
        }
    }

    fn transaction(&self) -> Option<&Transaction> {
        self.journal.transaction.as_ref()
    }
}
