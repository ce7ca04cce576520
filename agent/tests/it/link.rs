//! One device against a server on a real socket.

use std::time::Duration;

use agent::engine::simulated::FaultKind;
use agent::transaction::Phase;
use agent::{
    Connections, Profile, SimulatedDevice, SimulatedGroup, Simulator, SimulatorConfig, Timing,
};
use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::subscribe_response::Event;
use runtime::secret::Secret;
use runtime::{Clock, Code, Problem};

use crate::server::Scripted;
use crate::targets::{digest, millis, reference, seconds, service, target, update, with};

/// An update whose durations are those of a test.
fn fast(name: &str, version: &str, rollout: &str, fallback: &str) -> pb::Service {
    let mut service = update(name, version, rollout, 1, fallback);
    let terms = service.rollout.as_mut().unwrap();
    (terms.verify, terms.soak) = (seconds(5), millis(50));
    terms.dead_man = seconds(20);
    service
}

/// One simulated device, without waiting.
struct One {
    server: Scripted,
    simulator: Simulator,
}

impl One {
    async fn start(profile: Profile) -> Self {
        Self::with(profile, Timing::fast(), Clock::system()).await
    }

    async fn with(profile: Profile, timing: Timing, clock: Clock) -> Self {
        let server = Scripted::start().await;
        server.send(with(target(1), vec![service("web", "1")]));
        let simulator = Simulator::start(config(&server, profile, timing, clock)).unwrap();
        Self { server, simulator }
    }

    fn device(&self) -> &SimulatedDevice {
        &self.simulator.devices()[0]
    }

    async fn wait_for(&self, what: &str, is_so: impl Fn(&SimulatedDevice) -> bool) {
        let waited = self
            .simulator
            .wait_for(what, Duration::from_secs(60), |devices| is_so(&devices[0]))
            .await;
        if let Err(error) = waited {
            panic!("{error}; {:#?}", self.device().seen());
        }
    }

    /// Waits until version 1 is committed and reported.
    async fn is_running(&self) {
        self.wait_for("version 1", |device| device.seen().tally.committed == 1).await;
        self.server.wait_for("its report", |state| state.says("web", pb::Phase::Running, "")).await;
    }

    fn version(&self) -> String {
        version(self.device())
    }
}

fn reports(server: &Scripted) -> u32 {
    u32::try_from(server.with(|state| state.reports.len())).unwrap()
}

fn version(device: &SimulatedDevice) -> String {
    let seen = device.seen();
    let reference = seen.row("web").map(|row| row.reference.clone()).unwrap_or_default();
    reference.rsplit(':').next().unwrap_or_default().to_owned()
}

fn config(server: &Scripted, profile: Profile, timing: Timing, clock: Clock) -> SimulatorConfig {
    let group = SimulatedGroup { profile, ..SimulatedGroup::new("sim", 1, Secret::new("key")) };
    SimulatorConfig {
        link_url: server.url(),
        groups: vec![group],
        timing,
        clock,
        storage: None,
        connections: Connections::Own,
        seed: 1,
    }
}

fn quick() -> Profile {
    Profile::good().scaled(0.02)
}

#[tokio::test]
async fn a_device_enrols_runs_its_target_and_reports_it() {
    let one = One::start(quick()).await;
    one.is_running().await;
    let (device, report) = one.server.with(|state| state.reports.last().cloned()).unwrap();
    assert_eq!(one.device().seen().device_id, device);
    assert_eq!(one.device().seen().name, "sim-0001");
    assert_eq!((report.generation, report.etag.as_str()), (1, "etag-1"));
    assert_eq!(report.traceparent, target(1).traceparent);
    let row = &report.services[0];
    assert!(row.healthy && row.digest == digest("web", "1"));
    let hello = one.server.with(|state| state.subscribed[0].1.clone());
    assert_eq!((hello.known_generation, hello.known_etag.as_str()), (0, ""));
    assert_eq!(hello.platform.unwrap().architecture, "amd64");
}

#[tokio::test]
async fn a_name_that_is_taken_leaves_the_choice_to_the_server() {
    let server = Scripted::start().await;
    server.with(|state| state.taken.push("sim-0001".to_owned()));
    let config = config(&server, quick(), Timing::fast(), Clock::system());
    let simulator = Simulator::start(config).unwrap();
    let named = |devices: &[SimulatedDevice]| devices[0].seen().name == "device-1";
    simulator.wait_for("a name", Duration::from_secs(60), named).await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_told_and_tried_again() {
    let server = Scripted::start().await;
    let mut config = config(&server, quick(), Timing::fast(), Clock::system());
    config.groups[0].enrolment_key = Some(Secret::new("wrong"));
    let simulator = Simulator::start(config).unwrap();
    let told = |devices: &[SimulatedDevice]| devices[0].seen().problem == "no such key";
    simulator.wait_for("the problem", Duration::from_secs(60), told).await.unwrap();
    assert_eq!(simulator.summary().problems["no such key"], 1);
}

#[tokio::test]
async fn a_stream_that_is_cut_is_opened_again_with_what_is_known() {
    let one = One::start(quick()).await;
    one.is_running().await;
    let writes = one.device().calls().writes();
    for round in 2..5 {
        one.server.end_streams(None).await;
        one.server
            .wait_for("the stream", |state| state.subscribed.len() >= round && state.open() == 1)
            .await;
    }
    one.wait_for("the session", |device| device.seen().linked && device.seen().sessions >= 4).await;
    let hello = one.server.with(|state| state.subscribed.last().unwrap().1.clone());
    assert_eq!((hello.known_generation, hello.known_etag.as_str()), (1, "etag-1"));
    assert_eq!(one.device().calls().writes(), writes, "nothing was applied again");
}

#[tokio::test]
async fn the_same_target_a_hundred_times_is_not_even_looked_at() {
    let one = One::start(quick()).await;
    one.is_running().await;
    one.server.send(with(target(2), vec![fast("web", "2", "r", "1")]));
    one.wait_for("version 2", |device| device.seen().tally.committed == 2).await;
    let reported = |state: &crate::server::State| {
        state.newest().is_some_and(|report| report.generation == 2)
            && state.says("web", pb::Phase::Running, "r")
    };
    one.server.wait_for("its report", reported).await;
    // One more round trip, so that the device has come to rest.
    one.server
        .send(pb::TargetState { generation: 3, ..one.server.with(|state| state.target.clone()) });
    one.wait_for("generation 3", |device| device.seen().generation == 3).await;
    let calls = || (one.device().calls().reads(), one.device().calls().writes());
    let before = calls();
    for _ in 0..100 {
        one.server.send(one.server.with(|state| state.target.clone()));
    }
    let sessions = one.device().seen().sessions;
    one.server.push(&Event::Drain(pb::Drain { reconnect_after: millis(1) }));
    one.wait_for("the next session", |device| device.seen().sessions > sessions).await;
    assert_eq!(calls(), before);
}

#[tokio::test]
async fn targets_that_come_twice_or_late_change_nothing() {
    let one = One::start(quick()).await;
    one.is_running().await;
    let two = with(target(2), vec![fast("web", "2", "r", "1")]);
    let three = with(target(3), vec![fast("web", "3", "r3", "1")]);
    for event in [&two, &three, &two, &three, &two] {
        one.server.with(|state| state.target = event.clone());
        one.server.send(event.clone());
    }
    one.wait_for("version 3", |device| version(device) == "3" && device.seen().phase.is_none())
        .await;
    assert_eq!(one.device().seen().generation, 3);
    assert!(one.server.with(|state| {
        state.reports.iter().all(|(_, report)| {
            report
                .services
                .iter()
                .all(|row| row.phase() != pb::Phase::Failed && row.phase() != pb::Phase::Reverted)
        })
    }));
}

#[tokio::test]
async fn a_drained_device_comes_back_when_it_was_asked_to() {
    let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
    let mut timing = Timing::fast();
    timing.link.boot = Duration::ZERO;
    let profile = Profile::good().scaled(0.0);
    timing.soak = Duration::ZERO;
    let one = One::with(profile, timing, clock.clone()).await;
    one.is_running().await;
    let streams = one.server.with(|state| state.subscribed.len());
    one.server.push(&Event::Drain(pb::Drain { reconnect_after: seconds(7) }));
    one.wait_for("the end", |device| !device.seen().linked).await;
    clock.advance(Duration::from_millis(6_900));
    tokio::task::yield_now().await;
    assert_eq!(one.server.with(|state| state.subscribed.len()), streams);
    clock.advance(Duration::from_millis(200));
    one.wait_for("the session", |device| device.seen().linked).await;
    assert_eq!(one.server.with(|state| state.subscribed.len()), streams + 1);
}

#[tokio::test]
async fn each_refusal_has_its_own_wait() {
    let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
    let mut timing = Timing::fast();
    timing.link.boot = Duration::ZERO;
    timing.soak = Duration::ZERO;
    timing.link.superseded = (Duration::from_secs(300), Duration::from_secs(900));
    timing.link.unauthenticated = (Duration::from_secs(300), Duration::from_secs(3_600));
    let one = One::with(Profile::good().scaled(0.0), timing, clock.clone()).await;
    one.is_running().await;
    let busy = Problem::new(Code::ResourceExhausted, reason::TOO_MANY_CONNECTS, "later")
        .retry_after(Duration::from_secs(40));
    let cases = [
        (Problem::new(Code::Aborted, reason::SESSION_SUPERSEDED, "newer"), 300, 900),
        (Problem::new(Code::Unauthenticated, reason::DEVICE_REVOKED, "revoked"), 300, 3_600),
        (busy, 40, 80),
    ];
    for (problem, least, most) in cases {
        let sessions = one.device().seen().sessions;
        one.server.end_streams(Some(problem.clone())).await;
        one.wait_for("the end", |device| !device.seen().linked).await;
        clock.advance(Duration::from_secs(least - 1));
        tokio::task::yield_now().await;
        assert_eq!(one.device().seen().sessions, sessions, "{problem:?}");
        clock.advance(Duration::from_secs(most - least + 2));
        one.wait_for("the session", |device| device.seen().sessions == sessions + 1).await;
        assert_eq!(one.version(), "1", "workloads are untouched");
    }
}

#[tokio::test]
async fn a_device_whose_streams_break_asks_for_its_target_instead() {
    let one = One::start(quick()).await;
    one.is_running().await;
    let problem = Problem::new(Code::Unavailable, "PEER_UNREACHABLE", "a proxy cuts streams");
    one.server.with(|state| state.refuse_streams = Some(problem.clone()));
    one.server.end_streams(Some(problem)).await;
    one.server.wait_for("a question", |state| state.asked > 0).await;
    // What it learns so it does, and says.
    one.server.with(|state| state.target = with(target(2), vec![fast("web", "2", "r", "1")]));
    one.wait_for("version 2", |device| device.seen().tally.committed == 2).await;
    assert!(one.server.with(|state| state.says("web", pb::Phase::Running, "r")));
    // Streams are tried again now and then.
    let streams = one.server.with(|state| {
        state.refuse_streams = None;
        state.subscribed.len()
    });
    one.server
        .wait_for("the stream", |state| state.subscribed.len() > streams && state.open() == 1)
        .await;
}

#[tokio::test]
async fn a_silent_server_makes_a_device_go_back_alone() {
    let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
    let mut timing = Timing::fast();
    timing.link.boot = Duration::ZERO;
    timing.soak = Duration::ZERO;
    let one = One::with(Profile::good().scaled(0.0), timing, clock.clone()).await;
    one.is_running().await;

    let mut update = fast("web", "2", "r", "1");
    let terms = update.rollout.as_mut().unwrap();
    (terms.soak, terms.dead_man) = (seconds(60), seconds(900));
    one.server.send(with(target(2), vec![update]));
    one.server.wait_for("the swap", |state| state.says("web", pb::Phase::Verifying, "r")).await;
    // Calls have their time on the same clock: this one is answered before it goes on.
    one.wait_for("the answer", |device| {
        device.seen().phase == Some(Phase::Verifying)
            && device.seen().reports == reports(&one.server)
    })
    .await;
    one.server.with(|state| state.silent = true);
    clock.advance(Duration::from_secs(61));
    one.server.wait_for("the soak", |state| state.says("web", pb::Phase::Running, "r")).await;
    assert_eq!(one.version(), "2");
    one.device().set_plugged(false);
    one.wait_for("the cut", |device| !device.seen().linked).await;
    clock.advance(Duration::from_secs(840));
    one.wait_for("version 1", |device| device.seen().tally.reverted == 1).await;
    assert_eq!(one.version(), "1");

    one.server.with(|state| state.silent = false);
    one.device().set_plugged(true);
    clock.advance(Duration::from_secs(60));
    one.server.wait_for("the end", |state| state.says("web", pb::Phase::Reverted, "r")).await;
    let told = one.server.with(|state| state.newest().unwrap().services[0].clone());
    assert_eq!((told.reason.as_str(), told.digest), (reason::NO_CONTACT, digest("web", "1")));
}

#[tokio::test]
async fn an_end_that_could_not_be_told_is_told_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let bad = quick().with_fault(&reference("web", "2"), FaultKind::StartFails);
    let mut config = config(&server, bad, Timing::fast(), Clock::system());
    config.storage = Some(folder.path().join("devices"));
    let one = One { simulator: Simulator::start(config.clone()).unwrap(), server };
    one.is_running().await;
    let away = Problem::new(Code::Unavailable, "PEER_UNREACHABLE", "away");
    one.server.with(|state| state.refuse_reports = Some(away));
    one.server.send(with(target(2), vec![fast("web", "2", "r", "1")]));
    one.wait_for("version 1", |device| device.seen().tally.reverted == 1).await;
    let One { server, simulator } = one;
    simulator.stop().await;

    // Meanwhile the server has given up on it.
    server.send(with(target(3), vec![service("web", "1")]));
    server.with(|state| state.refuse_reports = None);
    let again = Simulator::start(config).unwrap();
    server.wait_for("the end", |state| state.says("web", pb::Phase::Reverted, "r")).await;
    server.wait_for("what runs", |state| state.says("web", pb::Phase::Running, "")).await;
    assert_eq!(again.devices()[0].seen().device_id, server.with(|s| s.reports[0].0.clone()));
    let seqs =
        server.with(|state| state.reports.iter().map(|(_, report)| report.seq).collect::<Vec<_>>());
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

#[tokio::test]
async fn a_stale_answer_is_settled_by_asking_what_should_run() {
    let one = One::start(quick()).await;
    one.is_running().await;
    one.server.with(|state| state.over.push(("r".to_owned(), 1)));
    one.server.send(with(target(2), vec![fast("web", "2", "r", "1")]));
    one.wait_for("the commit", |device| device.seen().tally.committed == 2).await;
    assert!(one.server.with(|state| state.asked) >= 1);
    assert!(one.device().seen().stale >= 1);
}
