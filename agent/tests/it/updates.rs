//! How updates go, well and otherwise.

use std::time::Duration;

use agent::engine::simulated::{Fault, FaultKind};
use agent::plan::Call;
use agent::transaction::Phase;
use proto::reason;
use proto::rollout::v1 as pb;

use crate::scenario::{QUIET, bad_web, running_both, running_web};
use crate::targets::{digest, reference, seconds, service, target, update, with};
use crate::world::World;

/// The target that updates `web` to version 2.
fn to_two() -> pb::TargetState {
    with(target(2), vec![update("web", "2", "r", 1, "1")])
}

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
fn an_update_pulls_and_makes_before_it_stops_and_reports_each_phase() {
    let mut world = running_web(vec![]);
    let before = world.calls.len();
    world.send(to_two());
    world.settle(QUIET);

    let calls: Vec<String> = world
        .calls_since(before)
        .iter()
        .map(|call| call.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(calls, ["pull", "create", "stop", "start"]);
    use pb::Phase::{Downloading, Installing, Running, Staged, Verifying};
    assert_eq!(world.phases("web", "r"), [Downloading, Staged, Installing, Verifying, Running]);
    let row = world.row("web");
    assert!(row.healthy && row.digest == digest("web", "2") && row.reason.is_empty());
    assert_eq!(world.version("web"), "2");
    let traceparent = &world.server.reports.last().unwrap().traceparent;
    assert_eq!(*traceparent, to_two().traceparent);
    // The old container stays, stopped: going back needs no pull.
    assert_eq!(world.bench.containers(world.now).len(), 2);
}

#[test]
fn an_update_is_committed_once_its_soak_was_heard_and_not_before() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.run_until("the swap", |world| world.phase() == Some(Phase::Verifying));
    let swapped = world.now;
    world.server.answers = false;
    world.run_until("the soak", |world| world.phase() == Some(Phase::Confirming));
    assert!(world.now.since(swapped) >= Duration::from_secs(60));
    for _ in 0..20 {
        world.tick();
        assert_eq!(world.phase(), Some(Phase::Confirming));
    }
    world.server.answers = true;
    world.run_until("the commit", |world| world.phase().is_none());
    assert_eq!(world.machine.tally().committed, 2);
}

#[test]
fn an_update_writes_the_journal_at_most_ten_times() {
    let mut world = running_web(vec![]);
    let before = world.saves;
    world.send(to_two());
    world.run_until("the commit", |world| {
        world.machine.journal().generation() == 2 && world.phase().is_none()
    });
    // One more per 30 s while verifying: the soak takes 60 s here.
    assert!(world.saves - before <= 12, "{}", world.saves - before);
    let idle = world.saves;
    world.settle(Duration::from_secs(86_400 / 100));
    assert!(world.saves - idle <= 1, "an idle device writes nothing but report numbers");
}

#[test]
fn the_same_target_a_hundred_times_is_no_call_at_all() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.settle(QUIET);
    let (calls, saves) = (world.calls.len(), world.saves);
    for _ in 0..100 {
        let again = world.server.target.clone();
        assert!(!world.machine.offer(&again, world.now), "there is nothing to look at");
    }
    // A newer generation of the same etag is noted, and nothing else.
    let newer = pb::TargetState { generation: 3, ..world.server.target.clone() };
    assert!(!world.machine.offer(&newer, world.now));
    assert_eq!(world.machine.journal().generation(), 3);
    world.send(newer);
    world.settle(QUIET);
    assert_eq!(world.calls.len(), calls);
    assert!(world.saves - saves <= 2);
}

#[test]
fn an_older_generation_is_ignored() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.settle(QUIET);
    let older = with(target(1), vec![service("web", "1")]);
    assert!(!world.machine.offer(&older, world.now));
    world.settle(QUIET);
    assert_eq!(world.version("web"), "2");
    assert_eq!(world.machine.journal().generation(), 2);
}

#[test]
fn no_target_at_all_removes_nothing() {
    let mut world = running_web(vec![]);
    assert!(!world.machine.offer(&target(0), world.now));
    world.lose_journal();
    world.send(target(0));
    world.settle(QUIET);
    assert_eq!(world.version("web"), "1");
}

#[test]
fn a_newer_target_cancels_only_the_pull_that_it_changes() {
    let mut world = running_both(vec![]);
    let services = |web: &str, api: &str| {
        vec![
            update("api", api, &format!("a{api}"), 1, "1"),
            update("web", web, &format!("w{web}"), 1, "1"),
        ]
    };
    world.send(with(target(2), services("1", "2")));
    world.run_until("the pull", |world| matches!(world.calls.last(), Some((_, Call::Pull(_)))));
    let before = world.calls.len();
    world.send(with(target(3), services("2", "2")));
    world.settle(QUIET);
    assert!(!world.calls_since(before).contains(&"cancel".to_owned()));
    assert_eq!((world.version("web"), world.version("api")), ("2".to_owned(), "2".to_owned()));

    world.send(with(target(4), services("2", "3")));
    let pulls_three = |world: &mut World| matches!(world.calls.last(), Some((_, Call::Pull(image))) if image.reference.ends_with(":3"));
    world.run_until("the pull", pulls_three);
    let before = world.calls.len();
    world.send(with(target(5), services("2", "4")));
    world.settle(QUIET);
    assert!(world.calls_since(before).contains(&"cancel".to_owned()));
    assert_eq!(world.version("api"), "4");
    assert!(world.server.endings().is_empty(), "what the server took back did not fail");
}

#[test]
fn a_begun_swap_ends_before_the_newer_target_counts() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.run_until("the stop", |world| matches!(world.calls.last(), Some((_, Call::Stop(..)))));
    let before = world.calls.len();
    world.send(with(target(3), vec![service("web", "1")]));
    world.settle(QUIET);
    let calls = world.calls_since(before);
    assert!(calls[0].starts_with("start slipway-web-"), "{calls:?}");
    assert!(calls.iter().all(|call| !call.starts_with("pull")), "{calls:?}");
    assert_eq!(world.version("web"), "1");
    assert_eq!(world.row("web").phase(), pb::Phase::Running);
}

#[test]
fn a_retry_of_what_is_under_way_takes_over_what_was_done() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.run_until("the swap", |world| world.phase() == Some(Phase::Verifying));
    let before = world.calls.len();
    world.send(with(target(3), vec![update("web", "2", "r", 2, "1")]));
    world.settle(QUIET);
    assert_eq!(world.calls_since(before), Vec::<String>::new());
    let row = world.row("web");
    assert_eq!((row.phase(), row.attempt), (pb::Phase::Running, 2));
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
fn a_staged_update_waits_for_the_server_and_goes_on_when_it_is_back() {
    let slow = Fault { times: Some(2), ..bad_web(FaultKind::Stall).remove(0) };
    let mut world = running_web(vec![slow]);
    world.send(to_two());
    world.run_until("the pull", |world| matches!(world.calls.last(), Some((_, Call::Pull(_)))));
    world.server.online = false;
    let later = world.now + Duration::from_secs(3_600);
    world.run_until("an hour", |world| world.now >= later);
    assert_eq!((world.phase(), world.version("web").as_str()), (Some(Phase::Staged), "1"));
    world.server.online = true;
    world.settle(QUIET);
    assert_eq!(world.version("web"), "2");
}

#[test]
fn a_stale_answer_about_the_attempt_asks_for_the_target_and_goes_by_that() {
    // The server has counted the attempt as a success already, and still wants version 2.
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.run_until("the swap", |world| world.phase() == Some(Phase::Verifying));
    world.server.over.push(("r".to_owned(), 1));
    world.settle(QUIET);
    assert_eq!((world.version("web").as_str(), world.phase()), ("2", None));
    assert_eq!(world.machine.tally().committed, 2);

    // It has given up on the attempt, and wants version 2 no more.
    world.send(with(target(3), vec![update("web", "3", "r2", 1, "2")]));
    world.run_until("the swap", |world| {
        world.phase() == Some(Phase::Verifying) && world.version("web") == "3"
    });
    world.server.over.push(("r2".to_owned(), 1));
    world.run_until("the soak", |world| world.phase() == Some(Phase::Confirming));
    world.send(with(target(4), vec![service("web", "2")]));
    world.settle(QUIET);
    assert_eq!(world.version("web"), "2");
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
fn services_of_one_rollout_go_back_together() {
    let mut world = running_both(bad_web(FaultKind::Unhealthy));
    let services = vec![update("api", "2", "r", 1, "1"), update("web", "2", "r", 1, "1")];
    world.send(with(target(2), services));
    world.run_until("the swap", |world| world.phase() == Some(Phase::Verifying));
    assert_eq!((world.version("web"), world.version("api")), ("2".to_owned(), "2".to_owned()));
    world.settle(QUIET);
    assert_eq!((world.version("web"), world.version("api")), ("1".to_owned(), "1".to_owned()));
    for name in ["web", "api"] {
        assert_eq!(world.row(name).phase(), pb::Phase::Reverted);
        assert!(world.row(name).message.contains("not healthy: `web`"));
    }
}

#[test]
fn services_of_different_rollouts_do_not_touch_each_other() {
    let mut world = running_both(bad_web(FaultKind::Unhealthy));
    let services = vec![update("api", "2", "ra", 1, "1"), update("web", "2", "rw", 1, "1")];
    world.send(with(target(2), services));
    world.settle(QUIET);
    assert_eq!((world.version("web"), world.version("api")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(world.row("api").phase(), pb::Phase::Running);
    assert_eq!(world.row("web").phase(), pb::Phase::Reverted);
}

#[test]
fn a_service_that_the_target_leaves_out_is_stopped_and_removed() {
    let mut world = running_both(vec![]);
    world.send(with(target(2), vec![service("api", "1")]));
    world.settle(QUIET);
    let containers = world.bench.containers(world.now);
    assert!(containers.iter().all(|container| container.service == "api"));
    assert!(world.machine.journal().confirmed.keys().eq(["api"]));
    let newest = world.server.reports.last().unwrap();
    assert!(newest.services.iter().all(|row| row.name == "api"));
    let images = world.bench.images();
    assert!(images.iter().all(|image| image.digest == digest("api", "1")), "its image goes too");
}

#[test]
fn a_changed_configuration_is_an_update_of_the_same_image() {
    let mut world = running_web(vec![]);
    let before = world.calls.len();
    let mut changed = update("web", "1", "r", 1, "1");
    changed.config = r#"{"environment": {"MODE": "new"}}"#.to_owned();
    world.send(with(target(2), vec![changed]));
    world.settle(QUIET);
    let calls = world.calls_since(before);
    assert!(calls.iter().all(|call| !call.starts_with("pull")), "{calls:?}");
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert_eq!(world.row("web").phase(), pb::Phase::Running);
}

#[test]
fn an_image_that_is_not_pinned_is_pulled_again_for_a_new_release() {
    let mut world = World::new(vec![]);
    let release = |id: &str| pb::Service {
        digest: String::new(),
        release_id: id.to_owned(),
        ..service("web", "latest")
    };
    world.send(with(target(1), vec![release("one")]));
    world.settle(QUIET);
    let first = world.row("web");
    assert!(first.digest.starts_with("sha256:") && first.release_id == "one");
    let before = world.calls.len();
    world.send(with(target(2), vec![release("two")]));
    world.settle(QUIET);
    let second = world.row("web");
    assert_eq!(second.release_id, "two");
    assert_ne!(second.digest, first.digest);
    assert!(world.calls_since(before)[0].starts_with("pull"));
}

#[test]
fn a_container_that_somebody_removed_is_made_again() {
    let mut world = running_web(vec![]);
    let id = world.running("web").unwrap().id;
    world.bench.stop(&id, world.now).unwrap();
    world.bench.remove(&id, world.now).unwrap();
    world.settle(QUIET);
    assert_eq!(world.version("web"), "1");
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
    world.bench = agent::engine::simulated::Bench::new(
        world.bench.platform().clone(),
        agent::engine::simulated::Pace {
            pull: (Duration::ZERO, Duration::from_secs(1)),
            healthy: (Duration::ZERO, Duration::from_secs(1)),
        },
        faults,
        agent::chance::Chance::seeded(3),
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
