//! What to do next.
//!
//! [`plan`] looks at what should run, what does, and what the journal says, and returns one step.
//! After each step everything is looked at anew, so a step that failed, was lost in a crash, or was
//! undone by somebody is simply seen to be missing. Nothing here waits or does anything.
//!
//! What must hold:
//!
//! - What runs as wanted is left alone.
//! - What ran before stops only once everything new is pulled and made, and the server was heard
//!   lately; its container stays until the new one is committed.
//! - A swap that began ends before anything else; then the newest target counts.
//! - The services of one rollout go forward together or back together.

mod group;
mod reconcile;
mod revert;
mod stage;
mod swap;
mod upkeep;
mod verify;
mod view;

use std::time::Duration;

use crate::engine::NewContainer;
use crate::image::Image;
use crate::journal::Change;
use crate::moment::{Moment, earlier};
use crate::target::Target;
use crate::transaction::{Phase, Transaction};

pub use view::{View, is_well};

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To remember something.
    Note(Change),
    /// To have the engine do something.
    Call(Call),
    /// Nothing until something changes, or until the moment has come.
    Wait(Option<Moment>),
}

/// What an engine is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Begin to pull; other steps go on meanwhile.
    Pull(Image),
    /// End the pull that is under way.
    CancelPull,
    /// Make a container.
    Create(Box<NewContainer>),
    /// Start a container.
    Start(String),
    /// Stop a container.
    Stop(String, Duration),
    /// Remove a container.
    Remove(String),
    /// Remove an image.
    RemoveImage(String),
}

impl Call {
    /// Names the call, so that its failures can be counted.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Pull(image) => format!("pull {}", image.identity()),
            Self::CancelPull => "cancel".to_owned(),
            Self::Create(container) => format!("create {}", container.name()),
            Self::Start(id) => format!("start {id}"),
            Self::Stop(id, _) => format!("stop {id}"),
            Self::Remove(id) => format!("remove {id}"),
            Self::RemoveImage(identity) => format!("remove image {identity}"),
        }
    }
}

/// Returns the next step.
#[must_use]
pub fn plan(view: &View<'_>) -> Step {
    let Some(target) = &view.journal.target else { return Step::Wait(None) };
    let mut wake = None;
    if let Some(transaction) = &view.journal.transaction {
        if let Some(change) = reconcile::reconcile(view, target, transaction) {
            return Step::Note(change);
        }
        match advance(view, target, transaction) {
            Step::Wait(until) => wake = until,
            step @ (Step::Note(_) | Step::Call(_)) => return step,
        }
    }
    match upkeep::step(view, target) {
        Step::Wait(until) => wake = earlier(wake, until),
        step @ (Step::Note(_) | Step::Call(_)) => return step,
    }
    if view.observed.pull.is_some() && !is_pull_wanted(view, target) {
        return Step::Call(Call::CancelPull);
    }
    if view.journal.transaction.is_none() {
        if let Some(change) = group::begin(view, target) {
            return Step::Note(change);
        }
        match upkeep::collect(view, target) {
            Step::Wait(until) => wake = earlier(wake, until),
            step @ (Step::Note(_) | Step::Call(_)) => return step,
        }
    }
    Step::Wait(wake)
}

fn advance(view: &View<'_>, target: &Target, transaction: &Transaction) -> Step {
    match transaction.phase {
        Phase::Fetching => stage::fetch(view, transaction),
        Phase::Staged => stage::stage(view, transaction),
        Phase::Swapping => swap::swap(view, target, transaction),
        Phase::Verifying => verify::verify(view, transaction),
        Phase::Confirming => verify::confirm(view, transaction),
        Phase::Reverting => revert::revert(view, transaction),
    }
}

/// Says whether the pull that is under way still serves anything.
fn is_pull_wanted(view: &View<'_>, target: &Target) -> bool {
    let Some(pull) = &view.observed.pull else { return false };
    let legs = view.journal.transaction.iter().flat_map(|transaction| &transaction.legs);
    let of_legs = legs.flat_map(|leg| [Some(&leg.to), leg.from.as_ref()]).flatten();
    let kept = target.services.iter().filter_map(|wanted| view.journal.maintained(wanted));
    of_legs.chain(kept).any(|recipe| recipe.image().identity() == pull.identity)
}
