//! The commands that steer a rollout.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::rollout::State;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::fleet_samples::rollout;
use crate::samples::{ID, OTHER_ID};
use crate::world::World;

fn method(name: &str) -> String {
    format!("rollout.v1.Rollouts/{name}")
}

fn path(command: &str) -> String {
    format!("/api/v1/rollouts/{ID}/{command}")
}

#[tokio::test]
async fn every_plain_command_carries_reason_key_and_etag_and_tells_where_the_rollout_stands() {
    let world = World::start().await;
    for (command, rpc, state, status, message) in [
        ("start", "StartRollout", State::Running, "in_progress", "Rollout started"),
        ("pause", "PauseRollout", State::Paused, "paused", "Rollout paused"),
        ("resume", "ResumeRollout", State::Running, "in_progress", "Rollout resumed"),
        (
            "rollback",
            "RollBackRollout",
            State::RollingBack,
            "in_progress",
            "Rollout is rolling back",
        ),
        ("retry", "RetryFailed", State::Running, "in_progress", "Failed devices are tried again"),
    ] {
        world.rollout.answer(&method(rpc), rollout(state));
        let call = world.post(&path(command)).json(&json!({"reason": "line 3 is in use"}));
        let call = call.header("idempotency-key", OTHER_ID).header("if-match", "\"3\"");
        let told = call.send().await;
        let body = told.expect(200);
        assert_eq!((&body["message"], &body["rollout_id"]), (&json!(message), &json!(ID)));
        assert_eq!(
            (&body["status"], &body["reason"]),
            (&json!(status), &json!("line 3 is in use"))
        );
        assert_eq!(told.header("etag"), "\"4\"");
        let asked: pb::RolloutCommand = world.rollout.asked(&method(rpc));
        assert_eq!((asked.id.as_str(), asked.reason.as_str()), (ID, "line 3 is in use"));
        assert_eq!((asked.request_id.as_str(), asked.etag.as_str()), (OTHER_ID, "3"));
    }
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
async fn a_promotion_names_its_batch() {
    let world = World::start().await;
    let rpc = method("PromoteBatch");
    world.rollout.answer(&rpc, rollout(State::Running));
    let call = world.post(&path("promote")).json(&json!({"batch": 2})).header("if-match", "\"3\"");
    assert_eq!(call.send().await.expect(200)["message"], "Batch 2 promoted");
    let asked: pb::PromoteBatchRequest = world.rollout.asked(&rpc);
    assert_eq!((asked.id.as_str(), asked.batch, asked.etag.as_str()), (ID, 2, "3"));

    let told = world.post(&path("promote")).json(&json!({})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "batch");
    let problem = Problem::new(Code::FailedPrecondition, reason::BATCH_NOT_NEXT, "batch 3 is next");
    world.rollout.refuse(&rpc, problem.with("next_batch", 3));
    let told = world.post(&path("promote")).json(&json!({"batch": 2})).send().await.expect(409);
    assert_eq!(told["details"]["next_batch"], 3);
}

#[tokio::test]
async fn a_cancelled_rollout_keeps_devices_as_they_are_unless_it_reverts() {
    let world = World::start().await;
    let rpc = method("CancelRollout");
    world.rollout.answer(&rpc, rollout(State::Cancelling));
    for (body, revert, reason) in [
        (json!({}), false, ""),
        (json!({"mode": "keep"}), false, ""),
        (json!({"mode": "revert", "reason": "wrong image"}), true, "wrong image"),
    ] {
        let told = world.post(&path("cancel")).json(&body).send().await.expect(200);
        assert_eq!((&told["status"], &told["state"]), (&json!("cancelled"), &json!("cancelling")));
        let asked: pb::CancelRolloutRequest = world.rollout.asked(&rpc);
        assert_eq!((asked.revert, asked.reason.as_str()), (revert, reason));
    }
    let told = world.post(&path("cancel")).json(&json!({"mode": "rvert"})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "mode");
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
