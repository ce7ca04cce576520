//! What people do to a rollout under way, and what a newer push does.

use serde_json::json;
use testbed::steps::{Rollout, push};
use testbed::{Fleet, Slipway};

use super::{NEW, OLD, north, redis_policy};
use crate::PROGRAM;

/// A rollout whose first batch, one device of four, runs the new image.
async fn half_way() -> (Slipway, Fleet, Rollout) {
    let (slipway, fleet) = north(4, "good").await;
    let batches = json!([{"count": 1, "gate": "manual"}, {"percent": 100}]);
    redis_policy(&slipway, "staged", json!({"batches": batches})).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    rollout.wait_for_batch(1, "complete").await;
    fleet.wait_until_running(NEW, 1).await;
    (slipway, fleet, rollout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_rollout_stands_still_until_it_is_resumed() {
    let (slipway, fleet, rollout) = half_way().await;
    let why = json!({"reason": "line 3 is in use"});
    let paused = rollout.command("pause", &why).await.expect(200);
    assert_eq!(paused.text_at("/status"), "paused");
    let refused = rollout.command("pause", &why).await.expect(409);
    assert_eq!(refused.text_at("/details/state"), "paused", "{refused:?}");
    fleet.wait_until_running(OLD, 3).await;

    rollout.command("resume", &json!({})).await.expect(200);
    rollout.command("promote", &json!({"batch": 2})).await.expect(200);
    rollout.wait_for("succeeded").await;
    fleet.wait_until_running(NEW, 4).await;
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_rollout_leaves_devices_as_they_are_or_takes_them_back() {
    let (slipway, fleet, rollout) = half_way().await;
    rollout.command("cancel", &json!({"mode": "keep"})).await.expect(200);
    assert_eq!(rollout.wait_for("cancelled").await["status"], "cancelled");
    fleet.wait_until_running(OLD, 3).await;
    fleet.wait_until_running(NEW, 1).await;
    rollout.command("resume", &json!({})).await.expect(409);

    let again = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.6-alpine").await);
    again.wait_for_batch(1, "complete").await;
    again.command("cancel", &json!({"mode": "revert"})).await.expect(200);
    again.wait_for("cancelled").await;
    fleet.wait_until_running("docker.io/library/redis:7.6-alpine", 0).await;
    fleet.wait_until_healthy(&slipway.api).await;
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_push_takes_the_place_of_an_older_one() {
    let (slipway, fleet, older) = half_way().await;
    let newer = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.6-alpine").await);
    let ended = older.wait_for("superseded").await;
    assert_eq!(ended["status"], "cancelled");
    newer.wait_for_batch(1, "complete").await;
    newer.command("promote", &json!({"batch": 2})).await.expect(200);
    newer.wait_for("succeeded").await;
    fleet.wait_until_running("docker.io/library/redis:7.6-alpine", 4).await;
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_rejected_in_the_middle_goes_no_further() {
    let (slipway, fleet, rollout) = half_way().await;
    let rejected = json!({"approval_status": "rejected"});
    slipway.api.put("/api/v1/images/1", &rejected).await.expect(200);
    let stopped = rollout.wait_for("paused").await;
    assert_eq!(stopped["state_reason"], "APPROVAL_LOST");
    rollout.command("resume", &json!({})).await.expect(409);
    let denied = push(&slipway.api, "redis:7.5-alpine").await.expect(403);
    assert_eq!(denied.text_at("/events/0/reasons/0/code"), "IMAGE_REJECTED");
    fleet.wait_until_running(OLD, 3).await;
    slipway.check(PROGRAM).await;
}
