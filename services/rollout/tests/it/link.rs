//! The device link: enrolment, streams, reports, and what becomes of lost and late ones.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::device_link_client::DeviceLinkClient;
use proto::rollout::v1::subscribe_response::Event;
use runtime::client::{self, Identity, Outbound};
use runtime::secret::Secret;
use runtime::{Code, Problem};

use crate::harness::{Device, REDIS, Slipway, digest, service, wait_for};

async fn key(slipway: &Slipway, quota: i32) -> (String, String) {
    let request = pb::CreateEnrolmentKeyRequest {
        name: format!("key-{quota}"),
        fleet: "north".to_owned(),
        quota,
        expire_time: None,
    };
    let made = slipway.devices().create_enrolment_key(request).await.unwrap().into_inner();
    (made.key.unwrap().id, made.secret)
}

fn stranger(slipway: &Slipway) -> DeviceLinkClient<Outbound> {
    DeviceLinkClient::new(client::connect(&slipway.link, Identity::none()))
}

async fn enrol(slipway: &Slipway, secret: &str, name: &str) -> Result<pb::EnrollResponse, Problem> {
    let request = pb::EnrollRequest {
        enrolment_key: secret.to_owned(),
        name: name.to_owned(),
        ..pb::EnrollRequest::default()
    };
    let answer = stranger(slipway).enroll(request).await;
    answer.map(tonic::Response::into_inner).map_err(Problem::from)
}

#[tokio::test]
async fn a_key_lets_as_many_devices_in_as_its_quota_says() {
    let slipway = Slipway::start().await;
    let (id, secret) = key(&slipway, 2).await;
    let one = enrol(&slipway, &secret, "one").await.unwrap();
    assert_eq!((one.fleet.as_str(), one.name.as_str()), ("north", "one"));
    let taken = enrol(&slipway, &secret, "one").await.expect_err("the name is taken");
    assert_eq!(taken.reason(), reason::DEVICE_EXISTS);
    enrol(&slipway, &secret, "two").await.unwrap();
    let full = enrol(&slipway, &secret, "three").await.expect_err("the quota is used");
    assert_eq!(
        (full.code(), full.reason()),
        (Code::ResourceExhausted, reason::ENROLMENT_QUOTA_USED)
    );

    let unknown = enrol(&slipway, "gde_nonsense", "four").await.expect_err("no such key");
    assert_eq!(unknown.reason(), reason::ENROLMENT_KEY_UNKNOWN);
    let (_, other) = key(&slipway, 0).await;
    let request = pb::RevokeEnrolmentKeyRequest { id };
    slipway.devices().revoke_enrolment_key(request).await.unwrap();
    assert!(enrol(&slipway, &other, "five").await.is_ok(), "another key still works");
    let ended = enrol(&slipway, &secret, "six").await.expect_err("it was ended");
    assert_eq!(ended.reason(), reason::ENROLMENT_KEY_UNKNOWN);
}

#[tokio::test]
async fn an_expired_key_lets_nobody_in() {
    let slipway = Slipway::start().await;
    let end = slipway.clock.now() + chrono::TimeDelta::seconds(60);
    let request = pb::CreateEnrolmentKeyRequest {
        name: "short".to_owned(),
        fleet: "north".to_owned(),
        quota: 0,
        expire_time: Some(runtime::time::to_timestamp(end)),
    };
    let secret = slipway.devices().create_enrolment_key(request).await.unwrap().into_inner().secret;
    assert!(enrol(&slipway, &secret, "early").await.is_ok());
    slipway.pass(60).await;
    let late = enrol(&slipway, &secret, "late").await.expect_err("it has ended");
    assert_eq!(late.reason(), reason::ENROLMENT_KEY_EXPIRED);
}

#[tokio::test]
async fn an_enrolled_device_runs_its_fleets_template() {
    let slipway = Slipway::start().await;
    let request = pb::SetFleetTemplateRequest {
        fleet: "north".to_owned(),
        services: vec![service("cache", REDIS, "7", '1')],
    };
    slipway.devices().set_template(request).await.unwrap();
    let (_, secret) = key(&slipway, 0).await;
    let enrolled = enrol(&slipway, &secret, "one").await.unwrap();
    let token = Secret::new(enrolled.token);
    let mut device = Device::new(&slipway.link, enrolled.device_id, "one".to_owned(), &token);
    device.connect().await;
    assert_eq!(device.wanted("cache").digest, digest('1'));
}

#[tokio::test]
async fn nobody_gets_in_without_a_device_token() {
    let slipway = Slipway::start().await;
    let status =
        stranger(&slipway).get_target(pb::GetTargetRequest::default()).await.expect_err("nobody");
    assert_eq!(Problem::from(status).reason(), reason::CREDENTIALS_MISSING);
    let forged = Identity::of(&Secret::new("gdd_forged"));
    let mut client = DeviceLinkClient::new(client::connect(&slipway.link, forged));
    let status = client.get_target(pb::GetTargetRequest::default()).await.expect_err("forged");
    assert_eq!(Problem::from(status).reason(), reason::DEVICE_TOKEN_UNKNOWN);
}

#[tokio::test]
async fn a_newer_stream_ends_the_older_one_and_goes_on() {
    let slipway = Slipway::start().await;
    let mut older = slipway.device("one").await;
    let mut newer = Device {
        stream: None,
        client: older.client.clone(),
        id: older.id.clone(),
        name: "one again".to_owned(),
        seq: older.seq,
        target: older.target.clone(),
        runs: older.runs.clone(),
    };
    let first = newer.connect().await;
    assert!(matches!(first.event, Some(Event::NotModified(_))));
    assert_eq!(first.session.unwrap().last_seq, 1);
    let status = older.end().await.expect("it was ended");
    let problem = Problem::from(status);
    assert_eq!((problem.code(), problem.reason()), (Code::Aborted, reason::SESSION_SUPERSEDED));
    drop(older.stream.take());
    slipway.set_target(&newer.id, vec![service("cache", REDIS, "9", '9')]).await;
    assert_eq!(newer.next_target().await.services[0].digest, digest('9'));
}

#[tokio::test]
async fn a_revoked_device_loses_its_stream_at_once_and_stays_out() {
    let slipway = Slipway::start().await;
    let mut device = slipway.device("one").await;
    let request = pb::RevokeDeviceRequest { id: device.id.clone() };
    slipway.devices().revoke_device(request).await.unwrap();
    let status = device.end().await.expect("it was ended");
    assert_eq!(Problem::from(status).reason(), reason::DEVICE_REVOKED);
    let again = device.client.get_target(pb::GetTargetRequest::default()).await;
    assert_eq!(Problem::from(again.expect_err("revoked")).code(), Code::Unauthenticated);

    let request = pb::RotateDeviceTokenRequest { id: device.id.clone() };
    let token = slipway.devices().rotate_device_token(request).await.unwrap().into_inner().token;
    let mut back =
        Device::new(&slipway.link, device.id.clone(), "back".to_owned(), &Secret::new(token));
    back.connect().await;
}

#[tokio::test]
async fn an_old_token_works_until_the_new_one_is_used() {
    let slipway = Slipway::start().await;
    let mut old = slipway.device("one").await;
    let request = pb::RotateDeviceTokenRequest { id: old.id.clone() };
    let token = slipway.devices().rotate_device_token(request).await.unwrap().into_inner().token;
    old.client.get_target(pb::GetTargetRequest::default()).await.expect("both work");
    let mut new = Device::new(&slipway.link, old.id.clone(), "new".to_owned(), &Secret::new(token));
    new.connect().await;
    let status = old.client.get_target(pb::GetTargetRequest::default()).await.expect_err("ended");
    assert_eq!(Problem::from(status).reason(), reason::DEVICE_TOKEN_UNKNOWN);
}

#[tokio::test]
async fn a_stale_report_changes_nothing_and_a_repeat_is_not_stale() {
    let slipway = Slipway::start().await;
    let mut device = slipway.device("one").await;
    let running = vec![device.seen("cache", pb::Phase::Running, true)];
    let sick = vec![device.seen("cache", pb::Phase::Running, false)];
    assert!(!device.send(5, running.clone()).await.stale);
    let late = device.send(3, sick).await;
    assert_eq!((late.stale, late.last_seq), (true, 5));
    let repeat = device.send(5, running).await;
    assert_eq!((repeat.stale, repeat.last_seq), (false, 5));
    let request = pb::GetDeviceRequest { id: device.id.clone() };
    let known = slipway.devices().get_device(request).await.unwrap().into_inner();
    assert!(known.services.iter().all(|service| service.healthy));
}

#[tokio::test]
async fn a_report_of_a_try_that_is_no_longer_wanted_is_stale() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    let soaked = devices[0].seen("cache", pb::Phase::Running, true);
    slipway.command(&rollout.id, "cancel").await.unwrap();
    let answer = devices[0].report(vec![soaked]).await;
    assert_eq!((answer.stale, answer.stale_services), (true, vec!["cache".to_owned()]));
}

#[tokio::test]
async fn a_soaked_report_after_the_verdict_is_not_stale() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    devices[0].report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), pb::rollout::State::Succeeded);
    assert!(!devices[0].report_running().await.stale, "the device commits on this answer");
}

#[tokio::test]
async fn a_device_without_a_stream_polls_with_its_etag() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut device = slipway.bare_device("poller").await;
    slipway.set_target(&device.id, vec![service("cache", REDIS, "7", '1')]).await;
    let poll = async |device: &mut Device| {
        let request = pb::GetTargetRequest { known_etag: device.target.etag.clone() };
        let answer = device.client.get_target(request).await.unwrap().into_inner();
        let known = answer.target.is_none();
        if let Some(target) = answer.target {
            device.target = target;
        }
        known
    };
    assert!(!poll(&mut device).await);
    assert!(poll(&mut device).await, "it knows the target");
    device.report_running().await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    assert!(!poll(&mut device).await);
    device.report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), pb::rollout::State::Succeeded);
}

#[tokio::test]
async fn a_device_that_knows_a_future_gets_a_target_above_it() {
    let slipway = Slipway::start().await;
    let mut device = slipway.device("one").await;
    device.target.generation = 41;
    device.target.etag = "from a database that was restored".to_owned();
    device.connect().await;
    assert_eq!(device.target.generation, 42);
    assert_eq!(device.wanted("cache").digest, digest('1'));
}

#[tokio::test]
async fn a_broken_stream_makes_the_soak_begin_anew() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    devices[0].report_running().await;
    slipway.pass(50).await;
    devices[0].disconnect(&slipway).await;
    devices[0].connect().await;
    slipway.pass(20).await;
    assert_eq!(slipway.get(&rollout.id).await.tally.unwrap().succeeded, 0);
    devices[0].report_running().await;
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.tally.unwrap().succeeded, 1);
}

#[tokio::test]
async fn a_process_that_ends_tells_its_devices_when_to_come_again() {
    let slipway = Slipway::start().await;
    let mut device = slipway.device("one").await;
    slipway.lifecycle.stop();
    let message = device.stream.as_mut().unwrap().message().await.unwrap().expect("a last word");
    let Some(Event::Drain(drain)) = message.event else { panic!("{message:?}") };
    assert!(drain.reconnect_after.is_some());
    assert!(device.end().await.is_none(), "the stream ends in peace");
}

#[tokio::test]
async fn many_devices_connect_and_are_shown_as_online() {
    let slipway = Slipway::start().await;
    let devices = slipway.fleet(20).await;
    wait_for("all devices to be online", async || {
        let request = pb::ListFleetsRequest {};
        let fleets = slipway.devices().list_fleets(request).await.unwrap().into_inner().fleets;
        let online = fleets[0].online_count;
        (online == 20).then_some(()).ok_or_else(|| format!("{online} are"))
    })
    .await;
    drop(devices);
}
