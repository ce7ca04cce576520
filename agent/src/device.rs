//! The loop of a device: look, decide, remember, do one thing, look again.
//!
//! It is level-triggered: whatever wakes it (a target, an answer, an engine's hint, a timer), it
//! looks at what is there and asks the [machine](crate::machine) anew. The link lives on during
//! every call of the engine, and a pull goes on beside everything.

mod hands;
mod trace;

use std::convert::Infallible;
use std::sync::Arc;

use runtime::{Code, Problem};
use workload::DevicePolicy;

use crate::board::Board;
use crate::chance::Chance;
use crate::engine::Engine;
use crate::identity::Identity;
use crate::link::{Connector, Driver, Inbox, Link, LinkConfig, link};
use crate::machine::{Action, Machine, Setup};
use crate::memory::Observed;
use crate::moment::{Moment, Time, earlier};
use crate::plan::Call;
use crate::platform::Platform;
use crate::storage::{LoadError, Storage, load_journal, save_journal};
use crate::timing::Timing;
use hands::{Event, Hands, PullEnd};
use trace::UpdateSpan;

/// What a device is made with.
pub struct DeviceConfig {
    /// Who it is.
    pub identity: Identity,
    /// Changes with every start of the kernel.
    pub boot_id: String,
    /// What it is.
    pub platform: Platform,
    /// What its owner allows.
    pub policy: Arc<DevicePolicy>,
    /// What runs its containers.
    pub engine: Arc<dyn Engine>,
    /// What it remembers with.
    pub storage: Arc<dyn Storage>,
    /// How it reaches the server.
    pub connector: Connector,
    /// Its durations.
    pub timing: Arc<Timing>,
    /// Its time.
    pub time: Time,
    /// Its jitter.
    pub chance: Chance,
    /// Where it shows itself.
    pub board: Board,
}

/// A device.
pub struct Device {
    work: Work,
    driver: Driver,
}

/// A device without its link's other end.
struct Work {
    machine: Machine,
    hands: Hands,
    link: Link,
    storage: Arc<dyn Storage>,
    timing: Arc<Timing>,
    time: Time,
    board: Board,
    span: UpdateSpan,
}

impl Device {
    /// Takes up what the device remembers.
    ///
    /// # Errors
    ///
    /// When what was stored cannot be read, or is of a newer version.
    pub fn open(mut config: DeviceConfig) -> Result<Self, LoadError> {
        let journal = load_journal(&*config.storage)?;
        let (link, driver) = link(LinkConfig {
            connector: config.connector,
            token: config.identity.token.clone(),
            boot_id: config.boot_id.clone(),
            platform: config.platform.clone(),
            timing: Arc::clone(&config.timing),
            time: config.time.clone(),
            chance: config.chance.fork(),
        });
        link.know(journal.generation(), journal.etag());
        let span = UpdateSpan::new(&config.identity.device_id);
        config.board.show(|seen| {
            seen.device_id.clone_from(&config.identity.device_id);
            seen.name.clone_from(&config.identity.name);
            (seen.linked, seen.phase) = (false, None);
        });
        let hands =
            Hands::new(config.engine, config.platform.clone(), &config.timing, config.time.clone());
        let setup = Setup {
            device_id: config.identity.device_id,
            boot_id: config.boot_id,
            platform: config.platform,
            policy: config.policy,
            timing: Arc::clone(&config.timing),
            chance: config.chance,
        };
        let work = Work {
            machine: Machine::new(setup, journal, config.time.now()),
            hands,
            link,
            storage: config.storage,
            timing: config.timing,
            time: config.time,
            board: config.board,
            span,
        };
        Ok(Self { work, driver })
    }

    /// The device's end of its link, for whoever takes the network away.
    #[must_use]
    pub fn link(&self) -> Link {
        self.work.link.clone()
    }

    /// Works for as long as it is polled. Dropping it at any point is a power cut.
    pub fn run(self) -> impl Future<Output = Infallible> {
        let Self { mut work, mut driver } = self;
        async move {
            let mut driver = std::pin::pin!(driver.run());
            let mut work = std::pin::pin!(work.run());
            tokio::select! {
                never = &mut work => never,
                never = &mut driver => never,
            }
        }
    }
}

impl Work {
    async fn run(&mut self) -> Infallible {
        loop {
            self.attend();
            if !self.look().await {
                continue;
            }
            let action = self.machine.step(self.time.now());
            self.span.follow(self.machine.journal());
            if !self.save() {
                // Nothing is done that could not be remembered.
                self.rest(self.time.now() + self.timing.engine_backoff.ceiling(3)).await;
                continue;
            }
            self.show();
            self.report();
            match action {
                Action::Call(call) => self.call(call).await,
                Action::Wait(until) => self.wait(until).await,
            }
        }
    }

    /// Looks at what there is. Where the engine does not answer, waits a little.
    async fn look(&mut self) -> bool {
        let containers = self.hands.containers();
        let containers = self.meanwhile(containers).await;
        let images = match containers {
            Ok(containers) => {
                let images = self.hands.images();
                self.meanwhile(images).await.map(|images| (containers, images))
            }
            Err(error) => Err(error),
        };
        let now = self.time.now();
        match images {
            Ok((containers, images)) => {
                let pull = self.hands.pull(now);
                self.machine.observe(Observed { containers, images, pull }, now);
                true
            }
            Err(error) => {
                tracing::warn!("the device cannot be looked at: {error}");
                self.machine.engine_failed(error);
                self.show();
                self.report();
                self.rest(now + self.timing.engine_backoff.ceiling(3)).await;
                false
            }
        }
    }

    async fn call(&mut self, call: Call) {
        let now = self.time.now();
        match &call {
            Call::Pull(image) => {
                self.hands.begin_pull(image, now);
                self.machine.observe_pull(self.hands.pull(now));
            }
            Call::CancelPull => {
                self.hands.cancel_pull();
                self.machine.done(&call, Ok(()), now);
            }
            Call::Create(_)
            | Call::Start(_)
            | Call::Stop(..)
            | Call::Remove(_)
            | Call::RemoveImage(_) => {
                let work = self.hands.call(call.clone());
                let result = self.meanwhile(work).await;
                self.machine.done(&call, result, self.time.now());
            }
        }
    }

    /// Waits for something of the engine, while link and pull go on.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                output = &mut work => return output,
                end = self.hands.pulled() => self.end_pull(end),
                () = self.link.changed() => {
                    self.attend();
                    self.report();
                }
            }
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, until: Option<Moment>) {
        let wake = self.machine.wake(until, self.time.now());
        loop {
            let next = earlier(wake, self.machine.report_due(self.time.now()));
            tokio::select! {
                biased;
                () = self.link.changed() => {
                    if self.attend() {
                        return;
                    }
                }
                event = self.hands.event() => match event {
                    Event::Moved => {
                        let now = self.time.now();
                        self.machine.observe_pull(self.hands.pull(now));
                        self.show();
                    }
                    Event::Pulled(end) => {
                        self.end_pull(end);
                        return;
                    }
                    Event::Changed => return,
                },
                () = self.time.sleep_until(next) => {
                    if wake.is_some_and(|wake| wake <= self.time.now()) {
                        return;
                    }
                }
            }
            self.report();
        }
    }

    /// Waits without looking.
    async fn rest(&mut self, end: Moment) {
        let time = self.time.clone();
        self.meanwhile(time.sleep_until(Some(end))).await;
    }

    fn end_pull(&mut self, end: PullEnd) {
        self.machine.done(&end.call, end.result, self.time.now());
    }

    /// Takes what the link has. Returns whether there may be something to do.
    fn attend(&mut self) -> bool {
        let Inbox { session, heard, known, target, answer } = self.link.take();
        let now = self.time.now();
        let mut something = false;
        if heard {
            self.machine.heard(now);
        }
        if known {
            something |= self.machine.target_is_known(now);
        }
        if let Some(target) = target {
            something |= self.machine.offer(&target, now);
            let journal = self.machine.journal();
            self.link.know(journal.generation(), journal.etag());
            self.show();
        }
        if let Some((seq, answer)) = answer {
            self.count_answer(&answer);
            something |= self.machine.answered(seq, answer, now);
        }
        match session {
            Some(Some(terms)) => self.machine.linked(terms, now),
            Some(None) => self.machine.unlinked(),
            None => {}
        }
        if let Some(session) = session {
            self.board.show(|seen| {
                seen.linked = session.is_some();
                seen.sessions += u32::from(session.is_some());
            });
        }
        if self.machine.must_ask() {
            self.link.ask();
        }
        something
    }

    fn count_answer(&self, answer: &Result<proto::rollout::v1::ReportResponse, Problem>) {
        let Ok(response) = answer else { return };
        self.board.show(|seen| {
            seen.reports += 1;
            seen.stale += u32::from(response.stale);
        });
    }

    /// Sends a report if one is due and its number can be remembered.
    fn report(&mut self) {
        let now = self.time.now();
        let Some(report) = self.machine.report(now) else { return };
        if self.save() {
            let seq = report.seq;
            self.link.send(report);
            self.board.show(|seen| seen.last_seq = seq);
            return;
        }
        let problem = Problem::new(
            Code::Unavailable,
            proto::reason::DISK_FULL,
            "the device cannot remember the number of its report",
        );
        self.machine.answered(report.seq, Err(problem), now);
    }

    /// Stores the journal if it changed.
    fn save(&mut self) -> bool {
        if !self.machine.unsaved() {
            return true;
        }
        match save_journal(&*self.storage, self.machine.journal()) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!("the journal cannot be stored, so nothing is done: {error}");
                self.machine.not_saved();
                false
            }
        }
    }

    fn show(&self) {
        let rows = self.machine.rows(self.time.now());
        let journal = self.machine.journal();
        self.board.show(|seen| {
            seen.generation = journal.generation();
            journal.etag().clone_into(&mut seen.etag);
            seen.rows = rows;
            seen.phase = self.machine.phase();
            seen.tally = self.machine.tally();
        });
    }
}
