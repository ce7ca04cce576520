//! What a device remembers.
//!
//! One document, small and written as a whole before each step that it permits. It says what should
//! run, what is known to be good, what is under way, and what the server has yet to hear. What
//! *does* run is never in it: that is seen.

mod change;
mod document;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use change::{Change, Ended};
pub use document::{DocumentError, decode, encode};

use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::recipe::Recipe;
use crate::row::Standing;
use crate::target::{AttemptKey, Target, Wanted};
use crate::transaction::{Cause, Transaction};

/// The schema that this version writes.
pub const SCHEMA: u32 = 1;

/// How many report numbers are reserved at once.
const SEQ_BLOCK: i64 = 64;

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// How to read it.
    pub schema: u32,
    /// What should run: the last target that was accepted.
    pub target: Option<Target>,
    /// What was good last, by service.
    pub confirmed: BTreeMap<String, Confirmed>,
    /// What is under way.
    pub transaction: Option<Transaction>,
    /// What was tried, did not work, and is not tried again until the target says so anew.
    pub outcomes: Vec<Outcome>,
    /// What the server has yet to hear.
    pub outbox: Outbox,
    /// The report numbers up to this one may have been used.
    pub seq_reserved: i64,
    /// The images that this agent pulled, by identity: the only ones it may remove.
    pub pulled: Vec<String>,
    /// The start of the kernel in which the document was written.
    pub boot_id: String,
}

/// What a service was committed to last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmed {
    /// What runs.
    pub recipe: Recipe,
    /// What ran before; its container stays, stopped, so that going back needs nothing.
    pub previous: Option<Recipe>,
}

/// How an attempt at a service ended, other than well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The service.
    pub service: String,
    /// What was tried; empty where it could not be made.
    pub spec: String,
    /// The attempt.
    pub attempt: Option<AttemptKey>,
    /// How it ended.
    pub standing: Standing,
    /// Why.
    pub cause: Cause,
    /// Whether what was tried stays and is restarted, because nothing ran before.
    pub kept: bool,
}

impl Outcome {
    /// Says whether the target still asks for what ended so.
    #[must_use]
    pub fn is_of(&self, wanted: &Wanted) -> bool {
        self.service == wanted.name
            && self.spec == wanted.spec()
            && self.attempt.as_ref() == wanted.attempt_key()
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            target: None,
            confirmed: BTreeMap::new(),
            transaction: None,
            outcomes: Vec::new(),
            outbox: Outbox::default(),
            seq_reserved: 0,
            pulled: Vec::new(),
            boot_id: String::new(),
        }
    }
}

impl Journal {
    /// Takes the journal up again after a start of the agent, under this start of the kernel.
    /// Returns whether it changed.
    pub fn resume(&mut self, boot_id: &str, now: Moment) -> bool {
        let booted = self.boot_id != boot_id;
        if let Some(transaction) = &mut self.transaction {
            transaction.counted_at = now;
            transaction.boots += u32::from(booted);
        }
        boot_id.clone_into(&mut self.boot_id);
        booted
    }

    /// The generation of the accepted target; 0 = none.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.target.as_ref().map_or(0, |target| target.generation)
    }

    /// The etag of the accepted target; empty = none.
    #[must_use]
    pub fn etag(&self) -> &str {
        self.target.as_ref().map_or("", |target| target.etag.as_str())
    }

    /// How the attempt that the target asks for ended, if it has.
    #[must_use]
    pub fn outcome(&self, wanted: &Wanted) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.is_of(wanted))
    }

    /// Accepts a target. What ended under an older one and is asked for no more is forgotten.
    pub fn accept(&mut self, target: Target) {
        self.outcomes.retain(|outcome| target.services.iter().any(|wanted| outcome.is_of(wanted)));
        self.target = Some(target);
    }

    /// Reserves report numbers so that `seq` may be used. Returns whether the document changed.
    pub fn reserve(&mut self, seq: i64) -> bool {
        let missing = seq > self.seq_reserved;
        if missing {
            self.seq_reserved = seq.saturating_add(SEQ_BLOCK - 1);
        }
        missing
    }

    /// What is to run of a service while no transaction changes it: what was good last, or what
    /// failed where nothing ran before.
    #[must_use]
    pub fn maintained<'a>(&'a self, wanted: &'a Wanted) -> Option<&'a Recipe> {
        if let Some(confirmed) = self.confirmed.get(&wanted.name) {
            return Some(&confirmed.recipe);
        }
        let kept = self.outcome(wanted).is_some_and(|outcome| outcome.kept);
        wanted.recipe.as_ref().ok().filter(|_| kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_numbers_are_reserved_in_blocks_and_never_used_twice() {
        let mut journal = Journal::default();
        assert!(journal.reserve(1));
        assert_eq!(journal.seq_reserved, 64);
        assert!((2..=64).all(|seq| !journal.reserve(seq)));
        assert!(journal.reserve(65));
        // After a crash only the reservation is known, so the next number lies behind it.
        let after_crash = journal.seq_reserved + 1;
        assert!(after_crash > 65);
    }
}
