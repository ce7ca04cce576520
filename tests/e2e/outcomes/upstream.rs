//! What a push becomes where the registry can be asked for the digest.

use serde_json::json;
use testbed::steps::{add_receiver, push_done};
use testbed::{Fault, LoopbackRegistry, Slipway};

use crate::scene::{push, rollouts, with_redis};

/// A registry that stands for Docker Hub.
async fn docker_io(slipway: &Slipway) -> LoopbackRegistry {
    let registry = LoopbackRegistry::start().await;
    let body = json!({"name": "docker-hub", "url": registry.url, "host": "docker.io"});
    slipway.api.post("/api/v1/image-registries", &body).await.expect(201);
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rollout_is_pinned_to_what_the_registry_says() {
    let slipway = with_redis().await;
    let registry = docker_io(&slipway).await;
    let digest = registry.push_index("library/redis", "7.5-alpine", &["amd64", "arm64"]);
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    let event = &answer.body["events"][0];
    assert_eq!((&event["pinned"], &event["digest"]), (&json!(true), &json!(digest)), "{answer:?}");
    let path = format!("/api/v1/rollouts/{}", answer.text_at("/events/0/rollout_id"));
    let rollout = slipway.api.get(&path).await.expect(200);
    assert_eq!(rollout.text_at("/rollout/digest"), digest);
    let image = slipway.api.get("/api/v1/images/1").await.expect(200);
    assert_eq!(image.text_at("/tags/4/digest"), digest);
    assert_eq!(image.body["tags"][4]["platforms"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_digest_again_is_unchanged() {
    let slipway = with_redis().await;
    let registry = docker_io(&slipway).await;
    registry.push_image("library/redis", "7.5-alpine", "amd64", "one");
    registry.push_image("library/redis", "7.5", "amd64", "one");
    push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    let again = push(&slipway.api, "redis", "7.5").await.expect(200);
    assert_eq!(again.text_at("/message"), "Already deployed");
    assert_eq!(again.text_at("/events/0/outcome"), "unchanged");
    assert_eq!(rollouts(&slipway.api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_makes_the_push_wait_and_go_on_by_itself() {
    let slipway = with_redis().await;
    let registry = docker_io(&slipway).await;
    registry.push_image("library/redis", "7.5-alpine", "amd64", "one");
    registry.misbehave(Fault::Status(500, None));
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(202);
    assert_eq!(
        (answer.text_at("/decision"), answer.text_at("/events/0/state")),
        ("hold", "waiting")
    );
    assert_eq!(answer.text_at("/events/0/reasons/0/code"), "UPSTREAM_UNREACHABLE");
    registry.behave();
    let done = push_done(&slipway.api, answer.text_at("/events/0/push_id")).await;
    assert_eq!((&done["outcome"], &done["pinned"]), (&json!("rollout"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_the_registry_does_not_know_yet_waits() {
    let slipway = with_redis().await;
    let registry = docker_io(&slipway).await;
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(202);
    assert_eq!(answer.text_at("/events/0/reasons/0/code"), "NOT_RESOLVABLE");
    registry.push_image("library/redis", "7.5-alpine", "amd64", "one");
    let done = push_done(&slipway.api, answer.text_at("/events/0/push_id")).await;
    assert_eq!(done["outcome"], "rollout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_not_believed_waits_for_a_registry_to_ask() {
    let slipway = Slipway::start().await;
    let receiver = json!({
        "name": "hub", "vendor": "dockerhub", "allow_unauthenticated": true,
        "registries": ["docker.io"], "is_default": true
    });
    slipway.api.post("/api/v1/receivers", &receiver).await.expect(201);
    let answer = push(&slipway.api, "iotistic/agent", "1").await.expect(202);
    let why = answer.text_at("/events/0/reasons/0/code");
    assert_eq!(why, "UPSTREAM_NOT_CONFIGURED", "also of an internal image");
    let registry = docker_io(&slipway).await;
    registry.push_image("iotistic/agent", "1", "amd64", "one");
    let done = push_done(&slipway.api, answer.text_at("/events/0/push_id")).await;
    assert_eq!((&done["outcome"], &done["pinned"]), (&json!("no_policy"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn images_and_tags_are_verified_as_the_gate_says() {
    let slipway = Slipway::start().await;
    let api = &slipway.api;
    add_receiver(api).await;
    let registry = docker_io(&slipway).await;
    registry.push_image("library/memcached", "1.6", "amd64", "one");
    let add = async |name: &str| api.post("/api/v1/images", &json!({"image_name": name})).await;
    let there = add("memcached").await.expect(201);
    assert_eq!((&there.body["verified"], &there.body["warnings"]), (&json!(true), &json!([])));
    let missing = add("memcachd").await.expect(201);
    assert_eq!(missing.body["verified"], false);
    assert_eq!(missing.body["warnings"].as_array().unwrap().len(), 1);

    api.put("/api/v1/gate", &json!({"verify_upstream": "require"})).await.expect(200);
    let refused = add("memcache").await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert_eq!(refused.text_at("/reason"), "UPSTREAM_NOT_FOUND");
    let tags = format!("/api/v1/images/{}/tags", there.body["id"]);
    api.post(&tags, &json!({"tag": "1.6"})).await.expect(201);
    let refused = api.post(&tags, &json!({"tag": "1.7"})).await;
    assert_eq!(refused.text_at("/reason"), "UPSTREAM_NOT_FOUND", "{refused:?}");

    registry.misbehave(Fault::Status(500, None));
    let refused = add("memcache").await.expect(503);
    assert_eq!(refused.text_at("/reason"), "UPSTREAM_UNREACHABLE");
}
