//! Batches of rollouts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::Error;
use crate::plan::Batch;
use crate::rollout::RolloutId;
use crate::tally::Tally;

/// Adds the batches of a rollout.
pub async fn insert_all(
    db: &mut PgConnection,
    rollout: RolloutId,
    batches: &[Batch],
) -> Result<(), Error> {
    for batch in batches {
        sqlx::query!(
            "insert into rollout.rollout_batches \
             (rollout_id, number, size, soak_seconds, success_threshold, manual_gate) \
             values ($1, $2, $3, $4, $5, $6)",
            rollout.0,
            i32::try_from(batch.number).unwrap_or(i32::MAX),
            i32::try_from(batch.size).unwrap_or(i32::MAX),
            i32::try_from(batch.soak.as_secs()).unwrap_or(i32::MAX),
            batch.success_threshold,
            batch.manual_gate,
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Reads the batches of a rollout, without their tallies.
pub async fn all(db: &mut PgConnection, id: RolloutId) -> Result<Vec<Batch>, Error> {
    let rows = sqlx::query!(
        "select number, size, soak_seconds, success_threshold, manual_gate, promoted_at, \
                started_at, completed_at \
         from rollout.rollout_batches where rollout_id = $1 order by number",
        id.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Batch {
            number: u32::try_from(row.number).unwrap_or(0),
            size: u32::try_from(row.size).unwrap_or(0),
            soak: Duration::from_secs(u64::try_from(row.soak_seconds).unwrap_or(0)),
            success_threshold: row.success_threshold,
            manual_gate: row.manual_gate,
            promoted_at: row.promoted_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            tally: Tally::default(),
        })
        .collect())
}

/// Stores that a batch began, was complete, or may begin.
pub async fn mark(
    db: &mut PgConnection,
    id: RolloutId,
    number: u32,
    mark: Mark,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (started, completed, promoted) = match mark {
        Mark::Started => (true, false, false),
        Mark::Completed => (false, true, false),
        Mark::Promoted => (false, false, true),
    };
    sqlx::query!(
        "update rollout.rollout_batches \
         set started_at = case when $3 then coalesce(started_at, $6) else started_at end, \
             completed_at = case when $4 then coalesce(completed_at, $6) else completed_at end, \
             promoted_at = case when $5 then coalesce(promoted_at, $6) else promoted_at end \
         where rollout_id = $1 and number = $2",
        id.0,
        i32::try_from(number).unwrap_or(i32::MAX),
        started,
        completed,
        promoted,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What happened to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It began.
    Started,
    /// It is complete.
    Completed,
    /// A person let it begin.
    Promoted,
}
