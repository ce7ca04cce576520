//! Sending the release to devices.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proto::reason;
use sqlx::PgConnection;

use super::Look;
use crate::app::App;
use crate::assignment::{Assignment, Observation, Progress, State};
use crate::change::Targets;
use crate::error::Error;
use crate::store::outlook::Ready;
use crate::store::{self};
use crate::target::{Image, Offer, Target};

/// Sends the release to the first devices that are ready. One that is away or busy is put off, one
/// that must not or cannot take it is left out; neither takes a place from another.
pub(super) async fn offer(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    count: u32,
    now: DateTime<Utc>,
) -> Result<Targets, Error> {
    let (frozen, rules) = (&look.frozen, &look.frozen.rules);
    let ready = store::outlook::lock_ready(
        db,
        look.rollout.id,
        &frozen.repository,
        now,
        app.heard_since(now),
        i64::from(count),
    )
    .await?;
    let devices: Vec<_> = ready.iter().map(|ready| ready.stored.try_.device).collect();
    let mut before = store::target::lock(db, &devices).await?;
    let (mut rows, mut targets) = (Vec::new(), Targets::new());
    for ready in ready {
        let target = before.remove(&ready.stored.try_.device);
        let try_ = ready.stored.try_.clone();
        let obstacle = obstacle(&ready, target.as_ref(), &frozen.repository);
        let next = match (obstacle, target) {
            (Some(obstacle), target) => {
                // An earlier try may have left the release in the target.
                let restored =
                    target.and_then(|target| target.restored(frozen.id.0, &frozen.image));
                targets.extend(restored.map(|target| (try_.device, target)));
                match obstacle {
                    Obstacle::Later(reason) => try_.deferred(reason, now),
                    Obstacle::Never(reason) => try_.ended(State::Skipped, reason),
                }
            }
            (None, target) => match target.and_then(|target| sent(&target, look, &try_, now)) {
                Some((target, fallbacks)) => {
                    let mut next = try_.offered(target.generation, rules, now);
                    next.services = fallbacks.into_iter().map(progress).collect();
                    targets.push((next.device, target));
                    next
                }
                None => try_.ended(State::Skipped, reason::REMOVED),
            },
        };
        rows.push((ready.stored.id, next));
    }
    store::target::update(db, &targets).await?;
    store::assignment::update(db, &rows, rules, now).await?;
    Ok(targets)
}

/// The target with the offer in it, and what each service goes back to.
fn sent(
    target: &Target,
    look: &Look,
    try_: &Assignment,
    now: DateTime<Utc>,
) -> Option<(Target, BTreeMap<String, Image>)> {
    let (frozen, rules) = (&look.frozen, &look.frozen.rules);
    target.offered(&Offer {
        repository: &frozen.repository,
        image: &frozen.image,
        rollout: frozen.id.0,
        attempt: try_.attempt,
        verify: rules.timers.verify,
        soak: rules.device_soak,
        dead_man: rules.dead_man.max(rules.timers.verify + rules.device_soak),
        deadline: now + rules.timers.total,
    })
}

fn progress((name, fallback): (String, Image)) -> Progress {
    Progress { name, fallback, state: State::Offered, healthy: false }
}

/// Why a device is not sent the release now.
enum Obstacle {
    Later(&'static str),
    Never(&'static str),
}

fn obstacle(ready: &Ready, target: Option<&Target>, repository: &str) -> Option<Obstacle> {
    let Some(target) = target.filter(|_| ready.exists) else {
        return Some(Obstacle::Never(reason::REMOVED));
    };
    if ready.revoked {
        return Some(Obstacle::Never(reason::DEVICE_REVOKED));
    }
    if ready.pinned {
        return Some(Obstacle::Never(reason::PINNED));
    }
    if ready.busy {
        return Some(Obstacle::Later(reason::BUSY));
    }
    if !ready.online {
        return Some(Obstacle::Later(reason::OFFLINE));
    }
    let first = ready.stored.try_.attempt == 1;
    (first && was_unhealthy(ready, target, repository))
        .then_some(Obstacle::Never(reason::PRE_UNHEALTHY))
}

/// Whether a service that would change was already sick: what it does then says nothing about the
/// release. A service that was never reported is not known to be sick.
fn was_unhealthy(ready: &Ready, target: &Target, repository: &str) -> bool {
    let seen: Vec<Observation> = serde_json::from_value(ready.reported.clone()).unwrap_or_default();
    let seen: BTreeMap<_, _> = seen.iter().map(|seen| (seen.name.as_str(), seen)).collect();
    target
        .services
        .iter()
        .filter(|service| {
            service.runs.repository().is_some_and(|known| known.as_str() == repository)
        })
        .filter_map(|service| Some((service, seen.get(service.name.as_str())?)))
        .any(|(service, seen)| seen.runs(&service.runs) && !seen.healthy)
}
