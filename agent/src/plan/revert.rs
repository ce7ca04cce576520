//! Going back: the new ones stop, the old ones start.

use proto::reason;

use super::group::settle;
use super::stage::pull;
use super::swap::bounded;
use super::view::{View, is_restarted, is_well};
use super::{Call, Step};
use crate::engine::ContainerState;
use crate::journal::Change;
use crate::moment::earlier;
use crate::recipe::Recipe;
use crate::row::Standing;
use crate::transaction::{Cause, Transaction};

/// Goes back, as a swap the other way round. It needs no server.
pub(super) fn revert(view: &View<'_>, transaction: &Transaction) -> Step {
    for leg in transaction.legs.iter().rev() {
        let old = leg.from.as_ref().map_or("", Recipe::spec);
        if let Some(new) = view.other_running(&leg.service, old) {
            return view.when_due(view.stop(new, Some(&leg.to)));
        }
    }
    for leg in &transaction.legs {
        if let Some(from) = &leg.from
            && !leg.started
        {
            return start(view, transaction, &leg.service, from);
        }
    }
    look_after(view, transaction)
}

fn start(view: &View<'_>, transaction: &Transaction, service: &str, from: &Recipe) -> Step {
    let lost = |why: String| give_up(view, transaction, &format!("service `{service}`: {why}"));
    let Some(container) = view.container(service, from.spec()) else {
        let Some(call) = view.create(service, from) else {
            return lost("its container is gone and its configuration is not known".to_owned());
        };
        if !view.has_image(from.image()) {
            return pull(view, from.image()).unwrap_or_else(|error| lost(error.to_string()));
        }
        return match view.failure(&call) {
            Some(error) => lost(error.to_string()),
            None => view.when_due(call),
        };
    };
    match container.state {
        ContainerState::Running => Step::Note(Change::Started(service.to_owned())),
        ContainerState::Created | ContainerState::Exited { .. } => {
            let call = Call::Start(container.id.clone());
            match view.failure(&call) {
                Some(error) => lost(error.to_string()),
                None => view.when_due(call),
            }
        }
    }
}

/// Waits until the old ones are healthy again, for as long as they may take.
fn look_after(view: &View<'_>, transaction: &Transaction) -> Step {
    let mut wake = None;
    let mut all_well = true;
    for leg in &transaction.legs {
        let Some(from) = &leg.from else { continue };
        let container = view.container(&leg.service, from.spec());
        let Some(container) = container.filter(|container| !is_well(container, from)) else {
            all_well &= container.is_some();
            continue;
        };
        all_well = false;
        if is_restarted(container, from) {
            let next = view.memory.next_start(&container.id);
            if next <= view.now {
                let step = view.when_due(Call::Start(container.id.clone()));
                if matches!(step, Step::Call(_)) {
                    return step;
                }
                wake = earlier(wake, Some(view.now + view.timing.restart));
            } else {
                wake = earlier(wake, Some(next));
            }
        }
    }
    if all_well {
        let unknown = Cause::new(reason::HEALTH_CHECK_FAILED, "it went back");
        let cause = transaction.cause.as_ref().unwrap_or(&unknown);
        return Step::Note(settle(view, transaction, Standing::Reverted, cause, false));
    }
    let since = transaction.swapped.unwrap_or_default();
    let end = transaction.when(since.saturating_add(view.timing.revert_verify));
    if end <= view.now {
        return give_up(view, transaction, "what ran before did not become healthy again");
    }
    bounded(Step::Wait(wake), Some(end))
}

/// Ends with what ran before, as ill as it is; it is restarted as any service is.
fn give_up(view: &View<'_>, transaction: &Transaction, why: &str) -> Step {
    let first = transaction.cause.as_ref().map_or_else(String::new, |cause| {
        format!("; it went back because of {}: {}", cause.reason, cause.message)
    });
    let cause = Cause::new(reason::REVERT_FAILED, format!("{why}{first}"));
    Step::Note(settle(view, transaction, Standing::Failed, &cause, false))
}
