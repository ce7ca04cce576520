//! Removing rows that are old enough.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::Error;

/// Removes reports from before.
pub async fn delete_reports(db: &mut PgConnection, before: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!("delete from rollout.device_reports where received_at < $1", before)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes tries of rollouts that ended before.
pub async fn delete_assignments(db: &mut PgConnection, before: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "delete from rollout.assignments as row using rollout.image_update_rollouts as rollout \
         where rollout.id = row.rollout_id and rollout.ended_at < $1 \
           and row.state not in ('queued', 'deferred', 'offered', 'acked', 'downloading', 'staged', \
                                 'installing', 'verifying', 'reverting')",
        before
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes rollouts that ended before.
pub async fn delete_rollouts(db: &mut PgConnection, before: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!("delete from rollout.image_update_rollouts where ended_at < $1", before)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes request ids of commands from before.
pub async fn delete_commands(db: &mut PgConnection, before: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!("delete from rollout.commands where created_at < $1", before).execute(db).await?;
    Ok(())
}

/// Removes device tokens that have ended.
pub async fn delete_credentials(db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!("delete from rollout.device_credentials where ends_at < $1", now)
        .execute(db)
        .await?;
    Ok(())
}
