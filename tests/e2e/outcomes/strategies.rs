//! What a push becomes where the policy, or the fleet, has a say.

use serde_json::{Value, json};
use testbed::Slipway;
use testbed::steps::{add_policy, add_receiver};

use crate::scene::{device, policy, push, rollouts, with_redis};

/// The status of the rollout that a push of redis becomes under a policy with these members.
async fn status_under(rule: Value) -> (Slipway, Value) {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let mut policy = json!({"image_pattern": "redis:*"});
    policy.as_object_mut().unwrap().extend(rule.as_object().unwrap().clone());
    add_policy(&slipway.api, &policy).await;
    device(&slipway.api, &["redis:7-alpine"]).await;
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    assert_eq!(answer.text_at("/events/0/outcome"), "rollout");
    let path = format!("/api/v1/rollouts/{}", answer.text_at("/events/0/rollout_id"));
    let rollout = slipway.api.get(&path).await.expect(200).body["rollout"].clone();
    (slipway, rollout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_policy_makes_a_rollout_that_waits_for_a_person() {
    let (slipway, rollout) = status_under(json!({"update_strategy": "manual"})).await;
    assert_eq!(rollout["status"], "pending");
    let path = format!("/api/v1/rollouts/{}/start", rollout["id"].as_str().unwrap());
    let started = slipway.api.post(&path, &json!({})).await.expect(200);
    assert_eq!(started.text_at("/status"), "in_progress");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_policy_makes_a_rollout_that_waits_for_its_time() {
    let rule = json!({"update_strategy": "scheduled", "start_at": "2099-01-01T00:00:00Z"});
    let (_slipway, rollout) = status_under(rule).await;
    assert_eq!((&rollout["status"], &rollout["state"]), (&json!("scheduled"), &json!("pending")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_a_webhook_is_answered_and_nothing_happens() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    device(&slipway.api, &["redis:7-alpine"]).await;
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    assert_eq!(answer.text_at("/message"), "No matching policy");
    assert_eq!(answer.text_at("/events/0/outcome"), "no_policy");
    assert_eq!(rollouts(&slipway.api).await, 0);
    let image = slipway.api.get("/api/v1/images/1").await.expect(200);
    assert_eq!(image.body["tag_count"], 5, "the tag was added all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_for_other_tags_is_none() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    policy(&slipway.api, "redis:8.*").await;
    device(&slipway.api, &["redis:7-alpine"]).await;
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    assert_eq!(answer.text_at("/events/0/outcome"), "no_policy");
    let answer = push(&slipway.api, "redis", "8.0").await.expect(200);
    assert_eq!(answer.text_at("/events/0/outcome"), "rollout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_policy_is_none_until_it_is_enabled() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let id = policy(&slipway.api, "redis:*").await;
    device(&slipway.api, &["redis:7-alpine"]).await;
    let path = format!("/api/v1/policies/{id}");
    slipway.api.put(&path, &json!({"enabled": false})).await.expect(200);
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    assert_eq!(answer.text_at("/message"), "No matching policy");
    let reasons = answer.body["events"][0]["reasons"].to_string();
    assert!(reasons.contains("POLICY_DISABLED"), "{reasons}");

    slipway.api.put(&path, &json!({"enabled": true})).await.expect(200);
    let retry = format!("/api/v1/pushes/{}/retry", answer.text_at("/events/0/push_id"));
    let retried = slipway.api.post(&retry, &json!({})).await.expect(201);
    assert_eq!(retried.text_at("/outcome"), "rollout", "{retried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_device_with_the_image_means_no_rollout() {
    let slipway = with_redis().await;
    policy(&slipway.api, "nginx:*").await;
    let answer = push(&slipway.api, "nginx", "1.27").await.expect(200);
    assert_eq!(answer.text_at("/message"), "No matching devices");
    assert_eq!(answer.text_at("/events/0/outcome"), "no_target");
    assert_eq!(rollouts(&slipway.api).await, 0);
}
