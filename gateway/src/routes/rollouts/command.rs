//! The commands that steer a rollout.
//!
//! All of them take a reason for the record, `Idempotency-Key` and `If-Match`, and answer where the
//! rollout stands now. One that does not fit the state is refused with the state in `details.state`.

use axum::extract::{FromRequest, FromRequestParts, Request};
use proto::rollout::v1 as pb;
use proto::rollout::v1::rollouts_client::RolloutsClient;
use serde::{Deserialize, Serialize};
use tonic::{Response, Status as Refusal};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::status::{State, Status};
use crate::App;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::idempotency::IdempotencyHeader;
use crate::extract::{At, Body, IdempotencyKey, IfMatch, Members, OptionalBody, Tagged};
use crate::relay::{Line, Relay};
use crate::shape::text;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start_rollout))
        .routes(routes!(pause_rollout))
        .routes(routes!(resume_rollout))
        .routes(routes!(roll_back_rollout))
        .routes(routes!(retry_rollout))
        .routes(routes!(promote_rollout))
        .routes(routes!(cancel_rollout))
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "line 3 is in use until noon"}))]
struct Why {
    /// For the record; at most 500 characters.
    reason: Option<String>,
}

impl Members for Why {}

/// Which batch shall begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"batch": 2}))]
struct Promotion {
    /// Its number, from 1. Another one than the next is refused, so that a promotion sent twice moves
    /// one batch.
    batch: i32,
}

impl Members for Promotion {}

/// How a rollout ends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "wrong image", "mode": "revert"}))]
struct Cancellation {
    /// For the record; at most 500 characters.
    reason: Option<String>,
    /// What becomes of updated devices; `keep` when it is left out.
    mode: Option<Mode>,
}

impl Members for Cancellation {}

/// What becomes of updated devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CancelMode)]
enum Mode {
    /// They stay as they are.
    Keep,
    /// They go back.
    Revert,
}

/// Where the rollout stands after a command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "message": "Rollout paused", "rollout_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c13",
    "status": "paused", "state": "paused", "state_detail": "paused by alice",
    "reason": "line 3 is in use until noon", "next": null
}))]
struct Steered {
    /// For people.
    message: String,
    /// The rollout.
    rollout_id: String,
    /// Where it stands now.
    status: Status,
    /// The same, finer.
    state: State,
    /// Why it stands there, in a sentence; `null` = it is plain.
    state_detail: Option<String>,
    /// The reason given; `null` = none.
    reason: Option<String>,
    /// What comes next, in a sentence; `null` = nothing.
    next: Option<String>,
}

fn steered(message: &str, reason: Option<String>, rollout: pb::Rollout) -> Tagged<Steered> {
    let body = Steered {
        message: message.to_owned(),
        status: Status::of(&rollout),
        state: rollout.state().into(),
        rollout_id: rollout.id,
        state_detail: text(rollout.state_detail),
        reason,
        next: text(rollout.next),
    };
    Tagged::new(rollout.etag, body)
}

/// What a command comes with: who gives it, to which rollout, bound to what, and its body.
struct Order<B> {
    relay: Relay,
    id: String,
    request_id: String,
    etag: String,
    body: B,
}

impl<B: FromRequest<App, Rejection = Fault>> FromRequest<App> for Order<B> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &App) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        let Ok(relay) = Relay::from_request_parts(&mut parts, app).await;
        let At(id) = At::from_request_parts(&mut parts, app).await?;
        let IdempotencyKey(request_id) =
            IdempotencyKey::from_request_parts(&mut parts, app).await?;
        let etag = IfMatch::from_request_parts(&mut parts, app).await?.text();
        let body = B::from_request(Request::from_parts(parts, body), app).await?;
        Ok(Self { relay, id, request_id, etag, body })
    }
}

impl Order<OptionalBody<Why>> {
    /// Gives a plain command.
    async fn give(
        self,
        message: &str,
        call: impl AsyncFnOnce(
            RolloutsClient<Line>,
            pb::RolloutCommand,
        ) -> Result<Response<pb::Rollout>, Refusal>,
    ) -> Result<Tagged<Steered>, Fault> {
        let Self { relay, id, request_id, etag, body: OptionalBody(Why { reason }) } = self;
        let told = reason.clone().unwrap_or_default();
        let command = pb::RolloutCommand { id, reason: told, request_id, etag };
        let rollout = call(relay.rollouts(), command).await?.into_inner();
        Ok(steered(message, reason, rollout))
    }
}

/// Start a rollout
///
/// Needs `operator`. For one that waits: a manual one, or a scheduled one before its time.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/start", tag = "rollouts", request_body = Option<Why>,
    params(("id" = String, Path, description = "The rollout's id."), IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "Started.", body = Steered),
        (status = 409, description = "It is not pending.", body = crate::error::FlatError),
    ),
)]
async fn start_rollout(order: Order<OptionalBody<Why>>) -> Result<Tagged<Steered>, Fault> {
    order.give("Rollout started", async |mut to, ask| to.start_rollout(ask).await).await
}

/// Pause a rollout
///
/// Needs `operator`. Nothing more is sent; devices that move finish.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/pause", tag = "rollouts", request_body = Option<Why>,
    params(("id" = String, Path, description = "The rollout's id."), IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "Paused.", body = Steered),
        (status = 409, description = "It does not run.", body = crate::error::FlatError),
    ),
)]
async fn pause_rollout(order: Order<OptionalBody<Why>>) -> Result<Tagged<Steered>, Fault> {
    order.give("Rollout paused", async |mut to, ask| to.pause_rollout(ask).await).await
}

/// Resume a rollout
///
/// Needs `operator`. It goes on; the failures so far no longer count.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/resume", tag = "rollouts", request_body = Option<Why>,
    params(("id" = String, Path, description = "The rollout's id."), IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "Resumed.", body = Steered),
        (status = 409, description = "It is not paused.", body = crate::error::FlatError),
    ),
)]
async fn resume_rollout(order: Order<OptionalBody<Why>>) -> Result<Tagged<Steered>, Fault> {
    order.give("Rollout resumed", async |mut to, ask| to.resume_rollout(ask).await).await
}

/// Roll a rollout back
///
/// Needs `operator`. Every device goes back to what it ran before. One that succeeded is undone by a
/// new rollout of the earlier image, which `details.undo_image` names where it is known.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/rollback", tag = "rollouts", request_body = Option<Why>,
    params(("id" = String, Path, description = "The rollout's id."), IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "Devices go back.", body = Steered),
        (status = 409, description = "It has ended.", body = crate::error::FlatError),
    ),
)]
async fn roll_back_rollout(order: Order<OptionalBody<Why>>) -> Result<Tagged<Steered>, Fault> {
    order.give("Rollout is rolling back", async |mut to, ask| to.roll_back_rollout(ask).await).await
}

/// Retry failed devices
///
/// Needs `operator`. Devices of the rollout that failed are tried again.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/retry", tag = "rollouts", request_body = Option<Why>,
    params(("id" = String, Path, description = "The rollout's id."), IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "They are tried again.", body = Steered),
        (status = 409, description = "It has ended, or no device failed.",
         body = crate::error::FlatError),
    ),
)]
async fn retry_rollout(order: Order<OptionalBody<Why>>) -> Result<Tagged<Steered>, Fault> {
    order
        .give("Failed devices are tried again", async |mut to, ask| to.retry_failed(ask).await)
        .await
}

/// Promote a batch
///
/// Needs `operator`. The named batch begins: its gate opens, the soak of the one before it ends.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/promote", tag = "rollouts", request_body = Promotion,
    params(("id" = String, Path, description = "The rollout's id."), IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "It begins.", body = Steered),
        (status = 409, description = "Another batch is next; `details.next_batch` names it.",
         body = crate::error::FlatError),
    ),
)]
async fn promote_rollout(order: Order<Body<Promotion>>) -> Result<Tagged<Steered>, Fault> {
    let Order { relay, id, request_id, etag, body: Body(Promotion { batch }) } = order;
    let request = pb::PromoteBatchRequest { id, batch, request_id, etag };
    let rollout = relay.rollouts().promote_batch(request).await?.into_inner();
    Ok(steered(&format!("Batch {batch} promoted"), None, rollout))
}

/// Cancel a rollout
///
/// Needs `operator`. Nothing more is sent. Updated devices stay as they are (`keep`), or go back
/// (`revert`).
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/cancel", tag = "rollouts",
    request_body = Option<Cancellation>,
    params(("id" = String, Path, description = "The rollout's id."), IdempotencyHeader, IfMatchHeader),
    responses(
        (status = 200, description = "It ends.", body = Steered),
        (status = 409, description = "It has ended.", body = crate::error::FlatError),
    ),
)]
async fn cancel_rollout(
    order: Order<OptionalBody<Cancellation>>,
) -> Result<Tagged<Steered>, Fault> {
    let Order { relay, id, request_id, etag, body: OptionalBody(Cancellation { reason, mode }) } =
        order;
    let request = pb::CancelRolloutRequest {
        id,
        reason: reason.clone().unwrap_or_default(),
        revert: mode == Some(Mode::Revert),
        request_id,
        etag,
    };
    let rollout = relay.rollouts().cancel_rollout(request).await?.into_inner();
    Ok(steered("Rollout cancelled", reason, rollout))
}
