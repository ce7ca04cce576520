//! Devices, fleets and enrolment keys.

use chrono::{DateTime, Utc};
use imageref::{Digest, Reference};
use proto::rollout::v1 as pb;
use runtime::{Problem, time};

use super::link::{observation_to_pb, service_to_pb};
use super::{etag, target_to_pb};
use crate::device::{Hardware, Picture};
use crate::store::fleet::FleetRow;
use crate::store::key::Key;
use crate::target::{Image, Service};

/// A device as the wire carries it.
#[must_use]
pub fn device_to_pb(picture: &Picture, now: DateTime<Utc>) -> pb::Device {
    let device = &picture.device;
    pb::Device {
        id: device.id.to_string(),
        name: device.name.clone(),
        fleet: device.fleet.clone(),
        labels: device.labels.clone().into_iter().collect(),
        platform: hardware_to_pb(&device.hardware),
        agent_version: device.agent_version.clone(),
        online: picture.online,
        last_seen_time: picture.last_seen_at.map(time::to_timestamp),
        target: Some(target_to_pb(device.id.0, &picture.target, now)),
        reported_generation: picture.reported_generation,
        services: picture.services.iter().map(observation_to_pb).collect(),
        in_sync: picture.in_sync && picture.reported_generation == picture.target.generation,
        pinned: device.pinned,
        pin_reason: device.pin_reason.clone(),
        revoked: device.revoked_at.is_some(),
        create_time: Some(time::to_timestamp(device.created_at)),
        update_time: Some(time::to_timestamp(device.updated_at)),
        etag: etag(device.version),
    }
}

fn hardware_to_pb(hardware: &Hardware) -> Option<pb::DevicePlatform> {
    (*hardware != Hardware::default()).then(|| pb::DevicePlatform {
        os: hardware.os.clone(),
        architecture: hardware.architecture.clone(),
        variant: hardware.variant.clone(),
    })
}

/// A fleet as the wire carries it.
#[must_use]
pub fn fleet_to_pb(fleet: &FleetRow, now: DateTime<Utc>) -> pb::Fleet {
    let count = |devices: i64| i32::try_from(devices).unwrap_or(i32::MAX);
    pb::Fleet {
        name: fleet.name.clone(),
        device_count: count(fleet.devices),
        online_count: count(fleet.online),
        in_sync_count: count(fleet.in_sync),
        template: fleet.template.iter().map(|service| service_to_pb(service, now)).collect(),
    }
}

/// An enrolment key as the wire carries it.
#[must_use]
pub fn key_to_pb(key: &Key) -> pb::EnrolmentKey {
    pb::EnrolmentKey {
        id: key.id.to_string(),
        name: key.name.clone(),
        fleet: key.fleet.clone(),
        quota: key.quota,
        used: key.used,
        expire_time: key.expires_at.map(time::to_timestamp),
        revoke_time: key.revoked_at.map(time::to_timestamp),
        create_time: Some(time::to_timestamp(key.created_at)),
    }
}

/// Reads the services of an admitted target.
///
/// # Errors
///
/// The field that does not hold what it may.
pub fn services_from_pb(services: Vec<pb::Service>) -> Result<Vec<Service>, Problem> {
    let read = services
        .into_iter()
        .enumerate()
        .map(|(index, service)| service_from_pb(index, service))
        .collect::<Result<Vec<_>, _>>()?;
    check_group(&read)?;
    Ok(read)
}

fn service_from_pb(index: usize, service: pb::Service) -> Result<Service, Problem> {
    let at = |field: &str| format!("services[{index}].{field}");
    let reference = Reference::parse(&service.image)
        .map_err(|error| Problem::invalid(at("image"), error.to_string()))?;
    let digest = match &*service.digest {
        "" => None,
        text => {
            let digest = Digest::parse(text)
                .map_err(|error| Problem::invalid(at("digest"), error.to_string()))?;
            Some(digest.to_string())
        }
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Service {
        name: service.name,
        runs: Image {
            image: reference.without_digest().to_string(),
            release_id: given(service.release_id).filter(|_| digest.is_none()),
            digest,
        },
        config: given(service.config).unwrap_or_else(|| "{}".to_owned()),
        update: None,
    })
}

/// Checks names and configurations the way the device will.
fn check_group(services: &[Service]) -> Result<(), Problem> {
    let violations = |found: Vec<workload::Violation>| {
        Problem::violations(
            found
                .into_iter()
                .map(|violation| runtime::problem::Violation {
                    field: violation.path,
                    description: violation.message,
                })
                .collect(),
        )
    };
    let mut read = Vec::with_capacity(services.len());
    for (index, service) in services.iter().enumerate() {
        let within = format!("services[{index}]");
        let name = workload::ServiceName::parse(&service.name)
            .map_err(|error| Problem::invalid(format!("{within}.name"), error.to_string()))?;
        let config = workload::Config::parse(&service.config).map_err(|found| {
            let field = format!("{within}.config");
            violations(found.into_iter().map(|violation| violation.within(&field)).collect())
        })?;
        read.push((name, config));
    }
    let group: Vec<_> =
        read.iter().map(|(name, config)| workload::Service { name, config }).collect();
    workload::check_group(&group).map(|_| ()).map_err(violations)
}
