//! Fleets: groups of devices.

use axum::Json;
use proto::rollout::v1 as pb;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::targets::TargetService;
use crate::App;
use crate::error::Fault;
use crate::extract::At;
use crate::list::Listed;
use crate::relay::{Relay, read};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_fleets))
        .routes(routes!(get_fleet))
        .routes(routes!(get_template))
}

/// A group of devices.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "name": "north", "device_count": 9, "online_count": 8, "in_sync_count": 8, "template": []
}))]
struct Fleet {
    /// Its name.
    name: String,
    /// How many devices it has.
    device_count: i32,
    /// How many of them are connected.
    online_count: i32,
    /// How many run what they should.
    in_sync_count: i32,
    /// What its devices run when they have no target of their own; empty = nothing.
    template: Vec<TargetService>,
}

impl From<pb::Fleet> for Fleet {
    fn from(fleet: pb::Fleet) -> Self {
        Self {
            name: fleet.name,
            device_count: fleet.device_count,
            online_count: fleet.online_count,
            in_sync_count: fleet.in_sync_count,
            template: fleet.template.into_iter().map(TargetService::from).collect(),
        }
    }
}

/// Fleets.
#[derive(Debug, Serialize, ToSchema)]
struct Fleets {
    /// By name.
    fleets: Vec<Fleet>,
    /// How many there are.
    total: usize,
}

/// A fleet's template.
#[derive(Debug, Serialize, ToSchema)]
struct FleetTemplate {
    /// The fleet.
    #[schema(example = "north")]
    fleet: String,
    /// The services; empty = nothing.
    services: Vec<TargetService>,
}

/// List fleets
///
/// Needs `viewer`. All of them by name, with how many devices each has.
#[utoipa::path(
    get, path = "/api/v1/fleets", tag = "devices",
    responses((status = 200, description = "Fleets.", body = Fleets)),
)]
async fn list_fleets(relay: Relay) -> Result<Listed<Fleets>, Fault> {
    let request = pb::ListFleetsRequest {};
    let answer =
        read(relay.devices(), request, async |mut to, ask| to.list_fleets(ask).await).await?;
    let total = answer.fleets.len();
    let fleets = answer.fleets.into_iter().map(Fleet::from).collect();
    Ok(Listed::whole(Fleets { fleets, total }, total))
}

/// Get a fleet
///
/// Needs `viewer`. With its template.
#[utoipa::path(
    get, path = "/api/v1/fleets/{name}", tag = "devices",
    params(("name" = String, Path, description = "The fleet's name.", example = "north")),
    responses((status = 200, description = "The fleet.", body = Fleet)),
)]
async fn get_fleet(relay: Relay, At(name): At<String>) -> Result<Json<Fleet>, Fault> {
    Ok(Json(current(&relay, name).await?.into()))
}

async fn current(relay: &Relay, name: String) -> Result<pb::Fleet, Fault> {
    let request = pb::GetFleetRequest { name };
    read(relay.devices(), request, async |mut to, ask| to.get_fleet(ask).await).await
}

/// Get a fleet's template
///
/// Needs `viewer`. What its devices run when they have no target of their own.
#[utoipa::path(
    get, path = "/api/v1/fleets/{name}/template", tag = "devices",
    params(("name" = String, Path, description = "The fleet's name.", example = "north")),
    responses((status = 200, description = "The template.", body = FleetTemplate)),
)]
async fn get_template(relay: Relay, At(name): At<String>) -> Result<Json<FleetTemplate>, Fault> {
    let fleet = current(&relay, name).await?;
    let services = fleet.template.into_iter().map(TargetService::from).collect();
    Ok(Json(FleetTemplate { fleet: fleet.name, services }))
}
