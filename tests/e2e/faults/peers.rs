//! Processes that are away while a person decides.

use serde_json::json;
use testbed::steps::somebody;
use testbed::{Answer, Api};

use super::{North, held};

/// A push that waits for a review, and who may decide it.
async fn asked(north: &North) -> (Api, String) {
    let api = &north.slipway.api;
    let review = held(api).await;
    (somebody(api, "anna", "approver").await, review)
}

async fn approve(anna: &Api, review: &str) -> Answer {
    anna.post(&format!("/api/v1/approval-requests/{review}/approve"), &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_is_approved_while_rollout_is_down_goes_on_once_it_is_back() {
    let mut north = North::start().await;
    let (anna, review) = asked(&north).await;
    north.slipway.kill("rollout").await;
    approve(&anna, &review).await.expect(200);
    let decided = anna.get(&format!("/api/v1/approval-requests/{review}")).await.expect(200);
    assert_eq!(decided.text_at("/status"), "approved");
    north.slipway.restart("rollout", &[]).await;
    north.settles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_approved_while_access_is_down_by_whom_it_knew() {
    let mut north = North::start().await;
    let (anna, review) = asked(&north).await;
    let nobody_knows = somebody(&north.slipway.api, "berta", "approver").await;
    anna.get(&format!("/api/v1/approval-requests/{review}")).await.expect(200);
    north.slipway.kill("access").await;
    approve(&nobody_knows, &review).await.expect(503);
    approve(&anna, &review).await.expect(200);
    north.fleet.wait_until_running(super::NEW, 3).await;
    north.slipway.restart("access", &[]).await;
    north.settles().await;
}
