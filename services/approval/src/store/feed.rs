//! How far the registry's events were acted on, and what `rollout` has yet to be told.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;

/// The feed of the process `registry`.
const REGISTRY: &str = "registry";

/// The last event acted on; 0 = none.
pub(crate) async fn cursor(db: &mut PgConnection) -> Result<i64, Error> {
    let sequence =
        sqlx::query_scalar!("select sequence from approval.feed_cursors where feed = $1", REGISTRY)
            .fetch_optional(db)
            .await?;
    Ok(sequence.unwrap_or(0))
}

/// Moves the cursor to an event. `false` = another replica has acted on it.
pub(crate) async fn advance(
    db: &mut PgConnection,
    sequence: i64,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let moved = sqlx::query!(
        "insert into approval.feed_cursors as known (feed, sequence, updated_at) values ($1, $2, $3) \
         on conflict (feed) do update set sequence = excluded.sequence, updated_at = excluded.updated_at \
         where known.sequence < excluded.sequence",
        REGISTRY,
        sequence,
        now,
    )
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// A release whose approval has changed.
#[derive(Debug, Clone)]
pub(crate) struct News {
    pub id: Uuid,
    pub repository: String,
    /// Empty = any.
    pub tag: String,
    /// Why its approval was taken back; empty = it was given again.
    pub lost: String,
    pub attempts: i32,
}

/// Notes what `rollout` must be told; only the last of each release counts.
pub(crate) async fn tell(
    db: &mut PgConnection,
    news: &News,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into approval.approval_news (id, repository, tag, lost, due_at, created_at) \
         values ($1, $2, $3, $4, $5, $5) \
         on conflict on constraint approval_news_release_key do update set \
             lost = excluded.lost, due_at = excluded.due_at, claim = null, claimed_until = null",
        news.id,
        news.repository,
        news.tag,
        news.lost,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Claims news that are due.
pub(crate) async fn claim(
    db: &mut PgConnection,
    claim: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<News>, Error> {
    let claimed = sqlx::query_as!(
        News,
        "update approval.approval_news set claim = $1, claimed_until = $3, attempts = attempts + 1 \
         where id = ( \
             select id from approval.approval_news \
             where due_at <= $2 and (claimed_until is null or claimed_until <= $2) \
             order by due_at limit 1 for update skip locked \
         ) \
         returning id, repository, tag, lost, attempts",
        claim,
        now,
        now + super::push::LEASE,
    )
    .fetch_optional(db)
    .await?;
    Ok(claimed)
}

/// `rollout` was told.
pub(crate) async fn told(db: &mut PgConnection, id: Uuid, claim: Uuid) -> Result<(), Error> {
    sqlx::query!("delete from approval.approval_news where id = $1 and claim = $2", id, claim)
        .execute(db)
        .await?;
    Ok(())
}

/// `rollout` did not answer.
pub(crate) async fn put_off(
    db: &mut PgConnection,
    id: Uuid,
    claim: Uuid,
    due_at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update approval.approval_news set due_at = $3, claim = null, claimed_until = null \
         where id = $1 and claim = $2",
        id,
        claim,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// When the next news are due.
pub(crate) async fn next_due(db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar!(
        "select min(greatest(due_at, claimed_until)) from approval.approval_news"
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

/// Makes all news due.
pub(crate) async fn hurry(db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!("update approval.approval_news set due_at = $1 where due_at > $1", now)
        .execute(db)
        .await?;
    Ok(())
}
