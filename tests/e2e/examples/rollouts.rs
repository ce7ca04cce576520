//! Document 2: the tests it prints, and the routes of rollouts.

use serde_json::{Value, json};
use testbed::{Api, Slipway};

use testbed::steps::{Rollout, WEBHOOK, add_receiver};

use super::has_shape;
use crate::scene::{device, policy, rollouts};

/// What the printed tests assume: redis is approved, policies, and devices that run both images.
async fn stage() -> Slipway {
    let slipway = super::slipway().await;
    let api = &slipway.api;
    add_receiver(api).await;
    policy(api, "redis:*").await;
    policy(api, "iotistic/*:*").await;
    device(api, &["redis:7-alpine", "iotistic/agent:v2.0.0"]).await;
    slipway
}

/// Sends the printed webhook; returns the id of the rollout that goes on.
async fn redis_rollout(api: &Api) -> String {
    let body = json!({
        "repository": {"repo_name": "redis"}, "push_data": {"tag": "7.5-alpine"}
    });
    let answer = api.post(WEBHOOK, &body).await.expect(200);
    assert_eq!(answer.text_at("/message"), "Rollout created");
    let rollout = Rollout::of(api, answer);
    rollout.wait_for("running").await;
    rollout.id
}

#[tokio::test(flavor = "multi_thread")]
async fn test_1_approved_image_deployment() {
    let slipway = stage().await;
    let image = slipway.api.get("/api/v1/images/1").await.expect(200);
    assert_eq!(image.text_at("/approval_status"), "approved");
    let id = redis_rollout(&slipway.api).await;
    let rollout = slipway.api.get(&format!("/api/v1/rollouts/{id}")).await.expect(200);
    assert_eq!(rollout.text_at("/rollout/image"), "docker.io/library/redis:7.5-alpine");
}

#[tokio::test(flavor = "multi_thread")]
async fn test_2_unapproved_image_rejection() {
    let slipway = stage().await;
    let body = json!({"repository": {"repo_name": "memcached"}, "push_data": {"tag": "latest"}});
    let answer = slipway.api.post(WEBHOOK, &body).await.expect(403);
    assert_eq!(answer.text_at("/error"), "Image not approved");
    assert_eq!(answer.text_at("/message"), "Image 'memcached' is not in the approved registry");
    let path = format!("/api/v1/approval-requests/{}", answer.text_at("/events/0/review_id"));
    let request = slipway.api.get(&path).await.expect(200);
    has_shape(
        &request.body,
        &json!({
            "id": "…", "image_name": "memcached", "registry": "docker.io", "requested_by": "…",
            "requested_at": "…", "status": "pending"
        }),
    );
    for name in ["reviewed_by", "reviewed_at", "notes", "rejection_reason"] {
        assert_eq!(request.body.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!(request.text_at("/status"), "pending");
    assert_eq!(rollouts(&slipway.api).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_3_internal_image_bypass() {
    let slipway = stage().await;
    let body = json!({
        "repository": {"repo_name": "iotistic/agent"}, "push_data": {"tag": "v2.1.0"}
    });
    let answer = slipway.api.post(WEBHOOK, &body).await.expect(200);
    assert_eq!(answer.text_at("/events/0/outcome"), "rollout");
    assert_eq!(answer.text_at("/events/0/reasons/0/code"), "INTERNAL_NAMESPACE");
    let asked = slipway.api.get("/api/v1/approval-requests").await.expect(200);
    assert_eq!(asked.body["total"], 0);
    assert_eq!(rollouts(&slipway.api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_and_get_rollouts() {
    let slipway = stage().await;
    let empty = slipway.api.get("/api/v1/rollouts").await.expect(200);
    let none = json!({"rollouts": [], "pagination": {"total": 0, "limit": 50, "offset": 0}});
    assert_eq!(empty.body, none);

    let id = redis_rollout(&slipway.api).await;
    let list = slipway.api.get("/api/v1/rollouts").await.expect(200);
    let printed = json!({
        "id": "…", "status": "in_progress", "policy_id": "…", "created_at": "…"
    });
    has_shape(&list.body["rollouts"], &json!([printed]));
    assert_eq!(list.text_at("/rollouts/0/id"), id);
    assert_eq!(list.body["pagination"], json!({"total": 1, "limit": 50, "offset": 0}));

    let one = slipway.api.get(&format!("/api/v1/rollouts/{id}")).await.expect(200);
    has_shape(
        &one.body,
        &json!({
            "rollout": printed,
            "devices": [{
                "device_id": "…", "device_name": "…", "status": "…", "batch_number": 1, "attempt": 0
            }],
            "events": [], "statistics": {"total": 1}
        }),
    );
    assert_eq!(one.text_at("/rollout/id"), id);
    assert_eq!(one.body["statistics"]["total"], 1);
    slipway.api.get("/api/v1/rollouts/0198f3a4-0000-7000-8000-000000000000").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_resume_and_cancel_a_rollout() {
    let slipway = stage().await;
    let id = redis_rollout(&slipway.api).await;
    let status = async || {
        let answer = slipway.api.get(&format!("/api/v1/rollouts/{id}")).await.expect(200);
        answer.text_at("/rollout/status").to_owned()
    };
    let going = ["in_progress"].as_slice();
    for (command, body, becomes) in [
        ("pause", json!({"reason": "line 3 is in use"}), ["paused"].as_slice()),
        ("resume", json!({}), going),
        ("pause", json!({}), &["paused"]),
        ("resume", json!({}), going),
        ("cancel", json!({"reason": "wrong image"}), &["cancelled"]),
    ] {
        let path = format!("/api/v1/rollouts/{id}/{command}");
        let answer = slipway.api.post(&path, &body).await.expect(200);
        has_shape(&answer.body, &json!({"message": "…", "rollout_id": "…", "status": "…"}));
        assert_eq!(answer.text_at("/rollout_id"), id);
        assert_eq!(answer.body["reason"], body.get("reason").cloned().unwrap_or(Value::Null));
        assert!(becomes.contains(&answer.text_at("/status")), "{command}: {answer:?}");
        let found = status().await;
        assert!(becomes.contains(&found.as_str()), "{command}: {found}");
    }
    Rollout::new(&slipway.api, &id).wait_for("cancelled").await;
    for command in ["pause", "resume", "cancel"] {
        let path = format!("/api/v1/rollouts/{id}/{command}");
        let refused = slipway.api.post(&path, &json!({})).await.expect(409);
        assert_eq!(refused.body["details"]["state"], "cancelled", "{command}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_needs_no_body() {
    let slipway = stage().await;
    let id = redis_rollout(&slipway.api).await;
    let path = format!("/api/v1/rollouts/{id}/pause");
    let answer = slipway.api.send(http::Method::POST, &path, &[], "").await.expect(200);
    assert_eq!(answer.text_at("/status"), "paused");
}
