//! The fleet: devices, what they are and what they run.

mod explain;
mod shape;

use std::collections::BTreeMap;

use axum::Json;
use proto::rollout::v1 as pb;
use runtime::Problem;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::history::{self, History, HistoryQuery};
use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::idempotency::IdempotencyHeader;
use crate::extract::{
    At, Body, Change, IdempotencyKey, IfMatch, Members, OptionalBody, Page, Query, Tagged,
};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{text, whole};

use explain::DeviceExplained;
pub use shape::Platform;
use shape::{Device, DeviceChanged, DeviceWithToken, Devices};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_devices, create_device))
        .routes(routes!(get_device, update_device, delete_device))
        .routes(routes!(revoke_device))
        .routes(routes!(rotate_device_token))
        .routes(routes!(pin_device))
        .routes(routes!(list_device_events))
        .routes(routes!(explain_device))
}

/// The types of the events of devices.
const EVENT_TYPES: &str = "device.*";

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DevicesQuery {
    /// Only those of this fleet.
    #[param(example = "north")]
    fleet: Option<String>,
    /// Only those with all these labels: `key=value`, divided by commas.
    #[param(example = "line=3,hall=7")]
    labels: Option<String>,
    /// Only those whose target names this repository, in any form.
    #[param(example = "redis")]
    image: Option<String>,
    /// Only connected ones (`true`), or only others (`false`).
    online: Option<bool>,
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Leave out this many; at most 10,000.
    offset: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// List devices
///
/// Needs `viewer`. By name.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "devices", params(DevicesQuery),
    responses((status = 200, description = "Devices.", body = Devices)),
)]
async fn list_devices(
    relay: Relay,
    Query(query): Query<DevicesQuery>,
) -> Result<Listed<Devices>, Fault> {
    let page = Page::read((query.limit, query.offset, query.page_token), (50, 500))?;
    let request = pb::ListDevicesRequest {
        page_size: page.size,
        page_token: page.token.clone(),
        fleet: query.fleet.unwrap_or_default(),
        labels: labels(query.labels.as_deref().unwrap_or_default())?.into_iter().collect(),
        repository: query.image.unwrap_or_default(),
        online: query.online,
        skip: page.skip,
    };
    let answer = read(relay.devices(), request, async |mut to, ask| to.list_devices(ask).await)
        .await
        .map_err(|fault| fault.renamed(&[("repository", "image")]))?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let devices = answer.devices.into_iter().map(Device::from).collect();
    let body = Devices { devices, total, next_page_token: text(next.clone()) };
    Ok(Listed::part(body, &page, &next, total))
}

/// `line=3,hall=7`. What cannot be read is refused: left out, it would show more than was asked for.
fn labels(text: &str) -> Result<BTreeMap<String, String>, Fault> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let mut labels = BTreeMap::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            let message = format!("has `{pair}`, which is no label; write `key=value`");
            return Err(Problem::invalid("labels", message).into());
        };
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            let message = format!("has `{key}` twice; a device has one value of it");
            return Err(Problem::invalid("labels", message).into());
        }
    }
    Ok(labels)
}

/// A new device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "north-001", "fleet": "north", "labels": {"line": "3"}}))]
struct NewDevice {
    /// What to call it, unique within its fleet; `device-` and the end of its id when it is left out.
    name: Option<String>,
    /// Its fleet: 1 to 63 of `a-z`, `0-9`, `-`, `_`.
    fleet: String,
    /// Its labels, at most 64.
    labels: Option<BTreeMap<String, String>>,
}

impl Members for NewDevice {
    const READ_ONLY: &'static [&'static str] = shape::READ_ONLY;
}

/// Add a device
///
/// Needs `operator`. Before it calls for the first time; its token is shown this once. A repeated
/// `Idempotency-Key` gives the same device with a new token.
#[utoipa::path(
    post, path = "/api/v1/devices", tag = "devices", request_body = NewDevice,
    params(IdempotencyHeader),
    responses(
        (status = 201, description = "Added.", body = DeviceWithToken,
         headers(("Location" = String))),
        (status = 409, description = "The fleet has a device of that name.",
         body = crate::error::FlatError),
    ),
)]
async fn create_device(
    relay: Relay,
    IdempotencyKey(request_id): IdempotencyKey,
    Body(new): Body<NewDevice>,
) -> Result<Created<DeviceWithToken>, Fault> {
    let request = pb::CreateDeviceRequest {
        name: new.name.unwrap_or_default(),
        fleet: new.fleet,
        labels: new.labels.unwrap_or_default().into_iter().collect(),
        request_id,
    };
    let created = relay.devices().create_device(request).await?.into_inner();
    let device = whole("device", created.device)?;
    let (location, etag) = (format!("/api/v1/devices/{}", device.id), device.etag.clone());
    Ok(Created::new(location, DeviceWithToken::of(device, created.token)).tagged(etag))
}

/// Get a device
///
/// Needs `viewer`. With what it should run and what it last reported.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 200, description = "The device.", body = Device)),
)]
async fn get_device(relay: Relay, At(id): At<String>) -> Result<Tagged<Device>, Fault> {
    let device = current(&relay, id).await?;
    Ok(Tagged::new(device.etag.clone(), Device::from(device)))
}

async fn current(relay: &Relay, id: String) -> Result<pb::Device, Fault> {
    let request = pb::GetDeviceRequest { id };
    read(relay.devices(), request, async |mut to, ask| to.get_device(ask).await).await
}

/// What of a device is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"labels": {"line": "4"}}))]
struct ChangeDevice {
    /// What to call it.
    name: Option<String>,
    /// Its fleet.
    fleet: Option<String>,
    /// All of its labels; what is not named ends. `null` takes them all away.
    labels: Option<BTreeMap<String, String>>,
}

impl Members for ChangeDevice {
    const READ_ONLY: &'static [&'static str] = shape::READ_ONLY;
}

const MASK: [(&str, &str); 3] = [("name", "name"), ("fleet", "fleet"), ("labels", "labels")];

/// Change a device
///
/// Needs `operator`. Members that are left out stay.
#[utoipa::path(
    patch, path = "/api/v1/devices/{id}", tag = "devices", request_body = ChangeDevice,
    params(("id" = String, Path, description = "The device's id."), IfMatchHeader),
    responses((status = 200, description = "As it is now.", body = Device)),
)]
async fn update_device(
    relay: Relay,
    At(id): At<String>,
    if_match: IfMatch,
    Change(change, given): Change<ChangeDevice>,
) -> Result<Tagged<Device>, Fault> {
    let device = pb::Device {
        id,
        etag: if_match.text(),
        name: change.name.unwrap_or_default(),
        fleet: change.fleet.unwrap_or_default(),
        labels: change.labels.unwrap_or_default().into_iter().collect(),
        ..pb::Device::default()
    };
    let update_mask = Some(given.mask(&MASK)?);
    let request = pb::UpdateDeviceRequest { device: Some(device), update_mask };
    let device = relay.devices().update_device(request).await?.into_inner();
    Ok(Tagged::new(device.etag.clone(), Device::from(device)))
}

/// Remove a device
///
/// Needs `operator`. Its credentials end, its stream closes at once, rollouts go on without it.
#[utoipa::path(
    delete, path = "/api/v1/devices/{id}", tag = "devices",
    params(("id" = String, Path, description = "The device's id."), IfMatchHeader),
    responses((status = 200, description = "Removed.", body = DeviceChanged)),
)]
async fn delete_device(
    relay: Relay,
    At(id): At<String>,
    if_match: IfMatch,
) -> Result<Json<DeviceChanged>, Fault> {
    if if_match.0.is_some() {
        if_match.require(&current(&relay, id.clone()).await?.etag)?;
    }
    let request = pb::DeleteDeviceRequest { id };
    let device = relay.devices().delete_device(request).await?.into_inner();
    Ok(Json(DeviceChanged::new("Device deleted successfully", device)))
}

/// Revoke a device's credentials
///
/// Needs `operator`. They end, and its stream closes, at once. The device stays in the fleet, and what
/// it runs goes on. A new token lets it in again.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/revoke", tag = "devices",
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 200, description = "Revoked.", body = DeviceChanged)),
)]
async fn revoke_device(relay: Relay, At(id): At<String>) -> Result<Json<DeviceChanged>, Fault> {
    let request = pb::RevokeDeviceRequest { id };
    let device = relay.devices().revoke_device(request).await?.into_inner();
    Ok(Json(DeviceChanged::new("Device credentials revoked", device)))
}

/// Make a new token for a device
///
/// Needs `operator`. It is shown this once. The old one ends when the new one is used first, or after
/// 24 h.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/token", tag = "devices",
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 200, description = "The device with its token.", body = DeviceWithToken)),
)]
async fn rotate_device_token(
    relay: Relay,
    At(id): At<String>,
) -> Result<Json<DeviceWithToken>, Fault> {
    let request = pb::RotateDeviceTokenRequest { id };
    let rotated = relay.devices().rotate_device_token(request).await?.into_inner();
    Ok(Json(DeviceWithToken::of(whole("device", rotated.device)?, rotated.token)))
}

/// Whether a device is held.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"pinned": true, "reason": "under test"}))]
struct Pin {
    /// True, also when it is left out: rollouts leave the device out. False = they take it again.
    pinned: Option<bool>,
    /// Why, for the record.
    reason: Option<String>,
}

impl Members for Pin {}

/// Pin or release a device
///
/// Needs `operator`. A pinned one stays at what it runs: rollouts leave it out.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/pin", tag = "devices", request_body = Option<Pin>,
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 200, description = "As it is now.", body = DeviceChanged)),
)]
async fn pin_device(
    relay: Relay,
    At(id): At<String>,
    OptionalBody(pin): OptionalBody<Pin>,
) -> Result<Json<DeviceChanged>, Fault> {
    let pinned = pin.pinned.unwrap_or(true);
    let request = pb::PinDeviceRequest { id, pinned, reason: pin.reason.unwrap_or_default() };
    let device = relay.devices().pin_device(request).await?.into_inner();
    let message = if pinned { "Device pinned" } else { "Device released" };
    Ok(Json(DeviceChanged::new(message, device)))
}

/// List a device's events
///
/// Needs `viewer`. What was done to it, newest first.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/timeline", tag = "devices",
    params(("id" = String, Path, description = "The device's id."), HistoryQuery),
    responses((status = 200, description = "Events.", body = History)),
)]
async fn list_device_events(
    relay: Relay,
    At(id): At<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Listed<History>, Fault> {
    let page = query.page()?;
    let device = current(&relay, id).await?;
    history::list(&relay, &device.id, EVENT_TYPES, &page).await
}

/// Explain a device
///
/// Needs `viewer`. Whether it runs what it should, and if not, what is in the way.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/explain", tag = "devices",
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 200, description = "What is in the way.", body = DeviceExplained)),
)]
async fn explain_device(relay: Relay, At(id): At<String>) -> Result<Json<DeviceExplained>, Fault> {
    Ok(Json(DeviceExplained::of(current(&relay, id).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs_and_what_is_none_is_refused() {
        let read = |text: &str| labels(text).map(|labels| labels.into_iter().collect::<Vec<_>>());
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read("").unwrap(), []);
        assert_eq!(
            read("line=3, hall=a=b,empty=").unwrap(),
            [pair("empty", ""), pair("hall", "a=b"), pair("line", "3")]
        );
        for odd in ["line", "=3", "line=3,line=4"] {
            let fault = read(odd).expect_err(odd);
            assert_eq!(fault.problem().field_violations()[0].field, "labels", "{odd}");
        }
    }
}
