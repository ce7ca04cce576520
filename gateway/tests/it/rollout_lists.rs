//! Parts of rollouts: filters, pages, letters.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::assignment::State as PartState;
use proto::rollout::v1::rollout::State;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::samples::{ID, OTHER_ID, assignment, rollout, time};
use crate::world::World;

const LIST: &str = "rollout.v1.Rollouts/ListRollouts";
const GET: &str = "rollout.v1.Rollouts/GetRollout";
const PARTS: &str = "rollout.v1.Rollouts/ListAssignments";
const EXPLAIN: &str = "rollout.v1.Rollouts/ExplainRollout";

fn part(batch_number: i32, state: PartState) -> pb::Assignment {
    pb::Assignment { batch_number, state: state.into(), ..assignment() }
}

fn parts(assignments: Vec<pb::Assignment>, next: &str) -> pb::ListAssignmentsResponse {
    let total_size = assignments.len().try_into().unwrap();
    pb::ListAssignmentsResponse { assignments, next_page_token: next.to_owned(), total_size }
}

#[tokio::test]
async fn a_status_of_the_document_is_asked_for_by_all_of_its_states() {
    let world = World::start().await;
    let policy = pb::Policy { image_pattern: "redis:*".to_owned(), ..Default::default() };
    let listed = pb::Rollout { policy: Some(policy), ..rollout(State::Settling) };
    let answer = pb::ListRolloutsResponse { rollouts: vec![listed], ..Default::default() };
    world.rollout.answer(LIST, answer);
    let path = format!("/api/v1/rollouts?status=in_progress&policy_id={OTHER_ID}");
    let told = world.get(&path).send().await.expect(200);
    assert_eq!(told["rollouts"][0]["policy"], Value::Null, "a list leaves policies out");
    let asked: pb::ListRolloutsRequest = world.rollout.asked(LIST);
    let states = [State::Running, State::Settling, State::RollingBack].map(i32::from);
    assert_eq!((asked.states.as_slice(), asked.policy_id.as_str()), (&states[..], OTHER_ID));
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused_by_its_name() {
    let world = World::start().await;
    let told = world.get("/api/v1/rollouts?stats=paused").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "stats");
    for status in ["runing", "scheduled"] {
        let told = world.get(&format!("/api/v1/rollouts?status={status}")).send().await.expect(400);
        assert_eq!(told["violations"][0]["field"], "status", "{told}");
    }
    assert!(world.rollout.calls().is_empty());
    world.rollout.refuse(LIST, Problem::invalid("repository", "is no repository; write `redis`"));
    let told = world.get("/api/v1/rollouts?image=A%20b").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "image");
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
async fn a_page_of_devices_leads_on_and_failures_are_of_several_states() {
    let world = World::start().await;
    let mut failed = part(2, PartState::TimedOut);
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
