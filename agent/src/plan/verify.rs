//! After the swap: what runs must become healthy, stay so, and be heard of.

use proto::reason;

use super::swap::{boot_loop, bounded, fail};
use super::view::{View, is_done};
use super::{Call, Step};
use crate::engine::ContainerState;
use crate::journal::Change;
use crate::memory::Soak;
use crate::moment::{Moment, earlier};
use crate::transaction::{Cause, Leg, Phase, Transaction};

/// How often health may break.
const MAX_BREAKS: u32 = 3;

/// Waits until all services have been healthy for as long as they must.
pub(super) fn verify(view: &View<'_>, transaction: &Transaction) -> Step {
    let restart = match check(view, transaction) {
        Step::Wait(restart) => restart,
        step @ (Step::Note(_) | Step::Call(_)) => return step,
    };
    let fresh = Soak::new(view.now);
    let soak = view.memory.soak.as_ref().unwrap_or(&fresh);
    let Some(healthy_since) = soak.healthy_since else {
        let end = soak.unhealthy_since + transaction.terms.verify;
        if end <= view.now {
            let cause = Cause::new(reason::HEALTH_CHECK_FAILED, unhealthy(view, transaction));
            return fail(view, transaction, &cause);
        }
        return Step::Wait(earlier(restart, earlier(Some(end), deadline(transaction))));
    };
    let soaked = healthy_since + transaction.terms.soak;
    if soaked <= view.now {
        return Step::Note(Change::Advance(Phase::Confirming));
    }
    Step::Wait(earlier(restart, earlier(Some(soaked), deadline(transaction))))
}

/// Waits until the server has heard that all is well, and goes back alone when it cannot be told.
pub(super) fn confirm(view: &View<'_>, transaction: &Transaction) -> Step {
    let restart = match check(view, transaction) {
        Step::Wait(restart) => restart,
        step @ (Step::Note(_) | Step::Call(_)) => return step,
    };
    let is_healthy = view.memory.soak.as_ref().is_some_and(|soak| soak.healthy_since.is_some());
    if !is_healthy {
        return Step::Note(Change::Advance(Phase::Verifying));
    }
    if view.memory.confirmed {
        return Step::Note(Change::Commit);
    }
    let end = transaction.can_go_back().then(|| dead_man(transaction)).flatten();
    bounded(Step::Wait(restart), end)
}

/// What ends an update whether it has soaked or not.
fn check(view: &View<'_>, transaction: &Transaction) -> Step {
    if let Some(step) = boot_loop(view, transaction) {
        return step;
    }
    let mut restart = None;
    for leg in &transaction.legs {
        match check_leg(view, transaction, leg) {
            Step::Wait(until) => restart = earlier(restart, until),
            step @ (Step::Note(_) | Step::Call(_)) => return step,
        }
    }
    let breaks = view.memory.soak.as_ref().map_or(0, |soak| soak.breaks);
    if breaks > MAX_BREAKS {
        let message = format!("health broke {breaks} times; {}", unhealthy(view, transaction));
        return fail(view, transaction, &Cause::new(reason::FLAPPING, message));
    }
    if transaction.can_go_back() {
        let is_over = |end: Option<Moment>| end.is_some_and(|end| end <= view.now);
        if is_over(dead_man(transaction)) && !view.memory.confirmed {
            return fail(view, transaction, &unheard(view, transaction));
        }
        let verifying = transaction.phase == Phase::Verifying;
        if verifying && is_over(limit(transaction)) {
            let message = "the attempt's time was over before the services had soaked";
            return fail(view, transaction, &Cause::new(reason::TIMED_OUT, message));
        }
    }
    Step::Wait(restart)
}

/// Looks whether a service runs, and starts it again as often as it may end.
fn check_leg(view: &View<'_>, transaction: &Transaction, leg: &Leg) -> Step {
    let failed = |reason: &str, message: String| {
        let message = format!("service `{}` {message}", leg.service);
        fail(view, transaction, &Cause::new(reason, message))
    };
    let Some(container) = view.container(&leg.service, leg.to.spec()) else {
        return failed(reason::CRASHED, "has no container any more".to_owned());
    };
    if is_done(container, &leg.to) {
        return Step::Wait(None);
    }
    let (code, oom_killed) = match container.state {
        ContainerState::Running => return Step::Wait(None),
        ContainerState::Created => (0, false),
        ContainerState::Exited { code, oom_killed } => (code, oom_killed),
    };
    if oom_killed {
        return failed(reason::CRASHED, "was ended for using more memory than it may".to_owned());
    }
    let restarts = view.memory.restarts(&container.id);
    if restarts >= leg.to.restart_limit() {
        let message = format!("ended with exit code {code} after {restarts} restarts");
        return failed(reason::CRASHED, message);
    }
    let call = Call::Start(container.id.clone());
    if let Some(error) = view.failure(&call) {
        return failed(reason::START_FAILED, format!("could not be started again: {error}"));
    }
    let next = view.memory.next_start(&container.id);
    if next > view.now {
        return Step::Wait(Some(next));
    }
    view.when_due(call)
}

/// Why there was nothing good to be heard of when the time was over, or why it was not heard.
fn unheard(view: &View<'_>, transaction: &Transaction) -> Cause {
    if view.memory.soak.as_ref().is_some_and(|soak| soak.healthy_since.is_none()) {
        return Cause::new(reason::HEALTH_CHECK_FAILED, unhealthy(view, transaction));
    }
    Cause::new(reason::NO_CONTACT, "the server did not hear in time that the update was good")
}

/// Which services are not healthy.
fn unhealthy(view: &View<'_>, transaction: &Transaction) -> String {
    let ill = transaction.legs.iter().filter(|leg| {
        let container = view.container(&leg.service, leg.to.spec());
        !container.is_some_and(|container| super::is_well(container, &leg.to))
    });
    let names: Vec<String> = ill.map(|leg| format!("`{}`", leg.service)).collect();
    match names.as_slice() {
        [] => "all services are healthy at the moment".to_owned(),
        names => format!("not healthy: {}", names.join(", ")),
    }
}

fn dead_man(transaction: &Transaction) -> Option<Moment> {
    Some(transaction.when(transaction.swapped?.saturating_add(transaction.terms.dead_man)))
}

fn limit(transaction: &Transaction) -> Option<Moment> {
    Some(transaction.when(transaction.terms.limit?))
}

fn deadline(transaction: &Transaction) -> Option<Moment> {
    if !transaction.can_go_back() {
        return None;
    }
    earlier(dead_man(transaction), limit(transaction))
}
