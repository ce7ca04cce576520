//! Devices' tokens, by their hashes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use runtime::secret::Hash;

use crate::device::DeviceId;
use crate::error::Error;

/// Adds a token of a device.
pub async fn insert(
    db: &mut PgConnection,
    device: DeviceId,
    token: &Hash,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.device_credentials (token_hash, device_id, created_at) values ($1, $2, $3)",
        &token.0[..],
        device.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Lets the tokens a device has end at a time.
pub async fn end(db: &mut PgConnection, device: DeviceId, end: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.device_credentials set ends_at = least(ends_at, $2) where device_id = $1",
        device.0,
        end,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes all tokens of a device.
pub async fn delete(db: &mut PgConnection, device: DeviceId) -> Result<(), Error> {
    sqlx::query!("delete from rollout.device_credentials where device_id = $1", device.0)
        .execute(db)
        .await?;
    Ok(())
}

/// The bearer of a device token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Whether its credentials were ended.
    pub revoked: bool,
    /// When this token ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether an older token of the device still works.
    pub overlaps: bool,
}

/// Finds out who bears a token.
pub async fn bearer(db: &mut PgConnection, token: &Hash) -> Result<Option<Bearer>, Error> {
    let row = sqlx::query!(
        r#"select device.id, device.name, device.revoked_at is not null as "revoked!", own.ends_at,
                  exists (select from rollout.device_credentials as other
                          where other.device_id = device.id and other.id < own.id
                         ) as "overlaps!"
           from rollout.device_credentials as own
           join rollout.devices as device on device.id = own.device_id
           where own.token_hash = $1"#,
        &token.0[..],
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Bearer {
        device: DeviceId(row.id),
        name: row.name,
        revoked: row.revoked,
        ends_at: row.ends_at,
        overlaps: row.overlaps,
    }))
}

/// Removes the tokens of the same device that are older than this one: it is in use now.
pub async fn delete_older(db: &mut PgConnection, token: &Hash) -> Result<(), Error> {
    sqlx::query!(
        "delete from rollout.device_credentials as old using rollout.device_credentials as own \
         where own.token_hash = $1 and old.device_id = own.device_id and old.id < own.id",
        &token.0[..],
    )
    .execute(db)
    .await?;
    Ok(())
}
