//! Pushes in the database.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::Error;
use crate::delivery::DeliveryId;
use crate::push::{NewPush, Push, PushId, State, Step};
use crate::receiver::ReceiverId;
use crate::review::ReviewId;

/// How long a claim lasts when it is not renewed: longer than any call to another process, short
/// enough that what a killed process held goes on soon.
pub(crate) const LEASE: TimeDelta = TimeDelta::seconds(15);

/// When a push may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// At any time: somebody waits for it.
    Asked,
    /// Once it is due.
    Due,
}

/// Takes the line of a lane until the transaction ends: claims in it are given out one at a time, to
/// the oldest push first. Only one that waits for its digest lets others pass: when its time comes,
/// the registry says what is new for it, too.
pub(crate) async fn lock_lane(db: &mut PgConnection, lane: &str) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('lane ' || $1, 0))", lane)
        .fetch_one(db)
        .await?;
    Ok(())
}

/// Stores a push, with a claim of the caller's when its lane is free. The lane is locked.
pub(crate) async fn insert(
    db: &mut PgConnection,
    new: &NewPush,
    position: i32,
    claim: Uuid,
    now: DateTime<Utc>,
) -> Result<Push, Error> {
    let lane = new.lane();
    let push = sqlx::query_as!(
        Push,
        "insert into approval.pushes ( \
             id, lane, delivery_id, receiver_id, position, retry_of, request_id, request_hash, \
             repository, tag, event_digest, digest_asked, digest, actor, pusher, policy_id, \
             device_selector, trusted, state, step, decision, reasons, checks, occurred_at, due_at, \
             traceparent, created_at, updated_at, claim, claimed_until \
         ) \
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11, $13, $14, $15, $16, $17, $18, \
             'resolve', $19, $20, $21, $22, $23, $24, $23, $23, \
             case when free.lane then $25::uuid end, case when free.lane then $26::timestamptz end \
         from (select $18 = 'received' and not exists ( \
             select from approval.pushes as other \
             where other.lane = $2 and other.state in ('received', 'waiting') \
                 and (other.claimed_until > $23 or other.state = 'received' or other.step in ('admit', 'create')) \
         ) as lane) as free \
         on conflict on constraint pushes_request_id_key do nothing \
         returning *",
        new.id.0,
        lane,
        new.delivery_id.map(|id| id.0),
        new.receiver_id.map(|id| id.0),
        position,
        new.retry_of.map(|id| id.0),
        new.request.map(|(id, _)| id),
        new.request.as_ref().map(|(_, hash)| hash.as_slice()),
        new.repository.as_str(),
        new.tag,
        new.event_digest,
        new.digest_asked,
        Json(&new.actor) as _,
        new.pusher,
        new.policy_id,
        new.device_selector.as_ref().map(Json) as _,
        new.trusted,
        new.state as State,
        new.decision as _,
        Json(&new.reasons) as _,
        Json(&new.checks) as _,
        new.occurred_at,
        now,
        runtime::context::traceparent(),
        claim,
        now + LEASE,
    )
    .fetch_optional(db)
    .await?;
    push.ok_or(Error::RequestIdReused)
}

/// Writes what may change of a push, if nobody has written it since it was read.
///
/// # Errors
///
/// [`Error::ClaimLost`] when somebody has.
pub(crate) async fn save(
    db: &mut PgConnection,
    push: &Push,
    now: DateTime<Utc>,
) -> Result<Push, Error> {
    sqlx::query_as!(
        Push,
        "update approval.pushes set \
             digest = $3, pinned = $4, platforms = $5, state = $6, step = $7, decision = $8, \
             outcome = $9, reasons = $10, checks = $11, tag_added = $12, review_id = $13, \
             rollout_id = $14, attempts = $15, due_at = $16, claim = $17, claimed_until = $18, \
             updated_at = $19, version = version + 1 \
         where id = $1 and version = $2 \
         returning *",
        push.id.0,
        push.version,
        push.digest,
        push.pinned,
        &push.platforms as _,
        push.state as State,
        push.step as Step,
        push.decision as _,
        push.outcome as _,
        &push.reasons as _,
        &push.checks as _,
        push.tag_added,
        push.review_id.map(|id| id.0),
        push.rollout_id,
        push.attempts,
        push.due_at,
        push.claim,
        push.claimed_until,
        now,
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::ClaimLost)
}

/// Claims the push, or an older one of its lane that must go first. `None` = somebody works in the
/// lane, or there is nothing left to do; where `when` says so, also when the push is no longer due,
/// because somebody else has just tried it. The lane is locked.
pub(crate) async fn claim(
    db: &mut PgConnection,
    push: PushId,
    lane: &str,
    claim: Uuid,
    when: When,
    now: DateTime<Utc>,
) -> Result<Option<Push>, Error> {
    let claimed = sqlx::query_as!(
        Push,
        "update approval.pushes set \
             claim = $3, claimed_until = $5, updated_at = $4, version = version + 1 \
         where id = ( \
             select head.id from approval.pushes as head \
             where head.lane = $2 and head.state in ('received', 'waiting') \
                 and head.step <> 'review' \
                 and (head.id = $1 or head.state = 'received' or head.step <> 'resolve') \
                 and head.observed_seq <= ( \
                     select own.observed_seq from approval.pushes as own \
                     where own.id = $1 and (own.due_at <= $4 or not $6) \
                 ) \
                 and not exists ( \
                     select from approval.pushes as busy \
                     where busy.lane = $2 and busy.state in ('received', 'waiting') \
                         and busy.claimed_until > $4 \
                 ) \
             order by head.observed_seq limit 1 \
         ) \
         returning *",
        push.0,
        lane,
        claim,
        now,
        now + LEASE,
        when == When::Due,
    )
    .fetch_optional(db)
    .await?;
    Ok(claimed)
}

/// A push that is due and can be claimed.
pub(crate) async fn due(
    db: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<(PushId, String)>, Error> {
    let due = sqlx::query!(
        "select id, lane from approval.pushes as push \
         where state in ('received', 'waiting') and step <> 'review' and due_at <= $1 \
             and (claimed_until is null or claimed_until <= $1) \
             and not exists ( \
                 select from approval.pushes as other \
                 where other.lane = push.lane and other.id <> push.id \
                     and other.state in ('received', 'waiting') \
                     and (other.claimed_until > $1 \
                         or other.observed_seq < push.observed_seq \
                             and (other.state = 'received' or other.step in ('admit', 'create'))) \
             ) \
         order by due_at limit 1",
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(due.map(|row| (row.id, row.lane)))
}

/// When the next push is due. Those behind an older one that must go first do not count: that one
/// does.
pub(crate) async fn next_due(db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar!(
        "select min(greatest(due_at, claimed_until)) from approval.pushes as push \
         where state in ('received', 'waiting') and step <> 'review' \
             and not exists ( \
                 select from approval.pushes as other \
                 where other.lane = push.lane and other.observed_seq < push.observed_seq \
                     and (other.state = 'received' \
                         or other.state = 'waiting' and other.step in ('admit', 'create')) \
             )",
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

/// Makes waiting pushes due: those whose first reason is one of these.
pub(crate) async fn hurry(
    db: &mut PgConnection,
    reasons: &[&str],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update approval.pushes set due_at = $2 \
         where state = 'waiting' and step <> 'review' and due_at > $2 \
             and reasons -> 0 ->> 'code' = any ($1)",
        reasons as _,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(crate) async fn find(db: &mut PgConnection, id: PushId) -> Result<Option<Push>, Error> {
    let push = sqlx::query_as!(Push, "select * from approval.pushes where id = $1", id.0)
        .fetch_optional(db)
        .await?;
    Ok(push)
}

/// Pushes by id, in this order; those that are gone are left out.
pub(crate) async fn find_all(db: &mut PgConnection, ids: &[PushId]) -> Result<Vec<Push>, Error> {
    let raw: Vec<_> = ids.iter().map(|id| id.0).collect();
    let pushes = sqlx::query_as!(
        Push,
        "select * from approval.pushes where id = any ($1) order by array_position($1, id)",
        &raw,
    )
    .fetch_all(db)
    .await?;
    Ok(pushes)
}

/// The pushes of a delivery, in the order of its body.
pub(crate) async fn of_delivery(
    db: &mut PgConnection,
    delivery: DeliveryId,
) -> Result<Vec<Push>, Error> {
    let pushes = sqlx::query_as!(
        Push,
        "select * from approval.pushes where delivery_id = $1 order by position",
        delivery.0,
    )
    .fetch_all(db)
    .await?;
    Ok(pushes)
}

/// The push that a request id made.
pub(crate) async fn of_request(
    db: &mut PgConnection,
    request: Uuid,
) -> Result<Option<Push>, Error> {
    let push =
        sqlx::query_as!(Push, "select * from approval.pushes where request_id = $1", request)
            .fetch_optional(db)
            .await?;
    Ok(push)
}

/// The pushes that wait for these reviews, held or set to follow them, oldest first; locked.
pub(crate) async fn of_reviews(
    db: &mut PgConnection,
    reviews: &[ReviewId],
) -> Result<Vec<Push>, Error> {
    let raw: Vec<_> = reviews.iter().map(|id| id.0).collect();
    let pushes = sqlx::query_as!(
        Push,
        "select * from approval.pushes \
         where review_id = any ($1) \
             and (state = 'held' or state = 'waiting' and step = 'review') \
         order by observed_seq for update",
        &raw,
    )
    .fetch_all(db)
    .await?;
    Ok(pushes)
}

/// The pushes that wait for a review, oldest first.
pub(crate) async fn waiting_for(
    db: &mut PgConnection,
    review: ReviewId,
) -> Result<Vec<Push>, Error> {
    let pushes = sqlx::query_as!(
        Push,
        "select * from approval.pushes \
         where review_id = $1 and (state = 'held' or state = 'waiting' and step = 'review') \
         order by observed_seq",
        review.0,
    )
    .fetch_all(db)
    .await?;
    Ok(pushes)
}

/// Which pushes a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub receiver: Option<ReceiverId>,
    pub state: Option<State>,
    pub repository: Option<String>,
}

/// Pushes before a place, newest first.
pub(crate) async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Push>, Error> {
    let pushes = sqlx::query_as!(
        Push,
        "select * from approval.pushes \
         where ($1::uuid is null or receiver_id = $1) and ($2::text is null or state = $2) \
             and ($3::text is null or repository = $3) and ($4::uuid is null or id < $4) \
         order by id desc limit $5",
        filter.receiver.map(|id| id.0),
        filter.state as _,
        filter.repository,
        before,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(pushes)
}

/// How many pushes match.
pub(crate) async fn count(db: &mut PgConnection, filter: &Filter) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from approval.pushes \
         where ($1::uuid is null or receiver_id = $1) and ($2::text is null or state = $2) \
             and ($3::text is null or repository = $3)",
        filter.receiver.map(|id| id.0),
        filter.state as _,
        filter.repository,
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}

/// How many pushes are not settled, for the gauge.
pub(crate) async fn open(db: &mut PgConnection) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from approval.pushes where state in ('received', 'waiting')"
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}
