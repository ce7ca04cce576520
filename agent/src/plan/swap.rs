//! The swap: the old ones stop, the new ones start.

use proto::reason;
use workload::Condition;

use super::group::settle;
use super::view::{View, is_well};
use super::{Call, Step};
use crate::engine::ContainerState;
use crate::journal::Change;
use crate::moment::{Moment, earlier};
use crate::row::Standing;
use crate::target::Target;
use crate::transaction::{Cause, Leg, Phase, Transaction};

/// How often a device may start anew within one update before it goes back: an image can crash a
/// machine.
const MAX_BOOTS: u32 = 3;

/// Stops the old ones, last first, then starts the new ones, first first.
pub(super) fn swap(view: &View<'_>, target: &Target, transaction: &Transaction) -> Step {
    if let Some(step) = boot_loop(view, transaction) {
        return step;
    }
    let end =
        transaction.swapped.map(|swapped| transaction.when(swapped + transaction.terms.verify));
    if end.is_some_and(|end| end <= view.now) {
        let cause = Cause::new(reason::TIMED_OUT, "not all services could be started in time");
        return fail(view, transaction, &cause);
    }
    for leg in transaction.legs.iter().rev() {
        if let Some(old) = view.other_running(&leg.service, leg.to.spec()) {
            return bounded(view.when_due(view.stop(old, leg.from.as_ref())), end);
        }
    }
    match transaction.legs.iter().find(|leg| !leg.started) {
        Some(leg) => bounded(start(view, target, transaction, leg), end),
        None => Step::Note(Change::Advance(Phase::Verifying)),
    }
}

/// Goes back because of this, or, where nothing ran before, lets it be.
pub(super) fn fail(view: &View<'_>, transaction: &Transaction, cause: &Cause) -> Step {
    if transaction.can_go_back() {
        return Step::Note(Change::Revert(cause.clone()));
    }
    Step::Note(settle(view, transaction, Standing::Failed, cause, true))
}

/// Goes back when the device has started anew too often.
pub(super) fn boot_loop(view: &View<'_>, transaction: &Transaction) -> Option<Step> {
    (transaction.boots >= MAX_BOOTS).then(|| {
        let message = format!("the device started anew {} times meanwhile", transaction.boots);
        fail(view, transaction, &Cause::new(reason::BOOT_LOOP, message))
    })
}

/// A wait that ends at `end` at the latest.
pub(super) fn bounded(step: Step, end: Option<Moment>) -> Step {
    match step {
        Step::Wait(until) => Step::Wait(earlier(until, end)),
        Step::Note(_) | Step::Call(_) => step,
    }
}

fn start(view: &View<'_>, target: &Target, transaction: &Transaction, leg: &Leg) -> Step {
    let failed = |message: String| {
        let message = format!("service `{}`: {message}", leg.service);
        fail(view, transaction, &Cause::new(reason::START_FAILED, message))
    };
    let Some(container) = view.container(&leg.service, leg.to.spec()) else {
        let Some(call) = view.create(&leg.service, &leg.to) else {
            return failed("its configuration is not known".to_owned());
        };
        if !view.has_image(leg.to.image()) {
            return failed("its container and its image are gone".to_owned());
        }
        return match view.failure(&call) {
            Some(error) => failed(error.to_string()),
            None => view.when_due(call),
        };
    };
    match container.state {
        ContainerState::Running => Step::Note(Change::Started(leg.service.clone())),
        ContainerState::Created | ContainerState::Exited { .. } => {
            if !is_ready(view, target, leg) {
                return Step::Wait(None);
            }
            let call = Call::Start(container.id.clone());
            match view.failure(&call) {
                Some(error) => failed(error.to_string()),
                None => view.when_due(call),
            }
        }
    }
}

/// Says whether the services that this one depends on are as it needs them.
fn is_ready(view: &View<'_>, target: &Target, leg: &Leg) -> bool {
    let Some(needed) = leg.to.depends_on() else { return true };
    needed.iter().all(|(service, condition)| {
        let Some(recipe) =
            target.service(service.as_str()).and_then(|wanted| wanted.recipe.as_ref().ok())
        else {
            return true;
        };
        view.of(service.as_str()).any(|container| match condition {
            Condition::Started => container.state != ContainerState::Created,
            Condition::Healthy => is_well(container, recipe),
        })
    })
}
