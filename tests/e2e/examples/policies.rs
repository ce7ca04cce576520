//! Document 2: the update policy, by the route that does what the printed statement does.

use serde_json::json;

use testbed::steps::add_receiver;

use super::{has_shape, slipway};
use crate::scene::{device, push};

#[tokio::test(flavor = "multi_thread")]
async fn image_update_policy() {
    let slipway = slipway().await;
    let body = json!({
        "image_pattern": "redis:*", "update_strategy": "staged", "batch_size": 3,
        "batch_delay_minutes": 5, "enabled": true
    });
    let made = slipway.api.post("/api/v1/policies", &body).await.expect(201);
    has_shape(&made.body, &json!({"id": "…", "revision": 1, "etag": "…"}));
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&made.body[name], value, "{name} of {made:?}");
    }
    assert_eq!(
        (&made.body["device_selector"], &made.body["whole_fleet"]),
        (&json!(null), &json!(true))
    );
    let path = format!("/api/v1/policies/{}", made.text_at("/id"));
    let shown = slipway.api.get(&path).await.expect(200);
    assert_eq!(shown.body, made.body);
    let list = slipway.api.get("/api/v1/policies").await.expect(200);
    assert_eq!((&list.body["total"], &list.body["policies"][0]), (&json!(1), &made.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_rollout_goes_three_devices_at_a_time() {
    let slipway = slipway().await;
    let api = &slipway.api;
    add_receiver(api).await;
    let rule = json!({
        "image_pattern": "redis:*", "update_strategy": "staged", "batch_size": 3,
        "batch_delay_minutes": 5, "enabled": true
    });
    api.post("/api/v1/policies", &rule).await.expect(201);
    for _ in 0..7 {
        device(api, &["redis:7-alpine"]).await;
    }
    let preview = json!({"policy": rule, "image": "redis:7.5-alpine"});
    let preview = api.post("/api/v1/policies/preview", &preview).await.expect(200);
    let pushed = push(api, "redis", "7.5-alpine").await.expect(200);
    let path = format!("/api/v1/rollouts/{}", pushed.text_at("/events/0/rollout_id"));
    let rollout = api.get(&path).await.expect(200);
    let sizes = |batches: &serde_json::Value| -> Vec<u64> {
        batches.as_array().unwrap().iter().map(|batch| batch["size"].as_u64().unwrap()).collect()
    };
    assert_eq!(sizes(&rollout.body["rollout"]["batches"]), [3, 3, 1]);
    assert_eq!(sizes(&preview.body["batches"]), [3, 3, 1]);
    assert_eq!((&preview.body["devices"], &preview.body["excluded"]), (&json!(7), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_selector_is_refused_and_never_widens_a_policy() {
    let slipway = slipway().await;
    for selector in [json!({}), json!({"flet": "north"}), json!({"labels": {}}), json!([])] {
        let body = json!({
            "image_pattern": "redis:*", "update_strategy": "auto", "device_selector": selector
        });
        let refused = slipway.api.post("/api/v1/policies", &body).await;
        assert_eq!(refused.status, 400, "{selector}: {refused:?}");
    }
    let body = json!({"image_pattern": "redis:*", "update_strategy": "auto", "device_filter": {}});
    let refused = slipway.api.post("/api/v1/policies", &body).await.expect(400);
    assert!(refused.text_at("/message").contains("device_filter"), "{refused:?}");
}
