//! Enrolment keys.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use runtime::database;
use runtime::secret::Hash;

use crate::device::KeyId;
use crate::error::Error;

/// An enrolment key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// What to call it.
    pub name: String,
    /// The fleet its devices join.
    pub fleet: String,
    /// How many devices may use it; 0 = any number.
    pub quota: i32,
    /// How many did.
    pub used: i32,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was ended.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Adds an enrolment key.
pub async fn insert(db: &mut PgConnection, key: &Key, secret: &Hash) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.enrolment_keys (id, name, key_hash, fleet, quota, expires_at, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
        key.id.0,
        key.name,
        &secret.0[..],
        key.fleet,
        key.quota,
        key.expires_at,
        key.created_at,
    )
    .execute(db)
    .await
    .map_err(|error| match database::constraint(&error) {
        Some("enrolment_keys_name_key") => Error::KeyExists(key.name.clone()),
        _ => Error::Database(error),
    })?;
    Ok(())
}

/// Lists enrolment keys, newest first, and counts them.
pub async fn list(
    db: &mut PgConnection,
    before: Option<Uuid>,
    limit: i64,
) -> Result<(Vec<Key>, i64), Error> {
    let rows = sqlx::query_as!(
        Key,
        r#"select id as "id: KeyId", name, fleet, quota, used, expires_at, revoked_at, created_at
           from rollout.enrolment_keys where $1::uuid is null or id < $1
           order by id desc limit $2"#,
        before,
        limit,
    )
    .fetch_all(&mut *db)
    .await?;
    let total = sqlx::query_scalar!(r#"select count(*) as "count!" from rollout.enrolment_keys"#)
        .fetch_one(db)
        .await?;
    Ok((rows, total))
}

/// Ends an enrolment key; it stays ended.
pub async fn revoke(db: &mut PgConnection, id: KeyId, now: DateTime<Utc>) -> Result<Key, Error> {
    sqlx::query_as!(
        Key,
        r#"update rollout.enrolment_keys set revoked_at = coalesce(revoked_at, $2) where id = $1
           returning id as "id: KeyId", name, fleet, quota, used, expires_at, revoked_at, created_at"#,
        id.0,
        now,
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::KeyNotFound(id.0))
}

/// Finds and locks the key with this secret.
pub async fn lock(db: &mut PgConnection, secret: &Hash) -> Result<Option<Key>, Error> {
    let key = sqlx::query_as!(
        Key,
        r#"select id as "id: KeyId", name, fleet, quota, used, expires_at, revoked_at, created_at
           from rollout.enrolment_keys where key_hash = $1 for update"#,
        &secret.0[..],
    )
    .fetch_optional(db)
    .await?;
    Ok(key)
}

/// Counts one more use of a key.
pub async fn count_use(db: &mut PgConnection, id: KeyId) -> Result<(), Error> {
    sqlx::query!("update rollout.enrolment_keys set used = used + 1 where id = $1", id.0)
        .execute(db)
        .await?;
    Ok(())
}
