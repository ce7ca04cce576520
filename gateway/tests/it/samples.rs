//! What the processes say, in the words of the API's documents.

use prost_types::Timestamp;
use proto::approval::v1 as approval;
use proto::registry::v1 as registry;
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
