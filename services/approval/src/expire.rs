//! Reviews that nobody decided in time. Reading already shows them as expired; this writes it down.

use chrono::{DateTime, Utc};
use proto::reason;
use runtime::worker::Progress;
use runtime::{Actor, database};
use sqlx::PgConnection;

use crate::review::{Review, ReviewState};
use crate::{App, Error, ask, close, store};

/// Ends one overdue review.
pub(crate) async fn expire_one(app: &App) -> Result<Progress, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let Some((id, repository)) = store::review::overdue(&mut tx, now).await? else {
        let next = store::review::next_expiry(&mut tx).await?;
        return Ok(next.map_or(Progress::Idle, Progress::Until));
    };
    store::review::lock_repository(&mut tx, &repository).await?;
    if let Some(review) = store::review::find_for_update(&mut tx, id).await?
        && review.state == ReviewState::Pending
    {
        expire(&mut tx, app, review, now).await?;
        app.outbox.commit(tx).await?;
    }
    Ok(Progress::More)
}

/// Ends an overdue review in the caller's transaction; what it held is denied, never allowed.
pub(crate) async fn expire(
    db: &mut PgConnection,
    app: &App,
    review: Review,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ended = Review { state: ReviewState::Expired, ..review };
    let ended = store::review::save(db, &ended, now).await?;
    let by = Actor::system(crate::SCHEMA.name);
    let event = ask::event(by, "image.approval.expired", &ended, now);
    app.outbox.append(db, &event).await?;
    let message = format!("nobody decided review `{}` in time", ended.id);
    close::deny_held(db, app, &[ended.id], reason::REVIEW_EXPIRED, &message, now).await
}
