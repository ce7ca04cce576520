//! How updates go.

use std::time::Duration;

use agent::engine::simulated::{Fault, FaultKind};
use agent::plan::Call;
use agent::transaction::Phase;
use proto::rollout::v1 as pb;

use crate::scenario::{QUIET, bad_web, running_both, running_web, to_two};
use crate::targets::{digest, service, target, update, with};
use crate::world::World;

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
