//! The settings of the gate, as documents 1 and 2 leave them open.

use serde_json::json;
use testbed::Slipway;
use testbed::steps::{add_receiver, push_done};

use crate::scene::{push, with_redis};

async fn set_gate(slipway: &Slipway, change: serde_json::Value) {
    slipway.api.put("/api/v1/gate", &change).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tag_is_added_asked_about_or_denied() {
    let slipway = with_redis().await;
    let gate = slipway.api.get("/api/v1/gate").await.expect(200);
    assert_eq!(gate.text_at("/unknown_tag"), "auto_add");
    push(&slipway.api, "redis", "8.1").await.expect(200);

    set_gate(&slipway, json!({"unknown_tag": "request"})).await;
    let held = push(&slipway.api, "redis", "8.2").await.expect(403);
    assert_eq!(held.text_at("/error"), "Tag not approved");

    set_gate(&slipway, json!({"unknown_tag": "deny"})).await;
    let denied = push(&slipway.api, "redis", "8.3").await.expect(404);
    assert_eq!(denied.text_at("/error"), "Tag not found");
    assert_eq!(denied.text_at("/message"), "This tag is not in the approved tags list");

    push(&slipway.api, "redis", "7.4-alpine").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_was_asked_about_goes_on_once_it_is_added() {
    let slipway = with_redis().await;
    set_gate(&slipway, json!({"unknown_tag": "request"})).await;
    let held = push(&slipway.api, "redis", "8.2").await.expect(403);
    slipway.api.post("/api/v1/images/1/tags", &json!({"tag": "8.2"})).await.expect(201);
    let done = push_done(&slipway.api, held.text_at("/events/0/push_id")).await;
    assert_eq!(done["outcome"], "rollout");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_has_a_setting_of_its_own() {
    let slipway = with_redis().await;
    let own = json!({"unknown_tag": "deny"});
    slipway.api.put("/api/v1/images/1", &own).await.expect(200);
    push(&slipway.api, "redis", "8.1").await.expect(404);
    push(&slipway.api, "nginx", "8.1").await.expect(200);
    let as_the_gate_says = json!({"unknown_tag": null});
    slipway.api.put("/api/v1/images/1", &as_the_gate_says).await.expect(200);
    push(&slipway.api, "redis", "8.1").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_namespaces_are_the_documents_and_can_be_changed() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let gate = slipway.api.get("/api/v1/gate").await.expect(200);
    let printed = json!([
        {"host": "docker.io", "namespace": "iotistic"},
        {"host": "ghcr.io", "namespace": "dsamborschi"}
    ]);
    assert_eq!(gate.body["internal_namespaces"], printed);
    let internal = push(&slipway.api, "iotistic/agent", "1").await.expect(200);
    assert_eq!(internal.text_at("/events/0/reasons/0/code"), "INTERNAL_NAMESPACE");

    let own = json!({"internal_namespaces": [{"host": "docker.io", "namespace": "acme/edge"}]});
    set_gate(&slipway, own).await;
    push(&slipway.api, "iotistic/agent", "2").await.expect(403);
    push(&slipway.api, "acme/agent", "2").await.expect(403);
    push(&slipway.api, "acme/edge/agent", "2").await.expect(200);
}
