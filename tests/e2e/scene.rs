//! What documents take for granted when they show a request: a policy, a device; and their webhook.

use serde_json::{Value, json};
use testbed::steps::{WEBHOOK, add_policy, add_receiver};
use testbed::{Answer, Api, Slipway};

/// Makes a policy that takes the whole fleet at once, and returns its id.
pub async fn policy(api: &Api, pattern: &str) -> String {
    let rule = json!({
        "image_pattern": pattern, "update_strategy": "auto", "max_in_flight": "100%",
        "soak_device_seconds": 0
    });
    add_policy(api, &rule).await
}

/// Adds a device that is to run these images, one service for each, and has not called yet. Returns
/// its id.
pub async fn device(api: &Api, images: &[&str]) -> String {
    let device = api.post("/api/v1/devices", &json!({"fleet": "north"})).await.expect(201);
    let service = |(at, image): (usize, &&str)| json!({"name": format!("s{at}"), "image": image});
    let services: Vec<_> = images.iter().enumerate().map(service).collect();
    let id = device.text_at("/id").to_owned();
    let path = format!("/api/v1/devices/{id}/target");
    api.put(&path, &json!({"services": services})).await.expect(200);
    id
}

/// A Slipway with the default receiver, a policy for redis and a device that runs it.
pub async fn with_redis() -> Slipway {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    policy(&slipway.api, "redis:*").await;
    device(&slipway.api, &["redis:7-alpine"]).await;
    slipway
}

/// The body of Docker Hub's webhook as document 2 has it.
pub fn docker_hub(repository: &str, tag: &str) -> Value {
    json!({"repository": {"repo_name": repository}, "push_data": {"tag": tag}})
}

/// Sends a webhook as Docker Hub does: without a token.
pub async fn push(api: &Api, repository: &str, tag: &str) -> Answer {
    api.nobody().post(WEBHOOK, &docker_hub(repository, tag)).await
}

/// How many rollouts there are.
pub async fn rollouts(api: &Api) -> i64 {
    let answer = api.get("/api/v1/rollouts").await.expect(200);
    answer.body["pagination"]["total"].as_i64().unwrap()
}

/// How many pushes there are.
pub async fn pushes(api: &Api) -> i64 {
    api.get("/api/v1/pushes").await.expect(200).body["total"].as_i64().unwrap()
}
