//! How long things are kept.

use chrono::{DateTime, TimeDelta, Utc};
use runtime::database;
use runtime::worker::Progress;
use sqlx::PgConnection;

use crate::{App, Error, store};

/// How long each kind is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Deliveries.
    pub deliveries: TimeDelta,
    /// Their bodies.
    pub bodies: TimeDelta,
    /// What tells a delivery that was sent again, where the vendor names it.
    pub keys: TimeDelta,
    /// Settled pushes.
    pub pushes: TimeDelta,
    /// Ended reviews.
    pub reviews: TimeDelta,
    /// Events, after every reader has stored them.
    pub events: TimeDelta,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            deliveries: TimeDelta::days(30),
            bodies: TimeDelta::days(7),
            keys: TimeDelta::days(8),
            pushes: TimeDelta::days(365),
            reviews: TimeDelta::days(365),
            events: TimeDelta::days(30),
        }
    }
}

/// Removes what is no longer kept.
pub(crate) async fn sweep(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    let removed = sweep_tables(&mut db, &app.settings.keep, now).await?;
    drop(db);
    app.outbox.sweep(&app.pool, now - app.settings.keep.events).await?;
    if removed > 0 {
        tracing::info!(rows = removed, "removed what is no longer kept");
    }
    let full = u64::try_from(store::sweep::BATCH).unwrap_or(u64::MAX);
    Ok(if removed >= full { Progress::More } else { Progress::Idle })
}

async fn sweep_tables(
    db: &mut PgConnection,
    keep: &Keep,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    Ok(store::sweep::bodies(db, now - keep.bodies).await?
        + store::sweep::deliveries(db, now - keep.deliveries).await?
        + store::sweep::keys(db, now).await?
        + store::sweep::pushes(db, now - keep.pushes).await?
        + store::sweep::reviews(db, now - keep.reviews).await?)
}
