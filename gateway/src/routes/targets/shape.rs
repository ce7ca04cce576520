//! What devices should run, as JSON.

use chrono::{DateTime, Utc};
use proto::approval::v1 as approval;
use proto::rollout::v1 as pb;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::shape::{seconds, shown, text};

/// Everything a device should run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "generation": 7, "etag": "9f86d081884c7d65", "services": [{
        "name": "cache", "image": "docker.io/library/redis:7-alpine",
        "digest": "sha256:8b81dd37ff027bec4e516d41acfbe9fe2460070dc6d4a4570a2ac5b9d59df065",
        "pinned": true, "release_id": null, "config": {"restart": "unless-stopped"}, "rollout": null
    }]
}))]
pub struct Target {
    /// Grows by one with every change; 0 = the device has never had a target.
    pub generation: i64,
    /// Changes with what is to run; `If-Match` takes it.
    pub etag: String,
    /// The services, by name.
    pub services: Vec<TargetService>,
}

impl From<pb::TargetState> for Target {
    fn from(target: pb::TargetState) -> Self {
        Self {
            generation: target.generation,
            etag: target.etag,
            services: target.services.into_iter().map(TargetService::from).collect(),
        }
    }
}

/// One service that a device should run.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetService {
    /// Its name on the device.
    #[schema(example = "cache")]
    name: String,
    /// The canonical reference with tag.
    #[schema(example = "docker.io/library/redis:7-alpine")]
    image: String,
    /// The digest to run; `null` = go by `image`.
    digest: Option<String>,
    /// True = by digest.
    pinned: bool,
    /// Without a digest: changes when the tag was pushed anew and must be pulled again.
    release_id: Option<String>,
    /// The container's configuration.
    #[schema(value_type = Object)]
    config: Box<RawValue>,
    /// The update under way; `null` = none.
    rollout: Option<ServiceRollout>,
}

impl From<pb::Service> for TargetService {
    fn from(service: pb::Service) -> Self {
        Self {
            name: service.name,
            image: service.image,
            pinned: !service.digest.is_empty(),
            digest: text(service.digest),
            release_id: text(service.release_id),
            config: config(service.config),
            rollout: service.rollout.map(ServiceRollout::from),
        }
    }
}

/// A configuration as JSON; one that is none is shown as text, so that the rest stays readable.
fn config(config: String) -> Box<RawValue> {
    let config = text(config).unwrap_or_else(|| "{}".to_owned());
    RawValue::from_string(config.clone())
        .or_else(|_| serde_json::value::to_raw_value(&config))
        .expect("a text is JSON")
}

/// The update under way for a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceRollout {
    /// The rollout.
    id: String,
    /// Which try this is, from 1.
    attempt: i32,
    /// What to go back to; `null` = nothing is known.
    fallback: Option<ServiceFallback>,
    /// The digest to go back to; `null` = none is known.
    fallback_digest: Option<String>,
    /// How long the service may take from running to healthy.
    verify_seconds: Option<u64>,
    /// How long it must stay healthy.
    soak_seconds: Option<u64>,
    /// How long after the swap to wait for the server before going back.
    dead_man_seconds: Option<u64>,
    /// When the attempt as a whole must be done.
    deadline: Option<DateTime<Utc>>,
    /// The same as time left when the answer was made, for devices whose clock is wrong.
    seconds_left: Option<u64>,
}

/// What a service ran before.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceFallback {
    /// The canonical reference with tag.
    image: String,
    /// Its digest; `null` = go by `image`.
    digest: Option<String>,
    /// Without a digest: which push of the tag it was.
    release_id: Option<String>,
}

impl From<pb::ServiceRollout> for ServiceRollout {
    fn from(update: pb::ServiceRollout) -> Self {
        let fallback = update.fallback.map(|fallback| ServiceFallback {
            image: fallback.image,
            digest: text(fallback.digest),
            release_id: text(fallback.release_id),
        });
        Self {
            id: update.id,
            attempt: update.attempt,
            fallback_digest: fallback.as_ref().and_then(|fallback| fallback.digest.clone()),
            fallback,
            verify_seconds: seconds(update.verify),
            soak_seconds: seconds(update.soak),
            dead_man_seconds: seconds(update.dead_man),
            deadline: shown(update.deadline),
            seconds_left: seconds(update.time_left),
        }
    }
}

/// A service as it was admitted.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdmittedService {
    /// Its name.
    name: String,
    /// The canonical reference.
    image: String,
    /// Its digest; `null` = it goes by `image`.
    digest: Option<String>,
    /// True = by digest.
    pinned: bool,
}

impl From<approval::AdmittedService> for AdmittedService {
    fn from(service: approval::AdmittedService) -> Self {
        Self {
            name: service.name,
            image: service.image,
            digest: text(service.digest),
            pinned: service.pinned,
        }
    }
}

/// A device's target as it was set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "generation": 7, "etag": "9f86d081884c7d65", "services": [{
        "name": "cache", "image": "docker.io/library/redis:7-alpine",
        "digest": "sha256:8b81dd37ff027bec4e516d41acfbe9fe2460070dc6d4a4570a2ac5b9d59df065",
        "pinned": true
    }]
}))]
pub struct TargetSet {
    /// The target's generation.
    pub generation: i64,
    /// The target's etag.
    pub etag: String,
    /// The services as they were admitted.
    pub services: Vec<AdmittedService>,
}

impl From<approval::SetTargetResponse> for TargetSet {
    fn from(set: approval::SetTargetResponse) -> Self {
        Self {
            generation: set.generation,
            etag: set.etag,
            services: set.services.into_iter().map(AdmittedService::from).collect(),
        }
    }
}

/// A fleet's template as it was set.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateSet {
    /// The fleet.
    #[schema(example = "north")]
    pub fleet: String,
    /// The services as they were admitted.
    pub services: Vec<AdmittedService>,
    /// How many devices, which ran nothing yet, took it at once.
    pub devices: i32,
}

impl From<approval::SetTemplateResponse> for TemplateSet {
    fn from(set: approval::SetTemplateResponse) -> Self {
        Self {
            fleet: set.fleet,
            services: set.services.into_iter().map(AdmittedService::from).collect(),
            devices: set.devices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_shown_as_it_is_and_never_loses_the_rest() {
        for (stored, shown) in
            [("{\"restart\":\"no\"}", "{\"restart\":\"no\"}"), ("", "{}"), ("{half", "\"{half\"")]
        {
            assert_eq!(config(stored.to_owned()).get(), shown);
        }
    }

    #[test]
    fn a_service_without_a_digest_goes_by_its_tag() {
        let service = pb::Service {
            image: "docker.io/library/redis:7".to_owned(),
            release_id: "push-1".to_owned(),
            rollout: Some(pb::ServiceRollout {
                fallback: Some(pb::Fallback::default()),
                ..pb::ServiceRollout::default()
            }),
            ..pb::Service::default()
        };
        let shown = TargetService::from(service);
        assert!(!shown.pinned && shown.digest.is_none());
        assert_eq!(shown.release_id.as_deref(), Some("push-1"));
        let update = shown.rollout.expect("an update is under way");
        assert!(update.fallback.is_some() && update.fallback_digest.is_none());
    }
}
