//! Asking for a rollout by hand.

use proto::approval::v1 as approval;
use proto::approval::v1::push::{Outcome, State};
use proto::reason;
use proto::rollout::v1::rollout::State as RolloutState;
use proto::types::v1::Reason;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::fleet_samples::rollout;
use crate::samples::{ID, OTHER_ID, push};
use crate::world::World;

const SUBMIT: &str = "approval.v1.Pushes/SubmitPush";
const GET: &str = "rollout.v1.Rollouts/GetRollout";

/// A push that stands somewhere, with one reason.
fn decided(state: State, outcome: Outcome, code: &str) -> approval::Push {
    let why = Reason { code: code.to_owned(), message: format!("why {code}") };
    approval::Push { outcome: outcome.into(), reasons: vec![why], ..push(state) }
}

async fn ask(world: &World, answer: approval::Push) -> Answer {
    world.approval.answer(SUBMIT, answer);
    world.post("/api/v1/rollouts").json(&json!({"image": "redis:7.5-alpine"})).send().await
}

#[tokio::test]
async fn an_admitted_image_becomes_a_rollout() {
    let world = World::start().await;
    let mut push = decided(State::Done, Outcome::Rollout, reason::IMAGE_APPROVED);
    push.rollout_id = ID.to_owned();
    world.approval.answer(SUBMIT, push);
    world.rollout.answer(GET, rollout(RolloutState::Running));
    let body = json!({
        "image": "redis:7.5-alpine", "policy_id": OTHER_ID, "device_selector": {"fleet": "north"}
    });
    let call = world.post("/api/v1/rollouts").json(&body).header("idempotency-key", ID);
    let told = call.token("ghd_alice").send().await;
    let shown = told.expect(201);
    assert_eq!((&shown["id"], &shown["status"]), (&json!(ID), &json!("in_progress")));
    assert_eq!(told.header("location"), format!("/api/v1/rollouts/{ID}"));
    assert_eq!(told.header("etag"), "\"4\"");
    let asked: approval::SubmitPushRequest = world.approval.asked(SUBMIT);
    assert_eq!(
        (asked.reference.as_str(), asked.policy_id.as_str()),
        ("redis:7.5-alpine", OTHER_ID)
    );
    assert_eq!(asked.request_id, ID);
    assert_eq!(asked.device_selector.unwrap().fleet, "north");
    assert_eq!(world.approval.calls()[0].header("authorization"), "Bearer ghd_alice");
}

#[tokio::test]
async fn a_held_one_is_202_and_leads_to_its_review() {
    let world = World::start().await;
    let mut push = decided(State::Held, Outcome::Unspecified, reason::IMAGE_NOT_APPROVED);
    push.review_id = OTHER_ID.to_owned();
    let told = ask(&world, push).await;
    let body = told.expect(202);
    assert_eq!((&body["state"], &body["review_id"]), (&json!("held"), &json!(OTHER_ID)));
    assert_eq!(
        (&body["push_id"], &body["message"]),
        (&json!(ID), &json!("why IMAGE_NOT_APPROVED"))
    );
    assert_eq!(told.header("location"), format!("/api/v1/approval-requests/{OTHER_ID}"));
}

#[tokio::test]
async fn one_that_waits_is_202_and_leads_to_its_push() {
    let world = World::start().await;
    for push in [
        decided(State::Waiting, Outcome::Unspecified, reason::PEER_UNREACHABLE),
        push(State::Received),
    ] {
        let told = ask(&world, push).await;
        assert_ne!(told.expect(202)["message"], "");
        assert_eq!(told.header("location"), format!("/api/v1/pushes/{ID}"));
    }
}

#[tokio::test]
async fn one_that_brings_nothing_is_200_and_says_why() {
    let world = World::start().await;
    for (outcome, code, word) in [
        (Outcome::NoPolicy, reason::NO_POLICY, "no_policy"),
        (Outcome::NoTarget, reason::NO_TARGET, "no_target"),
        (Outcome::Unchanged, reason::UNCHANGED, "unchanged"),
        (Outcome::Quarantined, reason::QUARANTINED, "quarantined"),
    ] {
        let told = ask(&world, decided(State::Done, outcome, code)).await.expect(200);
        assert_eq!((&told["outcome"], &told["reasons"][0]["code"]), (&json!(word), &json!(code)));
    }
    assert!(world.rollout.calls().is_empty());
}

#[tokio::test]
async fn one_that_may_not_run_is_refused_with_its_reason() {
    let world = World::start().await;
    for (code, status, words) in [
        (reason::IMAGE_REJECTED, 403, "Image not approved"),
        (reason::TAG_DEPRECATED, 403, "Tag deprecated"),
        (reason::TAG_NOT_LISTED, 404, "Tag not found"),
        (reason::POLICY_NOT_FOUND, 404, "Policy not found"),
        (reason::INVALID_ARGUMENT, 400, "Invalid argument"),
    ] {
        let told = ask(&world, decided(State::Denied, Outcome::Unspecified, code)).await;
        let body = told.expect(status);
        assert_eq!((&body["reason"], &body["details"]["push_id"]), (&json!(code), &json!(ID)));
        assert_eq!(
            (&body["error"], &body["message"]),
            (&json!(words), &json!(format!("why {code}")))
        );
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_by_its_member() {
    let world = World::start().await;
    world.approval.refuse(SUBMIT, {
        let problem = Problem::new(Code::InvalidArgument, reason::INVALID_REFERENCE, "no version");
        problem.at("reference")
    });
    let ask = async |body: Value| {
        let told = world.post("/api/v1/rollouts").json(&body).send().await.expect(400);
        told["violations"][0]["field"].as_str().unwrap().to_owned()
    };
    assert_eq!(ask(json!({"image": "redis"})).await, "image");
    assert_eq!(ask(json!({})).await, "image");
    assert_eq!(ask(json!({"image": "redis:7", "polcy_id": ID})).await, "polcy_id");
    let selector = json!({"image": "redis:7", "device_selector": {"flet": "north"}});
    assert_eq!(ask(selector).await, "device_selector.flet");
    assert_eq!(world.approval.calls().len(), 1);
}
