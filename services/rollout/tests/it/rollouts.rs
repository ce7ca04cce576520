//! Rollouts through their RPCs, with devices that speak the real protocol.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::assignment::State as Try;
use proto::rollout::v1::create_rollout_response::Outcome;
use proto::rollout::v1::rollout::State;
use runtime::Problem;

use crate::harness::{Device, REDIS, Slipway, create_request, digest, service};

fn find<'a>(devices: &'a mut [Device], id: &str) -> &'a mut Device {
    devices.iter_mut().find(|device| device.id == id).expect("a device of the fleet")
}

/// The devices of a batch, by id.
async fn batch(slipway: &Slipway, rollout: &str, number: i32) -> Vec<String> {
    slipway
        .assignments(rollout)
        .await
        .into_iter()
        .filter(|assignment| assignment.batch_number == number)
        .map(|assignment| assignment.device.unwrap().id)
        .collect()
}

fn tries(assignments: &[pb::Assignment], state: Try) -> usize {
    assignments.iter().filter(|assignment| assignment.state() == state).count()
}

#[tokio::test]
async fn an_automatic_rollout_updates_every_device_and_succeeds() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(3).await;
    let rollout = slipway.rollout("8", '2').await;
    assert_eq!((rollout.device_count, rollout.batches.len()), (3, 1));

    // Twenty percent of three is one device at a time.
    for done in 0..3 {
        slipway.drive().await;
        let assignments = slipway.assignments(&rollout.id).await;
        assert_eq!(tries(&assignments, Try::Offered), 1);
        let next = assignments.iter().find(|a| a.state() == Try::Offered).unwrap();
        let device = find(&mut devices, &next.device.as_ref().unwrap().id);
        let target = device.next_target().await;
        assert_eq!(target.services[0].digest, digest('2'));
        assert_eq!(target.services[1].digest, digest('a'), "nginx is not touched");
        assert!(!device.report_running().await.stale);
        slipway.pass(59).await;
        assert_eq!(slipway.get(&rollout.id).await.tally.unwrap().succeeded, done);
        slipway.pass(1).await;
        assert_eq!(slipway.get(&rollout.id).await.tally.unwrap().succeeded, done + 1);
    }
    let rollout = slipway.get(&rollout.id).await;
    assert_eq!(rollout.state(), State::Succeeded);
    assert!(rollout.end_time.is_some());
}

#[tokio::test]
async fn batches_follow_one_another_after_they_have_soaked() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.max_in_flight = Some(everybody())).await;
    let mut devices = slipway.fleet(10).await;
    let rollout = slipway.rollout("8", '2').await;
    let sizes: Vec<_> = rollout.batches.iter().map(|batch| batch.size).collect();
    assert_eq!(sizes, [1, 4, 5]);
    slipway.drive().await;
    for number in 1..=3 {
        for id in batch(&slipway, &rollout.id, number).await {
            let device = find(&mut devices, &id);
            device.next_target().await;
            device.report_running().await;
        }
        slipway.pass(60).await;
        let batches = slipway.get(&rollout.id).await.batches;
        let current = number as usize - 1;
        if let Some(next) = batches.get(number as usize) {
            assert_eq!(batches[current].state(), pb::batch::State::Soaking);
            assert_eq!(next.state(), pb::batch::State::Waiting);
            slipway.pass(30 * 60 - 1).await;
            let batches = slipway.get(&rollout.id).await.batches;
            assert_eq!(batches[current].state(), pb::batch::State::Soaking);
            assert_eq!(batches[number as usize].state(), pb::batch::State::Waiting);
            slipway.pass(1).await;
            let batches = slipway.get(&rollout.id).await.batches;
            assert_eq!(batches[current].state(), pb::batch::State::Complete);
            assert_eq!(batches[number as usize].state(), pb::batch::State::Running);
        } else {
            assert_eq!(batches[current].state(), pb::batch::State::Complete);
        }
    }
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Succeeded);
}

fn everybody() -> pb::DeviceQuota {
    pb::DeviceQuota { quota: Some(pb::device_quota::Quota::Percent(100.0)) }
}

#[tokio::test]
async fn a_failing_release_is_rolled_back_and_not_tried_again() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.max_in_flight = Some(everybody());
        })
        .await;
    let mut devices = slipway.fleet(4).await;
    let rollout = slipway.rollout("bad", '2').await;
    slipway.drive().await;
    for device in &mut devices {
        device.next_target().await;
    }
    devices[0].report_running().await;
    devices[1].report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.tally.unwrap().succeeded, 2);

    // One of four is more than twenty percent.
    devices[2].report_failed().await;
    slipway.drive().await;
    let now = slipway.get(&rollout.id).await;
    assert_eq!(
        (now.state(), now.state_reason.as_str()),
        (State::RollingBack, reason::FAILURE_RATIO)
    );
    for device in &mut devices {
        device.next_target().await;
        assert_eq!(device.wanted("cache").digest, digest('1'));
        device.report_running().await;
    }
    slipway.drive().await;
    let ended = slipway.get(&rollout.id).await;
    assert_eq!(ended.state(), State::RolledBack, "{ended:?}");
    assert_eq!(ended.batches[0].state(), pb::batch::State::Stopped);
    let assignments = slipway.assignments(&rollout.id).await;
    let (back, let_go) = (tries(&assignments, Try::Reverted), tries(&assignments, Try::Cancelled));
    assert_eq!((back, let_go), (3, 1), "the fourth had not begun");

    let again = slipway.push("bad", '2').await;
    assert!(matches!(again, Outcome::Quarantined(_)), "{again:?}");
    let mut by_hand = create_request(REDIS, "bad", '2');
    by_hand.by_hand = true;
    let asked = slipway.rollouts().create_rollout(by_hand).await.unwrap().into_inner();
    assert!(matches!(asked.outcome, Some(Outcome::Rollout(_))), "a person may try again");
}

#[tokio::test]
async fn a_device_that_fails_alone_goes_back_and_the_rollout_goes_on() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.max_in_flight = Some(everybody());
            policy.max_failure_ratio = Some(0.5);
        })
        .await;
    let mut devices = slipway.fleet(3).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    for device in &mut devices {
        device.next_target().await;
    }
    devices[0].report_failed().await;
    devices[0].next_target().await;
    assert_eq!(devices[0].wanted("cache").digest, digest('1'));
    devices[0].report_running().await;
    for device in &mut devices[1..] {
        device.report_running().await;
    }
    slipway.pass(60).await;
    let ended = slipway.get(&rollout.id).await;
    assert_eq!(ended.state(), State::Succeeded);
    let tally = ended.tally.unwrap();
    assert_eq!((tally.succeeded, tally.failed), (2, 1));
}

#[tokio::test]
async fn an_offline_device_is_put_off_and_catches_up() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.max_in_flight = Some(everybody());
        })
        .await;
    let mut devices = slipway.fleet(2).await;
    devices[1].disconnect(&slipway).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    devices[0].report_running().await;
    slipway.pass(60).await;
    let ended = slipway.get(&rollout.id).await;
    assert_eq!(ended.state(), State::Succeeded);
    assert_eq!(ended.tally.unwrap().deferred, 1);

    // It comes back to its old target, and then it is its turn.
    let first = devices[1].connect().await;
    assert!(
        matches!(first.event, Some(pb::subscribe_response::Event::NotModified(_))),
        "{first:?}"
    );
    slipway.drive().await;
    devices[1].next_target().await;
    assert_eq!(devices[1].wanted("cache").digest, digest('2'));
    devices[1].report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.tally.unwrap().succeeded, 2);
}

#[tokio::test]
async fn a_device_that_leaves_while_it_downloads_holds_nobody_up() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.max_in_flight = Some(everybody());
        })
        .await;
    let mut devices = slipway.fleet(2).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    devices[0].report_running().await;
    devices[1].next_target().await;
    let seen = devices[1].seen("cache", pb::Phase::Downloading, true);
    devices[1].report(vec![seen]).await;
    devices[1].disconnect(&slipway).await;
    slipway.pass(60).await;
    let parts = slipway.assignments(&rollout.id).await;
    assert_eq!((tries(&parts, Try::Succeeded), tries(&parts, Try::Deferred)), (1, 1));
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Succeeded);

    devices[1].connect().await;
    slipway.drive().await;
    if devices[1].wanted("cache").digest != digest('2') {
        devices[1].next_target().await;
    }
    assert_eq!(devices[1].wanted("cache").digest, digest('2'));
    devices[1].report_running().await;
    slipway.pass(60).await;
    assert_eq!(tries(&slipway.assignments(&rollout.id).await, Try::Succeeded), 2);
}

#[tokio::test]
async fn a_rollout_whose_devices_are_all_away_waits_for_them() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(1).await;
    devices[0].disconnect(&slipway).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    let waiting = slipway.get(&rollout.id).await;
    assert_eq!(waiting.state(), State::Running);
    assert_eq!(waiting.state_reason, reason::WAITING_FOR_DEVICES);
    slipway.pass(7 * 86_400).await;
    let ended = slipway.get(&rollout.id).await;
    assert_eq!(ended.state(), State::Succeeded, "nobody is left who could need it");
    assert_eq!(slipway.assignments(&rollout.id).await[0].reason, reason::EXPIRED);
}

#[tokio::test]
async fn a_newer_release_takes_the_place_of_an_older_one() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.max_in_flight = Some(everybody());
        })
        .await;
    let mut devices = slipway.fleet(2).await;
    let older = slipway.rollout("8", '2').await;
    slipway.drive().await;
    for device in &mut devices {
        device.next_target().await;
    }
    let newer = slipway.rollout("9", '3').await;
    let ended = slipway.get(&older.id).await;
    assert_eq!(
        (ended.state(), ended.state_reason.as_str()),
        (State::Superseded, reason::SUPERSEDED)
    );
    slipway.drive().await;
    for device in &mut devices {
        while device.wanted("cache").digest != digest('3') {
            device.next_target().await;
        }
        device.report_running().await;
    }
    slipway.pass(60).await;
    assert_eq!(slipway.get(&newer.id).await.state(), State::Succeeded);
    assert_eq!(slipway.get(&older.id).await.state(), State::Superseded);
}

#[tokio::test]
async fn a_paused_rollout_sends_nothing_until_it_is_resumed() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let _devices = slipway.fleet(3).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    slipway.command(&rollout.id, "pause").await.expect("it runs");
    let status = slipway.command(&rollout.id, "pause").await.expect_err("it is paused");
    assert_eq!(Problem::from(status).reason(), reason::ROLLOUT_NOT_RUNNING);
    let before = tries(&slipway.assignments(&rollout.id).await, Try::Queued);
    slipway.pass(100).await;
    assert_eq!(tries(&slipway.assignments(&rollout.id).await, Try::Queued), before);
    let resumed = slipway.command(&rollout.id, "resume").await.expect("it is paused");
    assert_eq!(resumed.state(), State::Running);
    let status = slipway.command(&rollout.id, "resume").await.expect_err("it runs");
    let problem = Problem::from(status);
    assert_eq!(problem.reason(), reason::ROLLOUT_NOT_PAUSED);
    assert_eq!(problem.metadata().get("state").map(String::as_str), Some("running"));
}

#[tokio::test]
async fn cancelling_keeps_updated_devices_and_withdraws_the_rest() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(3).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    let first = slipway.assignments(&rollout.id).await;
    let first =
        first.iter().find(|a| a.state() == Try::Offered).unwrap().device.clone().unwrap().id;
    let device = find(&mut devices, &first);
    device.next_target().await;
    device.report_running().await;
    slipway.pass(60).await;
    slipway.command(&rollout.id, "cancel").await.expect("it runs");
    slipway.drive().await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Cancelled);
    let assignments = slipway.assignments(&rollout.id).await;
    assert_eq!((tries(&assignments, Try::Succeeded), tries(&assignments, Try::Cancelled)), (1, 2));
    let status = slipway.command(&rollout.id, "cancel").await.expect_err("it has ended");
    assert_eq!(Problem::from(status).reason(), reason::ROLLOUT_ENDED);
}

#[tokio::test]
async fn cancelling_can_take_updated_devices_back() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.max_in_flight = Some(everybody());
        })
        .await;
    let mut devices = slipway.fleet(2).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    for device in &mut devices {
        device.next_target().await;
        device.report_running().await;
    }
    slipway.command(&rollout.id, "cancel and revert").await.expect("it runs");
    slipway.drive().await;
    for device in &mut devices {
        device.next_target().await;
        assert_eq!(device.wanted("cache").digest, digest('1'));
        device.report_running().await;
    }
    slipway.drive().await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Cancelled);
}

#[tokio::test]
async fn a_manual_rollout_waits_for_start_and_for_each_promotion() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Manual.into();
            policy.batch_size = 1;
        })
        .await;
    let mut devices = slipway.fleet(2).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.pass(3_600).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Pending);
    slipway.command(&rollout.id, "start").await.expect("it is pending");
    slipway.drive().await;
    let first = batch(&slipway, &rollout.id, 1).await.remove(0);
    find(&mut devices, &first).next_target().await;
    find(&mut devices, &first).report_running().await;
    slipway.pass(3_600).await;
    let waiting = slipway.get(&rollout.id).await;
    assert!(waiting.batches[1].gated);
    assert!(waiting.next.contains("promote"), "{}", waiting.next);

    let promote = |batch| pb::PromoteBatchRequest {
        id: rollout.id.clone(),
        batch,
        ..pb::PromoteBatchRequest::default()
    };
    let status = slipway.rollouts().promote_batch(promote(1)).await.expect_err("it has begun");
    assert_eq!(Problem::from(status).metadata().get("next_batch").map(String::as_str), Some("2"));
    slipway.rollouts().promote_batch(promote(2)).await.expect("it is next");
    slipway.drive().await;
    let second = batch(&slipway, &rollout.id, 2).await.remove(0);
    find(&mut devices, &second).next_target().await;
    find(&mut devices, &second).report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Succeeded);
}

#[tokio::test]
async fn a_scheduled_rollout_begins_at_its_time() {
    let slipway = Slipway::start().await;
    let start = slipway.clock.now() + chrono::TimeDelta::hours(1);
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Scheduled.into();
            policy.start_time = Some(runtime::time::to_timestamp(start));
        })
        .await;
    let mut devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.pass(3_599).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Pending);
    slipway.pass(1).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Running);
    devices[0].next_target().await;
}

#[tokio::test]
async fn each_answer_that_makes_no_rollout() {
    let slipway = Slipway::start().await;
    assert_eq!(slipway.push("8", '2').await, Outcome::NoPolicy(Default::default()));
    slipway
        .policy(|policy| {
            policy.enabled = false;
            policy.name = "off".to_owned();
        })
        .await;
    let Outcome::NoPolicy(answer) = slipway.push("8", '2').await else { panic!("not disabled") };
    assert!(answer.disabled);
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    assert!(matches!(slipway.push("8", '2').await, Outcome::NoTarget(_)));

    let devices = slipway.fleet(1).await;
    assert!(matches!(slipway.push("7", '1').await, Outcome::Unchanged(_)), "it runs that");
    let first = slipway.rollout("8", '2').await;
    let Outcome::Unchanged(answer) = slipway.push("other-tag", '2').await else {
        panic!("the same digest is the same release");
    };
    assert_eq!(answer.rollout_id, first.id);
    drop(devices);
}

#[tokio::test]
async fn a_repeated_request_gets_the_rollout_it_made() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let _devices = slipway.fleet(2).await;
    let request = create_request(REDIS, "8", '2');
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = slipway.rollouts().create_rollout(request.clone()).await.unwrap();
        match answer.into_inner().outcome {
            Some(Outcome::Rollout(rollout)) => answers.push(rollout.id),
            other => panic!("{other:?}"),
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn two_rollouts_change_two_services_of_one_device() {
    let slipway = Slipway::start().await;
    for pattern in ["redis:*", "nginx:*"] {
        slipway
            .policy(|policy| {
                policy.strategy = pb::Strategy::Auto.into();
                policy.image_pattern = pattern.to_owned();
            })
            .await;
    }
    let mut devices = slipway.fleet(1).await;
    let redis = slipway.rollout("8", '2').await;
    let Outcome::Rollout(nginx) = slipway.push_of(crate::harness::NGINX, "2", 'b').await else {
        panic!("no rollout");
    };
    slipway.drive().await;
    let device = &mut devices[0];
    while device.wanted("web").digest != digest('b') || device.wanted("cache").digest != digest('2')
    {
        device.next_target().await;
    }
    assert_eq!(device.wanted("cache").rollout.as_ref().unwrap().id, redis.id);
    assert_eq!(device.wanted("web").rollout.as_ref().unwrap().id, nginx.id);
    device.report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&redis.id).await.state(), State::Succeeded);
    assert_eq!(slipway.get(&nginx.id).await.state(), State::Succeeded);
}

#[tokio::test]
async fn an_operators_target_ends_the_try_it_takes_over() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    let services = vec![service("cache", REDIS, "9", '9')];
    slipway.set_target(&devices[0].id, services).await;
    devices[0].next_target().await;
    assert_eq!(devices[0].wanted("cache").digest, digest('9'));
    slipway.drive().await;
    let assignments = slipway.assignments(&rollout.id).await;
    assert_eq!(assignments[0].state(), Try::Cancelled);
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Succeeded);
}

#[tokio::test]
async fn explain_names_the_condition_that_holds_the_rollout() {
    let slipway = Slipway::start().await;
    slipway.policy(|_| {}).await;
    let _devices = slipway.fleet(10).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    let request = pb::ExplainRolloutRequest { id: rollout.id.clone() };
    let why = slipway.rollouts().explain_rollout(request.clone()).await.unwrap().into_inner();
    assert!(why.blocked_by.starts_with("the batch is complete: batch 1: 0 of 1"), "{why:?}");
    slipway.command(&rollout.id, "pause").await.unwrap();
    let why = slipway.rollouts().explain_rollout(request).await.unwrap().into_inner();
    assert!(why.blocked_by.contains("paused by"), "{}", why.blocked_by);
    assert_eq!(why.next_step, format!("slipway rollout resume {}", rollout.id));
}

#[tokio::test]
async fn failed_devices_are_tried_again_on_request() {
    let slipway = Slipway::start().await;
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.on_failure = pb::OnFailure::Pause.into();
        })
        .await;
    let mut devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    devices[0].report_failed().await;
    slipway.drive().await;
    let paused = slipway.get(&rollout.id).await;
    assert_eq!(
        (paused.state(), paused.state_reason.as_str()),
        (State::Paused, reason::FAILURE_RATIO)
    );
    devices[0].next_target().await;
    devices[0].report_running().await;
    slipway.command(&rollout.id, "retry").await.expect("one failed");
    let generations = "select array_agg(generation order by attempt) from rollout.assignments";
    let sent: Vec<Option<i64>> =
        sqlx::query_scalar(generations).fetch_one(&mut slipway.owner().await).await.unwrap();
    assert!(matches!(sent[..], [Some(_), None]), "the new try was not sent yet: {sent:?}");
    slipway.command(&rollout.id, "resume").await.expect("it is paused");
    slipway.drive().await;
    devices[0].next_target().await;
    assert_eq!(devices[0].wanted("cache").rollout.as_ref().unwrap().attempt, 2);
    devices[0].report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Succeeded);
}
