//! What may run, and as what: reviews that set pushes going, digests of a registry that is asked.

use loopback::LoopbackRegistry;
use serde_json::json;
use testbed::steps::{Rollout, add_receiver, push, push_done, somebody};
use testbed::{Slipway, eventually};

use super::{NEW, OLD, north, redis_policy};
use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_under_review_goes_by_itself_once_it_is_approved() {
    let (slipway, fleet) = north(3, "good").await;
    redis_policy(&slipway, "auto", json!({})).await;
    let anna = somebody(&slipway.api, "anna", "approver").await;
    let pending = json!({"approval_status": "pending"});
    slipway.api.put("/api/v1/images/1", &pending).await.expect(200);

    let held = push(&slipway.api, "redis:7.5-alpine").await.expect(403);
    assert_eq!(held.text_at("/error"), "Image not approved");
    assert_eq!(held.text_at("/events/0/state"), "held");
    let (push_id, review) =
        (held.text_at("/events/0/push_id"), held.text_at("/events/0/review_id"));
    fleet.wait_until_running(OLD, 3).await;
    let path = format!("/api/v1/approval-requests/{review}/impact");
    let impact = slipway.api.get(&path).await.expect(200);
    assert_eq!(impact.body["policy"]["image_pattern"], "redis:*", "{impact:?}");
    assert_eq!(impact.body["reach"]["devices"], 3, "{impact:?}");

    let path = format!("/api/v1/approval-requests/{review}/approve");
    slipway.api.nobody().post(&path, &json!({})).await.expect(401);
    anna.post(&path, &json!({"notes": "fine"})).await.expect(200);
    let done = push_done(&slipway.api, push_id).await;
    assert_eq!(done["outcome"], "rollout");
    let rollout = Rollout::new(&slipway.api, done["rollout_id"].as_str().unwrap());
    rollout.wait_for("succeeded").await;
    fleet.wait_until_running(NEW, 3).await;
    anna.post(&path, &json!({})).await.expect(409);
    slipway.check(PROGRAM).await;
}

/// A Slipway that asks a registry on loopback what Docker Hub's tags are, and three devices.
async fn with_registry() -> (Slipway, LoopbackRegistry, testbed::Fleet) {
    let slipway = Slipway::start().await;
    let registry = LoopbackRegistry::start().await;
    registry.push_index("library/redis", "7-alpine", &["amd64", "arm64"]);
    let upstream = json!({"name": "hub", "url": registry.url, "host": "docker.io"});
    slipway.api.post("/api/v1/image-registries", &upstream).await.expect(201);
    add_receiver(&slipway.api).await;
    let profile = "good,unhealthy:100%@docker.io/library/redis:7.6-alpine";
    let fleet = slipway.fleet("north", 3, &[("cache", "redis:7-alpine")], profile).await;
    redis_policy(&slipway, "auto", json!({"timers": {"verify_seconds": 2}})).await;
    (slipway, registry, fleet)
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_run_the_digest_that_the_registry_names() {
    let (slipway, registry, fleet) = with_registry().await;
    let digest = registry.push_index("library/redis", "7.5-alpine", &["amd64", "arm64"]);
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    let ended = rollout.wait_for("succeeded").await;
    assert_eq!((&ended["pinned"], &ended["digest"]), (&json!(true), &json!(digest)));
    fleet.wait_until_running(NEW, 3).await;
    for device in fleet.devices() {
        assert_eq!(device.seen().row("cache").unwrap().digest, digest);
    }
    // The same digest again is nothing new, whoever tells of it.
    let again = push(&slipway.api, "redis:7.5-alpine").await.expect(200);
    assert_eq!(again.text_at("/events/0/outcome"), "unchanged");
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rolled_back_is_not_tried_again_and_other_platforms_are_left_out() {
    let (slipway, registry, fleet) = with_registry().await;
    registry.push_index("library/redis", "7.6-alpine", &["amd64"]);
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.6-alpine").await);
    rollout.wait_for("rolled_back").await;
    fleet.wait_until_running(OLD, 3).await;
    let again = push(&slipway.api, "redis:7.6-alpine").await.expect(200);
    assert_eq!(again.text_at("/events/0/outcome"), "quarantined");

    registry.push_index("library/redis", "7.7-alpine", &["arm64"]);
    let foreign = push(&slipway.api, "redis:7.7-alpine").await.expect(200);
    assert_eq!(foreign.text_at("/events/0/outcome"), "no_target");
    eventually("the devices to stay healthy", async || {
        let fleet = slipway.api.get("/api/v1/fleets/north").await.expect(200);
        if fleet.body["in_sync_count"] == 3 { Ok(()) } else { Err(format!("{fleet:?}")) }
    })
    .await;
    slipway.check(PROGRAM).await;
}
