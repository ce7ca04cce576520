//! Health and figures, as document 4 has them, as far as this version has what they count.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use http::StatusCode;
use proto::registry::v1 as registry;
use proto::rollout::v1 as rollout;
use serde::Serialize;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::error::Fault;
use crate::peer::Peer;
use crate::relay::{Relay, read};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_health)).routes(routes!(get_metrics))
}

/// How Slipway is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "healthy", "version": "0.1.0",
    "services": {
        "access": "healthy", "approval": "healthy", "link": "healthy", "registry": "healthy",
        "rollout": "healthy"
    },
    "metrics": {"images": 9, "devices": 25}
}))]
struct Health {
    /// `healthy`: every process answers; `degraded`: some do; `unhealthy`: none does.
    status: &'static str,
    /// The gateway's version.
    version: &'static str,
    /// Each process: `healthy`, `unhealthy` (it says that it is not well) or `unreachable`.
    services: BTreeMap<&'static str, &'static str>,
    /// How much there is, for callers who may read it; else not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Totals>,
}

/// How much there is.
#[derive(Debug, Serialize, ToSchema)]
struct Totals {
    /// Images in the registry.
    images: i32,
    /// Devices of the fleet.
    devices: i32,
}

/// Say how Slipway is
///
/// Open to all. It asks every process; 503 when none answers. The figures in `metrics` are shown to
/// callers with `viewer`.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "system", security(()),
    responses(
        (status = 200, description = "All or some processes answer.", body = Health),
        (status = 503, description = "No process answers.", body = Health),
    ),
)]
async fn get_health(State(app): State<App>, relay: Relay) -> (StatusCode, Json<Health>) {
    let peers = app.peers.all();
    let patience = app.settings.health_timeout;
    let asked = join_all(peers.map(|peer| async move {
        let answer = tokio::time::timeout(patience, is_serving(peer)).await;
        (peer.name(), answer.unwrap_or("unreachable"))
    }));
    let totals = async { tokio::time::timeout(patience, totals(&relay)).await };
    let (services, totals) = tokio::join!(asked, totals);
    let well = services.iter().filter(|(_, word)| *word == "healthy").count();
    let (code, status) = match well {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        well if well == services.len() => (StatusCode::OK, "healthy"),
        _ => (StatusCode::OK, "degraded"),
    };
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        services: services.into_iter().collect(),
        metrics: totals.ok().and_then(Result::ok),
    };
    (code, Json(health))
}

async fn is_serving(peer: &Peer) -> &'static str {
    let request = HealthCheckRequest::default();
    match HealthClient::new(peer.clone()).check(request).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => "healthy",
        Ok(_) => "unhealthy",
        Err(_) => "unreachable",
    }
}

async fn totals(relay: &Relay) -> Result<Totals, Fault> {
    let mut images = relay.images();
    let mut devices = relay.devices();
    let (images, devices) = tokio::try_join!(
        images.list_images(registry::ListImagesRequest { page_size: 1, ..Default::default() }),
        devices.list_devices(rollout::ListDevicesRequest { page_size: 1, ..Default::default() }),
    )?;
    Ok(Totals { images: images.get_ref().total_size, devices: devices.get_ref().total_size })
}

/// The figures of this deployment and of the answering process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "timestamp": "2024-01-15T12:00:00Z",
    "requests": {"total": 10000, "success": 9500, "errors": 500},
    "registry": {"images": 150},
    "performance": {"avg_response_time": 1.5, "p95_response_time": 3.2, "p99_response_time": 5.5}
}))]
struct Figures {
    /// When they were read.
    timestamp: DateTime<Utc>,
    /// What the answering gateway was asked since it started.
    requests: Requests,
    /// What the deployment holds.
    registry: RegistryFigures,
    /// How long the answering gateway took, in milliseconds. Live streams count until they begin.
    performance: Performance,
}

/// Requests since the gateway started.
#[derive(Debug, Serialize, ToSchema)]
struct Requests {
    /// All of them.
    total: u64,
    /// Answered with less than 400.
    success: u64,
    /// Answered with 400 or more.
    errors: u64,
}

/// What the deployment holds.
#[derive(Debug, Serialize, ToSchema)]
struct RegistryFigures {
    /// Images in the registry.
    images: i32,
}

/// Latencies in milliseconds, the percentiles exact to a fifth.
#[derive(Debug, Serialize, ToSchema)]
struct Performance {
    /// The mean.
    avg_response_time: f64,
    /// What 95 of 100 requests stayed below.
    p95_response_time: f64,
    /// What 99 of 100 requests stayed below.
    p99_response_time: f64,
}

/// Get figures
///
/// Needs `viewer`. Figures that this version has nothing to count for are not there. Prometheus reads
/// finer ones on each process's metrics port.
#[utoipa::path(
    get, path = "/api/v1/metrics", tag = "system",
    responses((status = 200, description = "Figures.", body = Figures)),
)]
async fn get_metrics(State(app): State<App>, relay: Relay) -> Result<Json<Figures>, Fault> {
    let request = registry::ListImagesRequest { page_size: 1, ..Default::default() };
    let images =
        read(relay.images(), request, async |mut to, ask| to.list_images(ask).await).await?;
    let figures = app.stats.figures();
    Ok(Json(Figures {
        timestamp: app.clock.now(),
        requests: Requests {
            total: figures.success + figures.errors,
            success: figures.success,
            errors: figures.errors,
        },
        registry: RegistryFigures { images: images.total_size },
        performance: Performance {
            avg_response_time: figures.mean_ms,
            p95_response_time: figures.p95_ms,
            p99_response_time: figures.p99_ms,
        },
    }))
}
