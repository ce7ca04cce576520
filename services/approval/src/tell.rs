//! Approvals taken back and given again: `rollout` is told, until it has heard.

use std::time::Duration;

use chrono::TimeDelta;
use proto::reason;
use proto::rollout::v1::Release;
use runtime::backoff::Backoff;
use runtime::worker::Progress;
use runtime::{Actor, Problem, database, id};

use crate::answer::{Admitted, Ruling};
use crate::moment::Moment;
use crate::peers::Admission;
use crate::store::feed::News;
use crate::{App, Error, store};

const AWAY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// Tells `rollout` of one release: the worker's step.
pub(crate) async fn tell_one(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let moment = Moment::new(database::now(&mut db, &app.clock).await?, &app.clock);
    let claim = id::uuid_v7(moment.now());
    let Some(news) = store::feed::claim(&mut db, claim, moment.now()).await? else {
        let next = store::feed::next_due(&mut db).await?;
        return Ok(next.map_or(Progress::Idle, Progress::Until));
    };
    drop(db);
    let told = match news.lost.as_str() {
        "" => restore(app, &news).await,
        lost => app.peers.revoke_release(&news.repository, &news.tag, lost).await,
    };
    app.outages.rollout(told.as_ref().is_err_and(Problem::is_transient));
    let mut db = app.pool.acquire().await?;
    match told {
        Ok(()) => store::feed::told(&mut db, news.id, claim).await?,
        Err(problem) => {
            let image = &news.repository;
            tracing::warn!("`rollout` is told later of the approval of `{image}`: {problem}");
            let wait = AWAY.wait(u32::try_from(news.attempts).unwrap_or(u32::MAX));
            let due = moment.now() + TimeDelta::from_std(wait).unwrap_or_default();
            store::feed::put_off(&mut db, news.id, claim, due).await?;
        }
    }
    Ok(Progress::More)
}

/// Gives releases of an image back that the gate lets through again: an image that is approved does
/// not bring a deprecated tag back, nor a tag a rejected image.
async fn restore(app: &App, news: &News) -> Result<(), Problem> {
    for release in app.peers.revoked_releases(&news.repository).await? {
        if is_admitted(app, &release).await? {
            app.peers.restore_release(release).await?;
        }
    }
    Ok(())
}

async fn is_admitted(app: &App, release: &Release) -> Result<bool, Problem> {
    let reference = match release.tag.as_str() {
        "" => format!("{}@{}", release.repository, release.digest),
        tag => format!("{}:{tag}", release.repository),
    };
    let system = Actor::system(crate::SCHEMA.name);
    let question = Admission {
        reference: &reference,
        digest: &release.digest,
        platforms: &[],
        record: false,
        actor: &system,
    };
    match app.peers.admit(question).await {
        Admitted::Verdict(verdict) => Ok(verdict.ruling == Ruling::Allow),
        Admitted::Malformed(_) => Ok(false),
        Admitted::Away(message) => Err(Problem::unavailable(reason::REGISTRY_UNREACHABLE, message)),
    }
}
