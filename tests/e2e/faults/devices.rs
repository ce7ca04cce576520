//! Streams that are cut, sessions that are taken over, clocks that are wrong.

use std::time::Duration;

use agent::engine::simulated::Pace;
use agent::profile::{Profile, Quirk, QuirkKind};
use chrono::TimeDelta;
use proto::rollout::v1::device_link_client::DeviceLinkClient;
use proto::rollout::v1::subscribe_response::Event;
use proto::rollout::v1::{self as pb};
use runtime::client::{self, Identity, Outbound};
use runtime::secret::Secret;
use runtime::{Code, Problem};
use serde_json::json;
use testbed::steps::{Rollout, add_policy, add_receiver, push, quick_policy};
use testbed::{Fleet, Slipway};
use tonic::Streaming;

use super::NEW;
use crate::PROGRAM;

/// A Slipway with devices that behave like this, and a policy for what they run.
async fn with_devices(devices: usize, profile: Profile) -> (Slipway, Fleet) {
    let slipway = Slipway::start().await;
    let api = &slipway.api;
    add_receiver(api).await;
    let images = [("cache", "redis:7-alpine")];
    let fleet = Fleet::start(api, &slipway.link, "north", devices, &images, profile).await;
    add_policy(api, &quick_policy("north", "redis:*", "auto")).await;
    (slipway, fleet)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_in_the_middle_is_opened_again_and_the_update_goes_on() {
    let seconds = |seconds| (Duration::from_secs(seconds), Duration::from_secs(seconds));
    let pace = Pace { pull: seconds(10), healthy: seconds(5) };
    let (slipway, fleet) = with_devices(3, Profile { pace, quirks: Vec::new() }).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    for _ in 0..2 {
        for device in fleet.devices() {
            let before = device.seen().sessions;
            device.set_plugged(false);
            fleet
                .simulator
                .wait_for("the stream to be cut", testbed::PATIENCE, |_| !device.seen().linked)
                .await
                .unwrap();
            device.set_plugged(true);
            fleet
                .simulator
                .wait_for("a new stream", testbed::PATIENCE, |_| {
                    device.seen().linked && device.seen().sessions > before
                })
                .await
                .unwrap();
        }
    }
    rollout.wait_for("succeeded").await;
    fleet.wait_until_running(NEW, 3).await;
    for device in fleet.devices() {
        assert_eq!(device.seen().tally.begun, 2, "its first images, and one update");
    }
    slipway.check(PROGRAM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_whose_clocks_are_an_hour_off_are_updated_like_others() {
    let skew = QuirkKind::ClockSkew(TimeDelta::hours(1));
    let quirks = vec![Quirk { kind: skew, share: 1.0, reference: None }];
    let profile = Profile { quirks, ..Profile::good() };
    let (slipway, fleet) = with_devices(6, profile).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "redis:7.5-alpine").await);
    rollout.wait_for("succeeded").await;
    fleet.wait_until_running(NEW, 6).await;
    fleet.wait_until_healthy(&slipway.api).await;
    slipway.check(PROGRAM).await;
}

/// A device without an agent, by its token.
struct Bare {
    link: DeviceLinkClient<Outbound>,
}

impl Bare {
    async fn subscribe(&self) -> (i64, Streaming<pb::SubscribeResponse>) {
        let hello = pb::SubscribeRequest { boot_id: "boot".to_owned(), ..Default::default() };
        let mut stream = self.link.clone().subscribe(hello).await.unwrap().into_inner();
        let first = stream.message().await.unwrap().unwrap();
        (first.session.unwrap().epoch, stream)
    }

    async fn report(&self, seq: i64, generation: i64) -> pb::ReportResponse {
        let report =
            pb::ReportRequest { boot_id: "boot".to_owned(), seq, generation, ..Default::default() };
        self.link.clone().report(report).await.unwrap().into_inner()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sessions_of_one_device_the_newer_one_counts() {
    let slipway = Slipway::start().await;
    let api = &slipway.api;
    let device = json!({"name": "one", "fleet": "north"});
    let made = api.post("/api/v1/devices", &device).await.expect(201);
    let token = Secret::new(made.text_at("/token"));
    let link = client::connect(&slipway.uri("link"), Identity::of(&token));
    let bare = Bare { link: DeviceLinkClient::new(link) };

    let (first_epoch, mut first) = bare.subscribe().await;
    let (second_epoch, mut second) = bare.subscribe().await;
    assert!(second_epoch > first_epoch);
    let ended = first.message().await.expect_err("the older one ends");
    let problem = Problem::from(ended);
    assert_eq!((problem.code(), problem.reason()), (Code::Aborted, "SESSION_SUPERSEDED"));

    let path = format!("/api/v1/devices/{}", made.text_at("/id"));
    let target = json!({"services": [{"name": "cache", "image": "redis:7-alpine"}]});
    api.put(&format!("{path}/target"), &target).await.expect(200);
    let message = second.message().await.unwrap().unwrap();
    let Some(Event::Target(target)) = message.event else { panic!("{message:?}") };
    assert_eq!((target.generation, target.services.len()), (1, 1));

    // Both halves report; what is older than what is known counts for nothing.
    assert!(!bare.report(2, 1).await.stale);
    assert!(bare.report(1, 0).await.stale);
    let seen = api.get(&path).await.expect(200);
    assert_eq!(
        (&seen.body["online"], &seen.body["reported_generation"]),
        (&json!(true), &json!(1))
    );
    slipway.check(PROGRAM).await;
}
