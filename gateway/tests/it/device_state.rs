//! What devices without a stream call.

use http::Method;
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use serde_json::json;

use crate::client::Call;
use crate::samples::{ID, OTHER_ID, target};
use crate::world::World;

const GET: &str = "rollout.v1.DeviceLink/GetTarget";
const REPORT: &str = "rollout.v1.DeviceLink/Report";
const ENROLL: &str = "rollout.v1.DeviceLink/Enroll";

fn answer() -> pb::GetTargetResponse {
    pb::GetTargetResponse {
        target: Some(target()),
        last_seq: 41,
        report_interval: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
    }
}

fn state(id: &str) -> String {
    format!("/api/v1/device/{id}/state")
}

fn report(world: &World, id: &str) -> Call {
    Call::new(world.address, Method::PATCH, &state(id)).token("dvt_mine").json(&json!({
        "boot_id": "5d1f", "seq": 42, "generation": 7,
        "services": [{
            "name": "cache", "image": "docker.io/library/redis:7-alpine", "digest": "sha256:aa",
            "phase": "running", "healthy": true, "rollout_id": OTHER_ID, "attempt": 1
        }]
    }))
}

#[tokio::test]
async fn a_device_asks_what_to_run_until_it_knows_it() {
    let world = World::start().await;
    world.link.answer(GET, answer());
    let told = world.get(&state(ID)).token("dvt_mine").send().await;
    insta::assert_json_snapshot!(told.expect(200));
    assert_eq!(told.header("etag"), "\"9f86d081\"");
    let call = world.get(&state(ID)).token("dvt_mine").header("if-none-match", "\"9f86d081\"");
    let again = call.send().await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(world.link.calls()[0].header("authorization"), "Bearer dvt_mine");
    assert!(world.rollout.calls().is_empty());
}

#[tokio::test]
async fn a_token_of_another_device_opens_nothing() {
    let world = World::start().await;
    world.link.answer(GET, answer());
    world.link.answer(REPORT, pb::ReportResponse::default());
    let told = world.get(&state(OTHER_ID)).token("dvt_mine").send().await;
    assert_eq!(told.expect(404)["reason"], "DEVICE_NOT_FOUND");
    report(&world, OTHER_ID).send().await.expect(404);
    assert!(world.link.calls().iter().all(|call| call.method == GET));
}

#[tokio::test]
async fn a_report_is_stored_or_stale() {
    let world = World::start().await;
    world.link.answer(GET, answer());
    let stale = pb::ReportResponse { stale: true, last_seq: 50, ..Default::default() };
    world.link.answer(REPORT, stale);
    let told = report(&world, ID).send().await.expect(200);
    assert_eq!((&told["stale"], &told["last_seq"]), (&json!(true), &json!(50)));
    let asked: pb::ReportRequest = world.link.asked(REPORT);
    assert_eq!((asked.boot_id.as_str(), asked.seq, asked.generation), ("5d1f", 42, 7));
    let service = &asked.services[0];
    assert_eq!((service.phase(), service.healthy), (pb::Phase::Running, true));
    assert_eq!((service.rollout_id.as_str(), service.attempt), (OTHER_ID, 1));
}

#[tokio::test]
async fn a_device_enrols_with_its_key_and_no_token() {
    let world = World::start().await;
    world.link.answer(
        ENROLL,
        pb::EnrollResponse {
            device_id: ID.to_owned(),
            token: "dvt_new".to_owned(),
            name: "north-001".to_owned(),
            fleet: "north".to_owned(),
            labels: Default::default(),
        },
    );
    let body = json!({"enrolment_key": "dek_x", "name": "north-001"});
    let told = world.post("/api/v1/device/enroll").token("ghd_stray").json(&body).send().await;
    let shown = told.expect(201);
    assert_eq!((&shown["uuid"], &shown["token"]), (&json!(ID), &json!("dvt_new")));
    assert_eq!(told.header("location"), state(ID));
    assert_eq!(world.link.calls()[0].header("authorization"), "");
    let asked: pb::EnrollRequest = world.link.asked(ENROLL);
    assert_eq!(asked.enrolment_key, "dek_x");

    for (code, reason, status) in [
        (Code::Unauthenticated, reason::ENROLMENT_KEY_UNKNOWN, 401),
        (Code::ResourceExhausted, reason::ENROLMENT_QUOTA_USED, 429),
    ] {
        world.link.refuse(ENROLL, Problem::new(code, reason, "no"));
        world.post("/api/v1/device/enroll").json(&body).send().await.expect(status);
    }
}
