//! A person's word about a review.
//!
//! The decision is stored first, in one transaction with what it means for the held pushes. What
//! others must be told comes after it ([`crate::redrive`]).

use chrono::{DateTime, Utc};
use proto::reason;
use runtime::event::{Event, Resource};
use runtime::{Actor, Caller, crash, database};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::error::Ended;
use crate::push::{Push, PushId};
use crate::review::{FollowUp, Refusal, Review, ReviewId, ReviewState, Scope, Seen, Vote};
use crate::{App, Error, close, decide, meter, store};

/// A yes or a no.
#[derive(Debug, Clone)]
pub(crate) struct Ballot {
    pub review: ReviewId,
    pub approve: bool,
    /// Notes of a yes, the reason of a no.
    pub comment: String,
    /// What the voter has seen; empty = nothing said.
    pub digest: String,
    pub evidence_hash: String,
}

/// Stores a decision. Returns the review and the pushes it held.
pub(crate) async fn cast(
    app: &App,
    caller: &Caller,
    ballot: &Ballot,
) -> Result<(Review, Vec<PushId>), Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let review = locked(&mut tx, ballot.review).await?;
    let held = store::push::of_reviews(&mut tx, &[review.id]).await?;
    may(&review, caller.person(), &held, ballot, now)?;
    let review = decided(&review, caller.person(), ballot, now);
    let review = store::review::save(&mut tx, &review, now).await?;
    let (voter, comment) = (caller.person().clone(), ballot.comment.clone());
    let vote = Vote { voter, approve: ballot.approve, comment, at: now };
    store::review::insert_vote(&mut tx, review.id, &vote).await?;
    app.outbox.append_all(&mut tx, &events(caller, &review, now)).await?;
    let ids = held.iter().map(|push| push.id).collect();
    if ballot.approve {
        follow(&mut tx, held, review.id, now).await?;
    } else {
        let message = format!("`{}` rejected it: {}", caller.person(), ballot.comment);
        close::deny_held(&mut tx, app, &[review.id], reason::REVIEW_REJECTED, &message, now)
            .await?;
    }
    app.outbox.commit(tx).await?;
    crash::point("vote_committed");
    meter::voted(ballot.approve);
    Ok((review, ids))
}

/// Says what a vote would come to, and changes nothing.
pub(crate) async fn rehearse(
    app: &App,
    caller: &Caller,
    ballot: &Ballot,
) -> Result<ReviewState, Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    let review = store::review::find(&mut db, ballot.review)
        .await?
        .ok_or(Error::ReviewNotFound(ballot.review))?;
    let held = store::push::waiting_for(&mut db, review.id).await?;
    may(&review, caller.person(), &held, ballot, now)?;
    Ok(if ballot.approve { ReviewState::Approved } else { ReviewState::Rejected })
}

/// Locks a review, and before it its repository: whoever holds the one waits for nothing else.
async fn locked(db: &mut PgConnection, id: ReviewId) -> Result<Review, Error> {
    let found = store::review::find(db, id).await?.ok_or(Error::ReviewNotFound(id))?;
    store::review::lock_repository(db, &found.repository).await?;
    store::review::find_for_update(db, id).await?.ok_or(Error::ReviewNotFound(id))
}

fn may(
    review: &Review,
    voter: &Actor,
    held: &[Push],
    ballot: &Ballot,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let askers: Vec<_> = held.iter().map(|push| push.actor.0.clone()).collect();
    let seen = Seen { digest: &ballot.digest, evidence_hash: &ballot.evidence_hash };
    review.may_vote(voter, &askers, seen, now).map_err(|refusal| match refusal {
        Refusal::Decided(state) => Error::ReviewDecided {
            id: review.id,
            state: Ended(state),
            reviewed_by: review.reviewed_by.clone().unwrap_or_default(),
        },
        Refusal::SelfReview => Error::SelfReview(review.id),
        Refusal::EvidenceChanged => Error::EvidenceChanged {
            id: review.id,
            digest: review.digest.clone(),
            evidence_hash: review.evidence_hash.clone(),
        },
    })
}

fn decided(review: &Review, voter: &Actor, ballot: &Ballot, now: DateTime<Utc>) -> Review {
    let mut review = review.clone();
    review.reviewed_by = Some(voter.to_string());
    review.reviewed_at = Some(now);
    review.voter = Some(Json(voter.clone()));
    if ballot.approve {
        review.state = ReviewState::Approved;
        review.notes.clone_from(&ballot.comment);
        review.follow_up = Some(FollowUp::Approve);
    } else {
        review.state = ReviewState::Rejected;
        review.rejection_reason.clone_from(&ballot.comment);
        // A tag that may not run says nothing about its image.
        review.follow_up = (review.scope == Scope::Image).then_some(FollowUp::Reject);
    }
    review.follow_up_at = review.follow_up.map(|_| now);
    review
}

/// Lets the held pushes follow their approved review.
async fn follow(
    db: &mut PgConnection,
    held: Vec<Push>,
    review: ReviewId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    for push in held {
        let push = decide::follow(push, review);
        store::push::save(db, &push, now).await?;
    }
    Ok(())
}

fn events(caller: &Caller, review: &Review, now: DateTime<Utc>) -> [Event; 2] {
    let decided = match review.state {
        ReviewState::Approved => "image.approval.approved",
        ReviewState::Rejected
        | ReviewState::Pending
        | ReviewState::Expired
        | ReviewState::Cancelled
        | ReviewState::Superseded => "image.approval.rejected",
    };
    ["image.approval.voted", decided].map(|kind| {
        let resource = Resource::new("review", review.id, review.familiar());
        Event::by(caller, kind, resource, now).after(review.to_json())
    })
}
