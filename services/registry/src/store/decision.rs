//! `registry.image_decisions`: reviews whose decision was carried out.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::image::ApprovalStatus;

/// Remembers that a review's decision is being carried out. `false` = it was before.
pub(crate) async fn remember(
    db: &mut PgConnection,
    review: Uuid,
    decision: ApprovalStatus,
    repository: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let done = sqlx::query!(
        "insert into registry.image_decisions (request_id, decision, repository, created_at)
        values ($1, $2, $3, $4) on conflict (request_id, decision) do nothing",
        review,
        decision as ApprovalStatus,
        repository,
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets decisions that nobody resends any more.
pub(crate) async fn sweep(db: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, Error> {
    let done = sqlx::query!("delete from registry.image_decisions where created_at < $1", before)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
