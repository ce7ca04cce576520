//! Many devices at once.

use std::time::Duration;

use agent::engine::simulated::FaultKind;
use agent::{
    Connections, Profile, SimulatedDevice, SimulatedGroup, Simulator, SimulatorConfig, Timing,
};
use proto::rollout::v1 as pb;
use runtime::Clock;
use runtime::secret::Secret;

use crate::server::Scripted;
use crate::targets::{digest, millis, reference, seconds, service, target, update, with};

const LIMIT: Duration = Duration::from_secs(120);

fn group(devices: usize, profile: Profile) -> SimulatedGroup {
    SimulatedGroup { profile, ..SimulatedGroup::new("sim", devices, Secret::new("key")) }
}

fn config(server: &Scripted, group: SimulatedGroup) -> SimulatorConfig {
    SimulatorConfig {
        link_url: server.url(),
        groups: vec![group],
        timing: Timing::fast(),
        clock: Clock::system(),
        storage: None,
        connections: Connections::Own,
        seed: 7,
    }
}

fn to_two() -> pb::TargetState {
    let mut update = update("web", "2", "r", 1, "1");
    let terms = update.rollout.as_mut().unwrap();
    (terms.verify, terms.soak, terms.dead_man) = (seconds(30), millis(20), seconds(120));
    with(target(2), vec![update])
}

fn all(is_so: impl Fn(&SimulatedDevice) -> bool) -> impl FnMut(&[SimulatedDevice]) -> bool {
    move |devices| devices.iter().all(&is_so)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_devices_update_at_once() {
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let mut config = config(&server, group(1_000, Profile::good().scaled(0.05)));
    config.connections = Connections::Shared(50);
    config.timing.link.boot = Duration::from_secs(2);
    let simulator = Simulator::start(config).unwrap();
    let committed = |times| all(move |device| device.seen().tally.committed == times);
    simulator.wait_for("version 1 everywhere", LIMIT, committed(1)).await.unwrap();
    server.send(to_two());
    simulator.wait_for("version 2 everywhere", LIMIT, committed(2)).await.unwrap();
    assert_eq!(server.with(|state| state.running("web", &digest("web", "2"))), 1_000);
    let pulls: u32 = simulator.devices().iter().map(|device| device.calls().pulls()).sum();
    assert_eq!(pulls, 2_000, "each image is pulled once by each");
    let summary = simulator.summary();
    assert_eq!((summary.enrolled, summary.linked, summary.updating), (1_000, 1_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn flaky_devices_end_with_one_version_or_the_other() {
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let profile = "flaky,unhealthy:20%".parse::<Profile>().unwrap().scaled(0.02);
    let mut config = config(&server, group(60, profile));
    config.timing.verify = Duration::from_secs(1);
    let simulator = Simulator::start(config).unwrap();
    let is_good = all(|device| {
        device.seen().row("web").is_some_and(|row| row.healthy) && device.seen().phase.is_none()
    });
    simulator.wait_for("version 1 everywhere", LIMIT, is_good).await.unwrap();
    let mut two = to_two();
    two.services[0].rollout.as_mut().unwrap().verify = seconds(1);
    server.send(two);
    let is_over = all(|device| {
        let seen = device.seen();
        let is_final = seen.row("web").is_some_and(|row| {
            row.standing.is_final() || row.digest == digest("web", "2") && row.healthy
        });
        seen.generation == 2 && seen.phase.is_none() && is_final
    });
    simulator.wait_for("an end everywhere", LIMIT, is_over).await.unwrap();
    let runs = |version: &str| {
        let digest = digest("web", version);
        let devices = simulator.devices().iter();
        devices
            .filter(|device| device.seen().row("web").is_some_and(|row| row.digest == digest))
            .count()
    };
    assert!(runs("1") >= 5 && runs("2") >= 25, "{} {}", runs("1"), runs("2"));
    assert_eq!(runs("1") + runs("2"), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_bad_tag_fails_on_the_devices_and_another_does_not() {
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let profile =
        Profile::good().scaled(0.02).with_fault(&reference("web", "2"), FaultKind::Unhealthy);
    let simulator = Simulator::start(config(&server, group(5, profile))).unwrap();
    let committed = all(|device| device.seen().tally.committed == 1);
    simulator.wait_for("version 1", LIMIT, committed).await.unwrap();
    let mut bad = to_two();
    bad.services[0].rollout.as_mut().unwrap().verify = millis(300);
    server.send(bad);
    let reverted = all(|device| device.seen().tally.reverted == 1);
    simulator.wait_for("version 1 again", LIMIT, reverted).await.unwrap();
    let mut good = update("web", "3", "r3", 1, "1");
    good.rollout.as_mut().unwrap().soak = millis(20);
    server.send(with(target(3), vec![good]));
    let committed = all(|device| device.seen().tally.committed == 2);
    simulator.wait_for("version 3", LIMIT, committed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_the_same_after_a_restart_and_apply_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let mut config = config(&server, group(20, Profile::good().scaled(0.02)));
    config.storage = Some(folder.path().join("devices"));
    let simulator = Simulator::start(config.clone()).unwrap();
    let committed = all(|device| device.seen().tally.committed == 1);
    simulator.wait_for("version 1", LIMIT, committed).await.unwrap();
    let ids = |simulator: &Simulator| {
        simulator.devices().iter().map(|device| device.seen().device_id).collect::<Vec<_>>()
    };
    let before = ids(&simulator);
    simulator.stop().await;

    // The key is needed once only.
    config.groups[0].enrolment_key = None;
    let simulator = Simulator::start(config).unwrap();
    let linked = all(|device| {
        let seen = device.seen();
        seen.linked && seen.reports > 0 && seen.row("web").is_some_and(|row| row.healthy)
    });
    simulator.wait_for("the sessions", LIMIT, linked).await.unwrap();
    assert_eq!(ids(&simulator), before);
    for device in simulator.devices() {
        assert_eq!(device.calls().writes(), 0);
        assert_eq!(device.seen().row("web").unwrap().digest, digest("web", "1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_starts_its_services_again_after_a_power_cut() {
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let simulator =
        Simulator::start(config(&server, group(1, Profile::good().scaled(0.02)))).unwrap();
    let healthy = |sessions| {
        all(move |device| {
            let seen = device.seen();
            let healthy = seen.row("web").is_some_and(|row| row.healthy);
            seen.sessions > sessions && healthy && seen.phase.is_none()
        })
    };
    simulator.wait_for("version 1", LIMIT, healthy(0)).await.unwrap();
    let device = simulator.devices()[0].clone();
    let (sessions, boots) = (device.seen().sessions, |state: &crate::server::State| {
        let mut boots: Vec<String> =
            state.subscribed.iter().map(|(_, hello)| hello.boot_id.clone()).collect();
        boots.dedup();
        boots.len()
    });
    device.reboot();
    simulator.wait_for("version 1 again", LIMIT, healthy(sessions)).await.unwrap();
    assert_eq!(server.with(|state| boots(state)), 2);
    assert_eq!(device.calls().pulls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_reboots_in_every_update_goes_back() {
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let profile = "boot-loop".parse::<Profile>().unwrap().scaled(0.02);
    let simulator = Simulator::start(config(&server, group(1, profile))).unwrap();
    let healthy = all(|device| {
        let seen = device.seen();
        seen.phase.is_none() && seen.row("web").is_some_and(|row| row.healthy)
    });
    simulator.wait_for("version 1", LIMIT, healthy).await.unwrap();
    let mut slow = to_two();
    slow.services[0].rollout.as_mut().unwrap().soak = seconds(1);
    server.send(slow);
    server.wait_for("the end", |state| state.says("web", pb::Phase::Reverted, "r")).await;
    let row = server.with(|state| state.newest().unwrap().services[0].clone());
    assert_eq!(row.reason, proto::reason::BOOT_LOOP);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_and_a_bad_network_stop_no_update() {
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let profile = "clock-skew,offline:100%".parse::<Profile>().unwrap().scaled(0.005);
    let simulator = Simulator::start(config(&server, group(5, profile))).unwrap();
    let runs = |version: &'static str| {
        all(move |device| {
            let seen = device.seen();
            let runs = seen
                .row("web")
                .is_some_and(|row| row.healthy && row.digest == digest("web", version));
            runs && seen.phase.is_none()
        })
    };
    simulator.wait_for("version 1", LIMIT, runs("1")).await.unwrap();
    server.send(to_two());
    simulator.wait_for("version 2", LIMIT, runs("2")).await.unwrap();
}
