//! Rollouts, as document 2 has them.

mod cells;
mod command;
mod create;
mod part;
mod shape;
mod status;

use axum::Json;
use proto::rollout::v1 as pb;
use runtime::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::history::{self, Happening, History, HistoryQuery};
use crate::App;
use crate::error::Fault;
use crate::extract::{At, Page, Query, Tagged};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{Check, text, whole};

use part::{RolloutDevice, RolloutDevices};
use shape::{Rollout, Statistics};
use status::Wanted;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_rollouts, create::create_rollout))
        .routes(routes!(list_active_rollouts))
        .routes(routes!(get_rollout))
        .routes(routes!(list_rollout_devices))
        .routes(routes!(list_rollout_events))
        .routes(routes!(explain_rollout))
        .routes(routes!(cells::get_rollout_cells))
        .merge(command::routes())
}

/// How many devices come with a rollout, and how many a list of them shows at the most.
const PARTS: i32 = 1_000;
/// How many events come with a rollout.
const EVENTS: i32 = 50;
/// The types of the events of rollouts.
const EVENT_TYPES: &str = "image.rollout_*";

/// Which rollouts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RolloutsQuery {
    /// Only rollouts with this status; `scheduled` ones are listed with `pending`.
    #[param(inline)]
    status: Option<Wanted>,
    /// Only rollouts of this repository, in any form.
    #[param(example = "redis")]
    image: Option<String>,
    /// Only rollouts of this policy.
    policy_id: Option<String>,
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Leave out this many; at most 10,000.
    offset: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// Rollouts.
#[derive(Debug, Serialize, ToSchema)]
struct Rollouts {
    /// Newest first.
    rollouts: Vec<Rollout>,
    /// Which part of them this is.
    pagination: RolloutPagination,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Which part of a list this is.
#[derive(Debug, Serialize, ToSchema)]
struct RolloutPagination {
    /// How many match in all.
    total: i32,
    /// At most this many on a page.
    limit: i32,
    /// How many were left out; 0 also on pages by token.
    offset: i32,
}

/// List rollouts
///
/// Needs `viewer`. Newest first, without the policies as they were.
#[utoipa::path(
    get, path = "/api/v1/rollouts", tag = "rollouts", params(RolloutsQuery),
    responses((status = 200, description = "Rollouts.", body = Rollouts)),
)]
async fn list_rollouts(
    relay: Relay,
    Query(query): Query<RolloutsQuery>,
) -> Result<Listed<Rollouts>, Fault> {
    list(&relay, query, false).await
}

/// List active rollouts
///
/// Needs `viewer`. Those that have not ended, newest first.
#[utoipa::path(
    get, path = "/api/v1/rollouts/active", tag = "rollouts", params(RolloutsQuery),
    responses((status = 200, description = "Rollouts.", body = Rollouts)),
)]
async fn list_active_rollouts(
    relay: Relay,
    Query(query): Query<RolloutsQuery>,
) -> Result<Listed<Rollouts>, Fault> {
    list(&relay, query, true).await
}

async fn list(
    relay: &Relay,
    query: RolloutsQuery,
    active: bool,
) -> Result<Listed<Rollouts>, Fault> {
    let page = Page::read((query.limit, query.offset, query.page_token), (50, 500))?;
    let request = pb::ListRolloutsRequest {
        page_size: page.size,
        page_token: page.token.clone(),
        states: query.status.map(Wanted::states).unwrap_or_default(),
        active,
        repository: query.image.unwrap_or_default(),
        policy_id: query.policy_id.unwrap_or_default(),
        skip: page.skip,
    };
    let answer = read(relay.rollouts(), request, async |mut to, ask| to.list_rollouts(ask).await)
        .await
        .map_err(|fault| fault.renamed(&[("repository", "image")]))?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let body = Rollouts {
        rollouts: answer.rollouts.into_iter().map(Rollout::listed).collect(),
        pagination: RolloutPagination { total, limit: page.size, offset: page.skip },
        next_page_token: text(next.clone()),
    };
    Ok(Listed::part(body, &page, &next, total))
}

/// A rollout with its devices and what happened to it.
#[derive(Debug, Serialize, ToSchema)]
struct RolloutDetail {
    /// The rollout.
    rollout: Rollout,
    /// Its devices in batch order; up to 1,000.
    devices: Vec<RolloutDevice>,
    /// What happened to it, newest first; up to 50. `null` = the audit log does not answer now.
    events: Option<Vec<Happening>>,
    /// The rollout in figures.
    statistics: Statistics,
    /// Where to go on with the devices; not there when all are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Get a rollout
///
/// Needs `viewer`. With its devices, its newest events and its figures. Eight or more characters of
/// an id will do when only one rollout's id begins so.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}", tag = "rollouts",
    params(("id" = String, Path, description = "The rollout's id, or its beginning.")),
    responses((status = 200, description = "The rollout.", body = RolloutDetail)),
)]
async fn get_rollout(relay: Relay, At(id): At<String>) -> Result<Tagged<RolloutDetail>, Fault> {
    let rollout = current(&relay, id).await?;
    let devices = pb::ListAssignmentsRequest {
        rollout_id: rollout.id.clone(),
        page_size: PARTS,
        ..pb::ListAssignmentsRequest::default()
    };
    let newest = Page { size: EVENTS, ..Page::default() };
    let (devices, events) = tokio::join!(
        parts(&relay, devices),
        history::of(&relay, &rollout.id, EVENT_TYPES, &newest),
    );
    let (devices, events) = (devices?, told(events)?);
    let rollout = Rollout::from(rollout);
    let body = RolloutDetail {
        statistics: Statistics::from(&rollout),
        devices: devices.devices,
        next_page_token: devices.next_page_token,
        events,
        rollout,
    };
    Ok(Tagged::new(body.rollout.etag.clone(), body))
}

/// The audit log is no part of a rollout: while it is away the rest is shown.
fn told(events: Result<History, Fault>) -> Result<Option<Vec<Happening>>, Fault> {
    match events {
        Ok(history) => Ok(Some(history.events)),
        Err(fault) if fault.problem().code() == Code::Unavailable => Ok(None),
        Err(fault) => Err(fault),
    }
}

async fn current(relay: &Relay, id: String) -> Result<pb::Rollout, Fault> {
    let request = pb::GetRolloutRequest { id };
    read(relay.rollouts(), request, async |mut to, ask| to.get_rollout(ask).await).await
}

async fn parts(
    relay: &Relay,
    request: pb::ListAssignmentsRequest,
) -> Result<RolloutDevices, Fault> {
    let answer =
        read(relay.rollouts(), request, async |mut to, ask| to.list_assignments(ask).await);
    Ok(RolloutDevices::from(answer.await?))
}

/// Which devices of a rollout.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PartsQuery {
    /// Only devices with this status.
    #[param(inline)]
    status: Option<part::Status>,
    /// Only devices of this batch.
    batch: Option<i32>,
    /// At most this many; 50 when it is left out, at the most 1,000.
    limit: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// List a rollout's devices
///
/// Needs `viewer`. In batch order.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}/devices", tag = "rollouts",
    params(("id" = String, Path, description = "The rollout's id."), PartsQuery),
    responses((status = 200, description = "Devices.", body = RolloutDevices)),
)]
async fn list_rollout_devices(
    relay: Relay,
    At(id): At<String>,
    Query(query): Query<PartsQuery>,
) -> Result<Listed<RolloutDevices>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), (50, PARTS))?;
    let request = pb::ListAssignmentsRequest {
        rollout_id: id,
        page_size: page.size,
        page_token: page.token.clone(),
        states: query.status.map(part::Status::states).unwrap_or_default(),
        batch_number: query.batch.unwrap_or_default(),
    };
    let parts = parts(&relay, request).await?;
    let (next, total) = (parts.next_page_token.clone().unwrap_or_default(), parts.total);
    Ok(Listed::part(parts, &page, &next, total))
}

/// List a rollout's events
///
/// Needs `viewer`. Newest first.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}/events", tag = "rollouts",
    params(("id" = String, Path, description = "The rollout's id."), HistoryQuery),
    responses((status = 200, description = "Events.", body = History)),
)]
async fn list_rollout_events(
    relay: Relay,
    At(id): At<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Listed<History>, Fault> {
    let page = query.page()?;
    let rollout = current(&relay, id).await?;
    history::list(&relay, &rollout.id, EVENT_TYPES, &page).await
}

/// What a rollout waits for.
#[derive(Debug, Serialize, ToSchema)]
struct RolloutExplained {
    /// The rollout.
    rollout: Rollout,
    /// Every condition of its next step, in the order they are asked.
    checks: Vec<Check>,
    /// The one that holds it, in a sentence; `null` = none.
    blocked_by: Option<String>,
    /// The line to type next; `null` = nothing to do.
    next_step: Option<String>,
}

/// Explain a rollout
///
/// Needs `viewer`. Every condition of its next step with its value, and the one that holds it.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}/explain", tag = "rollouts",
    params(("id" = String, Path, description = "The rollout's id.")),
    responses((status = 200, description = "What it waits for.", body = RolloutExplained)),
)]
async fn explain_rollout(
    relay: Relay,
    At(id): At<String>,
) -> Result<Json<RolloutExplained>, Fault> {
    let request = pb::ExplainRolloutRequest { id };
    let answer = read(relay.rollouts(), request, async |mut to, ask| to.explain_rollout(ask).await);
    let answer = answer.await?;
    Ok(Json(RolloutExplained {
        rollout: whole("rollout", answer.rollout)?.into(),
        checks: answer.checks.into_iter().map(Check::from).collect(),
        blocked_by: text(answer.blocked_by),
        next_step: text(answer.next_step),
    }))
}
