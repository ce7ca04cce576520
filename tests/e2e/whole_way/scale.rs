//! Ten devices, and a thousand.

use serde_json::{Value, json};
use testbed::eventually;
use testbed::steps::{Rollout, push};

use super::{NEW, north, redis_policy};
use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn a_push_reaches_ten_devices_and_what_they_say_comes_back() {
    let (slipway, fleet) = north(10, "good").await;
    redis_policy(&slipway, "auto", json!({})).await;

    let answer = push(&slipway.api, "redis:7.5-alpine").await.expect(200);
    assert_eq!(answer.text_at("/message"), "Rollout created");
    let rollout = Rollout::of(&slipway.api, answer);
    fleet.wait_until_running(NEW, 10).await;
    rollout.wait_for("succeeded").await;

    let detail = rollout.detail().await;
    assert_eq!(detail["statistics"]["succeeded"], 10);
    assert_eq!(detail["statistics"]["progress_percent"], 100.0);
    let devices = detail["devices"].as_array().unwrap();
    assert!(devices.iter().all(|device| device["status"] == "completed"), "{devices:?}");
    fleet.wait_until_healthy(&slipway.api).await;
    told(&slipway.api, &rollout).await;
    slipway.check(PROGRAM).await;
}

/// Waits until the audit log tells the rollout's story in its order.
async fn told(api: &testbed::Api, rollout: &Rollout) {
    let story = [
        "image.rollout_created",
        "image.rollout_started",
        "image.rollout_batch_started",
        "image.rollout_batch_completed",
        "image.rollout_completed",
    ];
    let path = format!("/api/v1/rollouts/{}/events", rollout.id);
    eventually("the audit log to tell it", async || {
        let answer = api.get(&path).await.expect(200);
        let events = answer.body["events"].as_array().unwrap();
        let types: Vec<_> =
            events.iter().rev().filter_map(|event| event["type"].as_str()).collect();
        if types == story { Ok(()) } else { Err(format!("{types:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_devices_are_updated_batch_after_batch() {
    let (slipway, fleet) = north(1_000, "good").await;
    redis_policy(&slipway, "staged", json!({})).await;

    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    let ended = rollout.wait_for("succeeded").await;
    let sizes: Vec<_> = ended["batches"].as_array().unwrap().iter().map(|b| &b["size"]).collect();
    assert_eq!(sizes, [100, 400, 500]);
    assert_eq!(ended["tally"]["succeeded"], 1_000);
    fleet.wait_until_running(NEW, 1_000).await;
    for device in fleet.devices() {
        assert_eq!(device.seen().tally.begun, 2, "its first images, and one update");
    }
    assert_order(&ended);
    slipway.check(PROGRAM).await;
}

/// Each batch begins when the one before it is complete.
fn assert_order(rollout: &Value) {
    let batches = rollout["batches"].as_array().unwrap();
    for pair in batches.windows(2) {
        let (complete, begun) = (pair[0]["completed_at"].as_str(), pair[1]["started_at"].as_str());
        assert!(complete.is_some() && complete <= begun, "{pair:?}");
    }
}
