//! What is removed, and when. The audit log is not: nothing here touches it.

use chrono::TimeDelta;
use runtime::worker::Progress;

use crate::{App, Error};

/// Removes events of the outbox that are in the log and old enough.
pub(crate) async fn sweep(app: &App) -> Result<Progress, Error> {
    let keep = TimeDelta::from_std(app.outbox_retention).unwrap_or(TimeDelta::MAX);
    let Some(before) = app.clock.now().checked_sub_signed(keep) else {
        return Ok(Progress::Idle);
    };
    app.outbox.sweep(&app.pool, before).await?;
    Ok(Progress::Idle)
}
