//! What goes away with time: events that every reader has stored, and the memory of reviews whose
//! decision nobody resends any more.

use std::convert::Infallible;
use std::time::Duration;

use chrono::TimeDelta;
use runtime::worker::{Progress, Worker};
use runtime::{Lifecycle, Wake};

use crate::{App, Error, store};

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(3_600);

/// Sweeps until the process stops.
pub(crate) async fn run(app: App, lifecycle: Lifecycle) -> Result<(), Infallible> {
    let worker = Worker { name: "retention", wake: Wake::new(), period: PERIOD };
    worker.run(&lifecycle, &app.clock, || sweep(&app)).await;
    Ok(())
}

/// Sweeps once.
pub(crate) async fn sweep(app: &App) -> Result<Progress, Error> {
    let kept = TimeDelta::from_std(app.times.outbox_retention).unwrap_or(TimeDelta::MAX);
    let Some(before) = app.clock.now().checked_sub_signed(kept) else {
        return Ok(Progress::Idle);
    };
    let events = app.outbox.sweep(&app.pool, before).await?;
    let mut db = app.pool.acquire().await?;
    let decisions = store::decision::sweep(&mut db, before).await?;
    if events + decisions > 0 {
        tracing::info!(events, decisions, "swept what is older than the retention");
    }
    Ok(Progress::Idle)
}
