//! Simple devices, which hold no stream.

use http::Method;
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::client::Call;
use crate::fleet_samples::{DIGEST, seconds, target};
use crate::samples::{ID, OTHER_ID};
use crate::world::World;

const ENROLL: &str = "rollout.v1.DeviceLink/Enroll";
const TARGET: &str = "rollout.v1.DeviceLink/GetTarget";
const REPORT: &str = "rollout.v1.DeviceLink/Report";

fn path() -> String {
    format!("/api/v1/device/{ID}/state")
}

fn patch(world: &World, path: &str, body: &Value) -> Call {
    Call::new(world.address, Method::PATCH, path).json(body).token("gdd_secret")
}

fn behind() -> pb::GetTargetResponse {
    pb::GetTargetResponse { target: Some(target()), last_seq: 41, report_interval: seconds(60) }
}

fn report() -> Value {
    json!({
        "boot_id": "5d1f2c1e", "seq": 42, "generation": 7,
        "services": [{
            "name": "cache", "image": "docker.io/library/redis:7.5-alpine", "digest": DIGEST,
            "phase": "verifying", "healthy": true, "rollout_id": ID, "attempt": 2
        }]
    })
}

#[tokio::test]
async fn a_device_joins_with_a_key_and_without_a_token() {
    let world = World::start().await;
    world.link.answer(
        ENROLL,
        pb::EnrollResponse {
            device_id: ID.to_owned(),
            token: "gdd_secret".to_owned(),
            name: "north-001".to_owned(),
            fleet: "north".to_owned(),
            labels: [("line".to_owned(), "3".to_owned())].into(),
        },
    );
    let body = json!({
        "enrolment_key": "gde_secret", "name": "north-001", "labels": {"line": "3"},
        "platform": {"os": "linux", "architecture": "arm64"}
    });
    let told = world.post("/api/v1/device/enroll").json(&body).token("ghd_alice").send().await;
    assert_eq!(
        told.expect(201),
        json!({"id": ID, "uuid": ID, "name": "north-001", "fleet": "north",
               "labels": {"line": "3"}, "token": "gdd_secret"})
    );
    assert_eq!(told.header("location"), path());
    let asked: pb::EnrollRequest = world.link.asked(ENROLL);
    assert_eq!((asked.enrolment_key.as_str(), asked.name.as_str()), ("gde_secret", "north-001"));
    assert_eq!(asked.platform.unwrap().architecture, "arm64");
    assert_eq!(world.link.calls()[0].header("authorization"), "", "the key alone counts");
}

#[tokio::test]
async fn a_key_that_does_not_open_is_told() {
    let world = World::start().await;
    for (code, reason, status) in [
        (Code::Unauthenticated, reason::ENROLMENT_KEY_UNKNOWN, 401),
        (Code::Unauthenticated, reason::ENROLMENT_KEY_EXPIRED, 401),
        (Code::ResourceExhausted, reason::ENROLMENT_QUOTA_USED, 429),
        (Code::AlreadyExists, reason::DEVICE_EXISTS, 409),
    ] {
        world.link.refuse(ENROLL, Problem::new(code, reason, "why"));
        let body = json!({"enrolment_key": "gde_secret"});
        let told = world.post("/api/v1/device/enroll").json(&body).send().await;
        assert_eq!(told.expect(status)["reason"], reason);
    }
}

#[tokio::test]
async fn a_device_is_told_what_to_run_once() {
    let world = World::start().await;
    world.link.answer(TARGET, behind());
    let told = world.get(&path()).token("gdd_secret").send().await;
    let body = told.expect(200);
    assert_eq!((&body["generation"], &body["etag"]), (&json!(7), &json!("9f86d081")));
    assert_eq!((&body["last_seq"], &body["report_interval_seconds"]), (&json!(41), &json!(60)));
    let service = &body["services"][0];
    assert_eq!((&service["name"], &service["digest"]), (&json!("cache"), &json!(DIGEST)));
    assert_eq!(service["config"], json!({"restart": "unless-stopped"}));
    let update = &service["rollout"];
    assert_eq!((&update["id"], &update["attempt"]), (&json!(ID), &json!(2)));
    assert_eq!(update["fallback_digest"], "sha256:aa");
    assert_eq!(
        (&update["dead_man_seconds"], &update["seconds_left"]),
        (&json!(900), &json!(7_200))
    );
    assert_eq!(update["deadline"], "2025-10-17T08:00:00Z");
    assert_eq!(told.header("etag"), "\"9f86d081\"");
    assert_eq!(world.link.calls()[0].header("authorization"), "Bearer gdd_secret");

    let known = world.get(&path()).token("gdd_secret").header("if-none-match", "\"9f86d081\"");
    let told = known.send().await;
    assert_eq!((told.status.as_u16(), told.body.len()), (304, 0));
    assert_eq!(told.header("etag"), "\"9f86d081\"");
    let old = world.get(&path()).token("gdd_secret").header("if-none-match", "\"older\"");
    old.send().await.expect(200);
}

#[tokio::test]
async fn a_device_has_its_own_path_and_no_other() {
    let world = World::start().await;
    world.link.answer(TARGET, behind());
    world.link.answer(REPORT, pb::ReportResponse::default());
    let other = format!("/api/v1/device/{OTHER_ID}/state");
    for etag in ["\"9f86d081\"", "\"older\""] {
        let call = world.get(&other).token("gdd_secret").header("if-none-match", etag);
        assert_eq!(call.send().await.expect(404)["reason"], "DEVICE_NOT_FOUND");
    }
    patch(&world, &other, &report()).send().await.expect(404);
    assert!(world.link.calls().iter().all(|call| call.method != REPORT), "nothing is stored");
    let upper = path().replace(ID, &ID.to_uppercase());
    world.get(&upper).token("gdd_secret").send().await.expect(200);
}

#[tokio::test]
async fn a_report_is_handed_on_and_its_answer_says_what_is_stale() {
    let world = World::start().await;
    world.link.answer(TARGET, behind());
    world.link.answer(
        REPORT,
        pb::ReportResponse { stale: true, last_seq: 43, stale_services: vec!["cache".to_owned()] },
    );
    let told = patch(&world, &path(), &report()).send().await.expect(200);
    assert_eq!(told, json!({"stale": true, "last_seq": 43, "stale_services": ["cache"]}));
    let asked: pb::ReportRequest = world.link.asked(REPORT);
    assert_eq!((asked.boot_id.as_str(), asked.seq, asked.generation), ("5d1f2c1e", 42, 7));
    let sent = &asked.services[0];
    assert_eq!((sent.phase(), sent.healthy), (pb::Phase::Verifying, true));
    assert_eq!((sent.rollout_id.as_str(), sent.attempt), (ID, 2));
    assert_eq!((sent.reason.as_str(), sent.digest.as_str()), ("", DIGEST));
}

#[tokio::test]
async fn a_report_that_cannot_be_read_is_told_by_its_place() {
    let world = World::start().await;
    world.link.answer(TARGET, behind());
    let changed = |pointer: &str, value: Value| {
        let mut body = report();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (body, field) in [
        (changed("/services/0/phase", json!("runing")), "services[0].phase"),
        (changed("/seq", json!("42")), "seq"),
        (json!({"boot_id": "x", "seq": 1, "generation": 1}), "services"),
    ] {
        let told = patch(&world, &path(), &body).send().await.expect(400);
        assert_eq!(told["violations"][0]["field"], field, "{told}");
    }
    world.link.refuse(REPORT, Problem::invalid("seq", "is not 1 or more"));
    let told = patch(&world, &path(), &report()).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "seq");
}

#[tokio::test]
async fn a_device_that_is_not_known_is_401_and_a_link_that_is_away_503() {
    let world = World::start().await;
    let unknown = Problem::new(Code::Unauthenticated, reason::DEVICE_TOKEN_UNKNOWN, "who is that");
    world.link.refuse(TARGET, unknown);
    let told = world.get(&path()).token("gdd_old").send().await;
    assert_eq!(told.expect(401)["reason"], "DEVICE_TOKEN_UNKNOWN");
    assert_eq!(
        told.header("www-authenticate"),
        "Bearer realm=\"slipway\", error=\"invalid_token\""
    );
    world.link.refuse(TARGET, Problem::unavailable(reason::SHUTTING_DOWN, "it is about to end"));
    let told = patch(&world, &path(), &report()).send().await;
    told.expect(503);
    assert_eq!(told.header("retry-after"), "1");
}
