//! Reviews on the wire.

use proto::approval::v1 as pb;
use runtime::time::to_timestamp;

use chrono::{DateTime, Utc};

use crate::review::{Review, ReviewState, Scope, Vote};

impl From<ReviewState> for pb::review::State {
    fn from(state: ReviewState) -> Self {
        match state {
            ReviewState::Pending => Self::Pending,
            ReviewState::Approved => Self::Approved,
            ReviewState::Rejected => Self::Rejected,
            ReviewState::Expired => Self::Expired,
            ReviewState::Cancelled => Self::Cancelled,
            ReviewState::Superseded => Self::Superseded,
        }
    }
}

/// The state that a request filters by; `None` = any.
pub(crate) fn state_filter(state: pb::review::State) -> Option<ReviewState> {
    match state {
        pb::review::State::Unspecified => None,
        pb::review::State::Pending => Some(ReviewState::Pending),
        pb::review::State::Approved => Some(ReviewState::Approved),
        pb::review::State::Rejected => Some(ReviewState::Rejected),
        pb::review::State::Expired => Some(ReviewState::Expired),
        pb::review::State::Cancelled => Some(ReviewState::Cancelled),
        pb::review::State::Superseded => Some(ReviewState::Superseded),
    }
}

impl From<Scope> for pb::review::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Image => Self::Image,
            Scope::Tag => Self::Tag,
        }
    }
}

/// A review with what was said about it, as it stands at a time.
pub(crate) fn review(
    review: Review,
    votes: Vec<Vote>,
    held_pushes: i64,
    now: DateTime<Utc>,
) -> pb::Review {
    pb::Review {
        id: review.id.to_string(),
        state: pb::review::State::from(review.state_at(now)).into(),
        scope: pb::review::Scope::from(review.scope).into(),
        repository: review.repository,
        registry: review.registry,
        namespace: review.namespace,
        image_name: review.image_name,
        tag: review.tag,
        digest: review.digest,
        platforms: review.platforms.0.into_iter().map(Into::into).collect(),
        requester: Some((&review.requester.0).into()),
        create_time: Some(to_timestamp(review.requested_at)),
        update_time: Some(to_timestamp(review.updated_at)),
        expire_time: Some(to_timestamp(review.expires_at)),
        occurrences: review.occurrences,
        last_seen_time: Some(to_timestamp(review.last_seen_at)),
        votes: votes.into_iter().map(vote).collect(),
        reviewed_by: review.reviewed_by.unwrap_or_default(),
        review_time: review.reviewed_at.map(to_timestamp),
        notes: review.notes,
        rejection_reason: review.rejection_reason,
        evidence_hash: review.evidence_hash,
        held_pushes: i32::try_from(held_pushes).unwrap_or(i32::MAX),
        superseded_by: review.superseded_by.map(|id| id.to_string()).unwrap_or_default(),
        etag: review.version.to_string(),
    }
}

fn vote(vote: Vote) -> pb::review::Vote {
    pb::review::Vote {
        actor: Some((&vote.voter).into()),
        approve: vote.approve,
        comment: vote.comment,
        create_time: Some(to_timestamp(vote.at)),
    }
}
