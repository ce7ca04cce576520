//! What a newer target means for an update that is under way.

use super::group::{members, terms};
use super::view::View;
use crate::journal::Change;
use crate::target::{Target, Wanted};
use crate::transaction::{Phase, Transaction};

/// Returns what changes because of the target. A swap, forward or back, ends first.
pub(super) fn reconcile(
    view: &View<'_>,
    target: &Target,
    transaction: &Transaction,
) -> Option<Change> {
    match transaction.phase {
        Phase::Swapping | Phase::Reverting => return None,
        Phase::Fetching | Phase::Staged | Phase::Verifying | Phase::Confirming => {}
    }
    let Some(group) = still_wanted(target, transaction) else { return Some(Change::Leave) };
    let grew = || {
        let now = members(view, target, group[0]);
        now.iter().any(|wanted| transaction.leg(&wanted.name).is_none())
    };
    if grew() {
        return Some(Change::Leave);
    }
    let attempt = group[0].attempt_key();
    if attempt == transaction.attempt.as_ref() {
        return None;
    }
    let mut terms = terms(view, &group);
    // The new attempt's time begins now.
    terms.limit = terms.limit.map(|limit| transaction.elapsed(view.now).saturating_add(limit));
    Some(Change::Readopt(attempt.cloned(), terms))
}

/// The services of the transaction as the target has them, when it still wants all of them so, and
/// together.
fn still_wanted<'t>(target: &'t Target, transaction: &Transaction) -> Option<Vec<&'t Wanted>> {
    let mut group: Vec<&Wanted> = Vec::with_capacity(transaction.legs.len());
    for leg in &transaction.legs {
        let wanted = target.service(&leg.service)?;
        let is_so = wanted.recipe.is_ok() && wanted.spec() == leg.to.spec();
        let is_together = group.first().is_none_or(|first| {
            first.attempt_key() == wanted.attempt_key()
                && (first.attempt.is_none() || first.is_grouped_with(wanted))
        });
        if !is_so || !is_together {
            return None;
        }
        group.push(wanted);
    }
    (!group.is_empty()).then_some(group)
}
