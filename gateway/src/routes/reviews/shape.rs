//! Reviews as JSON, with the names of document 1's table.

use chrono::{DateTime, Utc};
use proto::approval::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Fault;
use crate::routes::pushes::{Outcome, State as PushState, image};
use crate::shape::{Actor, Platform, shown, text, whole};

/// Where a review stands, in the three words of document 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReviewStatus)]
pub enum Status {
    /// Nobody decided yet.
    Pending,
    /// Yes.
    Approved,
    /// No, or it ended without a yes; `state_detail` says which.
    Rejected,
}

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReviewState)]
pub enum State {
    /// Nobody decided yet.
    Pending,
    /// Yes.
    Approved,
    /// No.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// The question fell away.
    Cancelled,
    /// A newer digest of the same tag has a review of its own.
    Superseded,
}

impl State {
    /// The word of document 1 for it.
    pub fn status(self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Approved => Status::Approved,
            Self::Rejected | Self::Expired | Self::Cancelled | Self::Superseded => Status::Rejected,
        }
    }
}

impl From<pb::review::State> for State {
    fn from(state: pb::review::State) -> Self {
        match state {
            pb::review::State::Unspecified | pb::review::State::Pending => Self::Pending,
            pb::review::State::Approved => Self::Approved,
            pb::review::State::Rejected => Self::Rejected,
            pb::review::State::Expired => Self::Expired,
            pb::review::State::Cancelled => Self::Cancelled,
            pb::review::State::Superseded => Self::Superseded,
        }
    }
}

impl From<State> for pb::review::State {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Approved => Self::Approved,
            State::Rejected => Self::Rejected,
            State::Expired => Self::Expired,
            State::Cancelled => Self::Cancelled,
            State::Superseded => Self::Superseded,
        }
    }
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReviewScope)]
pub enum Scope {
    /// Whether the image may run at all.
    Image,
    /// Whether this tag of an approved image may run.
    Tag,
}

impl From<pb::review::Scope> for Scope {
    fn from(scope: pb::review::Scope) -> Self {
        match scope {
            pb::review::Scope::Unspecified | pb::review::Scope::Image => Self::Image,
            pb::review::Scope::Tag => Self::Tag,
        }
    }
}

/// One person's word.
#[derive(Debug, Serialize, ToSchema)]
pub struct Vote {
    /// Who.
    pub actor: Actor,
    /// True = yes.
    pub approve: bool,
    /// What they said.
    pub comment: Option<String>,
    /// When.
    pub created_at: Option<DateTime<Utc>>,
}

/// A question to a person whether an image or a tag may run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1f-7000-8000-77aa00bb11cc", "image_name": "portainer-ce",
    "registry": "docker.io", "namespace": "portainer",
    "repository": "docker.io/portainer/portainer-ce", "tag": "latest", "digest": null,
    "platforms": [], "scope": "image", "status": "pending", "state_detail": "pending",
    "requested_by": "default", "requested_at": "2026-11-21T09:00:00Z",
    "requester": {"kind": "receiver", "id": "0198f3a4-0000-7000-8000-000000000001", "name": "default"},
    "reviewed_by": null, "reviewed_at": null, "notes": null, "rejection_reason": null,
    "votes": [], "occurrences": 1, "held_pushes": 1, "last_seen_at": "2026-11-21T09:00:00Z",
    "expires_at": "2026-11-28T09:00:00Z", "evidence_hash": "9f86d081884c7d65…",
    "superseded_by": null, "updated_at": "2026-11-21T09:00:00Z", "etag": "1"
}))]
pub struct Review {
    /// Its id.
    pub id: String,
    /// The last part of the repository's path.
    pub image_name: String,
    /// The registry's host.
    pub registry: String,
    /// The parts of the path before the name; `null` = there are none.
    pub namespace: Option<String>,
    /// The canonical repository.
    pub repository: String,
    /// The tag that asked; `null` = the image as a whole.
    pub tag: Option<String>,
    /// The digest that asked; `null` = not known.
    pub digest: Option<String>,
    /// What the digest holds, when it is an index.
    pub platforms: Vec<Platform>,
    /// What is decided.
    pub scope: Scope,
    /// Where it stands, in three words.
    pub status: Status,
    /// Where it stands.
    pub state_detail: State,
    /// Who asked: a person, or the receiver of the push.
    pub requested_by: String,
    /// When it was asked first.
    pub requested_at: Option<DateTime<Utc>>,
    /// Who asked, whole.
    pub requester: Actor,
    /// Who decided; `null` = nobody yet.
    pub reviewed_by: Option<String>,
    /// When it was decided.
    pub reviewed_at: Option<DateTime<Utc>>,
    /// What the approver noted.
    pub notes: Option<String>,
    /// Why it was rejected.
    pub rejection_reason: Option<String>,
    /// What was said.
    pub votes: Vec<Vote>,
    /// How many pushes asked.
    pub occurrences: i32,
    /// How many pushes it holds now.
    pub held_pushes: i32,
    /// When the last one asked.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// When it ends undecided.
    pub expires_at: Option<DateTime<Utc>>,
    /// What a vote can be bound to.
    pub evidence_hash: String,
    /// The review that took its place.
    pub superseded_by: Option<String>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// Changes with every change.
    pub etag: String,
}

impl TryFrom<pb::Review> for Review {
    type Error = Fault;

    fn try_from(review: pb::Review) -> Result<Self, Fault> {
        let (state, scope) = (State::from(review.state()), review.scope().into());
        let requester = Actor::from(whole("requester", review.requester)?);
        Ok(Self {
            id: review.id,
            image_name: review.image_name,
            registry: review.registry,
            namespace: text(review.namespace),
            repository: review.repository,
            tag: text(review.tag),
            digest: text(review.digest),
            platforms: review.platforms.into_iter().map(Platform::from).collect(),
            scope,
            status: state.status(),
            state_detail: state,
            requested_by: text(requester.name.clone()).unwrap_or_else(|| requester.id.clone()),
            requested_at: shown(review.create_time),
            requester,
            reviewed_by: text(review.reviewed_by),
            reviewed_at: shown(review.review_time),
            notes: text(review.notes),
            rejection_reason: text(review.rejection_reason),
            votes: review.votes.into_iter().map(Vote::try_from).collect::<Result<_, _>>()?,
            occurrences: review.occurrences,
            held_pushes: review.held_pushes,
            last_seen_at: shown(review.last_seen_time),
            expires_at: shown(review.expire_time),
            evidence_hash: review.evidence_hash,
            superseded_by: text(review.superseded_by),
            updated_at: shown(review.update_time),
            etag: review.etag,
        })
    }
}

impl TryFrom<pb::review::Vote> for Vote {
    type Error = Fault;

    fn try_from(vote: pb::review::Vote) -> Result<Self, Fault> {
        Ok(Self {
            actor: whole("actor", vote.actor)?.into(),
            approve: vote.approve,
            comment: text(vote.comment),
            created_at: shown(vote.create_time),
        })
    }
}

/// A push that a decision set going, as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Redriven {
    /// Its id.
    pub push_id: String,
    /// The image as people write it, with its tag.
    pub image: String,
    /// Where it stands: `received` and `waiting` go on by themselves.
    pub state: PushState,
    /// What came of it; `null` until it is done.
    pub outcome: Option<Outcome>,
    /// The rollout that it became.
    pub rollout_id: Option<String>,
}

impl From<pb::Push> for Redriven {
    fn from(push: pb::Push) -> Self {
        Self {
            image: image(&push),
            state: push.state().into(),
            outcome: Outcome::of(push.outcome()),
            push_id: push.id,
            rollout_id: text(push.rollout_id),
        }
    }
}

/// A review after a decision, and what it set going.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decided {
    /// The review.
    #[serde(flatten)]
    pub review: Review,
    /// The pushes that it held, as they stand now.
    pub redriven: Vec<Redriven>,
}

impl TryFrom<pb::ReviewDecision> for Decided {
    type Error = Fault;

    fn try_from(decision: pb::ReviewDecision) -> Result<Self, Fault> {
        Ok(Self {
            review: whole("review", decision.review)?.try_into()?,
            redriven: decision.redriven.into_iter().map(Redriven::from).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_states_are_told_in_three_words_and_keep_their_own() {
        let told = |state: pb::review::State| State::from(state).status();
        assert_eq!(told(pb::review::State::Pending), Status::Pending);
        assert_eq!(told(pb::review::State::Approved), Status::Approved);
        for ended in ["REJECTED", "EXPIRED", "CANCELLED", "SUPERSEDED"] {
            let state = pb::review::State::from_str_name(&format!("STATE_{ended}")).unwrap();
            assert_eq!(told(state), Status::Rejected, "{ended}");
            let own = serde_json::to_value(State::from(state)).unwrap();
            assert_eq!(own, ended.to_lowercase());
        }
    }
}
