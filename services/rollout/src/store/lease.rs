//! Who drives a rollout, and when it is looked at.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::rollout::RolloutId;

/// A lease on a rollout: only its holder may change what the plan changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The rollout.
    pub rollout: RolloutId,
    /// Grows with every lease.
    pub fence: i64,
}

/// Leases a rollout that is due, or whose lease ran out because its holder is gone. With it comes the
/// trace of what made the rollout.
pub async fn claim(
    db: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<(Lease, Option<String>)>, Error> {
    let row = sqlx::query!(
        "with due as ( \
             select id from rollout.image_update_rollouts \
             where (wake_at <= $1 and (lease_until is null or lease_until <= now())) \
                or lease_until <= now() \
             order by wake_at limit 1 for update skip locked \
         ) \
         update rollout.image_update_rollouts as row \
         set lease_until = now() + interval '10 seconds', fence = row.fence + 1, wake_at = null \
         from due where row.id = due.id returning row.id, row.fence, row.traceparent",
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (Lease { rollout: RolloutId(row.id), fence: row.fence }, row.traceparent)))
}

/// Gives a lease back and says when to look again. A wake-up that came meanwhile is kept.
pub async fn release(
    db: &mut PgConnection,
    lease: Lease,
    wake_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts \
         set lease_until = null, wake_at = least(wake_at, $3) where id = $1 and fence = $2",
        lease.rollout.0,
        lease.fence,
        wake_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Begins a change under a lease: refused when another holder or a command was faster.
pub async fn begin_change(
    db: &mut PgConnection,
    lease: Lease,
    version: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let done = sqlx::query!(
        "update rollout.image_update_rollouts \
         set version = version + 1, lease_until = now() + interval '10 seconds', updated_at = $4 \
         where id = $1 and fence = $2 and version = $3",
        lease.rollout.0,
        lease.fence,
        version,
        now,
    )
    .execute(db)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::LeaseLost) }
}

/// When the next rollout is due.
pub async fn next_wake(db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar!(
        "select min(wake_at) from rollout.image_update_rollouts where wake_at is not null"
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

/// Makes rollouts due now.
pub async fn wake(db: &mut PgConnection, ids: &[Uuid], now: DateTime<Utc>) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update rollout.image_update_rollouts set wake_at = $2 \
         where id = any($1) and (wake_at is null or wake_at > $2)",
        ids,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes every rollout due that may have something to do: the net under lost wake-ups.
pub async fn wake_all(db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts set wake_at = $1 \
         where state in ('pending', 'running', 'settling', 'rolling_back', 'cancelling') \
           and (wake_at is null or wake_at > $1) and lease_until is null",
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
