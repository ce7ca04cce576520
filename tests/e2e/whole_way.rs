//! The whole way: a webhook, a decision, a rollout, devices that run it, and what they say.

mod images;
mod scale;
mod steering;
mod strategies;
mod trouble;

use serde_json::Value;
use testbed::steps::{add_policy, add_receiver, quick_policy};
use testbed::{Fleet, Slipway};

/// What the devices run at first, and what is pushed.
const OLD: &str = "docker.io/library/redis:7-alpine";
const NEW: &str = "docker.io/library/redis:7.5-alpine";

/// A Slipway with a fleet `north` that runs redis.
async fn north(devices: usize, profile: &str) -> (Slipway, Fleet) {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let fleet = slipway.fleet("north", devices, &[("cache", "redis:7-alpine")], profile).await;
    (slipway, fleet)
}

/// A policy for redis on the fleet `north`, with these members beside those of every test.
async fn redis_policy(slipway: &Slipway, strategy: &str, members: Value) -> String {
    let mut policy = quick_policy("north", "redis:*", strategy);
    policy.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    add_policy(&slipway.api, &policy).await
}
