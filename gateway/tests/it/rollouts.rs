//! Rollouts, as document 2 lists and shows them.

use proto::access::v1 as access;
use proto::event::v1::Event;
use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::assignment::State as PartState;
use proto::rollout::v1::rollout::State;
use proto::types::v1::{Check, check};
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::fleet_samples::{DIGEST, part, rollout};
use crate::samples::{ID, OTHER_ID, actor, time};
use crate::world::{GATEWAY, World};

const LIST: &str = "rollout.v1.Rollouts/ListRollouts";
const GET: &str = "rollout.v1.Rollouts/GetRollout";
const PARTS: &str = "rollout.v1.Rollouts/ListAssignments";
const EXPLAIN: &str = "rollout.v1.Rollouts/ExplainRollout";
const AUDIT: &str = "access.v1.AuditLog/ListEntries";

fn listed(next: &str) -> pb::ListRolloutsResponse {
    pb::ListRolloutsResponse {
        rollouts: vec![rollout(State::Running)],
        next_page_token: next.to_owned(),
        total_size: 9,
    }
}

fn parts(assignments: Vec<pb::Assignment>, next: &str) -> pb::ListAssignmentsResponse {
    let total_size = assignments.len().try_into().unwrap();
    pb::ListAssignmentsResponse { assignments, next_page_token: next.to_owned(), total_size }
}

fn entries() -> access::ListEntriesResponse {
    let event = Event {
        id: OTHER_ID.to_owned(),
        r#type: "image.rollout_started".to_owned(),
        create_time: time(),
        actor: actor(),
        envelope: "{\"after\":{\"state\":\"running\"}}".to_owned(),
        ..Default::default()
    };
    let entry = access::Entry { sequence: 41, event: Some(event), ..Default::default() };
    access::ListEntriesResponse { entries: vec![entry], total_size: 1, ..Default::default() }
}

#[tokio::test]
async fn rollouts_are_listed_with_the_documents_pagination() {
    let world = World::start().await;
    world.rollout.answer(LIST, listed("tok"));
    let path = "/api/v1/rollouts?status=in_progress&image=redis&limit=2&offset=4";
    let told = world.get(&format!("{path}&policy_id={OTHER_ID}")).send().await;
    let body = told.expect(200);
    assert_eq!(body["pagination"], json!({"total": 9, "limit": 2, "offset": 4}));
    assert_eq!(body["next_page_token"], "tok");
    let shown = &body["rollouts"][0];
    assert_eq!((&shown["id"], &shown["status"]), (&json!(ID), &json!("in_progress")));
    assert_eq!((&shown["state"], &shown["policy"]), (&json!("running"), &Value::Null));
    assert_eq!(told.header("x-total-count"), "9");
    let link = told.header("link");
    assert!(link.contains("offset=2&") || link.contains("offset=2>"), "{link}");
    assert!(link.contains("offset=6>; rel=\"next\""), "{link}");
    let asked: pb::ListRolloutsRequest = world.rollout.asked(LIST);
    let running = [State::Running, State::Settling, State::RollingBack].map(i32::from);
    assert_eq!(asked.states, running);
    assert_eq!((asked.repository.as_str(), asked.policy_id.as_str()), ("redis", OTHER_ID));
    assert_eq!((asked.page_size, asked.skip, asked.active), (2, 4, false));
}

#[tokio::test]
async fn active_rollouts_are_those_that_have_not_ended() {
    let world = World::start().await;
    world.rollout.answer(LIST, listed(""));
    world.get("/api/v1/rollouts/active?page_token=tok").send().await.expect(200);
    let asked: pb::ListRolloutsRequest = world.rollout.asked(LIST);
    assert!(asked.active && asked.states.is_empty());
    assert_eq!((asked.page_size, asked.page_token.as_str()), (50, "tok"));
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused_by_its_name() {
    let world = World::start().await;
    for (query, field) in
        [("status=runing", "status"), ("status=scheduled", "status"), ("stats=paused", "stats")]
    {
        let told = world.get(&format!("/api/v1/rollouts?{query}")).send().await.expect(400);
        assert_eq!(told["violations"][0]["field"], field, "{told}");
    }
    assert!(world.rollout.calls().is_empty());
    world.rollout.refuse(LIST, Problem::invalid("repository", "is no repository; write `redis`"));
    let told = world.get("/api/v1/rollouts?image=A%20b").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "image");
}

#[tokio::test]
async fn a_rollout_comes_with_its_devices_events_and_figures() {
    let world = World::start().await;
    world.rollout.answer(GET, rollout(State::Running));
    let devices = vec![part(1, PartState::Succeeded), part(2, PartState::Installing)];
    world.rollout.answer(PARTS, parts(devices, "tok"));
    world.access.answer(AUDIT, entries());
    let told = world.get("/api/v1/rollouts/0198f3a4").token("ghd_alice").send().await;
    let body = told.expect(200);
    assert_eq!(told.header("etag"), "\"4\"");
    let shown = &body["rollout"];
    assert_eq!(shown["image"], "docker.io/library/redis:7.5-alpine");
    assert_eq!((&shown["digest"], &shown["pinned"]), (&json!(DIGEST), &json!(true)));
    assert_eq!((&shown["current_batch"], &shown["device_count"]), (&json!(1), &json!(3)));
    assert_eq!(shown["policy"]["image_pattern"], "redis:*");
    assert_eq!((&shown["state_detail"], &shown["ended_at"]), (&Value::Null, &Value::Null));
    let device = &body["devices"][1];
    for (member, value) in [
        ("device_id", json!(OTHER_ID)),
        ("device_name", json!("north-001")),
        ("status", json!("updating")),
        ("state", json!("installing")),
        ("batch_number", json!(2)),
        ("attempt", json!(1)),
        ("reason", Value::Null),
    ] {
        assert_eq!(device[member], value, "{member}");
    }
    assert_eq!(body["next_page_token"], "tok");
    assert_eq!(body["events"][0]["type"], "image.rollout_started");
    assert_eq!(body["events"][0]["data"], json!({"after": {"state": "running"}}));
    let statistics = &body["statistics"];
    assert_eq!((&statistics["total"], &statistics["queued"]), (&json!(3), &json!(2)));
    assert_eq!(statistics["progress_percent"], 33.3);
    let asked: pb::ListAssignmentsRequest = world.rollout.asked(PARTS);
    assert_eq!((asked.rollout_id.as_str(), asked.page_size), (ID, 1_000));
}

#[tokio::test]
async fn the_audit_log_is_read_in_the_gateways_name_and_only_for_this_rollout() {
    let world = World::start().await;
    world.rollout.answer(GET, rollout(State::Running));
    world.access.answer(AUDIT, entries());
    let path = format!("/api/v1/rollouts/{ID}/events?limit=7&offset=3");
    let told = world.get(&path).token("ghd_alice").send().await.expect(200);
    assert_eq!((&told["total"], &told["events"][0]["sequence"]), (&json!(1), &json!(41)));
    let asked: access::ListEntriesRequest = world.access.asked(AUDIT);
    assert_eq!((asked.resource.as_str(), asked.r#type.as_str()), (ID, "image.rollout_*"));
    assert_eq!((asked.page_size, asked.skip), (7, 3));
    let header = |call: &crate::peer::Call| call.header("authorization").to_owned();
    assert_eq!(header(&world.rollout.calls()[0]), "Bearer ghd_alice");
    assert_eq!(header(&world.access.calls()[0]), format!("Bearer {GATEWAY}"));
}

#[tokio::test]
async fn who_may_not_see_a_rollout_sees_none_of_its_events() {
    let world = World::start().await;
    world.access.answer(AUDIT, entries());
    world.rollout.refuse(
        GET,
        Problem::new(Code::PermissionDenied, reason::PERMISSION_MISSING, "you may not"),
    );
    for path in ["", "/events"] {
        world.get(&format!("/api/v1/rollouts/{ID}{path}")).send().await.expect(403);
    }
    assert!(world.access.calls().is_empty());
}

#[tokio::test]
async fn a_rollout_is_shown_while_the_audit_log_is_away() {
    let world = World::start().await;
    world.rollout.answer(GET, rollout(State::Running));
    world.rollout.answer(PARTS, parts(Vec::new(), ""));
    world.access.refuse(AUDIT, Problem::unavailable(reason::DATABASE_UNREACHABLE, "it is away"));
    let path = format!("/api/v1/rollouts/{ID}");
    let told = world.get(&path).send().await.expect(200);
    assert_eq!((&told["events"], &told["devices"]), (&Value::Null, &json!([])));
    world.get(&format!("{path}/events")).send().await.expect(503);
}

#[tokio::test]
async fn a_rollout_that_is_not_there_is_404_in_words() {
    let world = World::start().await;
    let problem = Problem::new(Code::NotFound, reason::ROLLOUT_NOT_FOUND, "there is no rollout");
    world.rollout.refuse(GET, problem.clone());
    world.rollout.refuse(PARTS, problem.clone());
    world.rollout.refuse(EXPLAIN, problem);
    for path in ["", "/devices", "/events", "/explain", "/cells"] {
        let told = world.get(&format!("/api/v1/rollouts/{ID}{path}")).send().await.expect(404);
        assert_eq!(told["error"], "Rollout not found", "{path}");
    }
}

#[tokio::test]
async fn devices_of_a_rollout_are_filtered_by_the_documents_words() {
    let world = World::start().await;
    let mut failed = part(2, PartState::TimedOut);
    failed.reason = "TIMED_OUT".to_owned();
    failed.retry_time = time();
    world.rollout.answer(PARTS, parts(vec![failed], "tok"));
    let path = format!("/api/v1/rollouts/{ID}/devices?status=failed&batch=2&limit=5000");
    let told = world.get(&path).send().await;
    let body = told.expect(200);
    let device = &body["devices"][0];
    assert_eq!((&device["status"], &device["state"]), (&json!("failed"), &json!("timed_out")));
    assert_eq!(device["retry_at"], "2025-10-17T08:00:00Z");
    assert_eq!((&body["total"], told.header("x-total-count")), (&json!(1), "1"));
    assert!(told.header("link").contains("page_token=tok>; rel=\"next\""));
    let asked: pb::ListAssignmentsRequest = world.rollout.asked(PARTS);
    let states = [PartState::Failed, PartState::TimedOut, PartState::Rejected];
    for state in states.map(i32::from) {
        assert!(asked.states.contains(&state), "{:?}", asked.states);
    }
    assert!(!asked.states.contains(&PartState::Succeeded.into()));
    assert_eq!((asked.batch_number, asked.page_size), (2, 1_000));
}

#[tokio::test]
async fn cells_are_one_letter_per_device_and_sent_when_they_changed() {
    let world = World::start().await;
    world.rollout.answer(GET, rollout(State::Running));
    let devices = vec![
        part(1, PartState::Succeeded),
        part(2, PartState::Downloading),
        part(2, PartState::Failed),
    ];
    world.rollout.answer(PARTS, parts(devices, ""));
    let path = format!("/api/v1/rollouts/{ID}/cells");
    let told = world.get(&path).send().await;
    let rows = json!([{"number": 1, "cells": "s"}, {"number": 2, "cells": "df"}]);
    assert_eq!(told.expect(200)["batches"], rows);
    let etag = told.header("etag").to_owned();
    let again = world.get(&path).header("if-none-match", &etag).send().await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    world.rollout.answer(PARTS, parts(vec![part(1, PartState::Reverted)], ""));
    let told = world.get(&path).header("if-none-match", &etag).send().await;
    assert_eq!(told.expect(200)["batches"][0]["cells"], "b");
}

#[tokio::test]
async fn an_explanation_lists_every_condition_and_the_one_that_holds() {
    let world = World::start().await;
    let check = |name: &str, result: check::Result| Check {
        name: name.to_owned(),
        result: result.into(),
        detail: "told".to_owned(),
    };
    world.rollout.answer(
        EXPLAIN,
        pb::ExplainRolloutResponse {
            rollout: Some(rollout(State::Paused)),
            checks: vec![
                check("batch complete", check::Result::Pass),
                check("not paused", check::Result::Fail),
            ],
            blocked_by: "not paused: told".to_owned(),
            next_step: format!("slipway rollout resume {ID}"),
        },
    );
    let told = world.get(&format!("/api/v1/rollouts/{ID}/explain")).send().await.expect(200);
    assert_eq!(told["rollout"]["status"], "paused");
    assert_eq!(
        (&told["checks"][0]["result"], &told["checks"][1]["result"]),
        (&json!("pass"), &json!("fail"))
    );
    assert_eq!(told["blocked_by"], "not paused: told");
    assert_eq!(told["next_step"], format!("slipway rollout resume {ID}"));
}

#[tokio::test]
async fn the_words_of_the_document_stand_beside_our_own() {
    let world = World::start().await;
    world.rollout.answer(PARTS, parts(Vec::new(), ""));
    world.access.answer(AUDIT, entries());
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
        let rollout = pb::Rollout { state_detail: "why".to_owned(), ..rollout(state) };
        world.rollout.answer(GET, rollout);
        let told = world.get(&format!("/api/v1/rollouts/{ID}")).send().await.expect(200);
        let told = &told["rollout"];
        assert_eq!((&told["status"], &told["state"]), (&json!(status), &json!(own)));
        assert_eq!(told["state_detail"], "why");
    }
}
