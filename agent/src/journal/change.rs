//! How the journal changes.

use std::collections::btree_map::Entry;

use super::{Confirmed, Journal, Outcome};
use crate::moment::Moment;
use crate::outbox::Ending;
use crate::row::Row;
use crate::target::AttemptKey;
use crate::transaction::{Cause, Phase, Terms, Transaction};

/// One change of what a device remembers.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An update begins.
    Begin(Box<Transaction>),
    /// The target asks for the same under another attempt.
    Readopt(Option<AttemptKey>, Terms),
    /// The update reaches the next phase.
    Advance(Phase),
    /// A service of the update was seen to run.
    Started(String),
    /// The target asks for something else: the update ends without a verdict.
    Leave,
    /// The update is good.
    Commit,
    /// The update is not good and goes back.
    Revert(Cause),
    /// Attempts ended, other than well.
    Settle(Vec<Ended>),
    /// A service is gone.
    Forget(String),
    /// An image was removed.
    Collected(String),
}

/// How an attempt at a service ended, and what the server is told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// What to report.
    pub row: Row,
}

impl Journal {
    /// Makes a change.
    pub fn apply(&mut self, change: Change, now: Moment) {
        match change {
            Change::Begin(transaction) => self.transaction = Some(*transaction),
            Change::Readopt(attempt, terms) => {
                let Some(transaction) = &mut self.transaction else { return };
                transaction.attempt = attempt;
                transaction.terms = terms;
            }
            Change::Advance(phase) => self.advance(phase, now),
            Change::Started(service) => self.note_started(&service, now),
            Change::Leave => self.transaction = None,
            Change::Commit => self.commit(),
            Change::Revert(cause) => {
                self.advance(Phase::Reverting, now);
                if let Some(transaction) = &mut self.transaction {
                    transaction.cause = Some(cause);
                    transaction.legs.iter_mut().for_each(|leg| leg.started = false);
                }
            }
            Change::Settle(ended) => self.settle(ended),
            Change::Forget(service) => {
                self.confirmed.remove(&service);
            }
            Change::Collected(identity) => self.pulled.retain(|pulled| *pulled != identity),
        }
    }

    fn advance(&mut self, phase: Phase, now: Moment) {
        let Some(transaction) = &mut self.transaction else { return };
        transaction.count(now);
        match (transaction.phase, phase) {
            (_, Phase::Swapping | Phase::Reverting) | (Phase::Swapping, Phase::Verifying) => {
                transaction.swapped = Some(transaction.powered);
            }
            (_, Phase::Fetching | Phase::Staged | Phase::Verifying | Phase::Confirming) => {}
        }
        transaction.phase = phase;
    }

    fn note_started(&mut self, service: &str, now: Moment) {
        let Some(transaction) = &mut self.transaction else { return };
        for leg in &mut transaction.legs {
            leg.started |= leg.service == service;
        }
        if transaction.phase == Phase::Reverting {
            transaction.count(now);
            transaction.swapped = Some(transaction.powered);
        }
    }

    fn commit(&mut self) {
        for leg in self.transaction.take().into_iter().flat_map(|transaction| transaction.legs) {
            match self.confirmed.entry(leg.service) {
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    let replaced = std::mem::replace(&mut known.recipe, leg.to);
                    let replaced = (replaced.spec() != known.recipe.spec()).then_some(replaced);
                    known.previous = leg.from.or(replaced).or(known.previous.take());
                }
                Entry::Vacant(unknown) => {
                    unknown.insert(Confirmed { recipe: leg.to, previous: leg.from });
                }
            }
        }
    }

    /// Ends the transaction, if one is under way. What it went back to counts as good from then on,
    /// where nothing did before.
    fn settle(&mut self, ended: Vec<Ended>) {
        for leg in self.transaction.take().into_iter().flat_map(|transaction| transaction.legs) {
            if let Some(recipe) = leg.from {
                self.confirmed
                    .entry(leg.service)
                    .or_insert_with(|| Confirmed { recipe, previous: None });
            }
        }
        self.note_endings(&ended);
        let target = self.target.as_ref();
        for Ended { outcome, row: _ } in ended {
            self.outcomes.retain(|known| known.service != outcome.service);
            let mut wanted = target.iter().flat_map(|target| &target.services);
            if wanted.any(|wanted| outcome.is_of(wanted)) {
                self.outcomes.push(outcome);
            }
        }
    }

    /// Puts the ends of attempts into the outbox, those of one attempt together.
    fn note_endings(&mut self, ended: &[Ended]) {
        let mut attempts: Vec<&AttemptKey> =
            ended.iter().filter_map(|one| one.outcome.attempt.as_ref()).collect();
        attempts.dedup();
        for attempt in attempts {
            let of_it = ended.iter().filter(|one| one.outcome.attempt.as_ref() == Some(attempt));
            self.outbox.push(Ending {
                attempt: attempt.clone(),
                rows: of_it.map(|one| one.row.clone()).collect(),
                traceparent: self
                    .target
                    .as_ref()
                    .map(|target| target.traceparent.clone())
                    .unwrap_or_default(),
            });
        }
    }
}
