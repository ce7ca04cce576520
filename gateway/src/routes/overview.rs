//! The whole at a glance: the fleet in numbers, and what waits for a person.

use axum::Json;
use proto::approval::v1 as approval;
use proto::rollout::v1 as rollout;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::error::Fault;
use crate::relay::{Relay, read};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_fleet_overview)).routes(routes!(get_attention))
}

/// The fleet in numbers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "devices": 25, "online": 24, "in_sync": 23, "fleets": 3, "active_rollouts": 1,
    "version": "0.1.0"
}))]
struct FleetOverview {
    /// How many devices there are.
    devices: i64,
    /// How many of them are connected.
    online: i64,
    /// How many run what they should.
    in_sync: i64,
    /// How many fleets they form.
    fleets: usize,
    /// How many rollouts have not ended.
    active_rollouts: i32,
    /// The gateway's version.
    version: &'static str,
}

/// Get the fleet in numbers
///
/// Needs `viewer`. All fleets together; `GET /api/v1/fleets` has them one by one.
#[utoipa::path(
    get, path = "/api/v1/fleet", tag = "devices",
    responses((status = 200, description = "The numbers.", body = FleetOverview)),
)]
async fn get_fleet_overview(relay: Relay) -> Result<Json<FleetOverview>, Fault> {
    let all = rollout::ListFleetsRequest {};
    let active = rollout::ListRolloutsRequest { page_size: 1, active: true, ..Default::default() };
    let (fleets, active_rollouts) = tokio::try_join!(
        read(relay.devices(), all, async |mut to, ask| to.list_fleets(ask).await),
        rollouts(&relay, active),
    )?;
    let fleets = fleets.fleets;
    let sum = |count: fn(&rollout::Fleet) -> i32| fleets.iter().map(count).map(i64::from).sum();
    Ok(Json(FleetOverview {
        devices: sum(|fleet| fleet.device_count),
        online: sum(|fleet| fleet.online_count),
        in_sync: sum(|fleet| fleet.in_sync_count),
        fleets: fleets.len(),
        active_rollouts,
        version: env!("CARGO_PKG_VERSION"),
    }))
}

async fn rollouts(relay: &Relay, request: rollout::ListRolloutsRequest) -> Result<i32, Fault> {
    let list = read(relay.rollouts(), request, async |mut to, ask| to.list_rollouts(ask).await);
    Ok(list.await?.total_size)
}

/// What waits for a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "items": [{
        "kind": "approval_requests", "count": 1,
        "path": "/api/v1/approval-requests?status=pending"
    }],
    "total": 1
}))]
struct Attention {
    /// Each kind of which there is something; empty = nothing waits.
    items: Vec<AttentionItem>,
    /// How many in all.
    total: i64,
}

/// One kind of things that wait.
#[derive(Debug, Serialize, ToSchema)]
struct AttentionItem {
    /// Which kind.
    kind: AttentionKind,
    /// How many.
    count: i32,
    /// Where they are listed.
    path: &'static str,
}

/// The kinds of things that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AttentionKind {
    /// Approval requests that nobody decided.
    ApprovalRequests,
    /// Rollouts that are paused.
    PausedRollouts,
    /// Pushes that wait for a registry or another process.
    WaitingPushes,
}

/// Get what needs attention
///
/// Needs `viewer`. What stands still until a person does something, or something comes back.
#[utoipa::path(
    get, path = "/api/v1/attention", tag = "system",
    responses((status = 200, description = "What waits.", body = Attention)),
)]
async fn get_attention(relay: Relay) -> Result<Json<Attention>, Fault> {
    let undecided = approval::ListReviewsRequest {
        page_size: 1,
        state: approval::review::State::Pending.into(),
        ..Default::default()
    };
    let paused = rollout::ListRolloutsRequest {
        page_size: 1,
        states: vec![rollout::rollout::State::Paused.into()],
        ..Default::default()
    };
    let waiting = approval::ListPushesRequest {
        page_size: 1,
        state: approval::push::State::Waiting.into(),
        ..Default::default()
    };
    let (undecided, paused, waiting) = tokio::try_join!(
        read(relay.reviews(), undecided, async |mut to, ask| to.list_reviews(ask).await),
        rollouts(&relay, paused),
        read(relay.pushes(), waiting, async |mut to, ask| to.list_pushes(ask).await),
    )?;
    let kinds = [
        (
            AttentionKind::ApprovalRequests,
            undecided.total_size,
            "/api/v1/approval-requests?status=pending",
        ),
        (AttentionKind::PausedRollouts, paused, "/api/v1/rollouts?status=paused"),
        (AttentionKind::WaitingPushes, waiting.total_size, "/api/v1/pushes?state=waiting"),
    ];
    let there = kinds.into_iter().filter(|(_, count, _)| *count > 0);
    let items: Vec<_> =
        there.map(|(kind, count, path)| AttentionItem { kind, count, path }).collect();
    let total = items.iter().map(|item| i64::from(item.count)).sum();
    Ok(Json(Attention { items, total }))
}
