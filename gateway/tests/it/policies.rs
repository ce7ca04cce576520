//! Update policies, as document 2 prints them.

use proto::rollout::v1 as pb;
use serde_json::json;

use crate::samples::{ID, time};
use crate::world::World;

const CREATE: &str = "rollout.v1.Policies/CreatePolicy";
const UPDATE: &str = "rollout.v1.Policies/UpdatePolicy";

fn policy() -> pb::Policy {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    pb::Policy {
        id: ID.to_owned(),
        image_pattern: "redis:*".to_owned(),
        strategy: pb::Strategy::Staged.into(),
        enabled: true,
        batch_size: 3,
        batch_delay: seconds(300),
        device_soak: seconds(60),
        max_failure_ratio: Some(0.2),
        revision: 1,
        etag: "1".to_owned(),
        create_time: time(),
        update_time: time(),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_policy_of_the_document_is_taken_as_printed() {
    let world = World::start().await;
    world.rollout.answer(CREATE, policy());
    let body = json!({
        "image_pattern": "redis:*", "update_strategy": "staged", "batch_size": 3,
        "batch_delay_minutes": 5, "enabled": true
    });
    let told = world.post("/api/v1/policies").json(&body).send().await;
    let shown = told.expect(201);
    for (member, value) in body.as_object().unwrap() {
        assert_eq!(&shown[member], value, "{member}");
    }
    assert_eq!(shown["device_selector"], json!(null));
    assert_eq!(told.header("location"), format!("/api/v1/policies/{ID}"));
    let asked: pb::CreatePolicyRequest = world.rollout.asked(CREATE);
    let sent = asked.policy.unwrap();
    assert_eq!((sent.strategy(), sent.batch_size), (pb::Strategy::Staged, 3));
    assert_eq!((sent.batch_delay.unwrap().seconds, sent.device_selector), (300, None));
}

#[tokio::test]
async fn what_an_answer_shows_can_be_sent_back() {
    let world = World::start().await;
    world.rollout.answer("rollout.v1.Policies/GetPolicy", policy());
    world.rollout.answer(UPDATE, policy());
    let path = format!("/api/v1/policies/{ID}");
    let told = world.get(&path).send().await;
    let (shown, etag) = (told.expect(200), told.header("etag").to_owned());
    let told = world.put(&path).json(&shown).header("if-match", &etag).send().await;
    assert_eq!(told.expect(200), shown);
    let asked: pb::UpdatePolicyRequest = world.rollout.asked(UPDATE);
    let sent = asked.policy.unwrap();
    assert_eq!((sent.etag.as_str(), sent.image_pattern.as_str()), ("1", "redis:*"));
}

#[tokio::test]
async fn a_selector_narrows_and_null_widens_openly() {
    let world = World::start().await;
    world.rollout.answer(UPDATE, policy());
    let path = format!("/api/v1/policies/{ID}");
    let body = json!({"device_selector": {"fleet": "north", "labels": {"line": "3"}}});
    world.put(&path).json(&body).send().await.expect(200);
    let asked: pb::UpdatePolicyRequest = world.rollout.asked(UPDATE);
    let selector = asked.policy.unwrap().device_selector.unwrap();
    assert_eq!((selector.fleet.as_str(), selector.labels["line"].as_str()), ("north", "3"));
    assert_eq!(asked.update_mask.unwrap().paths, ["device_selector"]);

    world.put(&path).json(&json!({"device_selector": null})).send().await.expect(200);
    let asked: pb::UpdatePolicyRequest = world.rollout.asked(UPDATE);
    assert_eq!(asked.policy.unwrap().device_selector, None);
    assert_eq!(asked.update_mask.unwrap().paths, ["device_selector"]);
}

#[tokio::test]
async fn a_preview_changes_nothing_and_shows_batches() {
    let world = World::start().await;
    let preview = "rollout.v1.Policies/PreviewPolicy";
    world.rollout.answer(preview, pb::PreviewPolicyResponse::default());
    let body = json!({
        "policy": {"image_pattern": "redis:*", "update_strategy": "staged"},
        "image": "redis:7.5-alpine"
    });
    let told = world.post("/api/v1/policies/preview").json(&body).send().await.expect(200);
    assert_eq!((&told["batches"], &told["excluded"]), (&json!([]), &json!([])));
    let asked: pb::PreviewPolicyRequest = world.rollout.asked(preview);
    assert_eq!(asked.reference, "redis:7.5-alpine");
    assert_eq!(asked.policy.unwrap().image_pattern, "redis:*");
}

#[tokio::test]
async fn maintenance_windows_are_refused_and_not_passed_over() {
    let world = World::start().await;
    let body = json!({
        "image_pattern": "redis:*", "update_strategy": "scheduled", "windows": [{"weekly": "sun"}]
    });
    let told = world.post("/api/v1/policies").json(&body).send().await.expect(501);
    assert_eq!(told["reason"], "NOT_BUILT");
    assert!(world.rollout.calls().is_empty());
}
