//! Document 2: its five workflows, and what to do when a webhook is refused.

use serde_json::{Value, json};
use testbed::{Answer, Api, Fleet, Slipway, eventually};

use testbed::steps::{WEBHOOK, add_receiver};

use super::has_shape;
use crate::scene::{docker_hub, policy, rollouts};

const ACTION: &str = "Admin must approve this image before deployment";

/// What the workflows assume: the webhook's receiver, policies, and devices that run both images.
async fn stage() -> (Slipway, Fleet) {
    let slipway = super::slipway().await;
    add_receiver(&slipway.api).await;
    policy(&slipway.api, "iotistic/*:*").await;
    policy(&slipway.api, "redis:*").await;
    let images = [("agent", "iotistic/agent:v2.0.0"), ("cache", "redis:7-alpine")];
    let fleet = slipway.fleet("north", 2, &images, "good").await;
    (slipway, fleet)
}

async fn webhook(api: &Api, repository: &str, tag: &str) -> Answer {
    api.post(WEBHOOK, &docker_hub(repository, tag)).await
}

/// The webhook made a rollout.
#[track_caller]
fn rolls_out(answer: Answer, reason: &str) {
    let answer = answer.expect(200);
    has_shape(
        &answer.body,
        &json!({
            "message": "…", "decision": "allow", "delivery_id": "…",
            "events": [{
                "push_id": "…", "image": "…", "repository": "…", "registry": "docker.io", "tag": "…",
                "actor": {}, "decision": "allow", "state": "done", "outcome": "rollout",
                "pinned": false, "reasons": [{"code": "…", "message": "…"}], "rollout_id": "…"
            }]
        }),
    );
    assert_eq!(answer.text_at("/events/0/outcome"), "rollout", "{answer:?}");
    assert_eq!(answer.text_at("/events/0/reasons/0/code"), reason);
    assert!(answer.body.get("error").is_none() && answer.body.get("action_required").is_none());
}

/// The webhook was refused with this body, which may have more members.
#[track_caller]
fn is_refused(answer: Answer, printed: &Value) {
    let answer = answer.expect(403);
    for (name, value) in printed.as_object().unwrap() {
        assert_eq!(&answer.body[name], value, "{name} of {answer:?}");
    }
}

fn not_approved(image: &str) -> Value {
    json!({
        "error": "Image not approved",
        "message": format!("Image '{image}' is not in the approved registry"),
        "action_required": ACTION
    })
}

/// Waits until the one push of an image became what was asked for.
async fn settles(api: &Api, image: &str, outcome: &str) {
    eventually(&format!("the push of `{image}` to be {outcome}"), async || {
        let answer = api.get(&format!("/api/v1/pushes?image={image}")).await.expect(200);
        let found = answer.text_at("/pushes/0/outcome");
        if found == outcome { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workflow_1_an_internal_image() {
    let (slipway, fleet) = stage().await;
    let answer = webhook(&slipway.api, "iotistic/agent", "v2.1.0").await;
    rolls_out(answer, "INTERNAL_NAMESPACE");
    fleet.wait_until_running("docker.io/iotistic/agent:v2.1.0", 2).await;
    let list = slipway.api.get("/api/v1/images?search=iotistic").await.expect(200);
    assert_eq!(list.body["total"], 0, "nothing is checked, so nothing is added");
}

#[tokio::test(flavor = "multi_thread")]
async fn workflow_2_an_approved_image() {
    let (slipway, fleet) = stage().await;
    // Redis is part of the first data, so the printed request finds it there.
    let image = json!({
        "image_name": "redis", "category": "database", "description": "Redis in-memory data store"
    });
    let there = slipway.api.post("/api/v1/images", &image).await.expect(409);
    assert_eq!(there.body["details"]["image_id"], 1);

    let tag = json!({"tag": "7.5-alpine", "is_recommended": true});
    let tag = slipway.api.post("/api/v1/images/1/tags", &tag).await.expect(201);
    assert_eq!((&tag.body["id"], &tag.body["is_recommended"]), (&json!(5), &json!(true)));
    rolls_out(webhook(&slipway.api, "redis", "7.5-alpine").await, "IMAGE_APPROVED");
    fleet.wait_until_running("docker.io/library/redis:7.5-alpine", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workflow_3_a_new_tag_of_an_approved_image() {
    let (slipway, fleet) = stage().await;
    rolls_out(webhook(&slipway.api, "redis", "7.6-alpine").await, "TAG_ADDED");
    let image = slipway.api.get("/api/v1/images/1").await.expect(200);
    let tag = &image.body["tags"][4];
    assert_eq!((&tag["tag"], &tag["is_recommended"]), (&json!("7.6-alpine"), &json!(false)));
    fleet.wait_until_running("docker.io/library/redis:7.6-alpine", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workflow_4_an_unapproved_image() {
    let slipway = super::slipway().await;
    let api = &slipway.api;
    add_receiver(api).await;
    let refused = webhook(api, "portainer/portainer-ce", "latest").await;
    is_refused(refused, &not_approved("portainer/portainer-ce"));
    let waiting = api.get("/api/v1/approval-requests?status=pending").await.expect(200);
    assert_eq!(waiting.text_at("/approval_requests/0/image_name"), "portainer-ce");
    assert_eq!(waiting.text_at("/approval_requests/0/namespace"), "portainer");

    let image = json!({
        "image_name": "portainer-ce", "namespace": "portainer", "category": "management"
    });
    let image = api.post("/api/v1/images", &image).await.expect(201);
    assert_eq!(image.body["id"], 10);
    // Approval sets the held push going, and that adds its tag.
    settles(api, "portainer/portainer-ce", "no_policy").await;
    let tag = api.post("/api/v1/images/10/tags", &json!({"tag": "latest"})).await.expect(201);
    assert_eq!(tag.text_at("/tag"), "latest");

    webhook(api, "portainer/portainer-ce", "latest").await.expect(200);
    let decided = api.get("/api/v1/approval-requests").await.expect(200);
    assert_eq!(decided.text_at("/approval_requests/0/status"), "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn workflow_5_a_deprecated_tag() {
    let slipway = super::slipway().await;
    let api = &slipway.api;
    add_receiver(api).await;
    for tag in ["7.5-alpine", "7.6-alpine", "6.2-alpine", "6-alpine"] {
        api.post("/api/v1/images/1/tags", &json!({"tag": tag})).await.expect(201);
    }
    let tag = api.put("/api/v1/images/1/tags/8", &json!({"is_deprecated": true})).await;
    assert_eq!(tag.expect(200).text_at("/tag"), "6-alpine");
    let refused = webhook(api, "redis", "6-alpine").await;
    assert!(refused.body.get("action_required").is_none(), "{refused:?}");
    let printed = json!({
        "error": "Tag deprecated",
        "message": "Tag '6-alpine' for image 'redis' is marked as deprecated"
    });
    is_refused(refused, &printed);
    assert_eq!(rollouts(api).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflows_one_after_the_other_meet_the_ids_they_print() {
    let (slipway, fleet) = stage().await;
    let api = &slipway.api;
    rolls_out(webhook(api, "iotistic/agent", "v2.1.0").await, "INTERNAL_NAMESPACE");

    let tag = json!({"tag": "7.5-alpine", "is_recommended": true});
    api.post("/api/v1/images/1/tags", &tag).await.expect(201);
    rolls_out(webhook(api, "redis", "7.5-alpine").await, "IMAGE_APPROVED");
    rolls_out(webhook(api, "redis", "7.6-alpine").await, "TAG_ADDED");

    let refused = webhook(api, "portainer/portainer-ce", "latest").await;
    is_refused(refused, &not_approved("portainer/portainer-ce"));
    let image = json!({
        "image_name": "portainer-ce", "namespace": "portainer", "category": "management"
    });
    assert_eq!(api.post("/api/v1/images", &image).await.expect(201).body["id"], 10);
    let latest = api.post("/api/v1/images/10/tags", &json!({"tag": "latest"})).await;
    assert_eq!(latest.expect(201).body["id"], 7);
    webhook(api, "portainer/portainer-ce", "latest").await.expect(200);

    // The document's old tag: an administrator had added it.
    let old = api.post("/api/v1/images/1/tags", &json!({"tag": "6-alpine"})).await.expect(201);
    assert_eq!(old.body["id"], 8);
    api.put("/api/v1/images/1/tags/8", &json!({"is_deprecated": true})).await.expect(200);
    let refused = webhook(api, "redis", "6-alpine").await;
    is_refused(refused, &json!({"error": "Tag deprecated"}));

    fleet.wait_until_running("docker.io/iotistic/agent:v2.1.0", 2).await;
    fleet.wait_until_running("docker.io/library/redis:7.6-alpine", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_webhook_is_mended_as_the_document_says() {
    let slipway = super::slipway().await;
    let api = &slipway.api;
    add_receiver(api).await;
    is_refused(webhook(api, "xyz", "latest").await, &not_approved("xyz"));
    let found = api.get("/api/v1/images?search=xyz").await.expect(200);
    assert_eq!(found.body["total"], 0);
    let image = api.post("/api/v1/images", &json!({"image_name": "xyz"})).await.expect(201);
    let path = format!("/api/v1/images/{}/tags", image.body["id"]);
    api.post(&path, &json!({"tag": "latest"})).await.expect(201);
    webhook(api, "xyz", "latest").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_images_and_tags_are_configured_as_printed() {
    let slipway = super::slipway().await;
    let api = &slipway.api;
    // Printed for a registry that is empty; this one knows both already.
    let image = json!({
        "image_name": "redis", "registry": "docker.io", "namespace": "library",
        "description": "Redis in-memory data store", "category": "database", "is_official": true
    });
    let tag = json!({"tag": "7-alpine", "is_recommended": true, "architecture": "amd64"});
    let there = api.post("/api/v1/images", &image).await.expect(409);
    assert_eq!(
        (there.text_at("/error"), &there.body["details"]["image_id"]),
        ("Image exists", &json!(1))
    );
    let there = api.post("/api/v1/images/1/tags", &tag).await.expect(409);
    assert_eq!(
        (there.text_at("/error"), &there.body["details"]["tag_id"]),
        ("Tag exists", &json!(1))
    );

    api.delete("/api/v1/images/1/tags/1").await.expect(200);
    let added = api.post("/api/v1/images/1/tags", &tag).await.expect(201);
    api.delete("/api/v1/images/1").await.expect(200);
    let new = api.post("/api/v1/images", &image).await.expect(201);
    for (printed, answer) in [(&image, &new), (&tag, &added)] {
        for (name, value) in printed.as_object().unwrap() {
            assert_eq!(&answer.body[name], value, "{name}");
        }
    }
}
