//! Releases that must not go on: their approval was taken back, or they are known to be bad.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::rollout::{Rollout, RolloutId};

/// Stores whether the release's approval was taken back; an empty reason gives it again.
pub async fn set_revoked(db: &mut PgConnection, id: RolloutId, reason: &str) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts set revoked_reason = $2, version = version + 1 \
         where id = $1",
        id.0,
        reason
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Finds and locks the rollouts that a revocation is about: those that have not ended, and those
/// that still wait for devices to come back.
pub async fn lock_released(
    db: &mut PgConnection,
    repository: &str,
    tag: Option<&str>,
    digest: Option<&str>,
) -> Result<Vec<RolloutId>, Error> {
    let ids = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts as row \
         where repository = $1 and ($2::text is null or tag = $2) \
           and ($3::text is null or digest = $3) and revoked_reason = '' \
           and (state in ('pending', 'running', 'paused', 'settling') \
                or (state = 'succeeded' and exists ( \
                    select from rollout.assignments \
                    where rollout_id = row.id and is_current and state in ('queued', 'deferred')))) \
         order by id for update",
        repository,
        tag,
        digest,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(RolloutId).collect())
}

/// Lists tag and digest of the releases of a repository whose approval was taken back.
pub async fn revoked(
    db: &mut PgConnection,
    repository: &str,
) -> Result<Vec<(String, Option<String>)>, Error> {
    let releases = sqlx::query!(
        "select distinct tag, digest from rollout.image_update_rollouts \
         where repository = $1 and revoked_reason <> '' \
           and state in ('pending', 'running', 'paused', 'settling', 'succeeded')",
        repository,
    )
    .fetch_all(db)
    .await?;
    Ok(releases.into_iter().map(|release| (release.tag, release.digest)).collect())
}

/// Finds and locks the rollouts of a release whose approval was taken back.
pub async fn lock_revoked(
    db: &mut PgConnection,
    repository: &str,
    tag: &str,
    digest: Option<&str>,
) -> Result<Vec<RolloutId>, Error> {
    let ids = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts \
         where repository = $1 and tag = $2 and digest is not distinct from $3 \
           and revoked_reason <> '' \
           and state in ('pending', 'running', 'paused', 'settling', 'succeeded') \
         order by id for update",
        repository,
        tag,
        digest,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(RolloutId).collect())
}

/// Remembers that a release is not to be tried again.
pub async fn quarantine(
    db: &mut PgConnection,
    rollout: &Rollout,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let Some(digest) = &rollout.release.digest else { return Ok(()) };
    sqlx::query!(
        "insert into rollout.quarantined_releases (repository, digest, rollout_id, created_at) \
         values ($1, $2, $3, $4) on conflict do nothing",
        rollout.release.repository,
        digest,
        rollout.id.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Finds the rollout that failed with this release.
pub async fn quarantined(
    db: &mut PgConnection,
    repository: &str,
    digest: &str,
) -> Result<Option<Uuid>, Error> {
    let id = sqlx::query_scalar!(
        "select rollout_id from rollout.quarantined_releases where repository = $1 and digest = $2",
        repository,
        digest,
    )
    .fetch_optional(db)
    .await?;
    Ok(id)
}

/// Lets a quarantined release be tried again.
pub async fn lift_quarantine(
    db: &mut PgConnection,
    repository: &str,
    digest: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "delete from rollout.quarantined_releases where repository = $1 and digest = $2",
        repository,
        digest,
    )
    .execute(db)
    .await?;
    Ok(())
}
