//! The link to the server.
//!
//! It holds at most one stream, hands the device the newest target, sends the device's reports one
//! at a time, and comes back after every end as late as that end asks for. It decides nothing: what
//! a target or an answer means is the [machine's](crate::machine::Machine) business.

mod connector;
mod mailbox;
mod reconnect;
mod wire;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use proto::rollout::v1 as pb;
use proto::rollout::v1::subscribe_response::Event;
use runtime::Problem;
use runtime::secret::Secret;

use crate::chance::Chance;
use crate::machine::SessionTerms;
use crate::moment::{Moment, Time};
use crate::platform::Platform;
use crate::timing::Timing;
use mailbox::{Known, Mailbox, Work};
use wire::Wire;

pub use connector::{AddressError, Connector};
pub use mailbox::Inbox;
pub use reconnect::{Ending, Reconnect};
pub use wire::enroll;

/// What a link is made with.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// How to reach the server.
    pub connector: Connector,
    /// The device's token.
    pub token: Secret,
    /// Changes with every start of the kernel.
    pub boot_id: String,
    /// What the device is.
    pub platform: Platform,
    /// The agent's own durations.
    pub timing: Arc<Timing>,
    /// The device's time.
    pub time: Time,
    /// Jitter.
    pub chance: Chance,
}

/// The device's end of a link.
#[derive(Debug, Clone)]
pub struct Link(Mailbox);

/// The network's end of a link; it works while [`Driver::run`] is polled.
#[derive(Debug)]
pub struct Driver {
    config: LinkConfig,
    mailbox: Mailbox,
    reconnect: Reconnect,
    skew: Option<chrono::TimeDelta>,
}

/// A call that is under way.
type Call = BoxFuture<'static, Done>;

/// What came of a call.
enum Done {
    Reported(i64, Result<pb::ReportResponse, Problem>),
    Asked(Result<pb::GetTargetResponse, Problem>),
}

/// Makes both ends.
#[must_use]
pub fn link(config: LinkConfig) -> (Link, Driver) {
    let mailbox = Mailbox::default();
    let reconnect = Reconnect::default();
    (Link(mailbox.clone()), Driver { config, mailbox, reconnect, skew: None })
}

impl Link {
    /// Waits until the link has something for the device.
    pub async fn changed(&self) {
        self.0.delivered().await;
    }

    /// Takes what the link has for the device.
    #[must_use]
    pub fn take(&self) -> Inbox {
        self.0.take_inbox()
    }

    /// Sends a report; its answer comes by the inbox, unless the connection ends.
    pub fn send(&self, report: pb::ReportRequest) {
        self.0.post_report(report);
    }

    /// Asks for the target.
    pub fn ask(&self) {
        self.0.post_ask();
    }

    /// Says which target the device has accepted.
    pub fn know(&self, generation: i64, etag: &str) {
        self.0.set_known(Known { generation, etag: etag.to_owned() });
    }

    /// Takes the network away, or gives it back.
    pub fn set_plugged(&self, plugged: bool) {
        self.0.set_plugged(plugged);
    }
}

impl Driver {
    /// Keeps the link for as long as it is polled.
    pub async fn run(&mut self) -> Infallible {
        let timing = Arc::clone(&self.config.timing);
        let mut wait = Reconnect::boot(&timing.link, &mut self.config.chance);
        loop {
            self.config.time.sleep(wait).await;
            self.mailbox.plugged(true).await;
            let began = self.config.time.now();
            let ending = if self.reconnect.asks_instead(&timing.link) {
                Box::pin(self.ask_for_targets()).await
            } else {
                self.hold_stream().await
            };
            self.mailbox.forget_work();
            self.mailbox.deliver(|inbox| inbox.session = Some(None));
            let lasted = self.config.time.now().since(began);
            let chance = &mut self.config.chance;
            wait = self.reconnect.after(&ending, lasted, &timing.link, chance);
            tracing::debug!(?ending, wait_ms = wait.as_millis(), "the link ended");
        }
    }

    async fn connect(&self) -> Option<Wire> {
        let limit = self.config.timing.link.answer;
        let connected = self.config.time.within(limit, self.config.connector.connect()).await;
        match connected? {
            Ok(channel) => Some(Wire::new(channel, &self.config)),
            Err(problem) => {
                tracing::debug!("{problem}");
                None
            }
        }
    }

    /// Opens a stream and holds it until it ends.
    async fn hold_stream(&mut self) -> Ending {
        // What opens a stream is large and soon over; a device holds its stream for long.
        let Some(wire) = Box::pin(self.connect()).await else { return Ending::Unreachable };
        let opened = Box::pin(wire.subscribe(self.mailbox.known())).await;
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(problem) => return ending_of(&problem),
        };
        let mut call: Option<Call> = None;
        let mut first = Some(self.config.time.now() + self.config.timing.link.answer);
        loop {
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(message)) => {
                        if first.take().is_some() {
                            self.open_session(message.session.as_ref());
                        }
                        if let Some(hint) = self.take_event(message.event) {
                            self.finish(call).await;
                            return Ending::Drained(hint);
                        }
                    }
                    Ok(None) => return Ending::Broken,
                    Err(status) => return ending_of(&Problem::from(status)),
                },
                () = self.config.time.sleep_until(first) => return Ending::Broken,
                done = wait_for(&mut call) => self.take_done(done),
                work = self.mailbox.next_work(), if call.is_none() => {
                    call = Some(wire.begin(work, self.mailbox.known()));
                }
                () = self.mailbox.plugged(false) => return Ending::Broken,
            }
        }
    }

    /// Asks for the target again and again, since streams do not last here.
    async fn ask_for_targets(&mut self) -> Ending {
        let Some(wire) = Box::pin(self.connect()).await else { return Ending::Unreachable };
        let now = self.config.time.now();
        let stream_retry = now + self.config.timing.link.stream_retry;
        let mut call = Some(wire.begin(Work::Ask, self.mailbox.known()));
        let mut next: Option<Moment> = None;
        let mut is_open = false;
        loop {
            tokio::select! {
                done = wait_for(&mut call) => {
                    if let Done::Asked(answer) = &done {
                        let response = match answer {
                            Ok(response) => response,
                            Err(problem) => {
                                self.reconnect.blame_server();
                                return ending_of(problem);
                            }
                        };
                        if !is_open {
                            self.open_polled(response);
                            is_open = true;
                        }
                        next = Some(self.next_poll(response));
                    }
                    self.take_done(done);
                }
                work = self.mailbox.next_work(), if call.is_none() => {
                    call = Some(wire.begin(work, self.mailbox.known()));
                }
                () = self.config.time.sleep_until(next), if call.is_none() => {
                    if self.config.time.now() >= stream_retry {
                        self.reconnect.allow_one_stream(&self.config.timing.link);
                        return Ending::Retry;
                    }
                    call = Some(wire.begin(Work::Ask, self.mailbox.known()));
                }
                () = self.mailbox.plugged(false) => return Ending::Broken,
            }
        }
    }

    fn next_poll(&mut self, response: &pb::GetTargetResponse) -> Moment {
        let wanted = response.report_interval.and_then(|wait| Duration::try_from(wait).ok());
        let interval = wanted.unwrap_or(self.config.timing.link.poll);
        self.config.time.now() + self.config.chance.around(interval, 0.2)
    }

    fn open_session(&mut self, session: Option<&pb::Session>) {
        let terms = SessionTerms {
            last_seq: session.map_or(0, |session| session.last_seq),
            report_interval: session
                .and_then(|session| session.report_interval)
                .and_then(|interval| Duration::try_from(interval).ok()),
        };
        self.note_clock(session.and_then(|session| session.server_time));
        self.mailbox.deliver(|inbox| {
            inbox.heard = true;
            inbox.session = Some(Some(terms));
        });
    }

    fn open_polled(&self, response: &pb::GetTargetResponse) {
        let terms = SessionTerms { last_seq: response.last_seq, report_interval: None };
        self.mailbox.deliver(|inbox| inbox.session = Some(Some(terms)));
    }

    /// Says once how wrong the device's clock is. Nothing is timed by it, so nothing is set.
    fn note_clock(&mut self, server: Option<prost_types::Timestamp>) {
        let Some(server) = server.and_then(|time| {
            chrono::DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
        }) else {
            return;
        };
        let skew = self.config.time.wall() - server;
        let is_wrong = skew.abs() > chrono::TimeDelta::minutes(1);
        if is_wrong && self.skew.is_none() {
            tracing::warn!(seconds = skew.num_seconds(), "the device's clock is wrong");
        }
        self.skew = is_wrong.then_some(skew);
    }

    /// Takes what a message says. Returns when to come again where the server goes away.
    fn take_event(&self, event: Option<Event>) -> Option<Duration> {
        match event {
            Some(Event::Target(target)) => self.mailbox.deliver_target(target),
            Some(Event::NotModified(_)) => self.mailbox.deliver(|inbox| {
                inbox.heard = true;
                inbox.known = true;
            }),
            Some(Event::Drain(drain)) => {
                let hint = drain.reconnect_after.and_then(|wait| Duration::try_from(wait).ok());
                return Some(hint.unwrap_or_default());
            }
            None => {}
        }
        None
    }

    fn take_done(&self, done: Done) {
        match done {
            Done::Reported(seq, answer) => {
                self.mailbox.deliver(|inbox| inbox.answer = Some((seq, answer)));
            }
            Done::Asked(Ok(response)) => match response.target {
                Some(target) => self.mailbox.deliver_target(target),
                None => self.mailbox.deliver(|inbox| {
                    inbox.heard = true;
                    inbox.known = true;
                }),
            },
            Done::Asked(Err(problem)) => tracing::debug!("asking for the target failed: {problem}"),
        }
    }

    /// Waits for the answer to a report that was sent before the server said that it goes.
    async fn finish(&self, mut call: Option<Call>) {
        if call.is_some() {
            let done = wait_for(&mut call).await;
            self.take_done(done);
        }
    }
}

/// Waits for the call that is under way; for ever when there is none.
async fn wait_for(call: &mut Option<Call>) -> Done {
    match call {
        Some(under_way) => {
            let done = under_way.await;
            *call = None;
            done
        }
        None => std::future::pending().await,
    }
}

/// How a connection ends with this problem.
#[must_use]
pub fn ending_of(problem: &Problem) -> Ending {
    use runtime::Code;
    match problem.code() {
        Code::Unauthenticated | Code::PermissionDenied => Ending::Unknown,
        Code::Aborted if problem.reason() == proto::reason::SESSION_SUPERSEDED => {
            Ending::Superseded
        }
        Code::ResourceExhausted => Ending::Busy(problem.retry_time()),
        Code::Aborted
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal => Ending::Broken,
    }
}
