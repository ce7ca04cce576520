//! Devices that fail, devices that are away, devices on which two things happen at once.

use serde_json::json;
use testbed::steps::{Rollout, add_policy, add_receiver, push, quick_policy};
use testbed::{Slipway, eventually};

use super::{NEW, OLD, north, redis_policy};
use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_fail_go_back_and_so_does_the_rollout() {
    let profile = "good,unhealthy:100%@docker.io/library/redis:7.5-alpine";
    let (slipway, fleet) = north(10, profile).await;
    redis_policy(&slipway, "staged", json!({"timers": {"verify_seconds": 2}})).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    let ended = rollout.wait_for("rolled_back").await;
    assert_eq!(ended["status"], "rolled_back");
    assert_eq!(ended["state_reason"], "FAILURE_RATIO");
    assert_eq!(ended["batches"][1]["state"], "stopped", "one device told enough");
    fleet.wait_until_running(OLD, 10).await;
    fleet.wait_until_healthy(&slipway.api).await;
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_device_that_is_away_is_put_off_and_catches_up() {
    let (slipway, fleet) = north(4, "good").await;
    redis_policy(&slipway, "auto", json!({})).await;
    let away = &fleet.devices()[2];
    away.set_plugged(false);
    let path = format!("/api/v1/devices/{}", away.seen().device_id);
    eventually("the device to be away", async || {
        let answer = slipway.api.get(&path).await.expect(200);
        if answer.body["online"] == false { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    let ended = rollout.wait_for("succeeded").await;
    assert_eq!((&ended["tally"]["succeeded"], &ended["tally"]["deferred"]), (&json!(3), &json!(1)));
    assert!(away.seen().row("cache").unwrap().reference == OLD);

    away.set_plugged(true);
    fleet.wait_until_running(NEW, 4).await;
    fleet.wait_until_healthy(&slipway.api).await;
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rollouts_of_two_images_run_on_the_same_devices() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let images = [("cache", "redis:7-alpine"), ("agent", "iotistic/agent:v2.0.0")];
    let fleet = slipway.fleet("north", 6, &images, "good").await;
    for pattern in ["redis:*", "iotistic/*:*"] {
        add_policy(&slipway.api, &quick_policy("north", pattern, "staged")).await;
    }
    let (redis, agent) = tokio::join!(
        push(&slipway.api, "redis:7.5-alpine"),
        push(&slipway.api, "iotistic/agent:v2.1.0"),
    );
    for answer in [redis, agent] {
        Rollout::of(&slipway.api, answer).wait_for("succeeded").await;
    }
    fleet.wait_until_running(NEW, 6).await;
    fleet.wait_until_running("docker.io/iotistic/agent:v2.1.0", 6).await;
    slipway.check(PROGRAM).await;
}
