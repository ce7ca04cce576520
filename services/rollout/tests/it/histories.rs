//! Random histories: devices that succeed, fail, fall silent, leave and come back, operators that
//! pause, resume, promote, cancel and roll back, approvals that are lost; and after every single
//! event what must always hold.
//!
//! The model applies steps and changes to plain values just as the store applies them to rows.

mod chance;
mod driver;
mod events;
mod rules;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use imageref::Repository;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rollout::assignment::{Assignment, Effect, Observation, Phase, Progress, State as Try};
use rollout::batch::{self, Size};
use rollout::plan::{self, Batch, Step, View};
use rollout::policy::{BatchRule, OnFailure, Policy, PolicyId, Rules, Strategy as Way};
use rollout::rollout::{Release, Rollout, RolloutId, State};
use rollout::tally::Tally;
use rollout::target::{Image, Offer, Service, Target};
use rollout::withdraw::{Disposition, Turn, disposition};
use runtime::{Actor, ActorKind};
use uuid::Uuid;

use self::chance::any_history;

const REDIS: &str = "docker.io/library/redis";

/// What a device does with the release, one entry per try; the last one is for all further tries.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Works,
    PullFails,
    Unhealthy,
    RevertsAlone,
    Refuses,
    CannotRun,
    FallsSilent,
}

#[derive(Debug, Clone)]
enum Event {
    /// A device does its next thing.
    Act(usize),
    /// All devices do.
    ActAll,
    Leave(usize),
    Return(usize),
    /// Time passes, to the next moment at which something is due or by a jump.
    WaitUntilDue,
    Wait(u32),
    Start,
    Promote,
    Pause,
    Resume,
    Cancel {
        revert: bool,
    },
    RollBack,
    LoseApproval,
    /// A newer release of the same scope arrives.
    Supersede,
}

struct Device {
    id: Uuid,
    online: bool,
    fates: Vec<Fate>,
    target: Target,
    /// What it runs, and the last etag it has finished with.
    runs: Image,
    done_etag: String,
    swapped: bool,
}

struct Seat {
    batch: u32,
    try_: Assignment,
    history: Vec<Assignment>,
}

struct World {
    now: DateTime<Utc>,
    rollout: Rollout,
    batches: Vec<Batch>,
    seats: Vec<Seat>,
    devices: Vec<Device>,
    tripped: bool,
    terminal: Option<State>,
    decided: Vec<(DateTime<Utc>, bool)>,
    /// Targets written forward while nothing may be sent.
    wrong_offers: u32,
}

fn image(tag: &str, digit: &str) -> Image {
    Image {
        image: format!("{REDIS}:{tag}"),
        digest: Some(format!("sha256:{}", digit.repeat(64))),
        release_id: None,
    }
}

/// The property is worth what its histories reach: each end, stops by itself, tries again.
#[test]
fn histories_reach_every_end() {
    let config = ProptestConfig { cases: 1_500, ..ProptestConfig::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let reached = RefCell::new(BTreeMap::<String, u32>::new());
    let count = |what: &str| *reached.borrow_mut().entry(what.to_owned()).or_default() += 1;
    runner
        .run(&any_history(), |(policy, fates, online, events)| {
            let mut world = World::new(policy, fates, &online);
            for event in &events {
                world.happen(event);
            }
            world.run_to_the_end();
            count(world.rollout.state.as_str());
            for seat in &world.seats {
                count(seat.try_.state.as_str());
                seat.history.iter().for_each(|_| count("another try"));
            }
            Ok(())
        })
        .unwrap();
    let reached = reached.into_inner();
    for end in [
        "succeeded",
        "rolled_back",
        "rollback_incomplete",
        "cancelled",
        "superseded",
        "failed",
        "timed_out",
        "rejected",
        "skipped",
        "reverted",
        "revert_failed",
        "another try",
    ] {
        assert!(reached.get(end).is_some_and(|count| *count > 5), "{end}: {reached:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_keeps_the_rules_and_comes_to_an_end(
        (policy, fates, online, events) in any_history(),
    ) {
        let mut world = World::new(policy, fates, &online);
        world.check();
        for event in &events {
            world.happen(event);
        }
        world.run_to_the_end();
    }
}
