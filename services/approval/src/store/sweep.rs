//! What is no longer kept. Each statement removes a bounded number, so that none holds locks for long.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;

/// The most rows that one statement removes.
pub(crate) const BATCH: i64 = 1_000;

pub(crate) async fn bodies(db: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, Error> {
    let done = sqlx::query!(
        "update approval.deliveries set body = null \
         where id in (select id from approval.deliveries \
             where body is not null and created_at < $1 limit $2)",
        before,
        BATCH,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn deliveries(db: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, Error> {
    let done = sqlx::query!(
        "delete from approval.deliveries \
         where id in (select id from approval.deliveries where id < $1 limit $2)",
        first_id(before),
        BATCH,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn keys(db: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, Error> {
    let done = sqlx::query!(
        "delete from approval.delivery_keys \
         where (receiver_id, key) in ( \
             select receiver_id, key from approval.delivery_keys where expires_at <= $1 limit $2)",
        now,
        BATCH,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Removes settled pushes; those that wait stay, and what waited for long is kept from its end on.
pub(crate) async fn pushes(db: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, Error> {
    let done = sqlx::query!(
        "delete from approval.pushes \
         where id in (select id from approval.pushes \
             where id < $1 and updated_at < $2 and state in ('denied', 'done', 'ignored') limit $3)",
        first_id(before),
        before,
        BATCH,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Removes ended reviews with their votes; those the registry is being told about stay.
pub(crate) async fn reviews(db: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, Error> {
    let done = sqlx::query!(
        "delete from approval.image_approval_requests \
         where id in (select id from approval.image_approval_requests \
             where updated_at < $1 and state <> 'pending' and follow_up is null limit $2)",
        before,
        BATCH,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// The least id of a time: ids begin with the time, so their index serves for it.
fn first_id(time: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
