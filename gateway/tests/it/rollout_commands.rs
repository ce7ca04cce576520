//! Commands that do not fit, or do not arrive.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::rollout::State;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::samples::{ID, rollout};
use crate::world::World;

fn method(name: &str) -> String {
    format!("rollout.v1.Rollouts/{name}")
}

fn path(command: &str) -> String {
    format!("/api/v1/rollouts/{ID}/{command}")
}

#[tokio::test]
async fn a_command_needs_no_body() {
    let world = World::start().await;
    world.rollout.answer(&method("PauseRollout"), rollout(State::Paused));
    let told = world.post(&path("pause")).send().await.expect(200);
    assert_eq!(told["reason"], Value::Null);
    let asked: pb::RolloutCommand = world.rollout.asked(&method("PauseRollout"));
    assert_eq!(
        (asked.reason.as_str(), asked.request_id.as_str(), asked.etag.as_str()),
        ("", "", "")
    );
    let told = world.post(&path("pause")).json(&json!({"raeson": "x"})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "raeson");
}

#[tokio::test]
async fn a_command_that_does_not_fit_is_told_with_the_state() {
    let world = World::start().await;
    let rpc = method("ResumeRollout");
    for (code, reason, status, error) in [
        (Code::FailedPrecondition, reason::ROLLOUT_NOT_PAUSED, 409, "Rollout not paused"),
        (Code::Aborted, reason::STALE_ETAG, 412, "Stale etag"),
        (Code::FailedPrecondition, reason::REQUEST_ID_REUSED, 422, "Request id reused"),
        (Code::PermissionDenied, reason::PERMISSION_MISSING, 403, "Permission missing"),
    ] {
        world.rollout.refuse(&rpc, Problem::new(code, reason, "why").with("state", "succeeded"));
        let told = world.post(&path("resume")).send().await.expect(status);
        assert_eq!((&told["error"], &told["reason"]), (&json!(error), &json!(reason)));
        assert_eq!(told["details"]["state"], "succeeded");
    }
}

#[tokio::test]
async fn a_command_is_sent_once_even_when_its_process_is_away() {
    let world = World::start().await;
    let away = Problem::unavailable(reason::DATABASE_UNREACHABLE, "it is away");
    world.rollout.refuse(&method("PauseRollout"), away);
    world.post(&path("pause")).send().await.expect(503);
    assert_eq!(world.rollout.calls().len(), 1);
}
