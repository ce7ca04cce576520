//! What a plan looks at.

use std::time::Duration;

use workload::Restart;

use super::{Call, Step};
use crate::engine::{Container, ContainerState, EngineError, NewContainer};
use crate::image::Image;
use crate::journal::Journal;
use crate::memory::{Memory, Observed};
use crate::moment::Moment;
use crate::platform::Platform;
use crate::recipe::Recipe;
use crate::target::Wanted;
use crate::timing::Timing;

/// Everything that decides the next step.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is remembered.
    pub journal: &'a Journal,
    /// What is seen.
    pub observed: &'a Observed,
    /// Since when it is so.
    pub memory: &'a Memory,
    /// The agent's own durations.
    pub timing: &'a Timing,
    /// What the device is.
    pub platform: &'a Platform,
    /// The moment now.
    pub now: Moment,
}

impl<'a> View<'a> {
    /// The container of a service that was made from this recipe.
    #[must_use]
    pub fn container(&self, service: &str, spec: &str) -> Option<&'a Container> {
        self.of(service).find(|container| container.spec == spec)
    }

    /// The containers of a service.
    pub fn of(&self, service: &str) -> impl Iterator<Item = &'a Container> {
        let service = service.to_owned();
        self.observed.containers.iter().filter(move |container| container.service == service)
    }

    /// A container of a service that runs and was not made from this recipe.
    #[must_use]
    pub fn other_running(&self, service: &str, spec: &str) -> Option<&'a Container> {
        self.of(service).find(|container| container.is_running() && container.spec != spec)
    }

    /// Says whether an image is there and is what it should be.
    #[must_use]
    pub fn has_image(&self, image: &Image) -> bool {
        let identity = image.identity();
        self.observed.images.iter().any(|local| {
            local.identity == identity
                && (image.digest.is_empty() || local.digest == image.digest)
                && self.platform.runs(&local.platform)
        })
    }

    /// Says whether an image is there and is not what it should be.
    #[must_use]
    pub fn has_bad_image(&self, image: &Image) -> bool {
        let identity = image.identity();
        !self.has_image(image)
            && self.observed.images.iter().any(|local| local.identity == identity)
    }

    /// Says whether a service has to be changed to run as the target says.
    #[must_use]
    pub fn needs_change(&self, wanted: &Wanted) -> bool {
        if self.journal.outcome(wanted).is_some() {
            return false;
        }
        let confirmed = self.journal.confirmed.get(&wanted.name);
        let is_confirmed =
            confirmed.is_some_and(|confirmed| confirmed.recipe.spec() == wanted.spec());
        !is_confirmed || self.other_running(&wanted.name, wanted.spec()).is_some()
    }

    /// The call, unless it failed and its time has not come again.
    #[must_use]
    pub fn when_due(&self, call: Call) -> Step {
        match self.memory.trouble(&call.key()) {
            Some(trouble) if trouble.retry > self.now => Step::Wait(Some(trouble.retry)),
            Some(_) | None => Step::Call(call),
        }
    }

    /// Why a call failed for a reason that lies in what was asked.
    #[must_use]
    pub fn failure(&self, call: &Call) -> Option<&'a EngineError> {
        let trouble = self.memory.trouble(&call.key())?;
        (!trouble.error.is_engines_fault()).then_some(&trouble.error)
    }

    /// The call that makes a container; none where the configuration is not known.
    #[must_use]
    pub fn create(&self, service: &str, recipe: &Recipe) -> Option<Call> {
        recipe.config()?;
        Some(Call::Create(Box::new(NewContainer {
            service: service.to_owned(),
            recipe: recipe.clone(),
            generation: self.journal.generation(),
        })))
    }

    /// The call that stops a container of a service, with the grace period of what it was made from.
    #[must_use]
    pub fn stop(&self, container: &Container, recipe: Option<&Recipe>) -> Call {
        let confirmed = self.journal.confirmed.get(&container.service).map(|known| &known.recipe);
        let recipe = recipe.into_iter().chain(confirmed).find(|one| one.spec() == container.spec);
        let grace = recipe.map_or(Duration::from_secs(10), Recipe::stop_grace);
        Call::Stop(container.id.clone(), grace)
    }
}

/// Says whether a container does what it should: it runs and is healthy, or has ended as it may.
#[must_use]
pub fn is_well(container: &Container, recipe: &Recipe) -> bool {
    container.is_healthy() || is_done(container, recipe)
}

/// Says whether a container has ended for good.
#[must_use]
pub(super) fn is_done(container: &Container, recipe: &Recipe) -> bool {
    let ContainerState::Exited { code, .. } = container.state else { return false };
    match recipe.restart() {
        Restart::UnlessStopped => false,
        Restart::OnFailure | Restart::Never => code == 0,
    }
}

/// Says whether a container that ended is to be started again.
#[must_use]
pub(super) fn is_restarted(container: &Container, recipe: &Recipe) -> bool {
    let ContainerState::Exited { code, .. } = container.state else { return false };
    match recipe.restart() {
        Restart::UnlessStopped => true,
        Restart::OnFailure => code != 0,
        Restart::Never => false,
    }
}
