//! Rollouts, as document 2 has them, and the commands that steer them.

use proto::access::v1 as access;
use proto::approval::v1 as approval;
use proto::approval::v1::push::{Outcome, State as PushState};
use proto::event::v1::Event;
use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::rollout::State;
use proto::types::v1::Check;
use runtime::{Code, Problem};
use serde_json::json;

use crate::samples::{ID, OTHER_ID, actor, assignment, push, reason as why, rollout, time};
use crate::world::{GATEWAY, World};

const GET: &str = "rollout.v1.Rollouts/GetRollout";
const LIST: &str = "rollout.v1.Rollouts/ListRollouts";
const PARTS: &str = "rollout.v1.Rollouts/ListAssignments";
const ENTRIES: &str = "access.v1.AuditLog/ListEntries";
const SUBMIT: &str = "approval.v1.Pushes/SubmitPush";

fn parts() -> pb::ListAssignmentsResponse {
    pb::ListAssignmentsResponse {
        assignments: vec![assignment()],
        next_page_token: String::new(),
        total_size: 1,
    }
}

fn entries() -> access::ListEntriesResponse {
    let event = Event {
        id: OTHER_ID.to_owned(),
        r#type: "image.rollout_created".to_owned(),
        create_time: time(),
        actor: actor(),
        envelope: "{\"type\":\"image.rollout_created\"}".to_owned(),
        ..Event::default()
    };
    let entry = access::Entry { sequence: 41, event: Some(event), ..Default::default() };
    access::ListEntriesResponse { entries: vec![entry], total_size: 1, ..Default::default() }
}

#[tokio::test]
async fn the_list_is_paged_as_the_document_says() {
    let world = World::start().await;
    world.rollout.answer(
        LIST,
        pb::ListRolloutsResponse {
            rollouts: vec![rollout(State::Running)],
            next_page_token: "tok".to_owned(),
            total_size: 9,
        },
    );
    let told = world.get("/api/v1/rollouts?limit=1&offset=2&image=redis").send().await;
    let body = told.expect(200);
    assert_eq!(body["pagination"], json!({"total": 9, "limit": 1, "offset": 2}));
    assert_eq!(body["rollouts"][0]["status"], "in_progress");
    assert_eq!(told.header("x-total-count"), "9");
    assert!(told.header("link").contains("offset=3>; rel=\"next\""));
    let asked: pb::ListRolloutsRequest = world.rollout.asked(LIST);
    assert_eq!((asked.skip, asked.active, asked.repository.as_str()), (2, false, "redis"));
    world.get("/api/v1/rollouts/active").send().await.expect(200);
    let asked: pb::ListRolloutsRequest = world.rollout.asked(LIST);
    assert!(asked.active);
}

#[tokio::test]
async fn a_rollout_comes_with_devices_events_and_figures() {
    let world = World::start().await;
    world.rollout.answer(GET, rollout(State::Running));
    world.rollout.answer(PARTS, parts());
    world.access.answer(ENTRIES, entries());
    let told = world.get(&format!("/api/v1/rollouts/{ID}")).token("ghd_alice").send().await;
    insta::assert_json_snapshot!(told.expect(200));
    assert_eq!(told.header("etag"), "\"4\"");
    let asked: access::ListEntriesRequest = world.access.asked(ENTRIES);
    assert_eq!((asked.resource.as_str(), asked.r#type.as_str()), (ID, "image.rollout_*"));
    assert_eq!(world.rollout.calls()[0].header("authorization"), "Bearer ghd_alice");
    let call = &world.access.calls()[0];
    assert_eq!(call.header("authorization"), format!("Bearer {GATEWAY}"));
}

#[tokio::test]
async fn nobody_is_shown_the_events_of_what_he_may_not_see() {
    let world = World::start().await;
    world.access.answer(ENTRIES, entries());
    for path in ["", "/events"] {
        for (code, reason, status) in [
            (Code::NotFound, reason::ROLLOUT_NOT_FOUND, 404),
            (Code::PermissionDenied, reason::PERMISSION_MISSING, 403),
        ] {
            world.rollout.refuse(GET, Problem::new(code, reason, "no"));
            let told = world.get(&format!("/api/v1/rollouts/{ID}{path}")).send().await;
            told.expect(status);
        }
    }
    assert!(world.access.calls().is_empty());
}

#[tokio::test]
async fn a_rollout_is_shown_while_the_audit_log_is_away() {
    let world = World::start().await;
    world.rollout.answer(GET, rollout(State::Running));
    world.rollout.answer(PARTS, parts());
    world.access.refuse(ENTRIES, Problem::unavailable(reason::DATABASE_UNREACHABLE, "away"));
    let path = format!("/api/v1/rollouts/{ID}");
    assert_eq!(world.get(&path).send().await.expect(200)["events"], json!(null));
    world.get(&format!("{path}/events")).send().await.expect(503);
}

#[tokio::test]
async fn the_words_of_the_document_stand_beside_our_own() {
    let world = World::start().await;
    world.rollout.answer(PARTS, parts());
    world.access.answer(ENTRIES, entries());
    for (state, status, own) in [
        (State::Pending, "pending", "pending"),
        (State::Running, "in_progress", "running"),
        (State::Settling, "in_progress", "settling"),
        (State::Paused, "paused", "paused"),
        (State::Succeeded, "completed", "succeeded"),
        (State::RollingBack, "in_progress", "rolling_back"),
        (State::RolledBack, "rolled_back", "rolled_back"),
        (State::RollbackIncomplete, "failed", "rollback_incomplete"),
        (State::Cancelling, "cancelled", "cancelling"),
        (State::Cancelled, "cancelled", "cancelled"),
        (State::Superseded, "cancelled", "superseded"),
        (State::Failed, "failed", "failed"),
    ] {
        world.rollout.answer(GET, rollout(state));
        let told = world.get(&format!("/api/v1/rollouts/{ID}")).send().await.expect(200);
        let told = &told["rollout"];
        assert_eq!((&told["status"], &told["state"]), (&json!(status), &json!(own)));
        assert_eq!(told["state_detail"], "paused by alice");
    }
}

#[tokio::test]
async fn a_rollout_is_explained_and_drawn_in_letters() {
    let world = World::start().await;
    world.rollout.answer(GET, rollout(State::Running));
    world.rollout.answer(PARTS, parts());
    let check = Check { name: "batch complete".to_owned(), result: 4, detail: "8 of 9".to_owned() };
    world.rollout.answer(
        "rollout.v1.Rollouts/ExplainRollout",
        pb::ExplainRolloutResponse {
            rollout: Some(rollout(State::Running)),
            checks: vec![check],
            blocked_by: "batch 1 is not complete".to_owned(),
            next_step: String::new(),
        },
    );
    let told = world.get(&format!("/api/v1/rollouts/{ID}/explain")).send().await.expect(200);
    assert_eq!(
        (&told["blocked_by"], &told["next_step"]),
        (&json!("batch 1 is not complete"), &json!(null))
    );
    assert_eq!(told["checks"][0]["result"], "waiting");

    let told = world.get(&format!("/api/v1/rollouts/{ID}/cells")).send().await;
    assert_eq!(told.expect(200)["batches"], json!([{"number": 1, "cells": "f"}]));
    let etag = told.header("etag").to_owned();
    let again = world.get(&format!("/api/v1/rollouts/{ID}/cells")).header("if-none-match", &etag);
    assert_eq!(again.send().await.status.as_u16(), 304);
}

#[tokio::test]
async fn devices_of_a_rollout_are_filtered() {
    let world = World::start().await;
    world.rollout.answer(PARTS, parts());
    let path = format!("/api/v1/rollouts/{ID}/devices?status=failed&batch=1");
    let told = world.get(&path).send().await.expect(200);
    let device = &told["devices"][0];
    assert_eq!((&device["device_id"], &device["device_name"]), (&json!(ID), &json!("north-001")));
    assert_eq!((&device["batch_number"], &device["attempt"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&device["status"], &device["reason"]),
        (&json!("failed"), &json!("HEALTH_CHECK_FAILED"))
    );
    let asked: pb::ListAssignmentsRequest = world.rollout.asked(PARTS);
    assert!(
        asked.states.contains(&pb::assignment::State::Failed.into()) && asked.batch_number == 1
    );
}

#[tokio::test]
async fn each_command_is_given_with_reason_key_and_etag() {
    let world = World::start().await;
    for (command, rpc) in [
        ("start", "StartRollout"),
        ("pause", "PauseRollout"),
        ("resume", "ResumeRollout"),
        ("rollback", "RollBackRollout"),
        ("retry", "RetryFailed"),
    ] {
        let method = format!("rollout.v1.Rollouts/{rpc}");
        world.rollout.answer(&method, rollout(State::Paused));
        let path = format!("/api/v1/rollouts/{OTHER_ID}/{command}");
        let call = world.post(&path).json(&json!({"reason": "noon"}));
        let told = call.header("idempotency-key", ID).header("if-match", "\"3\"").send().await;
        let body = told.expect(200);
        assert_eq!((&body["rollout_id"], &body["status"]), (&json!(ID), &json!("paused")));
        assert_eq!((&body["reason"], told.header("etag")), (&json!("noon"), "\"4\""));
        let asked: pb::RolloutCommand = world.rollout.asked(&method);
        assert_eq!((asked.id.as_str(), asked.request_id.as_str()), (OTHER_ID, ID));
        assert_eq!((asked.reason.as_str(), asked.etag.as_str()), ("noon", "3"));
        world.post(&path).send().await.expect(200);

        let wrong = Problem::new(Code::FailedPrecondition, reason::ROLLOUT_ENDED, "it has ended")
            .with("state", "SUCCEEDED");
        world.rollout.refuse(&method, wrong);
        let told = world.post(&path).send().await.expect(409);
        assert_eq!(told["details"]["state"], "SUCCEEDED");
    }
}

#[tokio::test]
async fn a_cancel_keeps_unless_it_says_revert_and_a_promotion_names_its_batch() {
    let world = World::start().await;
    let cancel = "rollout.v1.Rollouts/CancelRollout";
    world.rollout.answer(cancel, rollout(State::Cancelling));
    let path = format!("/api/v1/rollouts/{ID}/cancel");
    world.post(&path).send().await.expect(200);
    assert!(!world.rollout.asked::<pb::CancelRolloutRequest>(cancel).revert);
    world.post(&path).json(&json!({"mode": "revert"})).send().await.expect(200);
    assert!(world.rollout.asked::<pb::CancelRolloutRequest>(cancel).revert);
    let told = world.post(&path).json(&json!({"mode": "undo"})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "mode");

    let promote = "rollout.v1.Rollouts/PromoteBatch";
    let path = format!("/api/v1/rollouts/{ID}/promote");
    world.post(&path).json(&json!({})).send().await.expect(400);
    let other = Problem::new(Code::FailedPrecondition, reason::BATCH_NOT_NEXT, "another is next")
        .with("next_batch", 3);
    world.rollout.refuse(promote, other);
    let told = world.post(&path).json(&json!({"batch": 2})).send().await.expect(409);
    assert_eq!(told["details"], json!({"next_batch": 3}));
    world.rollout.answer(promote, rollout(State::Running));
    let told = world.post(&path).json(&json!({"batch": 3})).send().await.expect(200);
    assert_eq!(told["message"], "Batch 3 promoted");
}

#[tokio::test]
async fn a_rollout_asked_for_by_hand_goes_through_the_same_door() {
    let world = World::start().await;
    let mut done = push(PushState::Done);
    done.outcome = Outcome::Rollout.into();
    done.rollout_id = ID.to_owned();
    world.approval.answer(SUBMIT, done);
    world.rollout.answer(GET, rollout(State::Pending));
    let body = json!({
        "image": "redis:7.5-alpine", "policy_id": OTHER_ID, "device_selector": {"fleet": "north"}
    });
    let told = world.post("/api/v1/rollouts").json(&body).header("idempotency-key", ID);
    let told = told.send().await;
    assert_eq!(told.expect(201)["id"], ID);
    assert_eq!(told.header("location"), format!("/api/v1/rollouts/{ID}"));
    let asked: approval::SubmitPushRequest = world.approval.asked(SUBMIT);
    assert_eq!((asked.reference.as_str(), asked.request_id.as_str()), ("redis:7.5-alpine", ID));
    assert_eq!(asked.device_selector.unwrap().fleet, "north");

    let mut held = push(PushState::Held);
    held.review_id = OTHER_ID.to_owned();
    held.reasons = vec![why(reason::IMAGE_NOT_APPROVED, "it is not approved")];
    world.approval.answer(SUBMIT, held);
    let told = world.post("/api/v1/rollouts").json(&body).send().await;
    assert_eq!(told.expect(202)["review_id"], OTHER_ID);
    assert_eq!(told.header("location"), format!("/api/v1/approval-requests/{OTHER_ID}"));

    let mut none = push(PushState::Done);
    none.outcome = Outcome::NoPolicy.into();
    world.approval.answer(SUBMIT, none);
    let told = world.post("/api/v1/rollouts").json(&body).send().await.expect(200);
    assert_eq!(told["outcome"], "no_policy");

    let mut denied = push(PushState::Denied);
    denied.reasons = vec![why(reason::TAG_DEPRECATED, "it is deprecated")];
    world.approval.answer(SUBMIT, denied);
    let told = world.post("/api/v1/rollouts").json(&body).send().await.expect(403);
    assert_eq!(
        (&told["error"], &told["details"]["push_id"]),
        (&json!("Tag deprecated"), &json!(ID))
    );
}
