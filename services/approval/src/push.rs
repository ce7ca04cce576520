//! Pushes: what a registry, or a person, says is new.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use imageref::Repository;
use proto::reason;
use runtime::Actor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::delivery::DeliveryId;
use crate::finding::{Check, Platform, Reason};
use crate::receiver::ReceiverId;
use crate::review::ReviewId;

runtime::id! {
    /// Names a push.
    #[derive(sqlx::Type)]
    #[sqlx(transparent)]
    PushId: Uuid
}

/// Where a push stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum State {
    /// It is stored, and goes on at once.
    Received,
    /// It waits for a registry or another process, and goes on by itself.
    Waiting,
    /// A review is open.
    Held,
    /// It is refused.
    Denied,
    /// It is finished.
    Done,
    /// There is nothing to decide.
    Ignored,
}

/// What is done next while a push is received or waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Step {
    /// The registry elsewhere is asked for the digest.
    Resolve,
    /// The gate is asked.
    Admit,
    /// `rollout` is asked for a rollout.
    Create,
    /// Nothing: its review is decided and sets it going.
    Review,
}

/// What was decided about a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Decision {
    /// It may run.
    Allow,
    /// A person or another process must answer first.
    Hold,
    /// It may not run.
    Deny,
    /// It is nothing to decide.
    Ignored,
    /// It cannot be a push.
    Rejected,
}

/// What came of a finished push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Outcome {
    Rollout,
    NoPolicy,
    NoTarget,
    Unchanged,
    Quarantined,
}

/// Which devices of a policy a person wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceSelector {
    pub fleet: String,
    pub labels: BTreeMap<String, String>,
    pub ids: Vec<String>,
    pub exclude: Vec<String>,
}

/// A push as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub id: PushId,
    #[expect(dead_code, reason = "rows are read whole")]
    pub observed_seq: i64,
    pub lane: String,
    pub delivery_id: Option<DeliveryId>,
    pub receiver_id: Option<ReceiverId>,
    #[expect(dead_code, reason = "rows are read whole")]
    pub position: i32,
    pub retry_of: Option<PushId>,
    #[expect(dead_code, reason = "rows are read whole")]
    pub request_id: Option<Uuid>,
    pub request_hash: Option<Vec<u8>>,
    pub repository: String,
    pub tag: Option<String>,
    pub event_digest: Option<String>,
    pub digest_asked: bool,
    pub digest: Option<String>,
    pub pinned: bool,
    pub platforms: Json<Vec<Platform>>,
    pub actor: Json<Actor>,
    pub pusher: String,
    pub policy_id: String,
    pub device_selector: Option<Json<DeviceSelector>>,
    pub trusted: bool,
    pub state: State,
    pub step: Step,
    pub decision: Option<Decision>,
    pub outcome: Option<Outcome>,
    pub reasons: Json<Vec<Reason>>,
    pub checks: Json<Vec<Check>>,
    pub tag_added: bool,
    pub review_id: Option<ReviewId>,
    pub rollout_id: String,
    pub occurred_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub due_at: DateTime<Utc>,
    pub claim: Option<Uuid>,
    pub claimed_until: Option<DateTime<Utc>>,
    pub traceparent: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

/// A push that is about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewPush {
    pub id: PushId,
    pub delivery_id: Option<DeliveryId>,
    pub receiver_id: Option<ReceiverId>,
    pub retry_of: Option<PushId>,
    /// With a hash of all that was asked.
    pub request: Option<(Uuid, [u8; 32])>,
    pub repository: Repository,
    pub tag: Option<String>,
    pub event_digest: Option<String>,
    pub digest_asked: bool,
    pub actor: Actor,
    pub pusher: String,
    pub policy_id: String,
    pub device_selector: Option<DeviceSelector>,
    pub trusted: bool,
    pub state: State,
    pub decision: Option<Decision>,
    pub reasons: Vec<Reason>,
    pub checks: Vec<Check>,
    pub occurred_at: Option<DateTime<Utc>>,
}

impl NewPush {
    /// Pushes of one lane are decided one after the other.
    pub(crate) fn lane(&self) -> String {
        match (&self.tag, &self.event_digest) {
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, digest) => {
                format!("{}@{}", self.repository, digest.as_deref().unwrap_or_default())
            }
        }
    }
}

impl State {
    /// Whether something is still to be done by itself.
    pub(crate) fn is_open(self) -> bool {
        match self {
            Self::Received | Self::Waiting => true,
            Self::Held | Self::Denied | Self::Done | Self::Ignored => false,
        }
    }
}

impl Push {
    /// Whether the worker, or whoever holds the claim, has a step to do.
    pub(crate) fn is_moving(&self) -> bool {
        self.state.is_open() && self.step != Step::Review
    }

    /// Whether it is the same for every sender: no policy and no devices were chosen by hand.
    pub(crate) fn is_plain(&self) -> bool {
        self.policy_id.is_empty() && self.device_selector.is_none()
    }

    /// Whether a person asked for it.
    pub(crate) fn is_by_hand(&self) -> bool {
        self.receiver_id.is_none()
    }

    /// What to ask a registry elsewhere about: the tag, or the digest where there is no tag.
    pub(crate) fn to_resolve(&self) -> String {
        match (&self.tag, &self.event_digest) {
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, Some(digest)) => format!("{}@{digest}", self.repository),
            (None, None) => self.repository.clone(),
        }
    }

    /// What to ask the gate about: the tag, and the digest where one was asked for.
    pub(crate) fn to_admit(&self) -> String {
        match (&self.tag, &self.event_digest) {
            (Some(tag), Some(digest)) if self.digest_asked => {
                format!("{}:{tag}@{digest}", self.repository)
            }
            (Some(tag), _) => format!("{}:{tag}", self.repository),
            (None, Some(digest)) => format!("{}@{digest}", self.repository),
            (None, None) => self.repository.clone(),
        }
    }

    /// What the tag has, as far as that is known: the digest, unless it was asked for by hand and the
    /// registry says another one. Empty = it is not known.
    pub(crate) fn vouched_digest(&self) -> &str {
        let contradicted = self.reasons.0.iter().any(|why| why.code == reason::STALE_EVENT);
        match &self.digest {
            Some(digest) if self.pinned && !(self.digest_asked && contradicted) => digest,
            Some(_) | None => "",
        }
    }

    /// The repository as people write it.
    pub(crate) fn familiar_repository(&self) -> String {
        familiar(&self.repository)
    }

    /// The image as people write it.
    pub(crate) fn familiar(&self) -> String {
        let repository = self.familiar_repository();
        match (&self.tag, &self.event_digest) {
            (Some(tag), _) => format!("{repository}:{tag}"),
            (None, Some(digest)) => format!("{repository}@{digest}"),
            (None, None) => repository,
        }
    }

    /// As events carry it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "repository": self.repository,
            "tag": self.tag,
            "digest": self.digest,
            "pinned": self.pinned,
            "delivery_id": self.delivery_id,
            "receiver_id": self.receiver_id,
            "pusher": self.pusher,
            "review_id": self.review_id,
            "reasons": self.reasons.0,
        })
    }
}

/// The canonical repository as people write it.
pub(crate) fn familiar(repository: &str) -> String {
    Repository::parse(repository)
        .map_or_else(|_| repository.to_owned(), |known| known.familiar().to_owned())
}

#[cfg(test)]
impl Push {
    /// A push of `docker.io/library/redis:7` through a receiver, as it is stored.
    pub(crate) fn sample() -> Self {
        let at = DateTime::UNIX_EPOCH;
        Self {
            id: PushId(Uuid::from_u128(1)),
            observed_seq: 1,
            lane: "docker.io/library/redis:7".to_owned(),
            delivery_id: Some(DeliveryId(Uuid::from_u128(2))),
            receiver_id: Some(ReceiverId(Uuid::from_u128(3))),
            position: 0,
            retry_of: None,
            request_id: None,
            request_hash: None,
            repository: "docker.io/library/redis".to_owned(),
            tag: Some("7".to_owned()),
            event_digest: None,
            digest_asked: false,
            digest: None,
            pinned: false,
            platforms: Json(Vec::new()),
            actor: Json(Actor::new(runtime::ActorKind::Receiver, "3", "hub")),
            pusher: String::new(),
            policy_id: String::new(),
            device_selector: None,
            trusted: false,
            state: State::Received,
            step: Step::Resolve,
            decision: None,
            outcome: None,
            reasons: Json(Vec::new()),
            checks: Json(Vec::new()),
            tag_added: false,
            review_id: None,
            rollout_id: String::new(),
            occurred_at: None,
            attempts: 0,
            due_at: at,
            claim: None,
            claimed_until: None,
            traceparent: None,
            created_at: at,
            updated_at: at,
            version: 1,
        }
    }
}
