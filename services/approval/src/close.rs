//! The end of reviews, and what it means for the pushes they hold. In the caller's transaction, with
//! the repository locked.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use proto::reason;
use runtime::Actor;
use runtime::event::{Event, Resource};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::push::{Push, PushId};
use crate::review::{Review, ReviewId, ReviewState, Scope};
use crate::{App, Error, ask, decide, store};

/// Which reviews of a repository end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// Those about the image.
    Image,
    /// Those about a tag.
    Tag(&'a str),
    /// All of them.
    All,
}

impl Which<'_> {
    fn covers(self, review: &Review) -> bool {
        match (self, review.scope) {
            (Self::All, _) | (Self::Image, Scope::Image) => true,
            (Self::Tag(tag), Scope::Tag) => review.tag == tag,
            (Self::Image, Scope::Tag) | (Self::Tag(_), Scope::Image) => false,
        }
    }
}

/// What ends, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    pub repository: &'a str,
    pub which: Which<'a>,
    pub by: &'a Actor,
    /// Of a no.
    pub why: &'a str,
}

/// Ends reviews with a yes that was said elsewhere and sets going what they hold.
pub(crate) async fn approve(
    db: &mut PgConnection,
    app: &App,
    end: End<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<PushId>, Error> {
    let ended = end_reviews(db, app, end, ReviewState::Approved, now).await?;
    release(db, app, &ended, now).await
}

/// Ends reviews with a no that was said elsewhere; what they hold is denied.
pub(crate) async fn reject(
    db: &mut PgConnection,
    app: &App,
    end: End<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ended = end_reviews(db, app, end, ReviewState::Rejected, now).await?;
    let message = format!("`{}` rejected it: {}", end.by, end.why);
    deny_held(db, app, &ended, reason::IMAGE_REJECTED, &message, now).await
}

/// Ends reviews whose question fell away and asks the gate anew about what they hold.
pub(crate) async fn cancel(
    db: &mut PgConnection,
    app: &App,
    end: End<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<PushId>, Error> {
    let ended = end_reviews(db, app, end, ReviewState::Cancelled, now).await?;
    release(db, app, &ended, now).await
}

async fn end_reviews(
    db: &mut PgConnection,
    app: &App,
    end: End<'_>,
    state: ReviewState,
    now: DateTime<Utc>,
) -> Result<Vec<ReviewId>, Error> {
    let decided = matches!(state, ReviewState::Approved | ReviewState::Rejected);
    let kind = match state {
        ReviewState::Approved => "image.approval.approved",
        ReviewState::Rejected => "image.approval.rejected",
        ReviewState::Pending
        | ReviewState::Expired
        | ReviewState::Cancelled
        | ReviewState::Superseded => "image.approval.cancelled",
    };
    let mut ended = Vec::new();
    for review in store::review::pending(db, end.repository).await? {
        if !end.which.covers(&review) {
            continue;
        }
        let review = Review {
            state,
            reviewed_by: decided.then(|| end.by.to_string()),
            reviewed_at: decided.then_some(now),
            voter: decided.then(|| Json(end.by.clone())),
            rejection_reason: end.why.to_owned(),
            ..review
        };
        let review = store::review::save(db, &review, now).await?;
        app.outbox.append(db, &ask::event(end.by.clone(), kind, &review, now)).await?;
        ended.push(review.id);
    }
    Ok(ended)
}

/// Sets going what reviews held. Of several pushes of one tag only the newest goes on: the older
/// ones are about what the tag no longer is.
pub(crate) async fn release(
    db: &mut PgConnection,
    app: &App,
    reviews: &[ReviewId],
    now: DateTime<Utc>,
) -> Result<Vec<PushId>, Error> {
    let held = store::push::of_reviews(db, reviews).await?;
    let newest: HashMap<String, Push> = held
        .iter()
        .filter(|push| push.is_plain())
        .map(|push| (push.lane.clone(), push.clone()))
        .collect();
    let mut released = Vec::new();
    for push in held {
        let newer = newest.get(&push.lane).filter(|newer| push.is_plain() && newer.id != push.id);
        let push = match newer {
            Some(newer) => decide::overtaken(push, newer),
            None => decide::restart(push, now),
        };
        let push = store::push::save(db, &push, now).await?;
        if push.is_moving() {
            released.push(push.id);
        }
    }
    app.wakes.pushes.ring();
    Ok(released)
}

/// Denies what reviews held.
pub(crate) async fn deny_held(
    db: &mut PgConnection,
    app: &App,
    reviews: &[ReviewId],
    code: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut events = Vec::new();
    for push in store::push::of_reviews(db, reviews).await? {
        let push = decide::turned_down(push, code, message.to_owned());
        let push = store::push::save(db, &push, now).await?;
        events.push(push_event("image.webhook_rejected", &push, now));
    }
    app.outbox.append_all(db, &events).await?;
    Ok(())
}

/// An event about a push, by whoever pushed.
pub(crate) fn push_event(kind: &'static str, push: &Push, now: DateTime<Utc>) -> Event {
    Event::of(push.actor.0.clone(), kind, Resource::new("push", push.id, push.familiar()), now)
        .after(push.to_json())
}
