//! What `rollout` says about rollouts and devices.

use prost_types::Duration;
use proto::rollout::v1 as pb;
use proto::rollout::v1::{assignment, batch, rollout};

use crate::samples::{ID, OTHER_ID, actor, time};

pub const DIGEST: &str = "sha256:8b81dd37ff027bec4e516d41acfbe9fe2460070dc6d4a4570a2ac5b9d59df065";

pub fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// A rollout of `redis:7.5-alpine` to three devices in two batches.
pub fn rollout(state: rollout::State) -> pb::Rollout {
    let release = pb::Release {
        repository: "docker.io/library/redis".to_owned(),
        tag: "7.5-alpine".to_owned(),
        digest: DIGEST.to_owned(),
        platforms: Vec::new(),
        push_id: OTHER_ID.to_owned(),
    };
    let policy = pb::Policy {
        id: OTHER_ID.to_owned(),
        image_pattern: "redis:*".to_owned(),
        strategy: pb::Strategy::Staged.into(),
        ..Default::default()
    };
    let batch = |number, size, state: batch::State| pb::Batch {
        number,
        size,
        state: state.into(),
        start_time: (state != batch::State::Waiting).then(|| time().unwrap()),
        ..Default::default()
    };
    pb::Rollout {
        id: ID.to_owned(),
        release: Some(release),
        policy_id: OTHER_ID.to_owned(),
        policy_name: "redis:*".to_owned(),
        policy: Some(policy),
        state: state.into(),
        batches: vec![batch(1, 1, batch::State::Soaking), batch(2, 2, batch::State::Waiting)],
        device_count: 3,
        tally: Some(pb::Tally { queued: 2, succeeded: 1, ..Default::default() }),
        actor: actor(),
        create_time: time(),
        start_time: time(),
        update_time: time(),
        etag: "4".to_owned(),
        excluded_count: 1,
        next: "batch 2 begins at 08:05".to_owned(),
        ..Default::default()
    }
}

pub fn part(batch_number: i32, state: assignment::State) -> pb::Assignment {
    pb::Assignment {
        device: Some(pb::DeviceRef { id: OTHER_ID.to_owned(), name: "north-001".to_owned() }),
        batch_number,
        attempt: 1,
        state: state.into(),
        update_time: time(),
        ..Default::default()
    }
}

/// A service that is being updated.
pub fn service() -> pb::Service {
    pb::Service {
        name: "cache".to_owned(),
        image: "docker.io/library/redis:7.5-alpine".to_owned(),
        digest: DIGEST.to_owned(),
        config: "{\"restart\":\"unless-stopped\"}".to_owned(),
        rollout: Some(pb::ServiceRollout {
            id: ID.to_owned(),
            attempt: 2,
            fallback: Some(pb::Fallback {
                image: "docker.io/library/redis:7.2-alpine".to_owned(),
                digest: "sha256:aa".to_owned(),
                ..Default::default()
            }),
            verify: seconds(300),
            soak: seconds(60),
            dead_man: seconds(900),
            deadline: time(),
            time_left: seconds(7_200),
        }),
        ..Default::default()
    }
}

pub fn target() -> pb::TargetState {
    pb::TargetState {
        device_id: ID.to_owned(),
        generation: 7,
        etag: "9f86d081".to_owned(),
        services: vec![service()],
        ..Default::default()
    }
}

/// A device that runs what it should.
pub fn device() -> pb::Device {
    let report = pb::ServiceReport {
        name: "cache".to_owned(),
        image: "docker.io/library/redis:7.5-alpine".to_owned(),
        digest: DIGEST.to_owned(),
        phase: pb::Phase::Running.into(),
        healthy: true,
        ..Default::default()
    };
    pb::Device {
        id: ID.to_owned(),
        name: "north-001".to_owned(),
        fleet: "north".to_owned(),
        labels: [("line".to_owned(), "3".to_owned())].into(),
        online: true,
        last_seen_time: time(),
        target: Some(target()),
        reported_generation: 7,
        services: vec![report],
        in_sync: true,
        create_time: time(),
        update_time: time(),
        etag: "1".to_owned(),
        ..Default::default()
    }
}
