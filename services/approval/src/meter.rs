//! The figures of this process. No label ever names an image.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::push::{Decision, Push};
use crate::vendor::Vendor;

/// Counts what came of a delivery.
pub(crate) fn delivered(vendor: Vendor, outcome: &'static str) {
    metrics::counter!(
        "webhook_deliveries_total", "vendor" => vendor.word(), "outcome" => outcome
    )
    .increment(1);
}

/// Counts a request that was not believed.
pub(crate) fn refused(vendor: Vendor) {
    metrics::counter!("webhook_auth_failures_total", "vendor" => vendor.word()).increment(1);
}

/// Counts a delivery that came before.
pub(crate) fn repeated(vendor: Vendor) {
    metrics::counter!("webhook_duplicates_total", "vendor" => vendor.word()).increment(1);
}

/// Counts a decision, and how long it took since the push came.
pub(crate) fn decided(push: &Push, now: DateTime<Utc>) {
    let Some(decision) = push.decision else { return };
    let reason = push.reasons.0.first().map_or_else(String::new, |why| why.code.clone());
    metrics::counter!(
        "decision_total", "decision" => word(decision), "reason" => reason
    )
    .increment(1);
    let passed = (now - push.created_at).to_std().unwrap_or_default();
    metrics::histogram!("decision_seconds").record(passed.as_secs_f64());
}

/// Records how long a registry elsewhere took.
pub(crate) fn resolved(passed: Duration) {
    metrics::histogram!("registry_resolve_seconds").record(passed.as_secs_f64());
}

/// Counts a vote.
pub(crate) fn voted(approve: bool) {
    let vote = if approve { "approve" } else { "reject" };
    metrics::counter!("votes_total", "vote" => vote).increment(1);
}

/// Shows how many pushes are under way and how many reviews wait.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
pub(crate) fn open(pushes: i64, reviews: i64) {
    metrics::gauge!("pushes_open").set(pushes as f64);
    metrics::gauge!("requests_open").set(reviews as f64);
}

/// The word for a decision.
pub(crate) fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Hold => "hold",
        Decision::Deny => "deny",
        Decision::Ignored => "ignored",
        Decision::Rejected => "rejected",
    }
}
