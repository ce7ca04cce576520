//! Document 2: what devices do. They poll with an ETag, deploy, and report.

use http::Method;
use runtime::secret::Secret;
use serde_json::{Value, json};
use testbed::steps::{Rollout, add_policy, add_receiver};
use testbed::{Answer, Api};

use super::{has_shape, slipway};
use crate::scene::push;

/// A device that speaks REST.
struct Device {
    api: Api,
    path: String,
}

impl Device {
    async fn add(api: &Api) -> Self {
        let made = api.post("/api/v1/devices", &json!({"fleet": "north"})).await.expect(201);
        has_shape(&made.body, &json!({"id": "…", "uuid": "…", "name": "…", "token": "…"}));
        let target = json!({"services": [{"name": "cache", "image": "redis:7-alpine"}]});
        let id = made.text_at("/uuid");
        api.put(&format!("/api/v1/devices/{id}/target"), &target).await.expect(200);
        let api = api.bearing(&Secret::new(made.text_at("/token")));
        Self { api, path: format!("/api/v1/device/{id}/state") }
    }

    async fn poll(&self, etag: &str) -> Answer {
        self.api.send(Method::GET, &self.path, &[("if-none-match", etag)], "").await
    }

    /// Says that the one service of a target runs, healthy.
    async fn report(&self, seq: i64, target: &Answer) -> Answer {
        let service = &target.body["services"][0];
        let mut report = json!({
            "name": service["name"], "image": service["image"], "digest": service["digest"],
            "phase": "running", "healthy": true
        });
        if let Some(rollout) = service.get("rollout").filter(|rollout| rollout.is_object()) {
            report["rollout_id"] = rollout["id"].clone();
            report["attempt"] = rollout["attempt"].clone();
        }
        let body = json!({
            "boot_id": "5d1f2c1e", "seq": seq, "generation": target.body["generation"],
            "etag": target.body["etag"], "services": [report]
        });
        self.api.patch(&self.path, &body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_polls_deploys_and_reports() {
    let slipway = slipway().await;
    let api = &slipway.api;
    add_receiver(api).await;
    let rule = json!({
        "image_pattern": "redis:*", "update_strategy": "auto", "soak_device_seconds": 0
    });
    add_policy(api, &rule).await;
    let device = Device::add(api).await;
    let first = device.poll("").await.expect(200);
    has_shape(
        &first.body,
        &json!({"generation": 1, "etag": "…", "services": [{"name": "…", "image": "…"}]}),
    );
    assert_eq!(first.text_at("/services/0/image"), "docker.io/library/redis:7-alpine");
    let etag = first.header("etag").to_owned();
    let same = device.poll(&etag).await.expect(304);
    assert_eq!((same.text.as_str(), same.header("etag")), ("", etag.as_str()));
    let taken = device.report(1, &first).await.expect(200);
    assert_eq!((&taken.body["stale"], &taken.body["last_seq"]), (&json!(false), &json!(1)));

    let rollout = Rollout::of(api, push(api, "redis", "7.5-alpine").await);
    let next = testbed::eventually("the new target", async || {
        let answer = device.poll(&etag).await;
        if answer.status == 200 { Ok(answer) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_ne!(next.header("etag"), etag);
    assert_eq!(next.text_at("/services/0/image"), "docker.io/library/redis:7.5-alpine");
    assert_eq!(next.text_at("/services/0/rollout/id"), rollout.id);
    device.report(2, &next).await.expect(200);
    let late = device.report(1, &first).await.expect(200);
    assert_eq!((&late.body["stale"], &late.body["last_seq"]), (&json!(true), &json!(2)));
    let ended = rollout.wait_for("succeeded").await;
    assert_eq!((&ended["status"], &ended["tally"]["succeeded"]), (&json!("completed"), &json!(1)));
    let detail = rollout.detail().await;
    assert_eq!(detail["devices"][0]["status"], "completed");
    assert_eq!(detail["statistics"]["progress_percent"], Value::from(100.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_sees_its_own_state_only() {
    let slipway = slipway().await;
    let (one, other) = (Device::add(&slipway.api).await, Device::add(&slipway.api).await);
    let strange = one.api.get(&other.path).await;
    assert!([403, 404].contains(&strange.status), "{strange:?}");
    let nobody = slipway.api.nobody().get(&one.path).await;
    assert_eq!(nobody.status, 401, "{nobody:?}");
}
