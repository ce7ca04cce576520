//! Making rollouts: a release comes in, a policy may ask for it, devices are taken, batches planned.

use imageref::{Repository, Tag};
use proto::reason;
use runtime::event::Event;
use runtime::{Actor, Caller, Problem, crash, database};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use chrono::{DateTime, Utc};

use crate::app::App;
use crate::assignment::State as Try;
use crate::batch;
use crate::change::{self, Targets};
use crate::drive::resource;
use crate::error::Error;
use crate::frozen::Frozen;
use crate::plan::{Batch, Trip};
use crate::policy::{self, Policy, PolicyId, Selector};
use crate::revoke;
use crate::rollout::{Release, Rollout, RolloutId, State};
use crate::select::{Selection, select};
use crate::store::assignment::Seat;
use crate::store::{self};
use crate::tally::Tally;
use crate::withdraw::Turn;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The release; its push is the request id.
    pub release: Release,
    /// The policy to use; `None` = the first that matches.
    pub policy: Option<PolicyId>,
    /// Of the policy's devices only these.
    pub selector: Option<Selector>,
    /// Who asks.
    pub actor: Actor,
    /// A person asks: a release that was rolled back before is tried again.
    pub by_hand: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A rollout was made.
    Made(RolloutId),
    /// No enabled policy matches; whether a disabled one does.
    NoPolicy {
        /// One matches and is disabled.
        disabled: bool,
    },
    /// The policy takes no device.
    NoTarget {
        /// The policy.
        policy: PolicyId,
        /// How many were selected and left out.
        excluded: usize,
    },
    /// The devices have it, or are getting it.
    Unchanged(Option<RolloutId>),
    /// It was rolled back before.
    Quarantined(Uuid),
}

/// Makes a rollout when a policy asks for one. The same push always gets the rollout it made.
pub async fn create(app: &App, caller: &Caller, asked: Asked) -> Result<Outcome, Error> {
    let mut tx = app.pool.begin().await?;
    let release = &asked.release;
    if let Some(made) = store::rollout::by_request(&mut tx, release.push).await? {
        return Ok(Outcome::Made(made));
    }
    let policies = store::policy::list(&mut tx).await?;
    let Some(policy) = choose(&policies, &asked)? else {
        let disabled = is_disabled(&policies, release);
        return Ok(Outcome::NoPolicy { disabled });
    };
    store::rollout::lock_planning(&mut tx, policy.id, &release.repository).await?;
    let now = database::now(&mut tx, &app.clock).await?;
    if let Some(outcome) = known_release(&mut tx, policy, &asked, now).await? {
        tx.commit().await?;
        return Ok(outcome);
    }
    let id = RolloutId::new(now);
    let selection = choose_devices(&mut tx, policy, &asked).await?;
    if selection.taken.is_empty() {
        return nobody(&mut tx, policy, release, &selection).await;
    }
    let targets = supersede_older(app, &mut tx, policy.id, release, now).await?;
    let rollout = new_rollout(id, policy, &asked, &selection, now);
    insert(&mut tx, &rollout, &selection, now).await?;
    let event = Event::by(caller, "image.rollout_created", resource(&rollout), now).after(json!({
        "policy_id": policy.id,
        "policy": policy.title(),
        "strategy": policy.strategy.as_str(),
        "repository": release.repository,
        "tag": release.tag,
        "digest": release.digest,
        "push_id": release.push,
        "devices": rollout.device_count,
        "excluded": rollout.excluded_count,
    }));
    app.outbox.append(&mut tx, &event).await?;
    app.outbox.commit(tx).await?;
    crash::point("rollout_created");
    app.deliver(targets, now);
    app.driver.ring();
    Ok(Outcome::Made(id))
}

/// The policy for the release: the one that was named, or the one that a push picks.
fn choose<'a>(policies: &'a [Policy], asked: &Asked) -> Result<Option<&'a Policy>, Error> {
    if let Some(id) = asked.policy {
        let policy = policies.iter().find(|policy| policy.id == id);
        return policy.map(Some).ok_or(Error::PolicyNotFound(id));
    }
    let (repository, tag) = names(&asked.release)?;
    let enabled: Vec<_> = policies.iter().filter(|policy| policy.enabled).cloned().collect();
    let picked = policy::pick(&enabled, &repository, tag.as_ref()).map(|policy| policy.id);
    Ok(policies.iter().find(|policy| Some(policy.id) == picked))
}

fn is_disabled(policies: &[Policy], release: &Release) -> bool {
    names(release).is_ok_and(|(repository, tag)| {
        policies.iter().any(|policy| policy.matches(&repository, tag.as_ref()).is_some())
    })
}

fn names(release: &Release) -> Result<(Repository, Option<Tag>), Error> {
    let wrong = |field: &str, error: imageref::Error| {
        Error::Refused(Problem::invalid(field, error.to_string()))
    };
    let repository = Repository::parse(&release.repository)
        .map_err(|error| wrong("release.repository", error))?;
    let tag = match &*release.tag {
        "" => None,
        tag => Some(Tag::parse(tag).map_err(|error| wrong("release.tag", error))?),
    };
    Ok((repository, tag))
}

/// A release that is known to be bad, or that a live rollout of the scope is bringing.
async fn known_release(
    db: &mut PgConnection,
    policy: &Policy,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Option<Outcome>, Error> {
    let release = &asked.release;
    let Some(digest) = &release.digest else { return Ok(None) };
    if asked.by_hand {
        store::release::lift_quarantine(db, &release.repository, digest).await?;
    } else if let Some(failed) =
        store::release::quarantined(db, &release.repository, digest).await?
    {
        return Ok(Some(Outcome::Quarantined(failed)));
    }
    let scope = store::rollout::lock_scope(db, policy.id, &release.repository).await?;
    let Some(live) = scope.first().filter(|newest| newest.state.is_live()) else { return Ok(None) };
    if live.release.digest.as_ref() != Some(digest) {
        return Ok(None);
    }
    if !live.revoked_reason.is_empty() {
        revoke::give_back(db, live.id, now).await?;
    }
    Ok(Some(Outcome::Unchanged(Some(live.id))))
}

async fn choose_devices(
    db: &mut PgConnection,
    policy: &Policy,
    asked: &Asked,
) -> Result<Selection, Error> {
    let selectors: Vec<&Selector> =
        policy.rules.selector.iter().chain(asked.selector.iter()).collect();
    let repository = Some(asked.release.repository.as_str());
    let candidates = store::device::candidates(db, &selectors, repository).await?;
    let seed = store::rollout::newest(db, &asked.release.repository).await?;
    Ok(select(candidates, &asked.release, seed))
}

async fn nobody(
    db: &mut PgConnection,
    policy: &Policy,
    release: &Release,
    selection: &Selection,
) -> Result<Outcome, Error> {
    if selection.is_unchanged() {
        let digest = release.digest.as_deref().unwrap_or_default();
        let brought =
            store::rollout::of_release(db, policy.id, &release.repository, digest).await?;
        return Ok(Outcome::Unchanged(brought));
    }
    Ok(Outcome::NoTarget { policy: policy.id, excluded: selection.excluded.len() })
}

/// Older live rollouts of the scope end; one that takes devices back goes on, and the new one waits.
async fn supersede_older(
    app: &App,
    db: &mut PgConnection,
    policy: PolicyId,
    release: &Release,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let mut targets = Targets::new();
    let open: Vec<Try> = Try::ALL.into_iter().filter(|state| !state.is_over()).collect();
    for older in store::rollout::lock_scope(db, policy, &release.repository).await? {
        if !older.state.is_live() {
            continue;
        }
        let frozen = Frozen::from(&older);
        let tries = store::assignment::lock_in(db, older.id, &open, i64::MAX).await?;
        targets.extend(
            change::withdraw(db, &app.outbox, &frozen, Turn::Superseded, tries, now).await?,
        );
        let why = Trip {
            reason: reason::SUPERSEDED,
            detail: format!("{} took its place", release.title()),
        };
        store::rollout::set_state(db, older.id, State::Superseded, &why, now).await?;
        let event =
            Event::of(Actor::system("rollout"), "image.rollout_cancelled", resource(&older), now)
                .before(json!({"state": older.state.as_str()}))
                .after(json!({
                    "state": State::Superseded.as_str(),
                    "reason": why.reason,
                    "detail": why.detail,
                }));
        app.outbox.append(db, &event).await?;
    }
    // Stragglers of succeeded rollouts wait for something older than this release.
    store::assignment::supersede_stragglers(db, policy.0, &release.repository, now).await?;
    Ok(targets)
}

fn new_rollout(
    id: RolloutId,
    policy: &Policy,
    asked: &Asked,
    selection: &Selection,
    now: DateTime<Utc>,
) -> Rollout {
    let count = |devices: usize| u32::try_from(devices).unwrap_or(u32::MAX);
    Rollout {
        id,
        release: asked.release.clone(),
        policy: policy.clone(),
        state: State::Pending,
        state_reason: String::new(),
        state_detail: String::new(),
        start_requested: false,
        cancel_reverts: false,
        turned_at: None,
        acknowledged_at: None,
        revoked_reason: String::new(),
        device_count: count(selection.taken.len()),
        excluded_count: count(selection.excluded.len()),
        actor: asked.actor.clone(),
        created_at: now,
        started_at: None,
        ended_at: None,
        updated_at: now,
        version: 1,
    }
}

async fn insert(
    db: &mut PgConnection,
    rollout: &Rollout,
    selection: &Selection,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let batches = planned(&rollout.policy, rollout.device_count);
    let mut devices = selection.taken.iter();
    let mut seats = Vec::with_capacity(selection.taken.len());
    for batch in &batches {
        for device in devices.by_ref().take(batch.size as usize) {
            seats.push(Seat {
                device: device.id,
                name: device.name.clone(),
                batch_number: i32::try_from(batch.number).unwrap_or(i32::MAX),
            });
        }
    }
    store::rollout::insert(db, rollout).await?;
    store::batch::insert_all(db, rollout.id, &batches).await?;
    store::assignment::insert_all(db, rollout.id, &rollout.release.repository, &seats, now).await
}

/// The batches that a policy makes of so many devices.
#[must_use]
pub fn planned(policy: &Policy, devices: u32) -> Vec<Batch> {
    let stages = policy.stages();
    let sizes: Vec<_> = stages.iter().map(|stage| stage.size).collect();
    batch::sizes(&sizes, devices)
        .into_iter()
        .zip(1..)
        .map(|((stage, size), number)| Batch {
            number,
            size,
            soak: stages[stage].soak,
            success_threshold: stages[stage].success_threshold,
            manual_gate: stages[stage].manual_gate,
            promoted_at: None,
            started_at: None,
            completed_at: None,
            tally: Tally::default(),
        })
        .collect()
}
