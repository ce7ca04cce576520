//! What the processes say, in the words of the API's documents.

use prost_types::Timestamp;
use proto::approval::v1 as approval;
use proto::registry::v1 as registry;
use proto::rollout::v1 as rollout;
use proto::types::v1 as types;

pub const ID: &str = "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11";
pub const OTHER_ID: &str = "0198f3a4-6c1f-7000-8000-77aa00bb11cc";

/// 2025-10-17T08:00:00Z.
pub fn time() -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_760_688_000, nanos: 0 })
}

pub fn actor() -> Option<types::Actor> {
    Some(types::Actor {
        kind: types::actor::Kind::User.into(),
        id: "alice".to_owned(),
        name: "alice".to_owned(),
    })
}

pub fn redis() -> registry::Image {
    registry::Image {
        id: 1,
        image_name: "redis".to_owned(),
        registry: "docker.io".to_owned(),
        namespace: "library".to_owned(),
        repository: "docker.io/library/redis".to_owned(),
        description: "Redis in-memory data structure store".to_owned(),
        category: "database".to_owned(),
        is_official: true,
        approval_status: registry::ApprovalStatus::Approved.into(),
        approved_by: "alice".to_owned(),
        approve_time: time(),
        create_time: time(),
        update_time: time(),
        tag_count: 4,
        etag: "7".to_owned(),
        ..registry::Image::default()
    }
}

pub fn tag() -> registry::Tag {
    registry::Tag {
        id: 5,
        image_id: 1,
        tag: "7.5-alpine".to_owned(),
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        security_scan_status: registry::ScanStatus::Unscanned.into(),
        create_time: time(),
        update_time: time(),
        etag: "1".to_owned(),
        ..registry::Tag::default()
    }
}

pub fn push(state: approval::push::State) -> approval::Push {
    approval::Push {
        id: ID.to_owned(),
        delivery_id: OTHER_ID.to_owned(),
        repository: "docker.io/library/redis".to_owned(),
        registry: "docker.io".to_owned(),
        familiar_repository: "redis".to_owned(),
        tag: "7.5-alpine".to_owned(),
        actor: actor(),
        state: state.into(),
        create_time: time(),
        update_time: time(),
        ..approval::Push::default()
    }
}

pub fn review() -> approval::Review {
    approval::Review {
        id: OTHER_ID.to_owned(),
        state: approval::review::State::Pending.into(),
        scope: approval::review::Scope::Image.into(),
        repository: "docker.io/library/memcached".to_owned(),
        registry: "docker.io".to_owned(),
        namespace: "library".to_owned(),
        image_name: "memcached".to_owned(),
        tag: "latest".to_owned(),
        requester: actor(),
        create_time: time(),
        update_time: time(),
        expire_time: time(),
        last_seen_time: time(),
        occurrences: 1,
        held_pushes: 1,
        evidence_hash: "9f86d081".to_owned(),
        etag: "3".to_owned(),
        ..approval::Review::default()
    }
}

pub fn reason(code: &str, message: &str) -> types::Reason {
    types::Reason { code: code.to_owned(), message: message.to_owned() }
}

pub fn rollout(state: rollout::rollout::State) -> rollout::Rollout {
    let tally = rollout::Tally { queued: 9, succeeded: 1, ..rollout::Tally::default() };
    rollout::Rollout {
        id: ID.to_owned(),
        release: Some(rollout::Release {
            repository: "docker.io/library/redis".to_owned(),
            tag: "7.5-alpine".to_owned(),
            push_id: OTHER_ID.to_owned(),
            ..rollout::Release::default()
        }),
        policy_id: OTHER_ID.to_owned(),
        policy_name: "redis-staged".to_owned(),
        state: state.into(),
        state_reason: "OPERATOR".to_owned(),
        state_detail: "paused by alice".to_owned(),
        device_count: 10,
        tally: Some(tally),
        actor: actor(),
        create_time: time(),
        start_time: time(),
        update_time: time(),
        etag: "4".to_owned(),
        ..rollout::Rollout::default()
    }
}

pub fn assignment() -> rollout::Assignment {
    rollout::Assignment {
        device: Some(rollout::DeviceRef { id: ID.to_owned(), name: "north-001".to_owned() }),
        batch_number: 1,
        attempt: 2,
        state: rollout::assignment::State::Failed.into(),
        reason: "HEALTH_CHECK_FAILED".to_owned(),
        update_time: time(),
        ..rollout::Assignment::default()
    }
}

pub fn target() -> rollout::TargetState {
    rollout::TargetState {
        device_id: ID.to_owned(),
        generation: 7,
        etag: "9f86d081".to_owned(),
        services: vec![rollout::Service {
            name: "cache".to_owned(),
            image: "docker.io/library/redis:7-alpine".to_owned(),
            digest: format!("sha256:{}", "a".repeat(64)),
            config: "{\"restart\":\"always\"}".to_owned(),
            rollout: Some(rollout::ServiceRollout {
                id: OTHER_ID.to_owned(),
                attempt: 1,
                deadline: time(),
                ..rollout::ServiceRollout::default()
            }),
            ..rollout::Service::default()
        }],
        ..rollout::TargetState::default()
    }
}

pub fn device() -> rollout::Device {
    rollout::Device {
        id: ID.to_owned(),
        name: "north-001".to_owned(),
        fleet: "north".to_owned(),
        labels: [("line".to_owned(), "3".to_owned())].into(),
        online: true,
        last_seen_time: time(),
        target: Some(target()),
        reported_generation: 7,
        in_sync: true,
        create_time: time(),
        update_time: time(),
        etag: "2".to_owned(),
        ..rollout::Device::default()
    }
}
