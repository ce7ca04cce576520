//! Processes that end in the worst moment: right after something was stored, before anybody heard.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::json;
use testbed::steps::somebody;
use testbed::{Api, Database};

use super::{North, held, tell};

/// Where a process ends: the process, the point, and whether a person is asked on the way to it.
const POINTS: [(&str, &str, bool); 8] = [
    ("approval", "delivery_stored", false),
    ("approval", "tag_resolved", false),
    ("approval", "admitted", false),
    ("rollout", "rollout_created", false),
    ("rollout", "target_bumped", false),
    ("rollout", "report_committed", false),
    ("approval", "vote_committed", true),
    ("registry", "image_approved", true),
];

/// All points at once, each with a Slipway of its own: what is waited for are leases of the dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_at_any_point_loses_nothing_and_doubles_nothing() {
    let points = POINTS.map(|(process, point, asks)| async move {
        let survived = AssertUnwindSafe(survives(process, point, asks)).catch_unwind().await;
        survived.err().map(|_| format!("`{process}` at `{point}`"))
    });
    let lost: Vec<_> = join_all(points).await.into_iter().flatten().collect();
    assert!(lost.is_empty(), "what each panicked with stands above: {lost:#?}");
}

async fn survives(process: &'static str, point: &'static str, asks: bool) {
    let mut north = North::start_on(Database::create().await, &[], "auto", json!({})).await;
    let api = north.slipway.api.clone();
    let approver = somebody(&api, "anna", "approver").await;
    let held = if asks { Some(held(&api).await) } else { None };

    north.slipway.bounce(process, &[("SLIPWAY_CRASH_AT", point)]).await;
    let sender = match &held {
        Some(review) => approve(approver, review),
        None => tell(&api),
    };
    north.slipway.ended(process).await;
    north.slipway.restart(process, &[]).await;
    let _ = sender.await.unwrap();

    north.settles().await;
}

fn approve(anna: Api, review: &str) -> tokio::task::JoinHandle<Option<testbed::Answer>> {
    let path = format!("/api/v1/approval-requests/{review}/approve");
    tokio::spawn(async move { anna.try_send(http::Method::POST, &path, &[], "").await.ok() })
}
