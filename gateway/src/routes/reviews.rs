//! Reviews: questions to a person. Their path is the word of document 1.

mod impact;
mod shape;

use axum::Json;
use proto::approval::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::error::Fault;
use crate::extract::{At, Body, Members, OptionalBody, Page, Query, Tagged};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{Reason, text};

use shape::{Decided, Review, State};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_reviews))
        .routes(routes!(decide_reviews))
        .routes(routes!(get_review))
        .routes(routes!(impact::get_review_impact))
        .routes(routes!(approve_review))
        .routes(routes!(reject_review))
}

/// Which reviews.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReviewsQuery {
    /// Only those in this state.
    #[param(inline)]
    status: Option<State>,
    /// Only those of this repository, in any form.
    #[param(example = "memcached")]
    image: Option<String>,
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// Reviews.
#[derive(Debug, Serialize, ToSchema)]
struct Reviews {
    /// Newest first.
    approval_requests: Vec<Review>,
    /// How many match in all.
    total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// List approval requests
///
/// Needs `viewer`. Newest first.
#[utoipa::path(
    get, path = "/api/v1/approval-requests", tag = "reviews", params(ReviewsQuery),
    responses((status = 200, description = "Approval requests.", body = Reviews)),
)]
async fn list_reviews(
    relay: Relay,
    Query(query): Query<ReviewsQuery>,
) -> Result<Listed<Reviews>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), (50, 500))?;
    let state = query.status.map_or(pb::review::State::Unspecified, Into::into);
    let request = pb::ListReviewsRequest {
        page_size: page.size,
        page_token: page.token.clone(),
        state: state.into(),
        repository: query.image.unwrap_or_default(),
    };
    let answer = read(relay.reviews(), request, async |mut to, ask| to.list_reviews(ask).await)
        .await
        .map_err(|fault| fault.renamed(&[("repository", "image"), ("state", "status")]))?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let reviews = answer.reviews.into_iter().map(Review::try_from).collect::<Result<_, _>>()?;
    let next_page_token = text(next.clone());
    let body = Reviews { approval_requests: reviews, total, next_page_token };
    Ok(Listed::part(body, &page, &next, total))
}

/// Get an approval request
///
/// Needs `viewer`.
#[utoipa::path(
    get, path = "/api/v1/approval-requests/{id}", tag = "reviews",
    params(("id" = String, Path, description = "The approval request's id.")),
    responses(
        (status = 200, description = "The approval request.", body = Review),
        (status = 304, description = "It is as `If-None-Match` knows it."),
    ),
)]
async fn get_review(relay: Relay, At(id): At<String>) -> Result<Tagged<Review>, Fault> {
    let request = pb::GetReviewRequest { id };
    let review =
        read(relay.reviews(), request, async |mut to, ask| to.get_review(ask).await).await?;
    Ok(Tagged::whole(review.etag.clone(), review.try_into()?))
}

/// A yes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"notes": "needed by the dashboards"}))]
struct ReviewApproval {
    /// For the record; at most 2,000 characters.
    notes: Option<String>,
    /// The digest you have seen: when it is no longer the one that asks, nothing is decided (409).
    digest: Option<String>,
    /// The evidence you have seen: as `digest`, for all of it.
    evidence_hash: Option<String>,
}

impl Members for ReviewApproval {}

/// Approve
///
/// Needs `approver`, and not who asked. The image and the tag are made where they are missing, and
/// the pushes that wait go on by themselves: `redriven` lists them as they stand.
#[utoipa::path(
    post, path = "/api/v1/approval-requests/{id}/approve", tag = "reviews",
    params(("id" = String, Path, description = "The approval request's id.")),
    request_body = Option<ReviewApproval>,
    responses(
        (status = 200, description = "Approved.", body = Decided),
        (status = 403, description = "You asked for it yourself.", body = crate::error::FlatError),
        (status = 409, description = "It is decided already; `details.state` says how.",
         body = crate::error::FlatError),
    ),
)]
async fn approve_review(
    relay: Relay,
    At(id): At<String>,
    OptionalBody(vote): OptionalBody<ReviewApproval>,
) -> Result<Json<Decided>, Fault> {
    let request = pb::ApproveReviewRequest {
        id,
        notes: vote.notes.unwrap_or_default(),
        digest: vote.digest.unwrap_or_default(),
        evidence_hash: vote.evidence_hash.unwrap_or_default(),
    };
    let decision = relay.reviews().approve_review(request).await?.into_inner();
    Ok(Json(decision.try_into()?))
}

/// A no.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "use valkey"}))]
struct ReviewRejection {
    /// Why; at most 2,000 characters.
    reason: String,
    /// The digest you have seen: when it is no longer the one that asks, nothing is decided (409).
    digest: Option<String>,
    /// The evidence you have seen: as `digest`, for all of it.
    evidence_hash: Option<String>,
}

impl Members for ReviewRejection {}

/// Reject
///
/// Needs `approver`, and not who asked. The pushes that wait are denied.
#[utoipa::path(
    post, path = "/api/v1/approval-requests/{id}/reject", tag = "reviews",
    params(("id" = String, Path, description = "The approval request's id.")),
    request_body = ReviewRejection,
    responses(
        (status = 200, description = "Rejected.", body = Decided),
        (status = 403, description = "You asked for it yourself.", body = crate::error::FlatError),
        (status = 409, description = "It is decided already; `details.state` says how.",
         body = crate::error::FlatError),
    ),
)]
async fn reject_review(
    relay: Relay,
    At(id): At<String>,
    Body(vote): Body<ReviewRejection>,
) -> Result<Json<Decided>, Fault> {
    let request = pb::RejectReviewRequest {
        id,
        reason: vote.reason,
        digest: vote.digest.unwrap_or_default(),
        evidence_hash: vote.evidence_hash.unwrap_or_default(),
    };
    let decision = relay.reviews().reject_review(request).await?.into_inner();
    Ok(Json(decision.try_into()?))
}

/// A yes or a no to several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "ids": ["0198f3a4-6c1f-7000-8000-77aa00bb11cc"], "decision": "approve", "dry_run": true
}))]
struct BulkDecision {
    /// At most 500 ids.
    ids: Vec<String>,
    /// Which.
    decision: Word,
    /// For approvals.
    notes: Option<String>,
    /// For rejections; needed there.
    reason: Option<String>,
    /// True = only say what would happen.
    dry_run: Option<bool>,
}

impl Members for BulkDecision {}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// How each came out.
#[derive(Debug, Serialize, ToSchema)]
struct BulkDecided {
    /// In the order of the ids.
    results: Vec<BulkResult>,
}

/// How one came out.
#[derive(Debug, Serialize, ToSchema)]
struct BulkResult {
    /// The approval request's id.
    id: String,
    /// The state it is in; in a dry run, the state it would be in. `null` = it is not known.
    outcome: Option<State>,
    /// Why it was not decided; not there when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Reason>,
}

impl From<pb::batch_decide_reviews_response::Result> for BulkResult {
    fn from(result: pb::batch_decide_reviews_response::Result) -> Self {
        let outcome = match result.state() {
            pb::review::State::Unspecified => None,
            state => Some(State::from(state)),
        };
        Self { id: result.id, outcome, error: result.error.map(Reason::from) }
    }
}

/// Decide several approval requests
///
/// Needs `approver`. Each is decided on its own: one that fails does not stop the others.
#[utoipa::path(
    post, path = "/api/v1/approval-requests/bulk", tag = "reviews", request_body = BulkDecision,
    responses((status = 200, description = "How each came out.", body = BulkDecided)),
)]
async fn decide_reviews(
    relay: Relay,
    Body(bulk): Body<BulkDecision>,
) -> Result<Json<BulkDecided>, Fault> {
    let request = pb::BatchDecideReviewsRequest {
        ids: bulk.ids,
        approve: bulk.decision == Word::Approve,
        notes: bulk.notes.unwrap_or_default(),
        reason: bulk.reason.unwrap_or_default(),
        dry_run: bulk.dry_run.unwrap_or_default(),
    };
    let answer = relay.reviews().batch_decide_reviews(request).await?.into_inner();
    Ok(Json(BulkDecided { results: answer.results.into_iter().map(BulkResult::from).collect() }))
}
