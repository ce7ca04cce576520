//! What the device tells the server: where every service stands.

use crate::engine::Container;
use crate::journal::Outcome;
use crate::plan::{View, is_well};
use crate::recipe::Recipe;
use crate::row::{Row, Standing};
use crate::target::Wanted;
use crate::transaction::{Leg, Phase, Transaction};
use proto::reason;

/// A row for every service of the target, and for those that are still there.
#[must_use]
pub fn rows(view: &View<'_>) -> Vec<Row> {
    let wanted = view.journal.target.iter().flat_map(|target| &target.services);
    let mut rows: Vec<Row> = wanted.map(|wanted| row(view, wanted)).collect();
    for container in &view.observed.containers {
        if view.journal.target.is_some() && rows.iter().all(|row| row.service != container.service)
        {
            rows.push(leftover(container));
        }
    }
    rows.sort_by(|one, other| one.service.cmp(&other.service));
    rows
}

/// The row of a service whose attempt ended other than well.
#[must_use]
pub fn ended_row(view: &View<'_>, outcome: &Outcome) -> Row {
    let mut row = seen(view, &outcome.service, running(view, &outcome.service));
    row.standing = outcome.standing;
    row.reason.clone_from(&outcome.cause.reason);
    row.message.clone_from(&outcome.cause.message);
    row.attempt.clone_from(&outcome.attempt);
    row
}

fn row(view: &View<'_>, wanted: &Wanted) -> Row {
    if let Some(transaction) = &view.journal.transaction
        && let Some(leg) = transaction.leg(&wanted.name)
    {
        return moving(view, transaction, leg);
    }
    if let Some(outcome) = view.journal.outcome(wanted) {
        let mut row = ended_row(view, outcome);
        // Without a rollout there is no attempt to end: what came to run at last runs.
        if outcome.kept && outcome.attempt.is_none() && row.healthy {
            (row.standing, row.reason, row.message) =
                (Standing::Running, String::new(), String::new());
        }
        return row;
    }
    settled(view, wanted)
}

/// A service that runs as wanted, or has yet to be changed.
fn settled(view: &View<'_>, wanted: &Wanted) -> Row {
    let mut row = seen(view, &wanted.name, running(view, &wanted.name));
    row.attempt = wanted.attempt_key().cloned();
    if view.needs_change(wanted) {
        row.standing = Standing::Downloading;
        return row;
    }
    let maintained = view.journal.maintained(wanted);
    let container =
        maintained.and_then(|recipe| view.container(&wanted.name, recipe.spec()).zip(Some(recipe)));
    match container {
        Some((container, recipe)) if is_well(container, recipe) => {
            row = Row { attempt: row.attempt, ..seen(view, &wanted.name, Some(container)) };
            row.healthy = true;
        }
        Some((container, _)) => {
            row = Row { attempt: row.attempt, ..seen(view, &wanted.name, Some(container)) };
            row.reason = if container.is_running() {
                reason::HEALTH_CHECK_FAILED.to_owned()
            } else {
                reason::CRASHED.to_owned()
            };
        }
        None => reason::CRASHED.clone_into(&mut row.reason),
    }
    row
}

/// A service that is being changed.
fn moving(view: &View<'_>, transaction: &Transaction, leg: &Leg) -> Row {
    let shown = match transaction.phase {
        Phase::Verifying | Phase::Confirming => view.container(&leg.service, leg.to.spec()),
        Phase::Fetching | Phase::Staged | Phase::Swapping | Phase::Reverting => {
            running(view, &leg.service)
        }
    };
    let mut row = seen(view, &leg.service, shown);
    row.attempt.clone_from(&transaction.attempt);
    row.standing = match transaction.phase {
        Phase::Fetching => Standing::Downloading,
        Phase::Staged => Standing::Staged,
        Phase::Swapping => Standing::Installing,
        Phase::Verifying => Standing::Verifying,
        Phase::Confirming => Standing::Running,
        Phase::Reverting => Standing::Reverting,
    };
    match transaction.phase {
        Phase::Fetching => row.progress = progress(view, &leg.service, &leg.to),
        Phase::Staged => row.progress = 100,
        Phase::Verifying | Phase::Confirming => {
            row.healthy = shown.is_some_and(|container| is_well(container, &leg.to));
        }
        Phase::Reverting => {
            if let Some(cause) = &transaction.cause {
                row.reason.clone_from(&cause.reason);
                row.message.clone_from(&cause.message);
            }
        }
        Phase::Swapping => {}
    }
    row
}

fn progress(view: &View<'_>, service: &str, recipe: &Recipe) -> i32 {
    let there = view.has_image(recipe.image()) || view.container(service, recipe.spec()).is_some();
    match &view.observed.pull {
        _ if there => 100,
        Some(pull) if pull.identity == recipe.image().identity() => pull.percent,
        Some(_) | None => 0,
    }
}

/// A service that should not be there.
fn leftover(container: &Container) -> Row {
    Row {
        healthy: false,
        standing: Standing::Stopped,
        ..shown(&container.service, Some(container), 0)
    }
}

fn running<'a>(view: &View<'a>, service: &str) -> Option<&'a Container> {
    view.of(service).find(|container| container.is_running())
}

fn seen(view: &View<'_>, service: &str, container: Option<&Container>) -> Row {
    let restarts = container.map_or(0, |container| view.memory.restarts(&container.id));
    shown(service, container, restarts)
}

/// A row of what is seen of a service.
fn shown(service: &str, container: Option<&Container>, restarts: u32) -> Row {
    let image = container.map(|container| &container.image);
    Row {
        service: service.to_owned(),
        reference: image.map(|image| image.reference.clone()).unwrap_or_default(),
        digest: container.map(|container| container.digest.clone()).unwrap_or_default(),
        release_id: image.map(|image| image.release_id.clone()).unwrap_or_default(),
        standing: Standing::Running,
        healthy: container.is_some_and(Container::is_healthy),
        reason: String::new(),
        message: String::new(),
        attempt: None,
        progress: 0,
        restarts: i32::try_from(restarts).unwrap_or(i32::MAX),
    }
}
