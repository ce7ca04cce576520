//! Update policies: which images go to which devices, in which steps.

mod batch;
mod quantity;
mod rule;
mod shape;

use axum::Json;
use proto::rollout::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::idempotency::IdempotencyHeader;
use crate::extract::{At, Body, Change, IdempotencyKey, IfMatch, Members, Page, Query, Tagged};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::text;

pub use rule::DeviceSelector;
use rule::PolicyRule;
use shape::Policies;
pub use shape::{Policy, Preview};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_policies, create_policy))
        .routes(routes!(preview_policy))
        .routes(routes!(get_policy, update_policy, delete_policy))
}

/// Which policies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PoliciesQuery {
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// List policies
///
/// Needs `viewer`. In the order in which they are asked: by priority, then specificity, then id.
#[utoipa::path(
    get, path = "/api/v1/policies", tag = "policies", params(PoliciesQuery),
    responses((status = 200, description = "Policies.", body = Policies)),
)]
async fn list_policies(
    relay: Relay,
    Query(query): Query<PoliciesQuery>,
) -> Result<Listed<Policies>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), (50, 500))?;
    let request = pb::ListPoliciesRequest { page_size: page.size, page_token: page.token.clone() };
    let answer =
        read(relay.policies(), request, async |mut to, ask| to.list_policies(ask).await).await?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let policies = answer.policies.into_iter().map(Policy::from).collect();
    let body = Policies { policies, total, next_page_token: text(next.clone()) };
    Ok(Listed::part(body, &page, &next, total))
}

/// Add a policy
///
/// Needs `operator`; one without `device_selector` takes the whole fleet and needs `admin`.
#[utoipa::path(
    post, path = "/api/v1/policies", tag = "policies", request_body = PolicyRule,
    params(IdempotencyHeader),
    responses(
        (status = 201, description = "Added.", body = Policy, headers(("Location" = String))),
        (status = 409, description = "The name is taken.", body = crate::error::FlatError),
    ),
)]
async fn create_policy(
    relay: Relay,
    IdempotencyKey(request_id): IdempotencyKey,
    Body(rule): Body<PolicyRule>,
) -> Result<Created<Policy>, Fault> {
    let request = pb::CreatePolicyRequest { policy: Some(rule.into_pb()?), request_id };
    let policy = relay.policies().create_policy(request).await?.into_inner();
    let (location, etag) = (format!("/api/v1/policies/{}", policy.id), policy.etag.clone());
    Ok(Created::new(location, Policy::from(policy)).tagged(etag))
}

/// A policy to try out, and the image to try it with: the members of a policy, and `image`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "policy": {"image_pattern": "redis:*", "update_strategy": "staged"},
    "image": "redis:7.5-alpine"
}))]
struct PreviewRequest {
    /// The policy, as it would be added.
    policy: PolicyRule,
    /// The image with tag, digest or both.
    image: String,
}

impl Members for PreviewRequest {}

/// Preview a policy
///
/// Needs `viewer`. Says which devices in which batches the policy would take for the image. Nothing
/// changes; the same fleet gives the same answer as the rollout itself.
#[utoipa::path(
    post, path = "/api/v1/policies/preview", tag = "policies", request_body = PreviewRequest,
    responses((status = 200, description = "What it would do.", body = Preview)),
)]
async fn preview_policy(
    relay: Relay,
    Body(asked): Body<PreviewRequest>,
) -> Result<Json<Preview>, Fault> {
    let policy = Some(asked.policy.into_pb()?);
    let request = pb::PreviewPolicyRequest { policy, reference: asked.image };
    let preview =
        read(relay.policies(), request, async |mut to, ask| to.preview_policy(ask).await).await?;
    Ok(Json(Preview::from(preview)))
}

/// Get a policy
///
/// Needs `viewer`. Every rule is shown as it is in force, defaults included.
#[utoipa::path(
    get, path = "/api/v1/policies/{id}", tag = "policies",
    params(("id" = String, Path, description = "The policy's id.")),
    responses(
        (status = 200, description = "The policy.", body = Policy),
        (status = 304, description = "It is as `If-None-Match` knows it."),
    ),
)]
async fn get_policy(relay: Relay, At(id): At<String>) -> Result<Tagged<Policy>, Fault> {
    let policy = current(&relay, id).await?;
    Ok(Tagged::whole(policy.etag.clone(), Policy::from(policy)))
}

async fn current(relay: &Relay, id: String) -> Result<pb::Policy, Fault> {
    let request = pb::GetPolicyRequest { id };
    read(relay.policies(), request, async |mut to, ask| to.get_policy(ask).await).await
}

/// Change a policy
///
/// Needs `operator`; to take the whole fleet, `admin`. Members that are left out stay; `null` brings
/// the default back (for `device_selector` the whole fleet). Rollouts under way go on as they began.
#[utoipa::path(
    put, path = "/api/v1/policies/{id}", tag = "policies", request_body = PolicyRule,
    params(("id" = String, Path, description = "The policy's id."), IfMatchHeader),
    responses((status = 200, description = "As it is now.", body = Policy)),
)]
async fn update_policy(
    relay: Relay,
    At(id): At<String>,
    if_match: IfMatch,
    Change(rule, given): Change<PolicyRule>,
) -> Result<Tagged<Policy>, Fault> {
    let update_mask = Some(given.mask(&rule::MASK)?);
    let policy = pb::Policy { id, etag: if_match.text(), ..rule.into_pb()? };
    let request = pb::UpdatePolicyRequest { policy: Some(policy), update_mask };
    let policy = relay.policies().update_policy(request).await?.into_inner();
    Ok(Tagged::whole(policy.etag.clone(), Policy::from(policy)))
}

/// A removed policy.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyDeleted {
    /// For people.
    #[schema(example = "Policy deleted successfully")]
    message: String,
    /// As it was.
    policy: Policy,
}

/// Remove a policy
///
/// Needs `operator`. Refused while a rollout of it is under way.
#[utoipa::path(
    delete, path = "/api/v1/policies/{id}", tag = "policies",
    params(("id" = String, Path, description = "The policy's id."), IfMatchHeader),
    responses(
        (status = 200, description = "Removed.", body = PolicyDeleted),
        (status = 409, description = "A rollout of it is under way; `details.rollout_id` names it.",
         body = crate::error::FlatError),
    ),
)]
async fn delete_policy(
    relay: Relay,
    At(id): At<String>,
    if_match: IfMatch,
) -> Result<Json<PolicyDeleted>, Fault> {
    if if_match.0.is_some() {
        if_match.require(&current(&relay, id.clone()).await?.etag)?;
    }
    let policy = relay.policies().delete_policy(pb::DeletePolicyRequest { id }).await?.into_inner();
    Ok(Json(PolicyDeleted {
        message: "Policy deleted successfully".to_owned(),
        policy: policy.into(),
    }))
}
