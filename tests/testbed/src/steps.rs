//! What registries and operators do, each in one line.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use runtime::secret::Secret;
use serde_json::{Value, json};

pub use crate::fleet::{enrolment_key, set_template};
use crate::{Answer, Api, eventually};

/// The address of the default receiver.
pub const WEBHOOK: &str = "/api/v1/webhooks/docker-registry";

/// Makes the default receiver as `slipway up` has it: it believes what it is told.
///
/// # Panics
///
/// When it is refused.
pub async fn add_receiver(api: &Api) {
    let receiver = json!({
        "name": "default", "vendor": "generic", "allow_unauthenticated": true,
        "registries": ["*"], "repositories": ["**"], "payload_trust": true, "is_default": true,
    });
    api.post("/api/v1/receivers", &receiver).await.expect(201);
}

/// What Docker Hub sends about a push. `pushed_at` tells one push of a tag from the next.
#[must_use]
pub fn docker_hub(image: &str, pushed_at: i64) -> Value {
    let (name, tag) = image.rsplit_once(':').unwrap();
    json!({
        "push_data": {"tag": tag, "pusher": "ci", "pushed_at": pushed_at},
        "repository": {"repo_name": name},
    })
}

/// Has Docker Hub say that an image was pushed just now, and at another second than any other that
/// it told of.
pub async fn push(api: &Api, image: &str) -> Answer {
    static NOW: LazyLock<i64> = LazyLock::new(|| runtime::Clock::system().now().timestamp());
    static TOLD: AtomicI64 = AtomicI64::new(0);
    let pushed_at = *NOW - TOLD.fetch_add(1, Ordering::Relaxed);
    api.nobody().post(WEBHOOK, &docker_hub(image, pushed_at)).await
}

/// A policy for a fleet under which nothing waits for time.
#[must_use]
pub fn quick_policy(fleet: &str, image_pattern: &str, strategy: &str) -> Value {
    json!({
        "name": format!("{fleet} {image_pattern}"),
        "image_pattern": image_pattern,
        "update_strategy": strategy,
        "device_selector": {"fleet": fleet},
        "batch_delay_minutes": 0,
        "max_in_flight": "100%",
        "soak_device_seconds": 0,
        "timers": {
            "ack_seconds": 30, "pull_seconds": 30, "install_seconds": 30, "verify_seconds": 30,
            "total_seconds": 120,
        },
        "retry": {"max": 1, "backoff_seconds": 0},
        "dead_man_seconds": 60,
    })
}

/// Adds a policy and returns its id.
///
/// # Panics
///
/// When it is refused.
pub async fn add_policy(api: &Api, policy: &Value) -> String {
    api.post("/api/v1/policies", policy).await.expect(201).text_at("/id").to_owned()
}

/// Somebody else than the administrator, with a role.
///
/// # Panics
///
/// When the token is refused.
pub async fn somebody(api: &Api, name: &str, role: &str) -> Api {
    let token = json!({"name": name, "role": role, "user": name});
    let made = api.post("/api/v1/tokens", &token).await.expect(201);
    api.bearing(&Secret::new(made.text_at("/token")))
}

/// Waits until a push is done and returns it.
pub async fn push_done(api: &Api, id: &str) -> Value {
    eventually(&format!("push {id} to be done"), async || {
        let answer = api.get(&format!("/api/v1/pushes/{id}")).await;
        if answer.body["state"] == "done" { Ok(answer.body) } else { Err(format!("{answer:?}")) }
    })
    .await
}

/// A rollout, by REST.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// Its id.
    pub id: String,
    api: Api,
}

impl Rollout {
    /// The rollout of this id.
    #[must_use]
    pub fn new(api: &Api, id: &str) -> Self {
        Self { id: id.to_owned(), api: api.clone() }
    }

    /// The rollout that a webhook's only push became.
    ///
    /// # Panics
    ///
    /// When it became none.
    #[must_use]
    pub fn of(api: &Api, webhook: Answer) -> Self {
        let answer = webhook.expect(200);
        let id = answer.text_at("/events/0/rollout_id");
        assert!(!id.is_empty(), "no rollout: {answer:?}");
        Self::new(api, id)
    }

    /// The rollout with its devices, its events and its figures.
    ///
    /// # Panics
    ///
    /// When it is not shown.
    pub async fn detail(&self) -> Value {
        self.api.get(&format!("/api/v1/rollouts/{}", self.id)).await.expect(200).body
    }

    /// Waits until it is in a state, in the finer words, and returns it.
    pub async fn wait_for(&self, state: &str) -> Value {
        self.wait_until(state, |rollout| rollout["state"] == state).await
    }

    /// Waits until a batch is in a state, and returns the rollout.
    pub async fn wait_for_batch(&self, number: usize, state: &str) -> Value {
        let what = format!("its batch {number} to be {state}");
        self.wait_until(&what, |rollout| rollout["batches"][number - 1]["state"] == state).await
    }

    /// Waits until something is so, and returns the rollout.
    pub async fn wait_until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/rollouts/{}/explain", self.id);
        eventually(&format!("rollout {}: {what}", self.id), async || {
            let answer = self.api.get(&path).await;
            let rollout = &answer.body["rollout"];
            if is_so(rollout) { Ok(rollout.clone()) } else { Err(format!("{answer:?}")) }
        })
        .await
    }

    /// Gives it a command, such as `pause`.
    pub async fn command(&self, name: &str, body: &Value) -> Answer {
        self.api.post(&format!("/api/v1/rollouts/{}/{name}", self.id), body).await
    }
}
