//! How a rollout goes forward: by itself, in steps, by a person's hand, at its time.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use testbed::steps::{Rollout, push};

use super::{NEW, OLD, north, redis_policy};
use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_rollout_takes_one_then_half_then_all() {
    let (slipway, fleet) = north(10, "good").await;
    redis_policy(&slipway, "staged", json!({})).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    let ended = rollout.wait_for("succeeded").await;
    assert_eq!(ended["status"], "completed");
    let batches = ended["batches"].as_array().unwrap();
    let sizes: Vec<_> = batches.iter().map(|batch| &batch["size"]).collect();
    assert_eq!(sizes, [1, 4, 5]);
    fleet.wait_until_running(NEW, 10).await;
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_rollout_waits_for_a_person_at_every_step() {
    let (slipway, fleet) = north(4, "good").await;
    redis_policy(&slipway, "manual", json!({"batch_size": 2})).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    assert_eq!(rollout.wait_for("pending").await["status"], "pending");

    rollout.command("start", &json!({})).await.expect(200);
    let waiting = rollout.wait_for_batch(1, "complete").await;
    assert_eq!(waiting["batches"][1]["state"], "waiting");
    fleet.wait_until_running(NEW, 2).await;
    fleet.wait_until_running(OLD, 2).await;

    // Named by number, so that a click that comes twice lets one batch go.
    let refused = rollout.command("promote", &json!({"batch": 1})).await.expect(409);
    assert_eq!(refused.body["details"]["next_batch"], 2, "{refused:?}");
    rollout.command("promote", &json!({"batch": 2})).await.expect(200);
    rollout.wait_for("succeeded").await;
    fleet.wait_until_running(NEW, 4).await;
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_rollout_begins_at_its_time() {
    let (slipway, fleet) = north(2, "good").await;
    let start = runtime::Clock::system().now() + TimeDelta::seconds(2);
    redis_policy(&slipway, "scheduled", json!({"start_at": start})).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    let made = rollout.detail().await;
    assert_eq!(made["rollout"]["status"], "scheduled");
    let ended = rollout.wait_for("succeeded").await;
    assert!(time(&ended["started_at"]) >= start, "{ended}");
    fleet.wait_until_running(NEW, 2).await;
    slipway.check(PROGRAM).await;
}

fn time(text: &Value) -> DateTime<Utc> {
    text.as_str().unwrap().parse().unwrap()
}
