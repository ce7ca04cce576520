//! Approvals taken back: `rollout` is told, until it has heard.

use std::time::Duration;

use chrono::TimeDelta;
use runtime::backoff::Backoff;
use runtime::worker::Progress;
use runtime::{database, id};

use crate::moment::Moment;
use crate::{App, Error, store};

const AWAY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// Tells `rollout` of one revocation: the worker's step.
pub(crate) async fn revoke_one(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let moment = Moment::new(database::now(&mut db, &app.clock).await?, &app.clock);
    let claim = id::uuid_v7(moment.now());
    let Some(lost) = store::feed::claim_revocation(&mut db, claim, moment.now()).await? else {
        let next = store::feed::next_revocation(&mut db).await?;
        return Ok(next.map_or(Progress::Idle, Progress::Until));
    };
    drop(db);
    let told = app.peers.revoke_release(&lost.repository, &lost.tag, &lost.reason).await;
    app.outages.rollout(told.as_ref().is_err_and(runtime::Problem::is_transient));
    let mut db = app.pool.acquire().await?;
    match told {
        Ok(()) => store::feed::revoked(&mut db, lost.id, claim).await?,
        Err(problem) => {
            let image = &lost.repository;
            tracing::warn!("`rollout` is told later that `{image}` is not approved: {problem}");
            let wait = AWAY.wait(u32::try_from(lost.attempts).unwrap_or(u32::MAX));
            let due = moment.now() + TimeDelta::from_std(wait).unwrap_or_default();
            store::feed::put_off_revocation(&mut db, lost.id, claim, due).await?;
        }
    }
    Ok(Progress::More)
}
