//! What devices without a stream call: join, ask what to run, say what runs.
//!
//! A device is known by its token alone. The id in the path must be its own, so that a device that
//! was set up with another one's address notices.

mod report;

use axum::Json;
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::devices::Platform;
use super::targets::TargetService;
use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::{At, Body, Members, Tagged};
use crate::relay::{Relay, read};
use crate::shape::{seconds, whole};

pub use report::ServiceReport;
use report::{Report, Reported};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(enroll_device))
        .routes(routes!(get_device_state, report_device_state))
}

/// Asks to join a fleet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "enrolment_key": "gde_x2…", "name": "north-001", "labels": {"line": "3"},
    "platform": {"os": "linux", "architecture": "arm64"}
}))]
struct Enrolment {
    /// The key, as it was handed out.
    enrolment_key: String,
    /// What to call the device; `device-` and the end of its id when it is left out.
    name: Option<String>,
    /// Its labels.
    labels: Option<BTreeMap<String, String>>,
    /// What it is.
    platform: Option<Platform>,
}

impl Members for Enrolment {}

/// A device's new identity.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c14", "uuid": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c14",
    "name": "north-001", "fleet": "north", "labels": {"line": "3"}, "token": "gdd_x2…"
}))]
struct Enrolled {
    /// The device's id.
    id: String,
    /// The same.
    uuid: String,
    /// What it is called.
    name: String,
    /// The fleet that it joined.
    fleet: String,
    /// Its labels.
    labels: BTreeMap<String, String>,
    /// The bearer string of its calls, shown this once.
    token: String,
}

/// Enrol a device
///
/// Needs an enrolment key, which stands in the body, and no token.
#[utoipa::path(
    post, path = "/api/v1/device/enroll", tag = "device state", security(()),
    request_body = Enrolment,
    responses(
        (status = 201, description = "Enrolled.", body = Enrolled, headers(("Location" = String))),
        (status = 401, description = "The key is none, or has ended.",
         body = crate::error::FlatError),
        (status = 429, description = "The key was used as often as it may be.",
         body = crate::error::FlatError),
    ),
)]
async fn enroll_device(
    relay: Relay,
    Body(enrolment): Body<Enrolment>,
) -> Result<Created<Enrolled>, Fault> {
    let request = pb::EnrollRequest {
        enrolment_key: enrolment.enrolment_key,
        name: enrolment.name.unwrap_or_default(),
        labels: enrolment.labels.unwrap_or_default().into_iter().collect(),
        platform: enrolment.platform.map(pb::DevicePlatform::from),
    };
    let enrolled = relay.as_nobody().link().enroll(request).await?.into_inner();
    let body = Enrolled {
        uuid: enrolled.device_id.clone(),
        id: enrolled.device_id,
        name: enrolled.name,
        fleet: enrolled.fleet,
        labels: enrolled.labels.into_iter().collect(),
        token: enrolled.token,
    };
    Ok(Created::new(format!("/api/v1/device/{}/state", body.id), body))
}

/// What a device should run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "generation": 7, "etag": "9f86d081884c7d65", "last_seq": 41, "report_interval_seconds": 60,
    "services": [{
        "name": "cache", "image": "docker.io/library/redis:7-alpine",
        "digest": "sha256:8b81dd37ff027bec4e516d41acfbe9fe2460070dc6d4a4570a2ac5b9d59df065",
        "pinned": true, "release_id": null, "config": {"restart": "unless-stopped"},
        "rollout": {
            "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c13", "attempt": 1,
            "fallback": {"image": "docker.io/library/redis:7.2-alpine", "digest": null,
                         "release_id": null},
            "fallback_digest": null, "verify_seconds": 300, "soak_seconds": 60,
            "dead_man_seconds": 900, "deadline": "2026-11-21T11:00:00Z", "seconds_left": 7200
        }
    }]
}))]
struct DeviceState {
    /// Grows by one with every change; 0 = the device has never had a target.
    generation: i64,
    /// Changes with what is to run and with every new attempt.
    etag: String,
    /// Every service that the device should run, by name.
    services: Vec<TargetService>,
    /// The highest `seq` of a report that is stored; go on above it.
    last_seq: i64,
    /// How often to call.
    report_interval_seconds: Option<u64>,
}

/// Get what to run
///
/// Needs the device's own token. Send the `ETag` of the last answer as `If-None-Match`: as long as
/// nothing else is to be run the answer is 304, without a body.
#[utoipa::path(
    get, path = "/api/v1/device/{uuid}/state", tag = "device state",
    params(("uuid" = String, Path, description = "The device's own id.")),
    responses(
        (status = 200, description = "What to run.", body = DeviceState,
         headers(("ETag" = String))),
        (status = 304, description = "Nothing else than `If-None-Match` knows."),
        (status = 404, description = "The token is another device's.",
         body = crate::error::FlatError),
    ),
)]
async fn get_device_state(
    relay: Relay,
    At(uuid): At<String>,
) -> Result<Tagged<DeviceState>, Fault> {
    let (target, answer) = own_target(&relay, &uuid).await?;
    let body = DeviceState {
        generation: target.generation,
        etag: target.etag,
        services: target.services.into_iter().map(TargetService::from).collect(),
        last_seq: answer.last_seq,
        report_interval_seconds: seconds(answer.report_interval),
    };
    Ok(Tagged::whole(body.etag.clone(), body))
}

/// The target of the device whose token came, when it is the one in the path.
async fn own_target(
    relay: &Relay,
    uuid: &str,
) -> Result<(pb::TargetState, pb::GetTargetResponse), Fault> {
    // Asked whole, not against an etag: only the target says whose it is.
    let request = pb::GetTargetRequest { known_etag: String::new() };
    let mut answer =
        read(relay.link(), request, async |mut to, ask| to.get_target(ask).await).await?;
    let target = whole("target", answer.target.take())?;
    if target.device_id.eq_ignore_ascii_case(uuid) {
        return Ok((target, answer));
    }
    let message = "the token is not this device's; call with the device's own id and token";
    Err(Problem::new(Code::NotFound, reason::DEVICE_NOT_FOUND, message).into())
}

/// Report what runs
///
/// Needs the device's own token. A report that is older than what is stored, or about an attempt that
/// is over, changes nothing and is answered `stale`: it need not be sent again.
#[utoipa::path(
    patch, path = "/api/v1/device/{uuid}/state", tag = "device state", request_body = Report,
    params(("uuid" = String, Path, description = "The device's own id.")),
    responses(
        (status = 200, description = "Stored.", body = Reported),
        (status = 404, description = "The token is another device's.",
         body = crate::error::FlatError),
    ),
)]
async fn report_device_state(
    relay: Relay,
    At(uuid): At<String>,
    Body(report): Body<Report>,
) -> Result<Json<Reported>, Fault> {
    own_target(&relay, &uuid).await?;
    // A report names itself by its sequence, so it may be repeated.
    let request = pb::ReportRequest::from(report);
    let answer = read(relay.link(), request, async |mut to, ask| to.report(ask).await).await?;
    Ok(Json(Reported::from(answer)))
}
