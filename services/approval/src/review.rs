//! Reviews: questions to a person, and the rules of asking and answering. Pure.

use chrono::{DateTime, Utc};
use runtime::Actor;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::types::Json;
use uuid::Uuid;

use crate::finding::Platform;

runtime::id! {
    /// Names a review.
    #[derive(sqlx::Type)]
    #[sqlx(transparent)]
    ReviewId: Uuid
}

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum ReviewState {
    Pending,
    Approved,
    Rejected,
    Expired,
    Cancelled,
    Superseded,
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Scope {
    /// Whether the image may run at all.
    Image,
    /// Whether this tag, or this digest, of an approved image may run.
    Tag,
}

/// What the registry has yet to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum FollowUp {
    Approve,
    Reject,
}

/// A review as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Review {
    pub id: ReviewId,
    pub image_name: String,
    pub registry: String,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    #[expect(dead_code, reason = "rows are read whole")]
    pub status: String,
    pub reviewed_by: Option<String>,
    pub reviewed_at: Option<DateTime<Utc>>,
    pub notes: String,
    pub rejection_reason: String,
    pub state: ReviewState,
    pub scope: Scope,
    pub repository: String,
    pub namespace: String,
    pub tag: String,
    pub digest: String,
    pub platforms: Json<Vec<Platform>>,
    pub requester: Json<Actor>,
    pub evidence_hash: String,
    pub expires_at: DateTime<Utc>,
    pub occurrences: i32,
    pub last_seen_at: DateTime<Utc>,
    pub superseded_by: Option<ReviewId>,
    pub voter: Option<Json<Actor>>,
    pub follow_up: Option<FollowUp>,
    pub follow_up_at: Option<DateTime<Utc>>,
    pub follow_up_attempts: i32,
    pub follow_up_error: String,
    pub claim: Option<Uuid>,
    pub claimed_until: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

/// One person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vote {
    pub voter: Actor,
    pub approve: bool,
    pub comment: String,
    pub at: DateTime<Utc>,
}

/// What a held push asks.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub scope: Scope,
    /// Canonical, `host/path`.
    pub repository: String,
    /// Empty = the image as a whole, or the digest alone.
    pub tag: String,
    /// Empty = not known.
    pub digest: String,
    pub platforms: Vec<Platform>,
    pub requester: Actor,
    /// Whether the image is in the registry and waits for its approval.
    pub image_is_pending: bool,
}

/// Where a question belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// An open review asks the same.
    Attach(ReviewId),
    /// The review that asks the same was approved, and the registry is being told.
    Approving(ReviewId),
    /// A review said yes to exactly this digest.
    Approved(ReviewId),
    /// A review said no to exactly this.
    Refused { by: ReviewId, who: String, reason: String },
    /// Nobody asked yet. Older questions about the same tag end with it.
    Open { supersedes: Vec<ReviewId> },
}

/// What a vote says that its voter has seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen<'a> {
    /// Empty = nothing said.
    pub digest: &'a str,
    /// Empty = nothing said.
    pub evidence_hash: &'a str,
}

/// Why a vote does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is decided.
    Decided(ReviewState),
    /// The voter asked for it.
    SelfReview,
    /// What the voter has seen is not what is asked.
    EvidenceChanged,
}

impl ReviewState {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

impl Review {
    /// Where it stands at a time: an overdue review has ended, whether or not that is written yet.
    pub(crate) fn state_at(&self, now: DateTime<Utc>) -> ReviewState {
        match self.state {
            ReviewState::Pending if self.expires_at <= now => ReviewState::Expired,
            state => state,
        }
    }

    /// What it is about, as people write it.
    pub(crate) fn familiar(&self) -> String {
        let repository = crate::push::familiar(&self.repository);
        match (self.tag.as_str(), self.digest.as_str()) {
            ("", "") => repository,
            ("", digest) => format!("{repository}@{digest}"),
            (tag, _) => format!("{repository}:{tag}"),
        }
    }

    /// Whether somebody may vote. `askers` are those whose pushes it holds: nobody decides about
    /// what they asked for, administrators included.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) fn may_vote(
        &self,
        voter: &Actor,
        askers: &[Actor],
        seen: Seen<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        match self.state_at(now) {
            ReviewState::Pending => {}
            state => return Err(Refusal::Decided(state)),
        }
        let own = |asker: &Actor| asker.is_person() && asker.is(voter);
        if own(&self.requester) || askers.iter().any(own) {
            return Err(Refusal::SelfReview);
        }
        let differs = |seen: &str, real: &str| !seen.is_empty() && seen != real;
        if differs(seen.digest, &self.digest) || differs(seen.evidence_hash, &self.evidence_hash) {
            return Err(Refusal::EvidenceChanged);
        }
        Ok(())
    }

    /// As events carry it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "repository": self.repository,
            "tag": self.tag,
            "digest": self.digest,
            "state": self.state.word(),
            "evidence_hash": self.evidence_hash,
            "reviewed_by": self.reviewed_by,
            "notes": self.notes,
            "rejection_reason": self.rejection_reason,
            "superseded_by": self.superseded_by,
        })
    }
}

/// Finds the place of a question among the repository's reviews: those that are open and not
/// overdue, those the registry is being told about, and the last decided one about the same tag and
/// digest.
pub(crate) fn place(question: &Question, reviews: &[Review]) -> Placement {
    let same = |review: &&Review| review.tag == question.tag && review.digest == question.digest;
    let same_tag = |review: &&Review| review.tag == question.tag;
    let covers = |review: &&Review| match (review.scope, question.scope) {
        (Scope::Image, Scope::Image) => true,
        (Scope::Tag, Scope::Tag) => same_tag(review),
        (Scope::Image, Scope::Tag) | (Scope::Tag, Scope::Image) => false,
    };
    let told = |what| reviews.iter().filter(covers).find(|review| review.follow_up == Some(what));
    if let Some(review) = told(FollowUp::Approve) {
        return Placement::Approving(review.id);
    }
    if let Some(review) = told(FollowUp::Reject) {
        return refused(review);
    }
    if question.scope == Scope::Tag
        && let Some(review) = reviews.iter().filter(same).find(|review| review.scope == Scope::Tag)
    {
        match review.state {
            ReviewState::Approved if !question.digest.is_empty() => {
                return Placement::Approved(review.id);
            }
            ReviewState::Rejected => return refused(review),
            ReviewState::Pending
            | ReviewState::Approved
            | ReviewState::Expired
            | ReviewState::Cancelled
            | ReviewState::Superseded => {}
        }
    }
    let open: Vec<_> =
        reviews.iter().filter(|review| review.state == ReviewState::Pending).collect();
    let whole_image = |review: &&&Review| {
        question.image_is_pending && review.scope == Scope::Image && review.tag.is_empty()
    };
    let asked = open
        .iter()
        .find(|review| same(review))
        // Who does not know the digest asks nothing new.
        .or_else(|| open.iter().find(|review| question.digest.is_empty() && same_tag(review)))
        .or_else(|| open.iter().find(whole_image));
    match asked {
        Some(review) => Placement::Attach(review.id),
        None => Placement::Open {
            supersedes: open
                .iter()
                .filter(|review| same_tag(review) && !question.tag.is_empty())
                .map(|review| review.id)
                .collect(),
        },
    }
}

fn refused(review: &Review) -> Placement {
    Placement::Refused {
        by: review.id,
        who: review.reviewed_by.clone().unwrap_or_default(),
        reason: review.rejection_reason.clone(),
    }
}

/// What votes are bound to.
pub(crate) fn evidence_hash(
    repository: &str,
    tag: &str,
    digest: &str,
    platforms: &[Platform],
) -> String {
    let mut sorted: Vec<_> = platforms.iter().collect();
    sorted.sort();
    let mut hash = Sha256::new();
    hash.update(format!("{repository}\n{tag}\n{digest}\n"));
    for platform in sorted {
        let Platform { os, architecture, variant, digest, size_bytes: _ } = platform;
        hash.update(format!("{os}/{architecture}/{variant}@{digest}\n"));
    }
    hex::encode(hash.finalize())
}

/// An open review about an image, as it is stored.
#[cfg(test)]
pub(crate) fn sample() -> Review {
    let at = DateTime::UNIX_EPOCH;
    let anna = Actor::new(runtime::ActorKind::User, "anna", "anna");
    Review {
        id: ReviewId(Uuid::from_u128(1)),
        image_name: "redis".to_owned(),
        registry: "docker.io".to_owned(),
        requested_by: "anna".to_owned(),
        requested_at: at,
        status: "pending".to_owned(),
        reviewed_by: None,
        reviewed_at: None,
        notes: String::new(),
        rejection_reason: String::new(),
        state: ReviewState::Pending,
        scope: Scope::Image,
        repository: "docker.io/library/redis".to_owned(),
        namespace: "library".to_owned(),
        tag: String::new(),
        digest: String::new(),
        platforms: Json(Vec::new()),
        requester: Json(anna),
        evidence_hash: "hash".to_owned(),
        expires_at: at + chrono::TimeDelta::days(7),
        occurrences: 1,
        last_seen_at: at,
        superseded_by: None,
        voter: None,
        follow_up: None,
        follow_up_at: None,
        follow_up_attempts: 0,
        follow_up_error: String::new(),
        claim: None,
        claimed_until: None,
        updated_at: at,
        version: 1,
    }
}

#[cfg(test)]
mod tests;
