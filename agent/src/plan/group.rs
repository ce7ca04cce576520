//! Which services are changed next, and how.

use std::time::Duration;

use proto::reason;

use super::view::View;
use crate::journal::{Change, Ended, Outcome};
use crate::recipe::Recipe;
use crate::report;
use crate::row::{Standing, shortened};
use crate::target::{Target, Wanted};
use crate::transaction::{Cause, Leg, Phase, Terms, Transaction};

/// The longest message that is remembered.
const MAX_REMEMBERED: usize = 1_024;

/// Begins with the first group of the target that has to change, or refuses it.
pub(super) fn begin(view: &View<'_>, target: &Target) -> Option<Change> {
    let first = target.services.iter().find(|wanted| view.needs_change(wanted))?;
    let group = members(view, target, first);
    if group.iter().any(|wanted| wanted.recipe.is_err()) {
        return Some(Change::Settle(refuse(view, &group)));
    }
    if let Some(ended) = ended_already(view, target, first) {
        let ends = |wanted: &&Wanted| end(view, wanted, ended.standing, &ended.cause);
        return Some(Change::Settle(group.iter().map(ends).collect()));
    }
    let legs = group.iter().filter_map(|wanted| leg(view, wanted)).collect();
    Some(Change::Begin(Box::new(Transaction {
        attempt: first.attempt_key().cloned(),
        phase: Phase::Fetching,
        legs,
        terms: terms(view, &group),
        powered: Duration::ZERO,
        counted_at: view.now,
        swapped: None,
        boots: 0,
        cause: None,
    })))
}

/// The services that change together with this one.
pub(super) fn members<'t>(view: &View<'_>, target: &'t Target, of: &Wanted) -> Vec<&'t Wanted> {
    let services = target.services.iter();
    services.filter(|wanted| wanted.is_grouped_with(of) && view.needs_change(wanted)).collect()
}

/// The durations of a group: those that give each of its services what it asks for.
pub(super) fn terms(view: &View<'_>, group: &[&Wanted]) -> Terms {
    let attempts = || group.iter().filter_map(|wanted| wanted.attempt.as_ref());
    let verify = attempts().filter_map(|one| one.verify).max().unwrap_or(view.timing.verify);
    let soak = attempts().filter_map(|one| one.soak).max().unwrap_or(view.timing.soak);
    let dead_man = attempts().filter_map(|one| one.dead_man).max().unwrap_or(view.timing.dead_man);
    let waited = view.memory.target_came.map_or(Duration::ZERO, |came| view.now.since(came));
    let time_left = attempts().filter_map(|one| one.time_left).min();
    Terms {
        verify,
        soak,
        dead_man: dead_man.max(verify.saturating_add(soak)),
        limit: time_left.map(|left| left.saturating_sub(waited)),
    }
}

fn leg(view: &View<'_>, wanted: &Wanted) -> Option<Leg> {
    let to = wanted.recipe.clone().ok()?;
    let from = fallback(view, wanted, &to).filter(|from| from.spec() != to.spec());
    Some(Leg { service: wanted.name.clone(), to, from, started: false })
}

/// What to go back to: what the target says, as it was configured when it ran; else what was good
/// last; else what runs.
fn fallback(view: &View<'_>, wanted: &Wanted, to: &Recipe) -> Option<Recipe> {
    let confirmed = view.journal.confirmed.get(&wanted.name);
    let known = confirmed.into_iter().flat_map(|one| [Some(&one.recipe), one.previous.as_ref()]);
    let mut known = known.flatten().filter(|recipe| recipe.spec() != to.spec());
    let mut found = view
        .of(&wanted.name)
        .filter(|container| container.spec != to.spec())
        .map(|container| Recipe::found(container.image.clone(), container.spec.clone()));
    if let Some(image) = wanted.attempt.as_ref().and_then(|attempt| attempt.fallback.as_ref()) {
        let is_it = |recipe: &Recipe| recipe.image().is_same(image);
        let config = to.config().cloned();
        return known
            .find(|recipe| is_it(recipe))
            .cloned()
            .or_else(|| found.find(is_it))
            .or_else(|| Some(Recipe::new(image.clone(), config?)));
    }
    let runs = |recipe: &Recipe| {
        view.container(&wanted.name, recipe.spec()).is_some_and(|container| container.is_running())
    };
    confirmed.map(|confirmed| confirmed.recipe.clone()).or_else(|| found.find(runs))
}

/// How the attempt has ended for another service of its group, and with it for all of them.
fn ended_already<'v>(view: &View<'v>, target: &Target, of: &Wanted) -> Option<&'v Outcome> {
    let attempt = of.attempt_key()?;
    let group = target.services.iter().filter(|wanted| wanted.attempt_key() == Some(attempt));
    let journal = view.journal;
    group.filter_map(|wanted| journal.outcome(wanted)).next()
}

/// Refuses a whole group because of what is wrong with one of its services.
fn refuse(view: &View<'_>, group: &[&Wanted]) -> Vec<Ended> {
    let faults = group.iter().filter_map(|wanted| {
        let fault = wanted.recipe.as_ref().err()?;
        Some(format!("service `{}`: {fault}", wanted.name))
    });
    let message = faults.collect::<Vec<_>>().join("; ");
    let cause = remembered(&Cause::new(reason::BAD_CONFIG, message));
    group.iter().map(|wanted| end(view, wanted, Standing::Rejected, &cause)).collect()
}

/// Ends the attempt at a service that was not begun.
fn end(view: &View<'_>, wanted: &Wanted, standing: Standing, cause: &Cause) -> Ended {
    let outcome = Outcome {
        service: wanted.name.clone(),
        spec: wanted.spec().to_owned(),
        attempt: wanted.attempt_key().cloned(),
        standing,
        cause: cause.clone(),
        kept: false,
    };
    Ended { row: report::ended_row(view, &outcome), outcome }
}

/// Ends a transaction other than well.
pub(super) fn settle(
    view: &View<'_>,
    transaction: &Transaction,
    standing: Standing,
    cause: &Cause,
    kept: bool,
) -> Change {
    let endings = transaction.legs.iter().map(|leg| {
        let outcome = Outcome {
            service: leg.service.clone(),
            spec: leg.to.spec().to_owned(),
            attempt: transaction.attempt.clone(),
            standing,
            cause: remembered(cause),
            kept,
        };
        Ended { row: report::ended_row(view, &outcome), outcome }
    });
    Change::Settle(endings.collect())
}

fn remembered(cause: &Cause) -> Cause {
    let mut message = shortened(cause.message.clone());
    message.truncate(message.floor_char_boundary(MAX_REMEMBERED));
    Cause { reason: cause.reason.clone(), message }
}
