//! The power goes, at any line.

use std::time::Duration;

use agent::engine::simulated::{Fault, FaultKind};
use agent::transaction::Phase;
use proto::reason;
use proto::rollout::v1 as pb;

use crate::scenario::{QUIET, bad_web, running_web, to_two};
use crate::world::{Tick, World};

/// Runs an update and cuts the power (or only ends the agent) after every number of lines, until
/// the update is through before the cut.
fn cut_everywhere(faults: impl Fn() -> Vec<Fault>, is_reboot: bool, look: impl Fn(&mut World)) {
    for lines in 0..500 {
        let mut world = running_web(faults());
        world.cut_is_reboot = is_reboot;
        world.send(to_two());
        world.cut_after = Some(lines);
        let mut crashed = false;
        let is_through = |world: &World| {
            let newest = world.server.reports.last().map(|report| report.services[0].phase());
            world.machine.journal().generation() == 2
                && world.phase().is_none()
                && matches!(newest, Some(pb::Phase::Running | pb::Phase::Reverted))
        };
        while !is_through(&world) {
            crashed |= world.tick() == Tick::Crashed;
            world.running("web");
        }
        world.cut_after = None;
        world.settle(QUIET);
        look(&mut world);
        let mut seqs: Vec<i64> = world.server.reports.iter().map(|report| report.seq).collect();
        let count = seqs.len();
        seqs.dedup();
        assert!(seqs.is_sorted() && seqs.len() == count, "a report number was used twice");
        if !crashed {
            assert!(lines > 20, "the power was cut often enough");
            return;
        }
    }
    panic!("the update never got through");
}

#[test]
fn an_update_gets_through_wherever_the_power_goes() {
    cut_everywhere(Vec::new, true, |world| {
        assert_eq!(world.version("web"), "2");
        assert_eq!(world.row("web").phase(), pb::Phase::Running);
        assert!(world.server.endings().is_empty());
    });
}

#[test]
fn an_update_gets_through_wherever_the_agent_ends() {
    cut_everywhere(Vec::new, false, |world| {
        assert_eq!(world.version("web"), "2");
        assert!(world.server.endings().is_empty());
    });
}

#[test]
fn a_bad_update_goes_back_once_wherever_the_power_goes() {
    cut_everywhere(
        || bad_web(FaultKind::StartFails),
        true,
        |world| {
            assert_eq!(world.version("web"), "1");
            let ending = world.server.endings();
            assert_eq!(ending[&("r".to_owned(), 1)], [pb::Phase::Reverted]);
            assert_eq!(world.row("web").reason, reason::START_FAILED);
        },
    );
}

#[test]
fn the_third_start_of_the_machine_within_an_update_goes_back() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    for _ in 0..3 {
        world.run_until("the new version", |world| {
            world.phase() == Some(Phase::Verifying) && world.version("web") == "2"
        });
        world.crash(true);
    }
    world.settle(QUIET);
    assert_eq!(world.version("web"), "1");
    assert_eq!(world.row("web").reason, reason::BOOT_LOOP);
}

#[test]
fn the_dead_man_counts_the_time_before_a_power_cut_too() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.run_until("the swap", |world| world.phase() == Some(Phase::Verifying));
    world.server.online = false;
    let swapped = world.now;
    world.run_until("a while", |world| world.now.since(swapped) >= Duration::from_secs(600));
    world.crash(true);
    world.run_until("version 1", |world| world.phase().is_none());
    let alone = world.now.since(swapped);
    assert!(alone >= Duration::from_secs(890) && alone < Duration::from_secs(1_000), "{alone:?}");
}

#[test]
fn an_update_that_was_heard_and_not_committed_is_told_again_and_committed() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.server.answers = true;
    world.run_until("the soak", |world| world.phase() == Some(Phase::Confirming));
    world.server.answers = false;
    world.run_until("the report", |world| {
        world.server.reports.last().is_some_and(|report| {
            report.services[0].phase() == pb::Phase::Running
                && report.services[0].healthy
                && report.services[0].rollout_id == "r"
        })
    });
    world.crash(false);
    world.server.answers = true;
    assert_eq!(world.phase(), Some(Phase::Confirming));
    world.run_until("the commit", |world| world.phase().is_none());
    assert_eq!(world.version("web"), "2");
}

#[test]
fn a_lost_journal_stops_nothing_and_takes_up_what_runs() {
    let mut world = running_web(vec![]);
    let before = world.calls.len();
    world.server.online = false;
    world.lose_journal();
    world.settle(QUIET);
    assert_eq!((world.calls_since(before), world.version("web").as_str()), (vec![], "1"));

    world.server.online = true;
    world.settle(QUIET);
    assert_eq!(world.calls_since(before), Vec::<String>::new());
    let row = world.row("web");
    assert!(row.phase() == pb::Phase::Running && row.healthy);
    assert!(world.machine.journal().confirmed.contains_key("web"));
    let seqs: Vec<i64> = world.server.reports.iter().map(|report| report.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
}

#[test]
fn a_journal_lost_in_an_update_soaks_anew_and_can_still_go_back() {
    let mut world = running_web(vec![]);
    world.send(to_two());
    world.run_until("the swap", |world| world.phase() == Some(Phase::Verifying));
    let before = world.calls.len();
    world.lose_journal();
    world.settle(QUIET);
    assert_eq!((world.calls_since(before), world.version("web").as_str()), (vec![], "2"));
    assert_eq!(world.machine.tally().committed, 1);
}

#[test]
fn a_device_that_starts_offline_runs_its_last_target() {
    let mut world = running_web(vec![]);
    world.server.online = false;
    world.crash(true);
    assert_eq!(world.version("web"), "");
    world.run_until("the service", |world| world.version("web") == "1");
}
