//! Asking a person: finds the review of a question, or opens one.

use chrono::{DateTime, Utc};
use imageref::Repository;
use runtime::Actor;
use runtime::event::{Event, Resource};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::review::{self, Placement, Question, Review, ReviewId, ReviewState};
use crate::{App, Error, expire, store};

/// Where a question went.
#[derive(Debug)]
pub(crate) struct Asked {
    pub placement: Placement,
    /// The review that was opened, when one was.
    pub opened: ReviewId,
}

impl Asked {
    /// The review that is open now; `None` = there is none to wait for.
    pub(crate) fn review(&self) -> Option<ReviewId> {
        match &self.placement {
            Placement::Attach(id) | Placement::Approving(id) => Some(*id),
            Placement::Open { .. } => Some(self.opened),
            Placement::Approved(_) | Placement::Refused { .. } => None,
        }
    }
}

/// Asks in the caller's transaction. A repeated question counts as one more occurrence.
pub(crate) async fn ask(
    db: &mut PgConnection,
    app: &App,
    question: &Question,
    now: DateTime<Utc>,
) -> Result<Asked, Error> {
    store::review::lock_repository(db, &question.repository).await?;
    let mut open = Vec::new();
    for review in store::review::near(db, question).await? {
        if review.state == ReviewState::Pending && review.expires_at <= now {
            expire::expire(db, app, review, now).await?;
        } else {
            open.push(review);
        }
    }
    let placement = review::place(question, &open);
    let opened = ReviewId::new(now);
    match &placement {
        Placement::Attach(id) => {
            if let Some(review) = open.into_iter().find(|review| review.id == *id) {
                let occurrences = review.occurrences.saturating_add(1);
                let seen = Review { occurrences, last_seen_at: now, ..review };
                store::review::save(db, &seen, now).await?;
            }
        }
        Placement::Open { supersedes } => {
            let old: Vec<_> =
                open.into_iter().filter(|review| supersedes.contains(&review.id)).collect();
            self::open(db, app, question, opened, old, now).await?;
        }
        Placement::Approving(_) | Placement::Approved(_) | Placement::Refused { .. } => {}
    }
    Ok(Asked { placement, opened })
}

/// Opens a review in the place of older ones and takes over what they hold.
async fn open(
    db: &mut PgConnection,
    app: &App,
    question: &Question,
    id: ReviewId,
    old: Vec<Review>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let review = new_review(app, question, id, now)?;
    let replaced: Vec<_> = old.iter().map(|review| review.id).collect();
    let mut events = Vec::new();
    for review in old {
        let ended = Review { state: ReviewState::Superseded, superseded_by: Some(id), ..review };
        let ended = store::review::save(db, &ended, now).await?;
        let by = Actor::system(crate::SCHEMA.name);
        events.push(event(by, "image.approval.superseded", &ended, now));
    }
    store::review::insert(db, &review).await?;
    store::review::take_over(db, &replaced, id, now).await?;
    events.push(event(question.requester.clone(), "image.approval.requested", &review, now));
    app.outbox.append_all(db, &events).await?;
    app.wakes.expiry.ring();
    Ok(())
}

fn new_review(
    app: &App,
    question: &Question,
    id: ReviewId,
    now: DateTime<Utc>,
) -> Result<Review, Error> {
    let repository = Repository::parse(&question.repository).map_err(|error| {
        let (field, cause) = ("repository".to_owned(), error.to_string());
        Error::InvalidReference { field, cause }
    })?;
    let Question { tag, digest, platforms, .. } = question;
    Ok(Review {
        id,
        image_name: repository.name().to_owned(),
        registry: repository.registry().to_owned(),
        requested_by: question.requester.to_string(),
        requested_at: now,
        status: "pending".to_owned(),
        reviewed_by: None,
        reviewed_at: None,
        notes: String::new(),
        rejection_reason: String::new(),
        state: ReviewState::Pending,
        scope: question.scope,
        namespace: repository.namespace().unwrap_or_default().to_owned(),
        tag: tag.clone(),
        digest: digest.clone(),
        platforms: Json(platforms.clone()),
        requester: Json(question.requester.clone()),
        evidence_hash: review::evidence_hash(&question.repository, tag, digest, platforms),
        expires_at: now + app.settings.review_deadline,
        occurrences: 1,
        last_seen_at: now,
        superseded_by: None,
        voter: None,
        follow_up: None,
        follow_up_at: None,
        follow_up_attempts: 0,
        follow_up_error: String::new(),
        claim: None,
        claimed_until: None,
        updated_at: now,
        version: 1,
        repository: question.repository.clone(),
    })
}

/// An event about a review.
pub(crate) fn event(by: Actor, kind: &'static str, review: &Review, now: DateTime<Utc>) -> Event {
    Event::of(by, kind, Resource::new("review", review.id, review.familiar()), now)
        .after(review.to_json())
}
