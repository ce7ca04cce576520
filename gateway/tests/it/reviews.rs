//! Approval requests, as document 1 names them.

use proto::approval::v1 as pb;
use proto::approval::v1::push::{Outcome, State as PushState};
use proto::approval::v1::review::State;
use proto::reason;
use proto::rollout::v1 as rollout;
use runtime::{Code, Problem};
use serde_json::json;

use crate::samples::{ID, OTHER_ID, push, reason as why, review, time};
use crate::world::World;

const LIST: &str = "approval.v1.Reviews/ListReviews";
const APPROVE: &str = "approval.v1.Reviews/ApproveReview";
const REJECT: &str = "approval.v1.Reviews/RejectReview";
const PREVIEW: &str = "rollout.v1.Policies/PreviewPolicy";
const BULK: &str = "approval.v1.Reviews/BatchDecideReviews";

fn path(action: &str) -> String {
    format!("/api/v1/approval-requests/{OTHER_ID}{action}")
}

#[tokio::test]
async fn a_list_has_the_columns_of_document_1_and_ours() {
    let world = World::start().await;
    world.approval.answer(
        LIST,
        pb::ListReviewsResponse { reviews: vec![review()], total_size: 1, ..Default::default() },
    );
    let told = world.get("/api/v1/approval-requests?status=pending&image=memcached").send().await;
    insta::assert_json_snapshot!(told.expect(200));
    let asked: pb::ListReviewsRequest = world.approval.asked(LIST);
    assert_eq!((asked.state(), asked.repository.as_str()), (State::Pending, "memcached"));
}

#[tokio::test]
async fn a_review_is_shown_with_its_etag_and_its_own_state() {
    let world = World::start().await;
    for (state, status, detail) in [
        (State::Pending, "pending", "pending"),
        (State::Approved, "approved", "approved"),
        (State::Rejected, "rejected", "rejected"),
        (State::Expired, "rejected", "expired"),
        (State::Cancelled, "rejected", "cancelled"),
        (State::Superseded, "rejected", "superseded"),
    ] {
        let answer = pb::Review { state: state.into(), ..review() };
        world.approval.answer("approval.v1.Reviews/GetReview", answer);
        let told = world.get(&path("")).send().await;
        let body = told.expect(200);
        assert_eq!((&body["status"], &body["state_detail"]), (&json!(status), &json!(detail)));
        assert_eq!(told.header("etag"), "\"3\"");
    }
}

/// A policy that takes the images of a pattern.
fn policy(id: &str, image_pattern: &str) -> rollout::Policy {
    let image_pattern = image_pattern.to_owned();
    rollout::Policy { id: id.to_owned(), image_pattern, enabled: true, ..Default::default() }
}

#[tokio::test]
async fn the_impact_is_what_the_first_policy_that_takes_the_image_would_do() {
    let world = World::start().await;
    world.approval.answer("approval.v1.Reviews/GetReview", review());
    let policies = vec![policy(ID, "memcached:1.*"), policy(OTHER_ID, "memcached:*")];
    let matching = rollout::MatchRepositoryResponse { policies };
    world.rollout.answer("rollout.v1.Policies/MatchRepository", matching);
    let reach = rollout::PreviewPolicyResponse { devices: 12, ..Default::default() };
    world.rollout.answer(PREVIEW, reach);
    let told = world.get(&path("/impact")).send().await.expect(200);
    assert_eq!((&told["policy"]["id"], &told["reach"]["devices"]), (&json!(OTHER_ID), &json!(12)));
    let image = "docker.io/library/memcached:latest";
    assert_eq!((&told["image"], &told["held_pushes"]), (&json!(image), &json!(1)));
    let asked: rollout::PreviewPolicyRequest = world.rollout.asked(PREVIEW);
    assert_eq!((asked.reference.as_str(), asked.policy.unwrap().id.as_str()), (image, OTHER_ID));
}

#[tokio::test]
async fn the_impact_of_an_image_as_a_whole_is_that_of_the_newest_push_it_holds() {
    let world = World::start().await;
    let whole = pb::Review { tag: String::new(), ..review() };
    world.approval.answer("approval.v1.Reviews/GetReview", whole);
    let held = |review_id: &str, tag: &str| pb::Push {
        review_id: review_id.to_owned(),
        tag: tag.to_owned(),
        ..push(PushState::Held)
    };
    let pushes = vec![held(ID, "3"), held(OTHER_ID, "2"), held(OTHER_ID, "1")];
    let list = pb::ListPushesResponse { pushes, ..Default::default() };
    world.approval.answer("approval.v1.Pushes/ListPushes", list);
    let matching = rollout::MatchRepositoryResponse { policies: vec![policy(ID, "memcached:*")] };
    world.rollout.answer("rollout.v1.Policies/MatchRepository", matching);
    world.rollout.answer(PREVIEW, rollout::PreviewPolicyResponse::default());
    world.get(&path("/impact")).send().await.expect(200);
    let asked: rollout::PreviewPolicyRequest = world.rollout.asked(PREVIEW);
    assert_eq!(asked.reference, "docker.io/library/memcached:2");
}

#[tokio::test]
async fn the_impact_of_what_no_policy_takes_or_no_tag_asked_for_is_open() {
    let world = World::start().await;
    let untagged = pb::Review { tag: String::new(), held_pushes: 0, ..review() };
    for (review, policies, expected) in [
        (review(), vec![policy(ID, "memcached:1.*")], json!(null)),
        (untagged, vec![policy(ID, "memcached:1.*")], json!(ID)),
    ] {
        world.approval.answer("approval.v1.Reviews/GetReview", review);
        let matching = rollout::MatchRepositoryResponse { policies };
        world.rollout.answer("rollout.v1.Policies/MatchRepository", matching);
        let told = world.get(&path("/impact")).send().await.expect(200);
        let id = told["policy"].get("id").cloned().unwrap_or_default();
        assert_eq!((id, &told["reach"]), (expected, &json!(null)));
    }
}

#[tokio::test]
async fn a_yes_lists_what_it_set_going() {
    let world = World::start().await;
    let mut done = push(PushState::Done);
    done.outcome = Outcome::Rollout.into();
    done.rollout_id = ID.to_owned();
    let review = pb::Review {
        state: State::Approved.into(),
        reviewed_by: "bob".to_owned(),
        review_time: time(),
        notes: "fine".to_owned(),
        ..review()
    };
    let redriven = vec![done, push(PushState::Waiting)];
    world.approval.answer(APPROVE, pb::ReviewDecision { review: Some(review), redriven });
    let body = json!({"notes": "fine", "digest": "sha256:1", "evidence_hash": "9f"});
    let told = world.post(&path("/approve")).json(&body).send().await.expect(200);
    assert_eq!((&told["status"], &told["reviewed_by"]), (&json!("approved"), &json!("bob")));
    insta::assert_json_snapshot!(told["redriven"]);
    let asked: pb::ApproveReviewRequest = world.approval.asked(APPROVE);
    assert_eq!((asked.id.as_str(), asked.notes.as_str()), (OTHER_ID, "fine"));
    assert_eq!((asked.digest.as_str(), asked.evidence_hash.as_str()), ("sha256:1", "9f"));
}

#[tokio::test]
async fn a_no_needs_its_reason() {
    let world = World::start().await;
    let review = pb::Review {
        state: State::Rejected.into(),
        rejection_reason: "use valkey".to_owned(),
        ..review()
    };
    let decision = pb::ReviewDecision { review: Some(review), ..Default::default() };
    world.approval.answer(REJECT, decision);
    let call = world.post(&path("/reject")).json(&json!({"reason": "use valkey"}));
    let told = call.send().await.expect(200);
    assert_eq!(
        (&told["status"], &told["rejection_reason"]),
        (&json!("rejected"), &json!("use valkey"))
    );
    let asked: pb::RejectReviewRequest = world.approval.asked(REJECT);
    assert_eq!(asked.reason, "use valkey");
    let told = world.post(&path("/reject")).json(&json!({})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "reason");
}

#[tokio::test]
async fn a_lost_vote_and_an_own_one_are_told_apart() {
    let world = World::start().await;
    let lost = Problem::new(Code::FailedPrecondition, reason::REVIEW_DECIDED, "it is decided")
        .with("state", "rejected")
        .with("reviewed_by", "bob");
    world.approval.refuse(APPROVE, lost);
    let told = world.post(&path("/approve")).send().await.expect(409);
    assert_eq!(told["details"], json!({"state": "rejected", "reviewed_by": "bob"}));
    let own = Problem::new(Code::PermissionDenied, reason::SELF_REVIEW, "you asked for it");
    world.approval.refuse(APPROVE, own);
    let told = world.post(&path("/approve")).send().await.expect(403);
    assert_eq!(told["reason"], "SELF_REVIEW");
}

#[tokio::test]
async fn several_are_decided_each_on_its_own() {
    let world = World::start().await;
    let result = |id: &str, state: State, error| pb::batch_decide_reviews_response::Result {
        id: id.to_owned(),
        state: state.into(),
        error,
    };
    let gone = why(reason::REVIEW_NOT_FOUND, "there is no such review");
    world.approval.answer(
        BULK,
        pb::BatchDecideReviewsResponse {
            results: vec![
                result(ID, State::Approved, None),
                result(OTHER_ID, State::Unspecified, Some(gone)),
            ],
        },
    );
    let body = json!({"ids": [ID, OTHER_ID], "decision": "approve", "dry_run": true});
    let told = world.post("/api/v1/approval-requests/bulk").json(&body).send().await.expect(200);
    insta::assert_json_snapshot!(told);
    let asked: pb::BatchDecideReviewsRequest = world.approval.asked(BULK);
    assert!(asked.approve && asked.dry_run && asked.ids.len() == 2);
    let body = json!({"ids": [ID], "decision": "perhaps"});
    let told = world.post("/api/v1/approval-requests/bulk").json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "decision");
}
