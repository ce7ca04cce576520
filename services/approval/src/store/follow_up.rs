//! What is left to do for decided reviews.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::review::{Review, ReviewId};

/// Claims what is left to do for a decided review. `None` = nothing is yet, or somebody does it.
pub(crate) async fn claim(
    db: &mut PgConnection,
    id: ReviewId,
    claim: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Review>, Error> {
    let claimed = sqlx::query_as!(
        Review,
        "update approval.image_approval_requests set \
             claim = $2, claimed_until = $4, version = version + 1 \
         where id = $1 and follow_up is not null and follow_up_at <= $3 \
             and (claimed_until is null or claimed_until <= $3) \
         returning *",
        id.0,
        claim,
        now,
        now + super::push::LEASE,
    )
    .fetch_optional(db)
    .await?;
    Ok(claimed)
}

/// A decided review whose rest is due.
pub(crate) async fn due(
    db: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<ReviewId>, Error> {
    let due = sqlx::query_scalar!(
        "select id from approval.image_approval_requests \
         where follow_up is not null and follow_up_at <= $1 \
             and (claimed_until is null or claimed_until <= $1) \
         order by follow_up_at limit 1",
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(due)
}

/// When the rest of a decided review is due next.
pub(crate) async fn next_due(db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar!(
        "select min(greatest(follow_up_at, claimed_until)) from approval.image_approval_requests \
         where follow_up is not null",
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

/// Makes what is left to do for decided reviews due.
pub(crate) async fn hurry(db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update approval.image_approval_requests set follow_up_at = $1 \
         where follow_up is not null and follow_up_at > $1",
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
