//! Random histories: devices that succeed, fail, fall silent, leave and come back, operators that
//! pause, resume, promote, cancel and roll back, approvals that are lost; and after every single
//! event what must always hold.
//!
//! The model applies steps and changes to plain values just as the store applies them to rows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use imageref::Repository;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rollout::assignment::{Assignment, Effect, Observation, Phase, Progress, State as Try};
use rollout::batch::{self, Size};
use rollout::plan::{self, Batch, Step, View};
use rollout::policy::{BatchRule, OnFailure, Policy, PolicyId, Rules, Strategy as Way};
use rollout::rollout::{Release, Rollout, RolloutId, State};
use rollout::tally::Tally;
use rollout::target::{Image, Offer, Service, Target};
use rollout::withdraw::{Disposition, Turn, disposition};
use runtime::{Actor, ActorKind};
use uuid::Uuid;

const REDIS: &str = "docker.io/library/redis";

/// What a device does with the release, one entry per try; the last one is for all further tries.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Works,
    PullFails,
    Unhealthy,
    RevertsAlone,
    Refuses,
    CannotRun,
    FallsSilent,
}

#[derive(Debug, Clone)]
enum Event {
    /// A device does its next thing.
    Act(usize),
    /// All devices do.
    ActAll,
    Leave(usize),
    Return(usize),
    /// Time passes, to the next moment at which something is due or by a jump.
    WaitUntilDue,
    Wait(u32),
    Start,
    Promote,
    Pause,
    Resume,
    Cancel {
        revert: bool,
    },
    RollBack,
    LoseApproval,
    /// A newer release of the same scope arrives.
    Supersede,
}

struct Device {
    id: Uuid,
    online: bool,
    fates: Vec<Fate>,
    target: Target,
    /// What it runs, and the last etag it has finished with.
    runs: Image,
    done_etag: String,
    swapped: bool,
}

struct Seat {
    batch: u32,
    try_: Assignment,
    history: Vec<Assignment>,
}

struct World {
    now: DateTime<Utc>,
    rollout: Rollout,
    batches: Vec<Batch>,
    seats: Vec<Seat>,
    devices: Vec<Device>,
    tripped: bool,
    terminal: Option<State>,
    decided: Vec<(DateTime<Utc>, bool)>,
    /// Targets written forward while nothing may be sent.
    wrong_offers: u32,
}

fn image(tag: &str, digit: &str) -> Image {
    Image {
        image: format!("{REDIS}:{tag}"),
        digest: Some(format!("sha256:{}", digit.repeat(64))),
        release_id: None,
    }
}

impl World {
    fn new(policy: Policy, fates: Vec<Vec<Fate>>, online: &[bool]) -> Self {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let devices: Vec<_> = fates
            .into_iter()
            .enumerate()
            .map(|(index, fates)| {
                let runs = image("7", "1");
                let service = Service {
                    name: "cache".to_owned(),
                    runs: runs.clone(),
                    config: "{}".to_owned(),
                    update: None,
                };
                let target = Target::default().replaced(vec![service]);
                let done_etag = target.etag.clone();
                let online = online[index % online.len()];
                let id = Uuid::from_u128(index as u128 + 1);
                Device { id, online, fates, target, runs, done_etag, swapped: false }
            })
            .collect();
        let count = u32::try_from(devices.len()).unwrap();
        let stages = policy.stages();
        let sizes: Vec<Size> = stages.iter().map(|stage| stage.size).collect();
        let planned = batch::sizes(&sizes, count);
        let mut seats = Vec::new();
        let mut batches = Vec::new();
        let mut devices_left = devices.iter();
        for (place, (rule, size)) in planned.into_iter().enumerate() {
            let number = u32::try_from(place).unwrap() + 1;
            let stage = stages[rule];
            batches.push(Batch {
                number,
                size,
                soak: stage.soak,
                success_threshold: stage.success_threshold,
                manual_gate: stage.manual_gate,
                promoted_at: None,
                started_at: None,
                completed_at: None,
                tally: Tally::default(),
            });
            for device in devices_left.by_ref().take(size as usize) {
                seats.push(Seat { batch: number, try_: queued(device.id), history: Vec::new() });
            }
        }
        let rollout = Rollout {
            id: RolloutId(Uuid::nil()),
            release: Release {
                repository: Repository::parse(REDIS).unwrap().as_str().to_owned(),
                tag: "8".to_owned(),
                digest: image("8", "3").digest,
                platforms: Vec::new(),
                push: Uuid::nil(),
            },
            policy,
            state: State::Pending,
            state_reason: String::new(),
            state_detail: String::new(),
            start_requested: false,
            cancel_reverts: false,
            turned_at: None,
            acknowledged_at: None,
            revoked_reason: String::new(),
            device_count: count,
            excluded_count: 0,
            actor: Actor::new(ActorKind::System, "test", "test"),
            created_at: now,
            started_at: None,
            ended_at: None,
            updated_at: now,
            version: 1,
        };
        let mut world = Self {
            now,
            rollout,
            batches,
            seats,
            devices,
            tripped: false,
            terminal: None,
            decided: Vec::new(),
            wrong_offers: 0,
        };
        world.drive();
        world
    }

    fn rules(&self) -> Rules {
        self.rollout.policy.rules.clone()
    }

    fn release(&self) -> Image {
        self.rollout.release.image()
    }

    // === What the driver does ===

    fn drive(&mut self) {
        for _ in 0..10_000 {
            if self.work_off_due() {
                continue;
            }
            self.count();
            let plan = plan::plan(&self.view(), self.now);
            if plan.steps.is_empty() {
                return;
            }
            for step in plan.steps {
                self.apply(step);
            }
        }
        panic!("the plan never comes to rest: {:?}", self.rollout.state);
    }

    fn count(&mut self) {
        for batch in &mut self.batches {
            batch.tally = Tally::default();
        }
        let acknowledged = self.rollout.acknowledged_at;
        for seat in &self.seats {
            let try_ = &seat.try_;
            let fresh = acknowledged.is_none_or(|at| try_.decided_at.is_none_or(|when| when > at));
            let batch = &mut self.batches[seat.batch as usize - 1];
            batch.tally.add(try_.state, try_.failed, try_.attempt, fresh, 1);
        }
    }

    fn view(&self) -> View<'_> {
        let begun = |number: u32| self.batches[number as usize - 1].started_at.is_some();
        let ready = self.seats.iter().filter(|seat| {
            let due = seat.try_.retry_at.is_none_or(|at| at <= self.now);
            seat.try_.state == Try::Queued && begun(seat.batch) && due
        });
        let substitutes = self.seats.iter().zip(&self.devices).filter(|(seat, device)| {
            seat.try_.state == Try::Queued && !begun(seat.batch) && device.online
        });
        let acknowledged = self.rollout.acknowledged_at;
        let streak = self
            .decided
            .iter()
            .rev()
            .take_while(|(at, failed)| *failed && acknowledged.is_none_or(|ack| *at > ack))
            .count();
        let rules = self.rules();
        View {
            rollout: &self.rollout,
            batches: &self.batches,
            streak: u32::try_from(streak).unwrap(),
            ready: u32::try_from(ready.count()).unwrap(),
            substitutes: u32::try_from(substitutes.count()).unwrap(),
            older_turning: false,
            next_due: self
                .seats
                .iter()
                .filter_map(|seat| seat.try_.due_at(&rules))
                .filter(|due| *due > self.now)
                .min(),
        }
    }

    fn work_off_due(&mut self) -> bool {
        let rules = self.rules();
        let mut any = false;
        for index in 0..self.seats.len() {
            let try_ = &self.seats[index].try_;
            if try_.due_at(&rules).is_none_or(|due| due > self.now) {
                continue;
            }
            if let Some(change) = try_.on_due(self.devices[index].online, &rules, self.now) {
                any = true;
                self.store(index, change.assignment, change.effect);
            }
        }
        any
    }

    fn store(&mut self, index: usize, mut next: Assignment, effect: Effect) {
        let before = &self.seats[index].try_;
        assert!(!before.state.is_over() || *before == next, "what is over came back: {before:?}");
        let verdict = next.decided_at.is_some() && before.decided_at.is_none();
        match effect {
            Effect::None => {}
            Effect::Confirm => {
                let (name, good) = ("cache".to_owned(), self.release());
                self.devices[index].target.good.insert(name, good);
            }
            Effect::Restore => {
                if let Some(generation) = self.restore(index)
                    && next.state == Try::Reverting
                {
                    next = next.reverting(generation, &self.rules(), self.now);
                }
            }
            Effect::Retry(at) => {
                assert!(!before.state.is_swapped(), "a device that has swapped is not tried again");
                let seat = &mut self.seats[index];
                let mut fresh = queued(next.device);
                fresh.attempt = next.attempt + 1;
                fresh.retry_at = Some(at);
                seat.history.push(next);
                seat.try_ = fresh;
                return;
            }
        }
        if verdict && (next.failed || next.state == Try::Succeeded) {
            self.decided.push((self.now, next.failed));
        }
        self.seats[index].try_ = next;
    }

    fn restore(&mut self, index: usize) -> Option<i64> {
        let release = self.release();
        let device = &mut self.devices[index];
        let restored = device.target.restored(self.rollout.id.0, &release)?;
        assert!(restored.generation > device.target.generation);
        device.target = restored;
        Some(device.target.generation)
    }

    fn apply(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Start => {
                self.enter(State::Running);
                self.rollout.started_at = Some(now);
            }
            Step::Fail(_) => self.enter(State::Failed),
            Step::StartBatch(number) => {
                self.check_batch_may_start(number);
                self.batches[number as usize - 1].started_at = Some(now);
            }
            Step::CompleteBatch(number) => {
                self.batches[number as usize - 1].completed_at = Some(now);
            }
            Step::Offer(count) => self.offer(count),
            Step::Substitute { batch, count } => self.substitute(batch, count),
            Step::Settle => self.enter(State::Settling),
            Step::Pause(_) => {
                self.tripped = true;
                self.enter(State::Paused);
            }
            Step::RollBack(_) => {
                self.tripped = true;
                self.turn(State::RollingBack, true);
            }
            Step::Cancel(_) => {
                self.tripped = true;
                self.turn(State::Cancelling, false);
            }
            Step::Revert(count) => self.revert(count),
            Step::Finish(state) => self.enter(state),
        }
    }

    fn enter(&mut self, state: State) {
        assert!(!self.rollout.state.is_terminal(), "{:?} never changes", self.rollout.state);
        self.rollout.state = state;
        self.count();
        self.check_end(state);
    }

    fn offer(&mut self, count: u32) {
        if self.tripped
            || !matches!(self.rollout.state, State::Running | State::Settling | State::Succeeded)
        {
            self.wrong_offers += 1;
        }
        let rules = self.rules();
        let release = self.release();
        let mut left = count;
        for index in 0..self.seats.len() {
            let seat = &self.seats[index];
            let begun = self.batches[seat.batch as usize - 1].started_at.is_some();
            let due = seat.try_.retry_at.is_none_or(|at| at <= self.now);
            if left == 0 || seat.try_.state != Try::Queued || !begun || !due {
                continue;
            }
            left -= 1;
            let try_ = seat.try_.clone();
            if !self.devices[index].online {
                self.restore(index);
                self.seats[index].try_ = try_.deferred("OFFLINE", self.now);
                continue;
            }
            let offer = Offer {
                repository: REDIS,
                image: &release,
                rollout: self.rollout.id.0,
                attempt: try_.attempt,
                verify: rules.timers.verify,
                soak: rules.device_soak,
                dead_man: rules.dead_man,
                deadline: self.now,
            };
            let device = &mut self.devices[index];
            let (target, fallbacks) = device.target.offered(&offer).expect("it runs the image");
            assert!(target.generation > device.target.generation, "generations only grow");
            device.target = target;
            let mut try_ = try_.offered(device.target.generation, &rules, self.now);
            try_.services = progress(fallbacks);
            self.seats[index].try_ = try_;
        }
    }

    fn substitute(&mut self, batch: u32, count: u32) {
        let mut left = count;
        for index in 0..self.seats.len() {
            let begun = self.batches[self.seats[index].batch as usize - 1].started_at.is_some();
            let free = self.seats[index].try_.state == Try::Queued && !begun;
            if left > 0 && free && self.devices[index].online {
                self.seats[index].batch = batch;
                left -= 1;
            }
        }
        assert_eq!(left, 0, "the plan knows how many there are");
    }

    /// Devices that have not begun are withdrawn; with `revert` all others go back.
    fn turn(&mut self, state: State, revert: bool) {
        self.enter(state);
        self.rollout.turned_at = Some(self.now);
        self.rollout.cancel_reverts = revert;
        self.withdraw(if revert { Turn::Back } else { Turn::Keep });
    }

    fn withdraw(&mut self, turn: Turn) {
        let rules = self.rules();
        for index in 0..self.seats.len() {
            let try_ = self.seats[index].try_.clone();
            let disposition = disposition(turn, try_.state);
            if disposition == Disposition::Leave {
                continue;
            }
            let generation = self.restore(index);
            self.seats[index].try_ = match (disposition, generation) {
                (Disposition::Revert, Some(generation)) => {
                    try_.reverting(generation, &rules, self.now)
                }
                (Disposition::Revert, None) => try_.ended(Try::Reverted, "OPERATOR"),
                (Disposition::End(state), _) => try_.ended(state, ""),
                (Disposition::Leave, _) => try_,
            };
        }
    }

    fn revert(&mut self, count: u32) {
        let rules = self.rules();
        for _ in 0..count {
            let Some(index) = (0..self.seats.len())
                .filter(|index| self.seats[*index].try_.state == Try::Succeeded)
                .max_by_key(|index| self.seats[*index].batch)
            else {
                return;
            };
            let try_ = self.seats[index].try_.clone();
            self.seats[index].try_ = match self.restore(index) {
                Some(generation) => try_.reverting(generation, &rules, self.now),
                None => try_.ended(Try::Cancelled, "OPERATOR"),
            };
        }
    }

    // === What devices do ===

    fn act(&mut self, index: usize) {
        let rules = self.rules();
        let release = self.release();
        let try_ = self.seats[index].try_.clone();
        let Some(observation) = self.observe(index, &try_) else { return };
        let generation = self.devices[index].target.generation;
        let change = try_.on_report(&[observation], generation, &release, &rules, self.now);
        if let Some(change) = change {
            self.store(index, change.assignment, change.effect);
        }
    }

    fn observe(&mut self, index: usize, try_: &Assignment) -> Option<Observation> {
        let device = &mut self.devices[index];
        if !device.online {
            return None;
        }
        let service = &device.target.services[0];
        let Some(update) = &service.update else {
            device.runs = service.runs.clone();
            device.done_etag.clone_from(&device.target.etag);
            device.swapped = false;
            return Some(seen(Phase::Running, device.runs.clone(), true, None));
        };
        let about = Some((update.rollout, update.attempt));
        if device.done_etag == device.target.etag {
            return Some(seen(Phase::Running, device.runs.clone(), true, about));
        }
        let place = usize::try_from(update.attempt - 1).unwrap().min(device.fates.len() - 1);
        let fate = device.fates[place];
        let wanted = service.runs.clone();
        let old = device.runs.clone();
        let fail = |phase, reason: &str, runs: Image| {
            let mut seen = seen(phase, runs, false, about);
            reason.clone_into(&mut seen.reason);
            Some(seen)
        };
        let last = |device: &mut Device| device.done_etag.clone_from(&device.target.etag);
        match (try_.state, fate) {
            (_, Fate::FallsSilent) => None,
            (Try::Offered, _) => Some(seen(Phase::Downloading, old, true, about)),
            (Try::Acked | Try::Downloading, Fate::PullFails) => {
                last(device);
                fail(Phase::Failed, "PULL_FAILED", old)
            }
            (Try::Acked | Try::Downloading, Fate::Refuses) => {
                last(device);
                fail(Phase::Rejected, "BAD_CONFIG", old)
            }
            (Try::Acked | Try::Downloading, Fate::CannotRun) => {
                last(device);
                fail(Phase::Rejected, "WRONG_PLATFORM", old)
            }
            (Try::Acked | Try::Downloading, _) => Some(seen(Phase::Installing, old, false, about)),
            (_, Fate::RevertsAlone) => {
                last(device);
                fail(Phase::Reverted, "NO_CONTACT", old)
            }
            (_, Fate::Unhealthy) if device.swapped => {
                last(device);
                fail(Phase::Failed, "HEALTH_CHECK_FAILED", wanted)
            }
            (_, Fate::Unhealthy) => {
                device.swapped = true;
                device.runs = wanted.clone();
                Some(seen(Phase::Verifying, wanted, false, about))
            }
            _ => {
                device.runs = wanted.clone();
                last(device);
                Some(seen(Phase::Running, wanted, true, about))
            }
        }
    }

    // === What happens ===

    fn happen(&mut self, event: &Event) {
        let index = |n: usize| n % self.devices.len();
        match event {
            Event::Act(n) => self.act(index(*n)),
            Event::ActAll => (0..self.devices.len()).for_each(|index| self.act(index)),
            Event::Leave(n) => {
                let index = index(*n);
                self.devices[index].online = false;
            }
            Event::Return(n) => self.come_back(index(*n)),
            Event::WaitUntilDue => {
                self.count();
                let plan = plan::plan(&self.view(), self.now);
                self.now = plan.wake_at.unwrap_or(self.now + TimeDelta::seconds(1)).max(self.now);
            }
            Event::Wait(seconds) => self.now += TimeDelta::seconds(i64::from(*seconds)),
            Event::Start if self.rollout.state == State::Pending => {
                self.rollout.start_requested = true;
            }
            Event::Promote => self.promote(),
            Event::Pause if matches!(self.rollout.state, State::Running | State::Settling) => {
                self.enter(State::Paused);
            }
            Event::Resume if self.rollout.state == State::Paused => {
                self.resume();
            }
            Event::Cancel { revert } if self.rollout.state.is_live() => {
                self.tripped = true;
                self.turn(State::Cancelling, *revert);
            }
            Event::RollBack
                if self.rollout.state.is_live() && self.rollout.state != State::Pending =>
            {
                self.tripped = true;
                self.turn(State::RollingBack, true);
            }
            Event::LoseApproval => self.rollout.revoked_reason = "taken back".to_owned(),
            Event::Supersede if self.rollout.state.is_live() => self.supersede(),
            _ => {}
        }
        self.drive();
        self.check();
    }

    fn resume(&mut self) {
        if self.rollout.revoked_reason.is_empty() {
            self.tripped = false;
        }
        self.rollout.acknowledged_at = Some(self.now);
        self.promote();
        self.enter(State::Running);
    }

    fn promote(&mut self) {
        let next = plan::current_batch(&self.batches)
            .and_then(|current| plan::next_batch(&self.batches, current))
            .map(|next| next.number);
        if let Some(number) = next {
            self.batches[number as usize - 1].promoted_at = Some(self.now);
        }
    }

    fn supersede(&mut self) {
        self.tripped = true;
        self.enter(State::Superseded);
        self.withdraw(Turn::Superseded);
    }

    fn come_back(&mut self, index: usize) {
        self.devices[index].online = true;
        let seat = &mut self.seats[index];
        if seat.try_.state == Try::Deferred {
            seat.try_.state = Try::Queued;
            seat.try_.deferred_at = None;
        }
    }

    // === What must always hold ===

    fn check_batch_may_start(&self, number: u32) {
        let Some(before) = number.checked_sub(2).map(|index| &self.batches[index as usize]) else {
            return;
        };
        let promoted = self.batches[number as usize - 1].promoted_at.is_some();
        let tally = before.tally;
        assert_eq!(tally.queued, 0, "the batch before was sent");
        let completed = before.completed_at.expect("the batch before is complete");
        if promoted {
            return;
        }
        assert!(!before.manual_gate, "nobody opened the gate");
        assert!(completed + before.soak <= self.now, "the batch before has not soaked");
        let speaking = before.size.saturating_sub(tally.left_out());
        let needed = if speaking == 0 { 0 } else { speaking.min(5) };
        assert!(tally.succeeded >= needed, "{} of {needed} show that it works", tally.succeeded);
    }

    fn check_end(&self, state: State) {
        let all = plan::total(&self.batches);
        let carried = |state: &str| {
            let release = self.release();
            let carries = |device: &Device| device.target.services[0].runs.is(&release);
            assert!(!self.devices.iter().any(carries), "{state}, and a device keeps the release");
        };
        match state {
            State::Succeeded => {
                assert_eq!(all.active + all.queued + all.returning, 0, "somebody is still moving");
                assert!(all.succeeded + all.failures() > 0 || all.deferred == 0, "nobody had it");
            }
            State::RolledBack => {
                assert_eq!(all.succeeded + all.active + all.queued + all.returning, 0);
                assert_eq!(all.revert_failed, 0);
                carried("rolled back");
            }
            State::RollbackIncomplete => assert!(all.revert_failed > 0),
            State::Cancelled if self.rollout.cancel_reverts => carried("cancelled"),
            _ => {}
        }
    }

    fn check(&mut self) {
        self.count();
        let all = plan::total(&self.batches);
        assert_eq!(all.devices(), self.rollout.device_count, "sizes add up");
        assert!(
            all.in_flight() <= self.rollout.max_in_flight(),
            "{} in flight, {} allowed",
            all.in_flight(),
            self.rollout.max_in_flight()
        );
        assert_eq!(self.wrong_offers, 0, "nothing is sent after a trip");
        if matches!(self.rollout.state, State::Running | State::Settling) {
            let tripped = plan::trip(&self.view());
            assert_eq!(tripped, None, "it has to stop, and goes on");
        }
        if let Some(ended) = self.terminal {
            assert_eq!(self.rollout.state, ended, "terminal is final");
        }
        if self.rollout.state.is_terminal() {
            self.terminal = Some(self.rollout.state);
        }
        for pair in self.batches.windows(2) {
            if pair[1].started_at.is_some() {
                assert!(pair[0].completed_at.is_some() || pair[1].promoted_at.is_some());
            }
        }
        for (seat, device) in self.seats.iter().zip(&self.devices) {
            let carries = device.target.services[0].runs.is(&self.release());
            if matches!(seat.try_.state, Try::Cancelled | Try::Superseded | Try::Reverting) {
                assert!(!carries, "{:?} keeps the release", seat.try_.state);
            }
            if seat.try_.state == Try::Succeeded {
                assert!(carries, "an updated device lost the release");
            }
        }
    }

    /// Everybody comes back, does what it has to and nobody interferes any more.
    fn run_to_the_end(&mut self) {
        for index in 0..self.devices.len() {
            self.come_back(index);
        }
        for _ in 0..20_000 {
            self.drive();
            if self.rollout.state.is_terminal() {
                return;
            }
            match self.rollout.state {
                State::Pending => self.rollout.start_requested = true,
                State::Paused if self.rollout.revoked_reason.is_empty() => self.resume(),
                State::Paused => self.turn(State::Cancelling, false),
                _ => self.promote(),
            }
            (0..self.devices.len()).for_each(|index| self.act(index));
            self.drive();
            self.check();
            let wake = plan::plan(&self.view(), self.now).wake_at;
            self.now = wake.unwrap_or(self.now).max(self.now + TimeDelta::seconds(1));
        }
        panic!("it never ends: {:?} {:?}", self.rollout.state, plan::total(&self.batches));
    }
}

fn queued(device: Uuid) -> Assignment {
    Assignment {
        rollout: Uuid::nil(),
        device,
        attempt: 1,
        state: Try::Queued,
        reason: String::new(),
        message: String::new(),
        failed: false,
        services: Vec::new(),
        generation: None,
        step_deadline: None,
        total_deadline: None,
        healthy_since: None,
        decided_at: None,
        retry_at: None,
        deferred_at: None,
    }
}

fn progress(fallbacks: BTreeMap<String, Image>) -> Vec<Progress> {
    fallbacks
        .into_iter()
        .map(|(name, fallback)| Progress { name, fallback, state: Try::Offered, healthy: false })
        .collect()
}

fn seen(phase: Phase, runs: Image, healthy: bool, about: Option<(Uuid, i32)>) -> Observation {
    Observation {
        name: "cache".to_owned(),
        runs,
        phase,
        healthy,
        reason: String::new(),
        message: String::new(),
        about,
        progress: 0,
        restarts: 0,
    }
}

// === Chance ===

fn any_policy() -> impl Strategy<Value = Policy> {
    let batches = prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec((1..6_u32, 0..120_u64, any::<bool>()), 1..4),
    ];
    let way = prop_oneof![Just(Way::Auto), Just(Way::Staged), Just(Way::Manual)];
    let on_failure =
        prop_oneof![Just(OnFailure::Rollback), Just(OnFailure::Pause), Just(OnFailure::Cancel)];
    (way, batches, on_failure, 0.0..=1.0_f64, 0..4_u32, 0..4_u32, 0..3_u32).prop_map(
        |(strategy, batches, on_failure, ratio, max_failures, max_consecutive, retries)| {
            let now = DateTime::UNIX_EPOCH;
            let batches = batches
                .into_iter()
                .map(|(count, soak, manual_gate)| BatchRule {
                    size: Size::Count(count),
                    soak: Duration::from_secs(soak),
                    success_threshold: 1.0,
                    manual_gate,
                })
                .collect();
            let mut rules = Rules { batches, on_failure, ..Rules::default() };
            rules.max_failure_ratio = ratio;
            rules.max_failures = max_failures;
            rules.max_consecutive = max_consecutive;
            rules.retry.max = retries;
            Policy {
                id: PolicyId(Uuid::nil()),
                name: None,
                priority: 0,
                image_pattern: "redis:*".to_owned(),
                strategy,
                enabled: true,
                batch_size: None,
                batch_delay: Some(Duration::from_secs(60)),
                rules,
                revision: 1,
                created_at: now,
                updated_at: now,
            }
        },
    )
}

fn any_fates() -> impl Strategy<Value = Vec<Vec<Fate>>> {
    let fate = prop_oneof![
        12 => Just(Fate::Works),
        2 => Just(Fate::PullFails),
        2 => Just(Fate::Unhealthy),
        1 => Just(Fate::RevertsAlone),
        1 => Just(Fate::Refuses),
        1 => Just(Fate::CannotRun),
        1 => Just(Fate::FallsSilent),
    ];
    proptest::collection::vec(proptest::collection::vec(fate, 1..3), 1..14)
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => any::<usize>().prop_map(Event::Act),
        8 => Just(Event::ActAll),
        3 => any::<usize>().prop_map(Event::Leave),
        3 => any::<usize>().prop_map(Event::Return),
        8 => Just(Event::WaitUntilDue),
        4 => (1..4_000_u32).prop_map(Event::Wait),
        2 => Just(Event::Start),
        2 => Just(Event::Promote),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        1 => any::<bool>().prop_map(|revert| Event::Cancel { revert }),
        1 => Just(Event::RollBack),
        1 => Just(Event::LoseApproval),
        1 => Just(Event::Supersede),
    ]
}

fn any_history() -> impl Strategy<Value = (Policy, Vec<Vec<Fate>>, Vec<bool>, Vec<Event>)> {
    let online = proptest::collection::vec(prop::bool::weighted(0.85), 1..14);
    let events = proptest::collection::vec(any_event(), 0..60);
    (any_policy(), any_fates(), online, events)
}

/// The property is worth what its histories reach: each end, stops by itself, tries again.
#[test]
fn histories_reach_every_end() {
    let config = ProptestConfig { cases: 1_500, ..ProptestConfig::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let reached = RefCell::new(BTreeMap::<String, u32>::new());
    let count = |what: &str| *reached.borrow_mut().entry(what.to_owned()).or_default() += 1;
    runner
        .run(&any_history(), |(policy, fates, online, events)| {
            let mut world = World::new(policy, fates, &online);
            for event in &events {
                world.happen(event);
            }
            world.run_to_the_end();
            count(world.rollout.state.as_str());
            for seat in &world.seats {
                count(seat.try_.state.as_str());
                seat.history.iter().for_each(|_| count("another try"));
            }
            Ok(())
        })
        .unwrap();
    let reached = reached.into_inner();
    for end in [
        "succeeded",
        "rolled_back",
        "rollback_incomplete",
        "cancelled",
        "superseded",
        "failed",
        "timed_out",
        "rejected",
        "skipped",
        "reverted",
        "revert_failed",
        "another try",
    ] {
        assert!(reached.get(end).is_some_and(|count| *count > 5), "{end}: {reached:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_rules_and_comes_to_an_end(
        (policy, fates, online, events) in any_history(),
    ) {
        let mut world = World::new(policy, fates, &online);
        world.check();
        for event in &events {
            world.happen(event);
        }
        world.run_to_the_end();
    }
}
