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

/// An approval taken back.
#[derive(Debug, Clone)]
pub(crate) struct Revocation {
    pub id: Uuid,
    pub repository: String,
    /// Empty = any.
    pub tag: String,
    pub reason: String,
    pub attempts: i32,
}

/// Notes that `rollout` must be told; once for each release.
pub(crate) async fn revoke(
    db: &mut PgConnection,
    revocation: &Revocation,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into approval.revocations (id, repository, tag, reason, due_at, created_at) \
         values ($1, $2, $3, $4, $5, $5) \
         on conflict on constraint revocations_release_key do update set \
             reason = excluded.reason, due_at = excluded.due_at, claim = null, claimed_until = null",
        revocation.id,
        revocation.repository,
        revocation.tag,
        revocation.reason,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets what `rollout` was not told yet: it is approved again.
pub(crate) async fn unrevoke(
    db: &mut PgConnection,
    repository: &str,
    tag: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "delete from approval.revocations where repository = $1 and tag = $2",
        repository,
        tag,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Claims a revocation that is due.
pub(crate) async fn claim_revocation(
    db: &mut PgConnection,
    claim: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Revocation>, Error> {
    let claimed = sqlx::query_as!(
        Revocation,
        "update approval.revocations set claim = $1, claimed_until = $3, attempts = attempts + 1 \
         where id = ( \
             select id from approval.revocations \
             where due_at <= $2 and (claimed_until is null or claimed_until <= $2) \
             order by due_at limit 1 for update skip locked \
         ) \
         returning id, repository, tag, reason, attempts",
        claim,
        now,
        now + super::push::LEASE,
    )
    .fetch_optional(db)
    .await?;
    Ok(claimed)
}

/// `rollout` was told.
pub(crate) async fn revoked(db: &mut PgConnection, id: Uuid, claim: Uuid) -> Result<(), Error> {
    sqlx::query!("delete from approval.revocations where id = $1 and claim = $2", id, claim)
        .execute(db)
        .await?;
    Ok(())
}

/// `rollout` did not answer.
pub(crate) async fn put_off_revocation(
    db: &mut PgConnection,
    id: Uuid,
    claim: Uuid,
    due_at: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update approval.revocations set due_at = $3, claim = null, claimed_until = null \
         where id = $1 and claim = $2",
        id,
        claim,
        due_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// When the next revocation is due.
pub(crate) async fn next_revocation(db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar!(
        "select min(greatest(due_at, claimed_until)) from approval.revocations"
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

/// Makes all revocations due.
pub(crate) async fn hurry(db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!("update approval.revocations set due_at = $1 where due_at > $1", now)
        .execute(db)
        .await?;
    Ok(())
}
