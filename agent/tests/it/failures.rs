//! How updates go wrong, and what the device runs and says then.

use std::time::Duration;

use agent::chance::Chance;
use agent::engine::simulated::{Bench, Fault, FaultKind, Pace};
use agent::transaction::Phase;
use proto::reason;
use proto::rollout::v1 as pb;

use crate::scenario::{QUIET, bad_web, running_both, running_web, to_two};
use crate::targets::{digest, reference, seconds, service, target, update, with};
use crate::world::World;

/// Runs an update that goes wrong, and looks that version 1 runs again and the server heard why.
fn goes_wrong(faults: Vec<Fault>, phase: pb::Phase, reason: &str) -> World {
    let mut world = running_web(faults);
    world.send(to_two());
    world.settle(QUIET);
    assert_eq!(world.version("web"), "1");
    let row = world.row("web");
    assert_eq!((row.phase(), row.reason.as_str()), (phase, reason), "{}", row.message);
    assert_eq!((row.rollout_id.as_str(), row.attempt), ("r", 1));
    assert_eq!(row.digest, digest("web", "1"));
    world
}

#[test]
fn what_never_becomes_healthy_goes_back_when_its_time_is_over() {
    let world =
        goes_wrong(bad_web(FaultKind::Unhealthy), pb::Phase::Reverted, reason::HEALTH_CHECK_FAILED);
    use pb::Phase::{Downloading, Installing, Reverted, Reverting, Staged, Verifying};
    assert_eq!(
        world.phases("web", "r"),
        [Downloading, Staged, Installing, Verifying, Reverting, Reverted]
    );
    assert_eq!(world.machine.tally().reverted, 1);
}

#[test]
fn what_ends_at_once_goes_back_within_five_seconds() {
    let mut world = running_web(bad_web(FaultKind::ExitAtOnce));
    world.send(to_two());
    world.run_until("the swap", |world| world.phase() == Some(Phase::Swapping));
    let began = world.now;
    world.run_until("version 1", |world| world.phase().is_none() && world.version("web") == "1");
    assert!(world.now.since(began) < Duration::from_secs(8), "{:?}", world.now.since(began));
    let row = world.row("web");
    assert_eq!((row.phase(), row.reason.as_str()), (pb::Phase::Reverted, reason::CRASHED));
    assert!(row.message.contains("exit code 1 after 2 restarts"), "{}", row.message);
}

#[test]
fn what_crashes_in_its_soak_goes_back() {
    let kind = FaultKind::CrashAfter(Duration::from_secs(30));
    goes_wrong(bad_web(kind), pb::Phase::Reverted, reason::CRASHED);
}

#[test]
fn the_fourth_break_of_health_goes_back() {
    let kind = FaultKind::Flap(Duration::from_secs(20));
    let world = goes_wrong(bad_web(kind), pb::Phase::Reverted, reason::FLAPPING);
    assert!(world.row("web").message.contains("4 times"), "{}", world.row("web").message);
}

#[test]
fn what_does_not_start_goes_back_at_once() {
    let world =
        goes_wrong(bad_web(FaultKind::StartFails), pb::Phase::Reverted, reason::START_FAILED);
    assert!(world.row("web").message.contains("the port is taken"));
}

#[test]
fn an_engine_that_hangs_in_the_swap_is_given_up_when_the_time_is_over() {
    goes_wrong(bad_web(FaultKind::Hang), pb::Phase::Reverted, reason::TIMED_OUT);
}

#[test]
fn a_failed_pull_is_tried_three_times_more_and_touches_nothing() {
    let world = goes_wrong(bad_web(FaultKind::PullFails), pb::Phase::Failed, reason::PULL_FAILED);
    let pulls = world.calls_since(0).iter().filter(|call| call.contains("pull")).count();
    assert_eq!(pulls, 1 + 4);
    assert_eq!(world.calls_since(0).iter().filter(|call| call.starts_with("stop")).count(), 0);
}

#[test]
fn a_pull_that_stands_still_is_cancelled_and_tried_again() {
    let stall = Fault { times: Some(2), ..bad_web(FaultKind::Stall).remove(0) };
    let mut world = running_web(vec![stall]);
    let before = world.calls.len();
    world.send(to_two());
    world.settle(QUIET);
    assert_eq!(world.version("web"), "2");
    let cancels = world.calls_since(before).iter().filter(|call| *call == "cancel").count();
    assert_eq!(cancels, 2);
}

#[test]
fn what_is_not_what_was_asked_for_fails_for_good() {
    let once = |kind| vec![Fault { times: Some(1), ..bad_web(kind).remove(0) }];
    goes_wrong(once(FaultKind::Corrupt), pb::Phase::Failed, reason::DIGEST_MISMATCH);
    goes_wrong(once(FaultKind::WrongPlatform), pb::Phase::Rejected, reason::WRONG_PLATFORM);
    goes_wrong(once(FaultKind::NoSpace), pb::Phase::Failed, reason::DISK_FULL);
}

#[test]
fn an_attempt_that_runs_out_of_time_before_the_swap_touches_nothing() {
    let mut world = running_web(vec![Fault::of(&reference("web", "2"), FaultKind::Stall)]);
    let mut short = to_two();
    short.services[0].rollout.as_mut().unwrap().time_left = seconds(200);
    world.send(short);
    let began = world.now;
    world.run_until("the end", |world| !world.server.endings().is_empty());
    assert!(world.now.since(began) <= Duration::from_secs(205));
    assert_eq!(world.row("web").reason, reason::TIMED_OUT);
    assert_eq!((world.row("web").phase(), world.version("web").as_str()), (pb::Phase::Failed, "1"));
}

#[test]
fn what_went_back_is_tried_again_only_under_another_attempt() {
    let fault = Fault { times: Some(1), ..bad_web(FaultKind::Unhealthy).remove(0) };
    let mut world = running_web(vec![fault]);
    world.send(to_two());
    world.settle(QUIET);
    assert_eq!(world.version("web"), "1");
    // Another service's change names the bad one again, under the same attempt.
    let services = vec![update("web", "2", "r", 1, "1"), service("zoo", "1")];
    world.send(with(target(3), services));
    world.settle(QUIET);
    assert_eq!((world.version("web"), world.version("zoo")), ("1".to_owned(), "1".to_owned()));

    world.send(with(target(4), vec![update("web", "2", "r", 2, "1"), service("zoo", "1")]));
    world.settle(QUIET);
    assert_eq!(world.version("web"), "2");
}

#[test]
fn a_device_that_cannot_be_heard_goes_back_alone_and_says_so_on_its_return() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.run_until("the swap", |world| world.phase() == Some(Phase::Verifying));
    let swapped = world.now;
    world.server.online = false;
    world.run_until("version 1", |world| world.phase().is_none());
    assert_eq!(world.version("web"), "1");
    let alone = world.now.since(swapped);
    assert!(alone >= Duration::from_secs(890) && alone < Duration::from_secs(970), "{alone:?}");
    assert!(world.server.endings().is_empty());

    // The server has given up on it meanwhile and wants version 1 again.
    world.send(with(target(3), vec![service("web", "1")]));
    world.server.online = true;
    world.settle(QUIET);
    let ending = world.server.endings();
    assert_eq!(ending[&("r".to_owned(), 1)], [pb::Phase::Reverted]);
    let reports = world.server.reports.iter().flat_map(|report| &report.services);
    let mut told = reports.filter(|row| row.phase() == pb::Phase::Reverted);
    assert_eq!(told.next().unwrap().reason, reason::NO_CONTACT);
    assert_eq!(told.count(), 0, "it is told once");
    assert!(world.machine.journal().outbox.is_empty());
}

#[test]
fn an_update_without_anything_to_go_back_to_stays_and_is_restarted() {
    let fault =
        Fault { times: Some(3), ..Fault::of(&reference("new", "1"), FaultKind::ExitAtOnce) };
    let mut world = running_web(vec![fault]);
    world.send(with(target(2), vec![service("web", "1"), service("new", "1")]));
    world.run_until("the failure", |world| world.machine.tally().failed == 1);
    world.settle(QUIET);
    let row = world.row("new");
    assert_eq!((row.phase(), row.healthy), (pb::Phase::Running, true), "{row:?}");
    assert_eq!(world.version("new"), "1");
}

#[test]
fn a_bad_configuration_is_rejected_before_any_pull() {
    let mut world = running_both(vec![]);
    let before = world.calls.len();
    let mut bad = update("web", "2", "r", 1, "1");
    bad.config = r#"{"privileged": true}"#.to_owned();
    // A service of the same rollout is good by itself, and is refused with it.
    let services = vec![update("api", "2", "r", 1, "1"), bad];
    world.send(with(target(2), services));
    world.settle(QUIET);
    assert_eq!(world.calls_since(before), Vec::<String>::new());
    for name in ["web", "api"] {
        let row = world.row(name);
        assert_eq!((row.phase(), row.reason.as_str()), (pb::Phase::Rejected, reason::BAD_CONFIG));
        assert!(row.message.contains("service `web`: privileged"), "{}", row.message);
        assert_eq!(row.digest, digest(name, "1"), "what ran before runs");
    }
}

#[test]
fn what_crashes_after_the_commit_is_restarted_and_reported_ill() {
    let mut world = running_web(vec![]);
    let id = world.running("web").unwrap().id;
    world.bench.stop(&id, world.now).unwrap();
    let reports = world.server.reports.len();
    world.run_until("the restart", |world| world.version("web") == "1");
    world.settle(QUIET);
    assert_eq!(world.row("web").restarts, 1);
    let said = world.server.reports[reports..].iter().flat_map(|report| &report.services);
    assert!(said.clone().any(|row| !row.healthy), "it was said to be ill");
    assert!(world.row("web").healthy);
}

#[test]
fn the_old_one_that_does_not_work_either_is_told_and_both_are_kept() {
    // Version 1 ran, and does not start a second time.
    let faults = vec![
        Fault::of(&reference("web", "2"), FaultKind::ExitAtOnce),
        Fault { times: Some(2), ..Fault::of(&reference("web", "1"), FaultKind::StartFails) },
    ];
    let mut world = World::new(vec![]);
    world.send(with(target(1), vec![service("web", "1")]));
    world.settle(QUIET);
    let stored = world.bench.stored();
    world.bench = Bench::new(
        world.bench.platform().clone(),
        Pace {
            pull: (Duration::ZERO, Duration::from_secs(1)),
            healthy: (Duration::ZERO, Duration::from_secs(1)),
        },
        faults,
        Chance::seeded(3),
    );
    world.bench.restore(&stored, world.now);
    world.send(to_two());
    world.run_until("the end", |world| !world.server.endings().is_empty());
    let row = world.row("web");
    assert_eq!((row.phase(), row.reason.as_str()), (pb::Phase::Failed, reason::REVERT_FAILED));
    assert!(row.message.contains("CRASHED"), "{}", row.message);
    world.settle(QUIET);
    assert_eq!(world.version("web"), "1", "its restarts go on");
    assert_eq!(world.bench.containers(world.now).len(), 2);
}
