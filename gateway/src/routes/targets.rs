//! What devices should run from the start, admitted like a push.

mod shape;

use proto::approval::v1 as pb;
use proto::rollout::v1 as rollout;
use runtime::Problem;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::{At, Body, IfMatch, Members, Tagged};
use crate::relay::{Relay, read};
use crate::shape::{Ignored, whole};

pub use shape::{Target, TargetService};
use shape::{TargetSet, TemplateSet};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_target, set_target)).routes(routes!(set_template))
}

/// All services of a device or a fleet; what is not named ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"services": [
    {"name": "cache", "image": "redis:7-alpine", "config": {"restart": "unless-stopped"}}
]}))]
struct WantedTarget {
    /// The services.
    services: Vec<WantedService>,
}

impl Members for WantedTarget {
    const READ_ONLY: &'static [&'static str] = &["generation", "etag", "fleet", "devices"];
}

/// A service to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedService {
    /// Its name on the device: a DNS label, unique within the target.
    name: String,
    /// The image with tag, digest or both, in any form.
    image: String,
    /// The digest, for an `image` without one.
    digest: Option<String>,
    /// The container's configuration, a subset of a compose service; plain when it is left out.
    #[schema(value_type = Option<Object>)]
    config: Option<Box<RawValue>>,
    #[serde(default, rename = "pinned")]
    #[schema(ignore)]
    _pinned: Ignored,
    #[serde(default, rename = "release_id")]
    #[schema(ignore)]
    _release_id: Ignored,
    #[serde(default, rename = "rollout")]
    #[schema(ignore)]
    _rollout: Ignored,
}

impl WantedTarget {
    fn into_pb(self) -> Result<Vec<pb::TargetService>, Fault> {
        self.services.into_iter().enumerate().map(|(at, service)| service.into_pb(at)).collect()
    }
}

impl WantedService {
    fn into_pb(self, at: usize) -> Result<pb::TargetService, Fault> {
        let image = match (self.digest, self.image.split_once('@')) {
            (Some(digest), None) => format!("{}@{digest}", self.image),
            (Some(digest), Some((_, other))) if digest != other => {
                let message = "is not the one in `image`; give one of them";
                return Err(Problem::invalid(format!("services[{at}].digest"), message).into());
            }
            (Some(_) | None, Some(_)) | (None, None) => self.image,
        };
        let config = self.config.map(|config| config.get().to_owned()).unwrap_or_default();
        Ok(pb::TargetService { name: self.name, image, config })
    }
}

/// Get a device's target
///
/// Needs `viewer`. What the device should run; what it does run stands in the device.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/target", tag = "devices",
    params(("id" = String, Path, description = "The device's id.")),
    responses((status = 200, description = "The target.", body = Target)),
)]
async fn get_target(relay: Relay, At(id): At<String>) -> Result<Tagged<Target>, Fault> {
    let request = rollout::GetDeviceRequest { id };
    let device =
        read(relay.devices(), request, async |mut to, ask| to.get_device(ask).await).await?;
    let target = whole("target", device.target)?;
    Ok(Tagged::new(target.etag.clone(), Target::from(target)))
}

/// Set a device's target
///
/// Needs `operator`. Every image is admitted like a push: one that is not approved is refused (403),
/// with a review where one is due (`details.review_id`), and nothing changes. `If-Match` takes the
/// target's etag.
#[utoipa::path(
    put, path = "/api/v1/devices/{id}/target", tag = "devices", request_body = WantedTarget,
    params(("id" = String, Path, description = "The device's id."), IfMatchHeader),
    responses(
        (status = 200, description = "Set.", body = TargetSet),
        (status = 403, description = "An image may not run.", body = crate::error::FlatError),
    ),
)]
async fn set_target(
    relay: Relay,
    At(id): At<String>,
    if_match: IfMatch,
    Body(wanted): Body<WantedTarget>,
) -> Result<Tagged<TargetSet>, Fault> {
    let request =
        pb::SetTargetRequest { device_id: id, services: wanted.into_pb()?, etag: if_match.text() };
    let set = relay.targets().set_target(request).await?.into_inner();
    Ok(Tagged::new(set.etag.clone(), TargetSet::from(set)))
}

/// Set a fleet's template
///
/// Needs `operator`. What the fleet's devices run when they have no target of their own: those that
/// join later, and those that run nothing yet. The images are admitted like a push.
#[utoipa::path(
    put, path = "/api/v1/fleets/{name}/template", tag = "devices", request_body = WantedTarget,
    params(("name" = String, Path, description = "The fleet's name.", example = "north")),
    responses(
        (status = 200, description = "Set.", body = TemplateSet),
        (status = 403, description = "An image may not run.", body = crate::error::FlatError),
    ),
)]
async fn set_template(
    relay: Relay,
    At(fleet): At<String>,
    Body(wanted): Body<WantedTarget>,
) -> Result<axum::Json<TemplateSet>, Fault> {
    let request = pb::SetTemplateRequest { fleet, services: wanted.into_pb()? };
    let set = relay.targets().set_template(request).await?.into_inner();
    Ok(axum::Json(TemplateSet::from(set)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(service: &str) -> Result<pb::TargetService, Fault> {
        serde_json::from_str::<WantedService>(service).unwrap().into_pb(2)
    }

    #[test]
    fn what_is_shown_can_be_sent_back_and_keeps_its_digest() {
        let shown = r#"{"name": "cache", "image": "redis:7", "digest": "sha256:aa", "pinned": true,
                        "release_id": null, "config": {"user": "1"}, "rollout": {"attempt": 1}}"#;
        let service = wanted(shown).unwrap();
        assert_eq!(service.image, "redis:7@sha256:aa");
        assert_eq!(service.config, "{\"user\": \"1\"}");
    }

    #[test]
    fn two_digests_are_refused_by_place() {
        let body = r#"{"name": "cache", "image": "redis@sha256:aa", "digest": "sha256:bb"}"#;
        let fault = wanted(body).expect_err("refused");
        assert_eq!(fault.problem().field_violations()[0].field, "services[2].digest");
        assert!(
            wanted(r#"{"name": "c", "image": "redis@sha256:aa", "digest": "sha256:aa"}"#).is_ok()
        );
    }

    #[test]
    fn a_configuration_that_is_not_there_is_plain() {
        for body in
            [r#"{"name": "c", "image": "x:1"}"#, r#"{"name": "c", "image": "x:1", "config": null}"#]
        {
            assert_eq!(wanted(body).unwrap().config, "");
        }
    }
}
