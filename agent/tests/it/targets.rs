//! Targets for tests.

use std::time::Duration;

use proto::rollout::v1 as pb;

/// The device that targets are meant for.
pub const DEVICE: &str = "0198f3a4-0000-7000-8000-000000000001";

/// The canonical reference of a version of a service's image.
pub fn reference(service: &str, version: &str) -> String {
    format!("docker.io/acme/{service}:{version}")
}

/// The digest of a version of a service's image.
pub fn digest(service: &str, version: &str) -> String {
    let seed = format!("{service}:{version}");
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("sha256:{}", format!("{hash:016x}").repeat(4))
}

/// A target without services.
pub fn target(generation: i64) -> pb::TargetState {
    pb::TargetState {
        device_id: DEVICE.to_owned(),
        generation,
        etag: format!("etag-{generation}"),
        services: Vec::new(),
        traceparent: format!("00-{generation:032x}-b7ad6b7169203331-01"),
    }
}

/// A service at a version, without an update under way.
pub fn service(name: &str, version: &str) -> pb::Service {
    pb::Service {
        name: name.to_owned(),
        image: reference(name, version),
        digest: digest(name, version),
        ..pb::Service::default()
    }
}

/// A service at a version, by an attempt of a rollout that can go back to another version.
pub fn update(
    name: &str,
    version: &str,
    rollout: &str,
    attempt: i32,
    fallback: &str,
) -> pb::Service {
    pb::Service {
        rollout: Some(pb::ServiceRollout {
            id: rollout.to_owned(),
            attempt,
            fallback: Some(pb::Fallback {
                image: reference(name, fallback),
                digest: digest(name, fallback),
                release_id: String::new(),
            }),
            verify: seconds(300),
            soak: seconds(60),
            dead_man: seconds(900),
            deadline: None,
            time_left: seconds(7_200),
        }),
        ..service(name, version)
    }
}

/// Puts services into a target.
pub fn with(mut target: pb::TargetState, services: Vec<pb::Service>) -> pb::TargetState {
    target.services = services;
    target
}

pub fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

pub fn millis(millis: u64) -> Option<prost_types::Duration> {
    Some(Duration::from_millis(millis).try_into().unwrap())
}
