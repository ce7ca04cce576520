//! Approvals taken back, and given back, while a release is on its way.

use chrono::{DateTime, Utc};
use proto::reason;
use runtime::event::Event;
use runtime::{Caller, database};
use serde_json::json;
use sqlx::PgConnection;

use crate::app::App;
use crate::drive::resource;
use crate::error::Error;
use crate::plan::Trip;
use crate::rollout::{RolloutId, State};
use crate::store::{self};

/// The releases whose approval changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Releases {
    /// The canonical repository.
    pub repository: String,
    /// `None` = any.
    pub tag: Option<String>,
    /// `None` = any.
    pub digest: Option<String>,
}

/// Stops rollouts whose release is no longer approved: running ones pause here, waiting ones fail
/// when they are looked at.
pub async fn revoke(
    app: &App,
    caller: &Caller,
    releases: &Releases,
    why: &str,
) -> Result<Vec<RolloutId>, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let Releases { repository, tag, digest } = releases;
    let ids = store::release::lock_released(&mut tx, repository, tag.as_deref(), digest.as_deref())
        .await?;
    for id in &ids {
        pause(app, &mut tx, caller, *id, why, now).await?;
    }
    let woken: Vec<_> = ids.iter().map(|id| id.0).collect();
    store::lease::wake(&mut tx, &woken, now).await?;
    app.outbox.commit(tx).await?;
    app.driver.ring();
    Ok(ids)
}

async fn pause(
    app: &App,
    db: &mut PgConnection,
    caller: &Caller,
    id: RolloutId,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rollout = store::rollout::get(db, id).await?;
    store::release::set_revoked(db, id, why).await?;
    if !matches!(rollout.state, State::Running | State::Settling) {
        return Ok(());
    }
    let lost = Trip::approval_lost(why);
    store::rollout::set_state(db, id, State::Paused, &lost, now).await?;
    let event = Event::by(caller, "image.rollout_paused", resource(&rollout), now)
        .before(json!({"state": rollout.state.as_str()}))
        .after(json!({"state": "paused", "reason": lost.reason, "detail": why}));
    app.outbox.append(db, &event).await?;
    Ok(())
}

/// Lets the rollouts of a release that is approved again go on. One that had to pause waits for a
/// person to resume it.
pub async fn restore(
    app: &App,
    repository: &str,
    tag: &str,
    digest: Option<&str>,
) -> Result<Vec<RolloutId>, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let ids = store::release::lock_revoked(&mut tx, repository, tag, digest).await?;
    for id in &ids {
        give_back(&mut tx, *id, now).await?;
    }
    let woken: Vec<_> = ids.iter().map(|id| id.0).collect();
    store::lease::wake(&mut tx, &woken, now).await?;
    tx.commit().await?;
    app.driver.ring();
    Ok(ids)
}

/// Notes that the release of a rollout is approved again.
pub async fn give_back(
    db: &mut PgConnection,
    id: RolloutId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rollout = store::rollout::get(db, id).await?;
    store::release::set_revoked(db, id, "").await?;
    if rollout.state == State::Paused && rollout.state_reason == reason::APPROVAL_LOST {
        let back = Trip {
            reason: reason::APPROVAL_LOST,
            detail: "the release is approved again; resume the rollout".to_owned(),
        };
        store::rollout::set_state(db, id, State::Paused, &back, now).await?;
    }
    Ok(())
}
