//! Pushes as JSON.

use chrono::{DateTime, Utc};
use proto::approval::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Fault;
use crate::shape::{Actor, Check, Platform, Reason, shown, text, whole};

/// What was decided about a push, or about all pushes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may run.
    Allow,
    /// A person or a peer must answer first.
    Hold,
    /// It may not run.
    Deny,
    /// It is nothing to decide.
    Ignored,
    /// It cannot be a push.
    Rejected,
}

impl Decision {
    /// What the wire says; `None` = not yet decided.
    pub fn of(decision: pb::Decision) -> Option<Self> {
        match decision {
            pb::Decision::Unspecified => None,
            pb::Decision::Allow => Some(Self::Allow),
            pb::Decision::Hold => Some(Self::Hold),
            pb::Decision::Deny => Some(Self::Deny),
            pb::Decision::Ignored => Some(Self::Ignored),
            pb::Decision::Rejected => Some(Self::Rejected),
        }
    }
}

/// Where a push stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PushState)]
pub enum State {
    /// Stored, nothing done yet.
    Received,
    /// It waits for a registry or another process, and is tried again by itself.
    Waiting,
    /// A review is open.
    Held,
    /// Refused.
    Denied,
    /// Finished; `outcome` says how.
    Done,
    /// Nothing to decide.
    Ignored,
}

impl From<pb::push::State> for State {
    fn from(state: pb::push::State) -> Self {
        match state {
            pb::push::State::Unspecified | pb::push::State::Received => Self::Received,
            pb::push::State::Waiting => Self::Waiting,
            pb::push::State::Held => Self::Held,
            pb::push::State::Denied => Self::Denied,
            pb::push::State::Done => Self::Done,
            pb::push::State::Ignored => Self::Ignored,
        }
    }
}

impl From<State> for pb::push::State {
    fn from(state: State) -> Self {
        match state {
            State::Received => Self::Received,
            State::Waiting => Self::Waiting,
            State::Held => Self::Held,
            State::Denied => Self::Denied,
            State::Done => Self::Done,
            State::Ignored => Self::Ignored,
        }
    }
}

/// What came of a push that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PushOutcome)]
pub enum Outcome {
    /// A rollout was made.
    Rollout,
    /// No enabled policy matches.
    NoPolicy,
    /// The policy selects no device that runs the image.
    NoTarget,
    /// The devices run, or are getting, this digest already.
    Unchanged,
    /// The release was rolled back before and is not tried again.
    Quarantined,
}

impl Outcome {
    /// What the wire says; `None` = not done.
    pub fn of(outcome: pb::push::Outcome) -> Option<Self> {
        match outcome {
            pb::push::Outcome::Unspecified => None,
            pb::push::Outcome::Rollout => Some(Self::Rollout),
            pb::push::Outcome::NoPolicy => Some(Self::NoPolicy),
            pb::push::Outcome::NoTarget => Some(Self::NoTarget),
            pb::push::Outcome::Unchanged => Some(Self::Unchanged),
            pb::push::Outcome::Quarantined => Some(Self::Quarantined),
        }
    }
}

/// What became of a push, as an answer to a webhook tells it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PushEvent {
    /// The push's id.
    pub push_id: String,
    /// The image as people write it, with its tag.
    #[schema(example = "redis:7.5-alpine")]
    pub image: String,
    /// The canonical repository.
    #[schema(example = "docker.io/library/redis")]
    pub repository: String,
    /// The registry's host.
    #[schema(example = "docker.io")]
    pub registry: String,
    /// The tag; `null` = by digest only.
    pub tag: Option<String>,
    /// What the registry says where it was asked, else what the event said; `null` = neither.
    pub digest: Option<String>,
    /// Who pushed: the receiver, or the person who asked by hand.
    pub actor: Actor,
    /// What was decided; `null` = not yet.
    pub decision: Option<Decision>,
    /// Where it stands.
    pub state: State,
    /// What came of it; not there until it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// True = the rollout is pinned to `digest`. False = it goes by tag, on the sender's word.
    pub pinned: bool,
    /// Why; the first one decided.
    pub reasons: Vec<Reason>,
    /// The review that it is held for, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_id: Option<String>,
    /// The rollout that it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_id: Option<String>,
}

impl TryFrom<pb::Push> for PushEvent {
    type Error = Fault;

    fn try_from(push: pb::Push) -> Result<Self, Fault> {
        Ok(Self {
            image: image(&push),
            decision: Decision::of(push.decision()),
            state: push.state().into(),
            outcome: Outcome::of(push.outcome()),
            push_id: push.id,
            repository: push.repository,
            registry: push.registry,
            tag: text(push.tag),
            digest: text(push.digest),
            actor: whole("actor", push.actor)?.into(),
            pinned: push.pinned,
            reasons: push.reasons.into_iter().map(Reason::from).collect(),
            review_id: text(push.review_id),
            rollout_id: text(push.rollout_id),
        })
    }
}

/// The image as people write it: with its tag, or with its digest where it has none.
pub fn image(push: &pb::Push) -> String {
    let name = &push.familiar_repository;
    match (push.tag.as_str(), push.digest.as_str()) {
        ("", "") => name.clone(),
        ("", digest) => format!("{name}@{digest}"),
        (tag, _) => format!("{name}:{tag}"),
    }
}

/// Something new at a registry.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11",
    "delivery_id": "0198f3a4-6c1d-7000-8000-3f2a9b1c0d55",
    "receiver_id": "0198f3a4-0000-7000-8000-000000000001", "retry_of": null,
    "image": "redis:7.5-alpine", "repository": "docker.io/library/redis", "registry": "docker.io",
    "tag": "7.5-alpine", "digest": null, "pinned": false, "platforms": [],
    "actor": {"kind": "receiver", "id": "0198f3a4-0000-7000-8000-000000000001", "name": "default"},
    "pusher": null, "decision": "allow", "state": "done", "outcome": "rollout",
    "reasons": [{"code": "IMAGE_APPROVED", "message": "Image 'redis' is approved"}],
    "checks": [], "tag_added": false, "rollout_id": "0198f3a4-6c20-7000-8000-5a6b7c8d9e0f",
    "review_id": null, "created_at": "2026-11-21T09:00:00Z", "updated_at": "2026-11-21T09:00:00Z",
    "retry_at": null
}))]
pub struct Push {
    /// Its id.
    pub id: String,
    /// The delivery that held it; `null` = asked by hand.
    pub delivery_id: Option<String>,
    /// The receiver that it came through; `null` = asked by hand.
    pub receiver_id: Option<String>,
    /// The push that this one repeats; `null` = none.
    pub retry_of: Option<String>,
    /// The image as people write it, with its tag.
    pub image: String,
    /// The canonical repository.
    pub repository: String,
    /// The registry's host.
    pub registry: String,
    /// The tag; `null` = by digest only.
    pub tag: Option<String>,
    /// What the registry says where it was asked, else what the event said; `null` = neither.
    pub digest: Option<String>,
    /// True = the rollout is pinned to `digest`. False = it goes by tag, on the sender's word.
    pub pinned: bool,
    /// What the digest holds, when it is an index.
    pub platforms: Vec<Platform>,
    /// Who pushed: the receiver, or the person who asked by hand.
    pub actor: Actor,
    /// Who pushed at the registry, as the sender says: a hint.
    pub pusher: Option<String>,
    /// What was decided; `null` = not yet.
    pub decision: Option<Decision>,
    /// Where it stands.
    pub state: State,
    /// What came of it; `null` until it is done.
    pub outcome: Option<Outcome>,
    /// Why; the first one decided.
    pub reasons: Vec<Reason>,
    /// The rules asked, in order.
    pub checks: Vec<Check>,
    /// True = the tag was unknown and the push added it.
    pub tag_added: bool,
    /// The rollout that it became.
    pub rollout_id: Option<String>,
    /// The review that it is held for, or was.
    pub review_id: Option<String>,
    /// When it was stored.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// When it is tried again by itself; `null` = it is not waiting.
    pub retry_at: Option<DateTime<Utc>>,
}

impl TryFrom<pb::Push> for Push {
    type Error = Fault;

    fn try_from(push: pb::Push) -> Result<Self, Fault> {
        Ok(Self {
            image: image(&push),
            decision: Decision::of(push.decision()),
            state: push.state().into(),
            outcome: Outcome::of(push.outcome()),
            id: push.id,
            delivery_id: text(push.delivery_id),
            receiver_id: text(push.receiver_id),
            retry_of: text(push.retry_of),
            repository: push.repository,
            registry: push.registry,
            tag: text(push.tag),
            digest: text(push.digest),
            pinned: push.pinned,
            platforms: push.platforms.into_iter().map(Platform::from).collect(),
            actor: whole("actor", push.actor)?.into(),
            pusher: text(push.pusher),
            reasons: push.reasons.into_iter().map(Reason::from).collect(),
            checks: push.checks.into_iter().map(Check::from).collect(),
            tag_added: push.tag_added,
            rollout_id: text(push.rollout_id),
            review_id: text(push.review_id),
            created_at: shown(push.create_time),
            updated_at: shown(push.update_time),
            retry_at: shown(push.retry_time),
        })
    }
}
