//! What becomes of a rollout that a person asks for: it goes through the same gate as a webhook.

use serde_json::{Value, json};
use testbed::steps::{push_done, somebody};
use testbed::{Answer, Api};

use crate::scene::{pushes, rollouts, with_redis};

async fn ask(api: &Api, image: &str) -> Answer {
    api.post("/api/v1/rollouts", &json!({"image": image})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_of_the_table_has_its_answer() {
    let slipway = with_redis().await;
    let api = &slipway.api;
    let registry = testbed::LoopbackRegistry::start().await;
    for tag in ["7.5-alpine", "6-alpine"] {
        registry.push_image("library/redis", tag, "amd64", tag);
    }
    for name in ["nginx", "memcached", "python", "influxdb"] {
        registry.push_image(&format!("library/{name}"), "1", "amd64", name);
    }
    let upstream = json!({"name": "docker-hub", "url": registry.url, "host": "docker.io"});
    api.post("/api/v1/image-registries", &upstream).await.expect(201);
    let old = json!({"tag": "6-alpine", "is_deprecated": true});
    api.post("/api/v1/images/1/tags", &old).await.expect(201);
    let rejected = json!({"approval_status": "rejected"});
    api.put("/api/v1/images/5", &rejected).await.expect(200);
    api.put("/api/v1/images/8", &json!({"unknown_tag": "deny"})).await.expect(200);

    let made = ask(api, "redis:7.5-alpine").await.expect(201);
    assert_eq!(made.header("location"), format!("/api/v1/rollouts/{}", made.text_at("/id")));
    assert_eq!((&made.body["pinned"], &made.body["tag"]), (&json!(true), &json!("7.5-alpine")));
    for (image, status, member, value) in [
        ("nginx:1", 200, "/outcome", "no_policy"),
        ("redis:7.5-alpine", 200, "/outcome", "unchanged"),
        ("memcached:1", 202, "/state", "held"),
        ("python:1", 403, "/error", "Image not approved"),
        ("influxdb:1", 404, "/error", "Tag not found"),
        ("redis:6-alpine", 403, "/error", "Tag deprecated"),
        ("redis:of the day", 400, "/reason", "INVALID_REFERENCE"),
    ] {
        let answer = ask(api, image).await;
        assert_eq!(answer.status, status, "{image}: {answer:?}");
        assert_eq!(answer.text_at(member), value, "{image}: {answer:?}");
    }
    assert_eq!(rollouts(api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_they_asked_for_and_anybody_else_sets_it_going() {
    let slipway = with_redis().await;
    let api = &slipway.api;
    let registry = testbed::LoopbackRegistry::start().await;
    registry.push_image("library/memcached", "1.6", "amd64", "one");
    let upstream = json!({"name": "docker-hub", "url": registry.url, "host": "docker.io"});
    api.post("/api/v1/image-registries", &upstream).await.expect(201);
    let held = ask(api, "memcached:1.6").await.expect(202);
    let review = format!("/api/v1/approval-requests/{}", held.text_at("/review_id"));
    assert_eq!(held.header("location"), review);

    let approve = format!("{review}/approve");
    let own = api.post(&approve, &json!({})).await.expect(403);
    assert_eq!(own.text_at("/reason"), "SELF_REVIEW");
    let anna = somebody(api, "anna", "approver").await;
    anna.post(&approve, &json!({"notes": "fine"})).await.expect(200);
    let done = push_done(api, held.text_at("/push_id")).await;
    assert_eq!((&done["outcome"], &done["pinned"]), (&json!("no_policy"), &json!(true)));
    let lost = anna.post(&format!("{review}/reject"), &json!({"reason": "late"})).await.expect(409);
    assert_eq!(lost.body["details"]["state"], "approved", "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_makes_one_push() {
    let slipway = with_redis().await;
    let api = &slipway.api;
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "0198f3a4-6c1e-7000-8000-0b9d2f7a4c13"),
    ];
    let send = async |body: Value| {
        api.send(http::Method::POST, "/api/v1/rollouts", &headers, body.to_string()).await
    };
    let first = send(json!({"image": "memcached:1.6"})).await.expect(202);
    let again = send(json!({"image": "memcached:1.6"})).await.expect(202);
    assert_eq!(again.text_at("/push_id"), first.text_at("/push_id"));
    let other = send(json!({"image": "memcached:1.7"})).await.expect(422);
    assert_eq!(other.text_at("/reason"), "REQUEST_ID_REUSED");
    assert_eq!(pushes(api).await, 1);
}
