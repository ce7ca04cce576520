//! What happens: devices act, operators command, time passes.

use super::*;

impl World {
    pub(super) fn happen(&mut self, event: &Event) {
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

    pub(super) fn resume(&mut self) {
        if self.rollout.revoked_reason.is_empty() {
            self.tripped = false;
        }
        self.rollout.acknowledged_at = Some(self.now);
        self.promote();
        self.enter(State::Running);
    }

    pub(super) fn promote(&mut self) {
        let next = plan::current_batch(&self.batches)
            .and_then(|current| plan::next_batch(&self.batches, current))
            .map(|next| next.number);
        if let Some(number) = next {
            self.batches[number as usize - 1].promoted_at = Some(self.now);
        }
    }

    pub(super) fn supersede(&mut self) {
        self.tripped = true;
        self.enter(State::Superseded);
        self.withdraw(Turn::Superseded);
    }

    pub(super) fn come_back(&mut self, index: usize) {
        self.devices[index].online = true;
        let seat = &mut self.seats[index];
        if seat.try_.state == Try::Deferred {
            seat.try_.state = Try::Queued;
            seat.try_.deferred_at = None;
        }
    }

    pub(super) fn act(&mut self, index: usize) {
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

    pub(super) fn observe(&mut self, index: usize, try_: &Assignment) -> Option<Observation> {
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

    /// Everybody comes back, does what it has to and nobody interferes any more.
    pub(super) fn run_to_the_end(&mut self) {
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
