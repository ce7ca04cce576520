//! What the driver does: the plan applied to plain values.

use super::*;

impl World {
    pub(super) fn new(policy: Policy, fates: Vec<Vec<Fate>>, online: &[bool]) -> Self {
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

    pub(super) fn rules(&self) -> Rules {
        self.rollout.policy.rules.clone()
    }

    pub(super) fn release(&self) -> Image {
        self.rollout.release.image()
    }

    pub(super) fn drive(&mut self) {
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

    pub(super) fn count(&mut self) {
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

    pub(super) fn view(&self) -> View<'_> {
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

    pub(super) fn work_off_due(&mut self) -> bool {
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

    pub(super) fn store(&mut self, index: usize, mut next: Assignment, effect: Effect) {
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

    pub(super) fn restore(&mut self, index: usize) -> Option<i64> {
        let release = self.release();
        let device = &mut self.devices[index];
        let restored = device.target.restored(self.rollout.id.0, &release)?;
        assert!(restored.generation > device.target.generation);
        device.target = restored;
        Some(device.target.generation)
    }

    pub(super) fn apply(&mut self, step: Step) {
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

    pub(super) fn enter(&mut self, state: State) {
        assert!(!self.rollout.state.is_terminal(), "{:?} never changes", self.rollout.state);
        self.rollout.state = state;
        self.count();
        self.check_end(state);
    }

    pub(super) fn offer(&mut self, count: u32) {
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

    pub(super) fn substitute(&mut self, batch: u32, count: u32) {
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
    pub(super) fn turn(&mut self, state: State, revert: bool) {
        self.enter(state);
        self.rollout.turned_at = Some(self.now);
        self.rollout.cancel_reverts = revert;
        self.withdraw(if revert { Turn::Back } else { Turn::Keep });
    }

    pub(super) fn withdraw(&mut self, turn: Turn) {
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

    pub(super) fn revert(&mut self, count: u32) {
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
