//! When a device reports, and what.

use std::time::Duration;

use agent::engine::simulated::{Fault, FaultKind};
use agent::moment::Moment;
use agent::plan::Call;
use proto::reason;
use proto::rollout::v1 as pb;

use crate::scenario::{QUIET, running_web};
use crate::targets::{reference, service, target, update, with};
use crate::world::World;

/// Ticks for so long and returns when reports were sent.
fn reports_within(world: &mut World, time: Duration) -> Vec<Moment> {
    let end = world.now + time;
    let mut sent = Vec::new();
    while world.now < end {
        let before = world.server.reports.len();
        let now = world.now;
        world.tick();
        sent.extend((before..world.server.reports.len()).map(|_| now));
    }
    sent
}

#[test]
fn an_idle_device_reports_at_the_servers_interval_more_or_less() {
    let mut world = running_web(vec![]);
    let sent = reports_within(&mut world, Duration::from_secs(36_000));
    assert!((100..=150).contains(&sent.len()), "{} reports in 10 h", sent.len());
    let waits: Vec<_> = sent.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert!(waits.iter().all(|wait| (239..=361).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait < 270) && waits.iter().any(|wait| *wait > 330));
}

#[test]
fn health_that_comes_and_goes_is_reported_every_ten_seconds_at_most() {
    let flapping = Fault::of(&reference("web", "1"), FaultKind::Flap(Duration::from_secs(3)));
    let mut world = World::new(vec![flapping]);
    world.send(with(target(1), vec![service("web", "1")]));
    // There is nothing to go back to, so it stays.
    world.run_until("the failure", |world| world.machine.tally().failed == 1);
    let sent = reports_within(&mut world, Duration::from_secs(600));
    assert!(sent.len() > 20, "{}", sent.len());
    let phases = |pair: &[Moment]| pair[1].since(pair[0]) < Duration::from_secs(10);
    let quick = sent.windows(2).filter(|pair| phases(pair)).count();
    // Without a rollout the phase itself follows health, and phases are told at once.
    let rows: Vec<_> = world.server.reports.iter().map(|report| &report.services[0]).collect();
    let changes = rows.windows(2).filter(|pair| pair[0].phase != pair[1].phase).count();
    assert!(quick <= changes, "{quick} of {}, {changes} changes", sent.len());
}

#[test]
fn a_device_without_a_target_has_nothing_to_report() {
    let mut world = World::new(vec![]);
    assert!(reports_within(&mut world, Duration::from_secs(3_600)).is_empty());
}

#[test]
fn nothing_is_reported_before_the_first_look() {
    let mut world = running_web(vec![]);
    world.crash(false);
    let terms = agent::machine::SessionTerms { last_seq: 0, report_interval: None };
    world.machine.linked(terms, world.now);
    assert_eq!(world.machine.report(world.now), None);
    let count = world.server.reports.len();
    world.run_until("a report", |world| world.server.reports.len() > count);
    assert!(world.row("web").healthy);
}

#[test]
fn a_report_that_is_not_answered_is_sent_again_under_a_higher_number() {
    let mut world = running_web(vec![]);
    world.server.answers = false;
    world.send(with(target(2), vec![service("web", "1"), service("zoo", "1")]));
    let count = world.server.reports.len();
    world.run_until("tries", |world| world.server.reports.len() >= count + 5);
    let seqs: Vec<i64> = world.server.reports.iter().map(|report| report.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

#[test]
fn after_the_number_was_lost_reports_go_on_behind_the_servers() {
    let mut world = running_web(vec![]);
    let last = world.server.reports.last().unwrap().seq;
    world.lose_journal();
    let count = world.server.reports.len();
    world.run_until("a report", |world| world.server.reports.len() > count);
    assert_eq!(world.server.reports.last().unwrap().seq, last + 1);
}

#[test]
fn ends_that_newer_targets_have_overtaken_are_told_one_by_one() {
    // The network is there for targets, and reports get lost.
    let bad = |version: &str| Fault::of(&reference("web", version), FaultKind::NoSpace);
    let mut world = running_web(vec![bad("2"), bad("3"), bad("4")]);
    world.server.answers = false;
    for (generation, version) in [(2, "2"), (3, "3"), (4, "4")] {
        let rollout = format!("r{version}");
        world.send(with(target(generation), vec![update("web", version, &rollout, 1, "1")]));
        let failed = world.machine.tally().failed;
        world.run_until("the failure", |world| world.machine.tally().failed > failed);
    }
    assert_eq!(world.machine.journal().outbox.len(), 3);
    world.server.reports.clear();
    world.server.answers = true;
    world.settle(QUIET);
    for version in ["2", "3", "4"] {
        let ending = &world.server.endings()[&(format!("r{version}"), 1)];
        assert_eq!(*ending, [pb::Phase::Failed]);
    }
    let told = world.server.reports.iter().find(|report| report.services[0].rollout_id == "r2");
    assert_eq!(told.unwrap().traceparent, target(2).traceparent);
    assert!(world.machine.journal().outbox.is_empty());
}

#[test]
fn a_service_added_to_a_rollout_under_way_shares_its_end() {
    // `web` is being verified when the server adds `db` to the same attempt.
    let faults = vec![
        Fault::of(&reference("web", "2"), FaultKind::Unhealthy),
        Fault::of(&reference("db", "2"), FaultKind::Corrupt),
    ];
    let mut world = World::new(faults);
    world.send(with(target(1), vec![service("db", "1"), service("web", "1")]));
    world.settle(QUIET);
    let web = || update("web", "2", "r", 1, "1");
    world.send(with(target(2), vec![service("db", "1"), web()]));
    world.run_until("the swap", |world| world.version("web") == "2");
    world.send(with(target(3), vec![update("db", "2", "r", 1, "1"), web()]));
    world.settle(QUIET);
    assert_eq!((world.version("web"), world.version("db")), ("1".to_owned(), "1".to_owned()));
    let endings = world.server.endings();
    assert_eq!(endings[&("r".to_owned(), 1)].len(), 1, "{endings:?}");
}

#[test]
fn what_is_kept_and_what_is_updated_do_not_take_the_pull_from_each_other() {
    // The image of what should run was removed by hand while an update of another cannot be pulled.
    let faults = vec![Fault::of(&reference("db", "2"), FaultKind::PullFails)];
    let mut world = World::new(faults);
    world.send(with(target(1), vec![service("api", "1"), service("db", "1")]));
    world.settle(QUIET);
    let id = world.running("api").unwrap().id;
    let now = world.now;
    world.bench.stop(&id, now).unwrap();
    world.bench.remove(&id, now).unwrap();
    world.bench.remove_image(&crate::targets::digest("api", "1")).unwrap();
    world.send(with(target(2), vec![service("api", "1"), update("db", "2", "r", 1, "1")]));
    let before = world.calls.len();
    world.settle(QUIET);
    assert_eq!((world.version("api"), world.version("db")), ("1".to_owned(), "1".to_owned()));
    assert_eq!(world.row("db").reason, reason::PULL_FAILED);
    let cancels = world.calls[before..].iter().filter(|(_, call)| *call == Call::CancelPull);
    assert_eq!(cancels.count(), 0);
}
