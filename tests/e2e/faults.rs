//! What goes wrong with processes, the database, deliveries, devices and clocks. After each of it
//! every push has come to its one outcome, and `slipway check` finds nothing wrong.

mod clocks;
mod crash_points;
mod database;
mod deliveries;
mod devices;
mod peers;

use loopback::LoopbackRegistry;
use serde_json::{Value, json};
use testbed::steps::{Rollout, WEBHOOK, add_policy, add_receiver, docker_hub, quick_policy};
use testbed::{Answer, Api, Database, Fleet, Processes, eventually};

use crate::PROGRAM;

/// What is pushed.
const NEW: &str = "docker.io/library/redis:7.5-alpine";

/// Processes that can be killed, with three devices that run redis, a policy for it, and a registry
/// that knows its tags.
struct North {
    slipway: Processes,
    fleet: Fleet,
    _registry: LoopbackRegistry,
}

impl North {
    async fn start() -> Self {
        Self::start_on(Database::create().await, &[], "auto", json!({})).await
    }

    async fn start_on(
        database: Database,
        environment: &[(&str, &str, &str)],
        strategy: &str,
        members: Value,
    ) -> Self {
        let slipway = Processes::start_on(database, PROGRAM, environment).await;
        let registry = LoopbackRegistry::start().await;
        for tag in ["7-alpine", "7.5-alpine"] {
            registry.push_index("library/redis", tag, &["amd64", "arm64"]);
        }
        let upstream = json!({"name": "hub", "url": registry.url, "host": "docker.io"});
        slipway.api.post("/api/v1/image-registries", &upstream).await.expect(201);
        add_receiver(&slipway.api).await;
        let fleet = slipway.fleet("north", 3, &[("cache", "redis:7-alpine")], "good").await;
        let mut policy = quick_policy("north", "redis:*", strategy);
        policy.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        add_policy(&slipway.api, &policy).await;
        Self { slipway, fleet, _registry: registry }
    }

    /// Waits until the one push there was is a rollout that succeeded on all devices, and has
    /// everything checked.
    async fn settles(&self) -> Value {
        let api = &self.slipway.api;
        let push = eventually("the push to be done", async || {
            let push = only(api, "pushes").await;
            if push["state"] == "done" { Ok(push) } else { Err(push.to_string()) }
        })
        .await;
        let rollout = only(api, "rollouts").await;
        assert_eq!((&push["outcome"], &push["rollout_id"]), (&json!("rollout"), &rollout["id"]));
        Rollout::new(api, rollout["id"].as_str().unwrap()).wait_for("succeeded").await;
        self.fleet.wait_until_running(NEW, 3).await;
        self.fleet.wait_until_healthy(api).await;
        self.slipway.check().await;
        push
    }
}

/// The only one there is of something.
async fn only(api: &Api, what: &str) -> Value {
    eventually(&format!("{what} to be listed"), async || {
        let answer = api.get(&format!("/api/v1/{what}")).await;
        let Some(found) = answer.body[what].as_array() else { return Err(format!("{answer:?}")) };
        assert!(found.len() <= 1, "{what}: {found:?}");
        found.first().cloned().ok_or_else(|| "there is none".to_owned())
    })
    .await
}

/// A push of an image that is under review; returns the review. On a busy machine its sender may hear
/// that the verdict is still to come.
async fn held(api: &Api) -> String {
    let pending = json!({"approval_status": "pending"});
    api.put("/api/v1/images/1", &pending).await.expect(200);
    let answer = tell(api).await.unwrap().unwrap();
    assert!([202, 403].contains(&answer.status), "{answer:?}");
    eventually("the push to be held", async || {
        let push = only(api, "pushes").await;
        match push["review_id"].as_str() {
            Some(review) if push["state"] == "held" => Ok(review.to_owned()),
            _ => Err(push.to_string()),
        }
    })
    .await
}

/// Tells of the push once, as a registry does that does not care for the answer.
fn tell(api: &Api) -> tokio::task::JoinHandle<Option<Answer>> {
    let api = api.nobody();
    tokio::spawn(async move { told(&api).await.ok() })
}

async fn told(api: &Api) -> Result<Answer, reqwest::Error> {
    static NOW: std::sync::LazyLock<i64> =
        std::sync::LazyLock::new(|| runtime::Clock::system().now().timestamp());
    let body = docker_hub("redis:7.5-alpine", *NOW).to_string();
    api.nobody().try_send(http::Method::POST, WEBHOOK, &[], body).await
}

/// Tells of the push again and again until it is taken, as a registry does that cares.
async fn tell_until_taken(api: &Api) -> Answer {
    eventually("the webhook to be taken", async || match told(api).await {
        Ok(answer) if answer.status == 200 => Ok(answer),
        Ok(answer) => Err(format!("{answer:?}")),
        Err(error) => Err(error.to_string()),
    })
    .await
}
