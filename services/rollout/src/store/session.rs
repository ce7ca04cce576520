//! Streams of devices: which replica holds which.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;

/// A session as it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Its epoch.
    pub epoch: i64,
    /// The highest report sequence stored.
    pub last_seq: i64,
}

/// Opens a session: the epoch grows, and this replica holds the stream.
pub async fn open(
    db: &mut PgConnection,
    device: Uuid,
    replica: Uuid,
    boot_id: &str,
    now: DateTime<Utc>,
) -> Result<Opened, Error> {
    let row = sqlx::query!(
        "update rollout.device_status \
         set session_epoch = session_epoch + 1, replica = $2, streams = true, boot_id = $3, \
             last_seen_at = $4, changed_at = now() \
         where device_id = $1 returning session_epoch, last_seq",
        device,
        replica,
        boot_id,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(Opened { epoch: row.session_epoch, last_seq: row.last_seq })
}

/// Closes sessions; one that a newer one has replaced stays as it is.
pub async fn close(db: &mut PgConnection, sessions: &[(Uuid, i64)]) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.device_status as row set replica = null, changed_at = now() \
         from unnest($1::uuid[], $2::bigint[]) as old (device_id, epoch) \
         where row.device_id = old.device_id and row.session_epoch = old.epoch",
        &sessions.iter().map(|(device, _)| *device).collect::<Vec<_>>(),
        &sessions.iter().map(|(_, epoch)| *epoch).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores that a device polls, and was heard.
pub async fn heard(
    db: &mut PgConnection,
    device: Uuid,
    now: DateTime<Utc>,
) -> Result<Opened, Error> {
    let row = sqlx::query!(
        "update rollout.device_status \
         set last_seen_at = $2, streams = streams and replica is not null where device_id = $1 \
         returning session_epoch, last_seq",
        device,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(Opened { epoch: row.session_epoch, last_seq: row.last_seq })
}

/// Says that a replica lives, and forgets those that have not said so for a day.
pub async fn beat(db: &mut PgConnection, replica: Uuid) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.replicas (id, seen_at) values ($1, now()) \
         on conflict (id) do update set seen_at = now()",
        replica
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("delete from rollout.replicas where seen_at < now() - interval '1 day'")
        .execute(db)
        .await?;
    Ok(())
}

/// Forgets a replica that ends: its devices are no longer there.
pub async fn leave(db: &mut PgConnection, replica: Uuid) -> Result<(), Error> {
    sqlx::query!("delete from rollout.replicas where id = $1", replica).execute(db).await?;
    Ok(())
}

/// A device whose session or credentials changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// The device.
    pub device: Uuid,
    /// Its newest epoch.
    pub epoch: i64,
    /// Whether its credentials were ended.
    pub revoked: bool,
}

/// Reads the devices whose session or credentials changed in the last ten seconds of database time.
pub async fn changed_lately(db: &mut PgConnection) -> Result<Vec<Changed>, Error> {
    let rows = sqlx::query_as!(
        Changed,
        r#"select status.device_id as device, status.session_epoch as epoch,
                  device.revoked_at is not null as "revoked!"
           from rollout.device_status as status
           join rollout.devices as device on device.id = status.device_id
           where status.changed_at > now() - interval '10 seconds'"#
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// Makes other replicas look at a device, and locks its status.
pub async fn touch(db: &mut PgConnection, device: Uuid) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.device_status set changed_at = now() where device_id = $1",
        device
    )
    .execute(db)
    .await?;
    Ok(())
}
