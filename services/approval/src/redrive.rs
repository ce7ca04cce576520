//! What comes after a decided review: the registry is told, then the held pushes go on.
//!
//! Every step may be repeated. Where the registry does not answer, the review keeps what is left to
//! do and the worker goes on with it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::backoff::Backoff;
use runtime::worker::Progress;
use runtime::{Actor, Code, Problem, database, id};
use tokio::time::Instant;

use crate::close::{self, End, Which};
use crate::drive::{self, Claims};
use crate::moment::Moment;
use crate::peers::ApprovedTag;
use crate::push::{Push, PushId};
use crate::review::{FollowUp, Review, ReviewId, Scope};
use crate::{App, Error, store};

const AWAY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// How soon to look again whether somebody else has done it.
const BUSY: Duration = Duration::from_millis(25);

/// Does what is left of a decided review while its voter waits, and drives what it held. What is
/// not done in time goes on by itself.
pub(crate) async fn for_voter(app: &App, review: ReviewId, held: &[PushId]) -> Result<(), Error> {
    let end = Instant::now() + app.settings.inline;
    let mut db = app.pool.acquire().await?;
    let moment = Moment::new(database::now(&mut db, &app.clock).await?, &app.clock);
    drop(db);
    loop {
        match left_to_do(app, review, &moment).await? {
            Left::Ours(review) => break follow_up(app, *review, &moment).await?,
            Left::Others if Instant::now() < end => tokio::time::sleep(BUSY).await,
            Left::Others | Left::Nothing => break,
        }
    }
    let mut db = app.pool.acquire().await?;
    let pushes = store::push::find_all(&mut db, held).await?;
    drop(db);
    drive::for_sender(app, pushes, Claims::Others, &moment).await;
    Ok(())
}

/// What is left of a decided review.
enum Left {
    Nothing,
    /// It is claimed for the caller.
    Ours(Box<Review>),
    /// Somebody else does it.
    Others,
}

async fn left_to_do(app: &App, review: ReviewId, moment: &Moment) -> Result<Left, Error> {
    let now = moment.now();
    let mut db = app.pool.acquire().await?;
    let claim = id::uuid_v7(now);
    if let Some(claimed) = store::follow_up::claim(&mut db, review, claim, now).await? {
        return Ok(Left::Ours(Box::new(claimed)));
    }
    let found = store::review::find(&mut db, review).await?;
    Ok(match found.and_then(|review| review.follow_up) {
        Some(_) => Left::Others,
        None => Left::Nothing,
    })
}

/// Does what is left of one decided review: the worker's step.
pub(crate) async fn follow_up_one(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let moment = Moment::new(database::now(&mut db, &app.clock).await?, &app.clock);
    let now = moment.now();
    let Some(id) = store::follow_up::due(&mut db, now).await? else {
        let next = store::follow_up::next_due(&mut db).await?;
        return Ok(next.map_or(Progress::Idle, Progress::Until));
    };
    let claimed = store::follow_up::claim(&mut db, id, id::uuid_v7(now), now).await?;
    drop(db);
    if let Some(review) = claimed {
        follow_up(app, review, &moment).await?;
    }
    Ok(Progress::More)
}

/// Tells the registry, then writes down what follows.
async fn follow_up(app: &App, review: Review, moment: &Moment) -> Result<(), Error> {
    let told = tell(app, &review).await?;
    app.outages.registry(told.as_ref().is_err_and(Problem::is_transient));
    let now = moment.now();
    match told {
        Ok(()) => finish(app, review, now).await,
        // It was told before, and the image was removed since.
        Err(problem) if problem.code() == Code::NotFound => finish(app, review, now).await,
        Err(problem) => put_off(app, review, &problem, now).await,
    }
}

/// Tells the registry what was decided.
async fn tell(app: &App, review: &Review) -> Result<Result<(), Problem>, Error> {
    let system = Actor::system(crate::SCHEMA.name);
    let voter = review.voter.as_ref().map_or(&system, |voter| &voter.0);
    let id = review.id.to_string();
    Ok(match review.follow_up {
        Some(FollowUp::Approve) => {
            let mut db = app.pool.acquire().await?;
            let held = store::push::waiting_for(&mut db, review.id).await?;
            drop(db);
            let tags = tags(review, &held);
            app.peers.approve_image(&id, &review.repository, tags, voter).await
        }
        Some(FollowUp::Reject) => {
            let why = &review.rejection_reason;
            app.peers.reject_image(&id, &review.repository, why, voter).await
        }
        None => Ok(()),
    })
}

/// The tags that an approval brings: the one that was asked about, with the digest that was seen,
/// and those of the pushes that wait for it.
fn tags(review: &Review, held: &[Push]) -> Vec<ApprovedTag> {
    let asked = ApprovedTag {
        tag: review.tag.clone(),
        digest: review.digest.clone(),
        platforms: review.platforms.0.clone(),
    };
    let mut tags = if asked.tag.is_empty() { Vec::new() } else { vec![asked] };
    for push in held {
        let Some(tag) = &push.tag else { continue };
        if tags.iter().all(|known| known.tag != *tag) {
            let digest = if push.pinned { push.digest.clone() } else { None };
            let platforms = push.platforms.0.clone();
            let digest = digest.unwrap_or_default();
            tags.push(ApprovedTag { tag: tag.clone(), digest, platforms });
        }
    }
    tags
}

/// Closes what asks the same and sets going what was held.
async fn finish(app: &App, review: Review, now: DateTime<Utc>) -> Result<(), Error> {
    let mut tx = app.pool.begin().await?;
    store::review::lock_repository(&mut tx, &review.repository).await?;
    let system = Actor::system(crate::SCHEMA.name);
    let voter = review.voter.as_ref().map_or(system, |voter| voter.0.clone());
    let which = match review.scope {
        Scope::Image => Which::Image,
        Scope::Tag => Which::Tag(&review.tag),
    };
    let why = review.rejection_reason.as_str();
    let end = End { repository: &review.repository, which, by: &voter, why };
    match review.follow_up {
        Some(FollowUp::Approve) => {
            close::release(&mut tx, app, &[review.id], now).await?;
            close::approve(&mut tx, app, end, now).await?;
        }
        Some(FollowUp::Reject) => close::reject(&mut tx, app, end, now).await?,
        None => {}
    }
    let mut done = review.clone();
    (done.follow_up, done.follow_up_at, done.follow_up_attempts) = (None, None, 0);
    (done.claim, done.claimed_until) = (None, None);
    done.follow_up_error.clear();
    store::review::save(&mut tx, &done, now).await?;
    app.outbox.commit(tx).await?;
    Ok(())
}

async fn put_off(
    app: &App,
    mut review: Review,
    problem: &Problem,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let id = review.id;
    tracing::warn!(review.id = %id, "the registry is told of review `{id}` later: {problem}");
    review.follow_up_attempts = review.follow_up_attempts.saturating_add(1);
    let wait = AWAY.wait(u32::try_from(review.follow_up_attempts).unwrap_or(u32::MAX));
    review.follow_up_at = Some(now + TimeDelta::from_std(wait).unwrap_or_default());
    review.follow_up_error = problem.message().to_owned();
    (review.claim, review.claimed_until) = (None, None);
    let mut db = app.pool.acquire().await?;
    store::review::save(&mut db, &review, now).await?;
    app.wakes.reviews.ring();
    Ok(())
}
