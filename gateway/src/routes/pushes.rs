//! Pushes: what became of what registries told.

mod shape;

use axum::Json;
use proto::approval::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::idempotency::IdempotencyHeader;
use crate::extract::{At, IdempotencyKey, Page, Query};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{text, whole};

pub use shape::{Decision, Outcome, Push, PushEvent, State, image};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_pushes))
        .routes(routes!(get_push))
        .routes(routes!(explain_push))
        .routes(routes!(retry_push))
}

/// Which pushes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PushesQuery {
    /// Only those through this receiver: its id.
    receiver: Option<String>,
    /// Only those in this state.
    #[param(inline)]
    state: Option<State>,
    /// Only those of this repository, in any form.
    #[param(example = "redis")]
    image: Option<String>,
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// Pushes.
#[derive(Debug, Serialize, ToSchema)]
struct Pushes {
    /// Newest first.
    pushes: Vec<Push>,
    /// How many match in all.
    total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// List pushes
///
/// Needs `viewer`. Newest first.
#[utoipa::path(
    get, path = "/api/v1/pushes", tag = "pushes", params(PushesQuery),
    responses((status = 200, description = "Pushes.", body = Pushes)),
)]
async fn list_pushes(
    relay: Relay,
    Query(query): Query<PushesQuery>,
) -> Result<Listed<Pushes>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), (50, 500))?;
    let state = query.state.map_or(pb::push::State::Unspecified, Into::into);
    let request = pb::ListPushesRequest {
        page_size: page.size,
        page_token: page.token.clone(),
        receiver_id: query.receiver.unwrap_or_default(),
        state: state.into(),
        repository: query.image.unwrap_or_default(),
    };
    let answer = read(relay.pushes(), request, async |mut to, ask| to.list_pushes(ask).await)
        .await
        .map_err(|fault| fault.renamed(&NAMES))?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let pushes = answer.pushes.into_iter().map(Push::try_from).collect::<Result<_, _>>()?;
    let body = Pushes { pushes, total, next_page_token: text(next.clone()) };
    Ok(Listed::part(body, &page, &next, total))
}

/// What the RPC calls differently.
const NAMES: [(&str, &str); 2] = [("receiver_id", "receiver"), ("repository", "image")];

/// Get a push
///
/// Needs `viewer`.
#[utoipa::path(
    get, path = "/api/v1/pushes/{id}", tag = "pushes",
    params(("id" = String, Path, description = "The push's id.")),
    responses((status = 200, description = "The push.", body = Push)),
)]
async fn get_push(relay: Relay, At(id): At<String>) -> Result<Json<Push>, Fault> {
    let request = pb::GetPushRequest { id };
    let push = read(relay.pushes(), request, async |mut to, ask| to.get_push(ask).await).await?;
    Ok(Json(push.try_into()?))
}

/// Why a push is where it is.
#[derive(Debug, Serialize, ToSchema)]
struct Explained {
    /// What it waits for, or what came of it, in a sentence.
    #[schema(example = "`redis:7.5-alpine` became a rollout")]
    summary: String,
    /// The line to type next; `null` = nothing to do.
    next_step: Option<String>,
    /// The push, with each rule in the order in which it was asked.
    push: Push,
}

/// Explain a push
///
/// Needs `viewer`. Tells why it is where it is, and what to do next.
#[utoipa::path(
    get, path = "/api/v1/pushes/{id}/explain", tag = "pushes",
    params(("id" = String, Path, description = "The push's id.")),
    responses((status = 200, description = "Why.", body = Explained)),
)]
async fn explain_push(relay: Relay, At(id): At<String>) -> Result<Json<Explained>, Fault> {
    let request = pb::ExplainPushRequest { id };
    let told =
        read(relay.pushes(), request, async |mut to, ask| to.explain_push(ask).await).await?;
    Ok(Json(Explained {
        summary: told.summary,
        next_step: text(told.next_step),
        push: whole("push", told.push)?.try_into()?,
    }))
}

/// Decide a push anew
///
/// Needs `operator`. It becomes a push of its own, linked to the old one by `retry_of`.
#[utoipa::path(
    post, path = "/api/v1/pushes/{id}/retry", tag = "pushes",
    params(("id" = String, Path, description = "The push's id."), IdempotencyHeader),
    responses(
        (status = 201, description = "The new push.", body = Push, headers(("Location" = String))),
    ),
)]
async fn retry_push(
    relay: Relay,
    At(id): At<String>,
    IdempotencyKey(request_id): IdempotencyKey,
) -> Result<Created<Push>, Fault> {
    let request = pb::RetryPushRequest { id, request_id };
    let push = relay.pushes().retry_push(request).await?.into_inner();
    Ok(Created::new(format!("/api/v1/pushes/{}", push.id), push.try_into()?))
}
