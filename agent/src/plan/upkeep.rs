//! What goes on whatever is under way: what should run runs, what should not is gone.

use std::collections::BTreeSet;

use super::stage::pull;
use super::view::{View, is_restarted};
use super::{Call, Step};
use crate::engine::{Container, ContainerState};
use crate::journal::Change;
use crate::moment::{Moment, earlier};
use crate::recipe::Recipe;
use crate::target::{Target, Wanted};

/// Looks after every service that is not being swapped.
pub(super) fn step(view: &View<'_>, target: &Target) -> Step {
    let mut wake = None;
    for wanted in &target.services {
        let leg = view.journal.transaction.as_ref().map(|transaction| {
            (transaction.phase.is_before_swap(), transaction.leg(&wanted.name).is_some())
        });
        let step = match leg {
            Some((false, true)) => Step::Wait(None),
            Some((true, true)) => restart(view, wanted),
            Some((_, false)) | None => keep(view, wanted),
        };
        match step {
            Step::Wait(until) => wake = earlier(wake, until),
            Step::Note(_) | Step::Call(_) => return step,
        }
    }
    match remove_foreign(view, target) {
        Step::Wait(until) => Step::Wait(earlier(wake, until)),
        step @ (Step::Note(_) | Step::Call(_)) => step,
    }
}

/// Removes images that this agent pulled and that nothing needs, one at a time.
pub(super) fn collect(view: &View<'_>, target: &Target) -> Step {
    let needed = needed_images(view, target);
    let spare = view.journal.pulled.iter().find(|identity| !needed.contains(*identity));
    let Some(identity) = spare else { return Step::Wait(None) };
    if view.observed.images.iter().any(|image| image.identity == *identity) {
        return view.when_due(Call::RemoveImage(identity.clone()));
    }
    Step::Note(Change::Collected(identity.clone()))
}

/// Starts what was good again while its successor is being fetched.
fn restart(view: &View<'_>, wanted: &Wanted) -> Step {
    let Some(recipe) = view.journal.maintained(wanted) else { return Step::Wait(None) };
    if view.other_running(&wanted.name, recipe.spec()).is_some() {
        return Step::Wait(None);
    }
    match view.container(&wanted.name, recipe.spec()) {
        Some(container) => start(view, container, recipe),
        None => Step::Wait(None),
    }
}

/// Has a service run what it should, once, and nothing else of it be there.
fn keep(view: &View<'_>, wanted: &Wanted) -> Step {
    if view.needs_change(wanted) {
        return restart(view, wanted);
    }
    let Some(recipe) = view.journal.maintained(wanted) else { return Step::Wait(None) };
    if let Some(other) = view.other_running(&wanted.name, recipe.spec()) {
        return view.when_due(view.stop(other, None));
    }
    let step = match view.container(&wanted.name, recipe.spec()) {
        Some(container) => start(view, container, recipe),
        None => recreate(view, &wanted.name, recipe),
    };
    match step {
        Step::Wait(until) => match remove_leftovers(view, wanted) {
            Step::Wait(other) => Step::Wait(earlier(until, other)),
            step @ (Step::Note(_) | Step::Call(_)) => step,
        },
        Step::Note(_) | Step::Call(_) => step,
    }
}

/// Starts a container that does not run, when it may.
fn start(view: &View<'_>, container: &Container, recipe: &Recipe) -> Step {
    let may = match container.state {
        ContainerState::Running => false,
        ContainerState::Created => true,
        ContainerState::Exited { .. } => is_restarted(container, recipe),
    };
    if !may {
        return Step::Wait(None);
    }
    let next = view.memory.next_start(&container.id);
    if next > view.now {
        return Step::Wait(Some(next));
    }
    view.when_due(Call::Start(container.id.clone()))
}

/// Makes a container anew that somebody removed.
fn recreate(view: &View<'_>, service: &str, recipe: &Recipe) -> Step {
    let Some(call) = view.create(service, recipe) else { return Step::Wait(None) };
    if view.has_image(recipe.image()) {
        return view.when_due(call);
    }
    pull(view, recipe.image()).unwrap_or_else(|_| view.when_due(Call::Pull(recipe.image().clone())))
}

/// Removes stopped containers of a service that nothing needs any more.
fn remove_leftovers(view: &View<'_>, wanted: &Wanted) -> Step {
    let needed = needed_specs(view, wanted);
    let leftover = view
        .of(&wanted.name)
        .find(|container| !container.is_running() && !needed.contains(container.spec.as_str()));
    leftover.map_or(Step::Wait(None), |container| view.when_due(Call::Remove(container.id.clone())))
}

/// The containers of a service that stay: what is good, what was before it, what the target's
/// fallback names, and what could not be gone back from.
fn needed_specs<'a>(view: &View<'a>, wanted: &'a Wanted) -> BTreeSet<&'a str> {
    let mut needed = BTreeSet::new();
    if let Some(confirmed) = view.journal.confirmed.get(&wanted.name) {
        needed.insert(confirmed.recipe.spec());
        needed.extend(confirmed.previous.as_ref().map(Recipe::spec));
    }
    if let Some(outcome) = view.journal.outcome(wanted)
        && (outcome.kept || outcome.cause.reason == proto::reason::REVERT_FAILED)
    {
        needed.insert(&outcome.spec);
    }
    if let Some(image) = wanted.attempt.as_ref().and_then(|attempt| attempt.fallback.as_ref()) {
        let of_it = view.of(&wanted.name).filter(|container| container.image.is_same(image));
        needed.extend(of_it.map(|container| container.spec.as_str()));
    }
    needed
}

/// Stops and removes the containers of services that the target does not name.
fn remove_foreign(view: &View<'_>, target: &Target) -> Step {
    let is_foreign = |service: &str| {
        let in_swap = view.journal.transaction.as_ref().is_some_and(|transaction| {
            !transaction.phase.is_before_swap() && transaction.leg(service).is_some()
        });
        target.service(service).is_none() && !in_swap
    };
    let mut wake: Option<Moment> = None;
    for container in view.observed.containers.iter().filter(|one| is_foreign(&one.service)) {
        let call = if container.is_running() {
            view.stop(container, None)
        } else {
            Call::Remove(container.id.clone())
        };
        match view.when_due(call) {
            Step::Wait(until) => wake = earlier(wake, until),
            step @ (Step::Note(_) | Step::Call(_)) => return step,
        }
    }
    let gone = view
        .journal
        .confirmed
        .keys()
        .find(|service| is_foreign(service) && view.of(service).next().is_none());
    gone.map_or(Step::Wait(wake), |service| Step::Note(Change::Forget(service.clone())))
}

/// The identities of the images that stay.
fn needed_images(view: &View<'_>, target: &Target) -> BTreeSet<String> {
    let wanted = target.services.iter().filter_map(|wanted| wanted.recipe.as_ref().ok());
    let good = view.journal.confirmed.values();
    let good = good.flat_map(|one| [Some(&one.recipe), one.previous.as_ref()]).flatten();
    let fallbacks = target
        .services
        .iter()
        .filter_map(|wanted| wanted.attempt.as_ref().and_then(|attempt| attempt.fallback.as_ref()));
    wanted
        .chain(good)
        .map(|recipe| recipe.image().identity())
        .chain(fallbacks.map(|image| image.identity()))
        .chain(view.observed.containers.iter().map(|container| container.image.identity()))
        .collect()
}
