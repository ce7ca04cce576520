//! Simple devices: what is refused, and in which words.

use http::Method;
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::client::Call;
use crate::samples::{ID, OTHER_ID, target};
use crate::world::World;

const ENROLL: &str = "rollout.v1.DeviceLink/Enroll";
const TARGET: &str = "rollout.v1.DeviceLink/GetTarget";
const REPORT: &str = "rollout.v1.DeviceLink/Report";

fn path() -> String {
    format!("/api/v1/device/{ID}/state")
}

fn patch(world: &World, path: &str, body: &Value) -> Call {
    Call::new(world.address, Method::PATCH, path).json(body).token("dvt_secret")
}

fn behind() -> pb::GetTargetResponse {
    pb::GetTargetResponse { target: Some(target()), last_seq: 41, ..Default::default() }
}

fn report() -> Value {
    json!({
        "boot_id": "5d1f2c1e", "seq": 42, "generation": 7,
        "services": [{
            "name": "cache", "image": "docker.io/library/redis:7.5-alpine", "phase": "verifying", "healthy": true, "rollout_id": ID, "attempt": 2
        }]
    })
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
        let body = json!({"enrolment_key": "dek_secret"});
        let told = world.post("/api/v1/device/enroll").json(&body).send().await;
        assert_eq!(told.expect(status)["reason"], reason);
    }
}

#[tokio::test]
async fn no_etag_opens_the_path_of_another_device() {
    let world = World::start().await;
    world.link.answer(TARGET, behind());
    world.link.answer(REPORT, pb::ReportResponse::default());
    let other = format!("/api/v1/device/{OTHER_ID}/state");
    for etag in ["\"9f86d081\"", "\"older\""] {
        let call = world.get(&other).token("dvt_secret").header("if-none-match", etag);
        assert_eq!(call.send().await.expect(404)["reason"], "DEVICE_NOT_FOUND");
    }
    patch(&world, &other, &report()).send().await.expect(404);
    assert!(world.link.calls().iter().all(|call| call.method != REPORT), "nothing is stored");
    let upper = path().replace(ID, &ID.to_uppercase());
    world.get(&upper).token("dvt_secret").send().await.expect(200);
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
    let told = world.get(&path()).token("dvt_old").send().await;
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
