//! An update that is under way on the device.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::recipe::Recipe;
use crate::target::AttemptKey;

/// The change of one group of services: all of them go forward, or all go back.
///
/// Durations count the time that the device was powered, so that a power cut neither ends a timer
/// nor gives it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// The attempt it belongs to; none where the target changed without a rollout.
    pub attempt: Option<AttemptKey>,
    /// How far it is.
    pub phase: Phase,
    /// The services, in the order in which they start.
    pub legs: Vec<Leg>,
    /// Its durations.
    pub terms: Terms,
    /// The powered time it has taken, counted up to `counted_at`.
    pub powered: Duration,
    /// When `powered` was counted.
    #[serde(skip)]
    pub counted_at: Moment,
    /// The powered time at which the phase began that is timed: the swap, what follows it, or going
    /// back.
    pub swapped: Option<Duration>,
    /// How often the device started anew meanwhile.
    pub boots: u32,
    /// Why it goes back, once it does.
    pub cause: Option<Cause>,
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Images are pulled; what ran before runs.
    Fetching,
    /// All images are there, containers are made; what ran before runs.
    Staged,
    /// The old ones stop and the new ones start.
    Swapping,
    /// The new ones run and must become and stay healthy.
    Verifying,
    /// They have soaked, and the server must hear of it.
    Confirming,
    /// The new ones stop and the old ones start.
    Reverting,
}

/// One service of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// The service.
    pub service: String,
    /// What shall run.
    pub to: Recipe,
    /// What to go back to; none where nothing ran before.
    pub from: Option<Recipe>,
    /// Whether the new one was started in this swap, or, when going back, the old one.
    pub started: bool,
}

/// The durations of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How long services may take to become healthy.
    pub verify: Duration,
    /// How long they must stay healthy.
    pub soak: Duration,
    /// How long after the swap to wait for the server.
    pub dead_man: Duration,
    /// How long all of it may take.
    pub limit: Option<Duration>,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A constant of `proto::reason`.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Cause {
    /// A cause.
    #[must_use]
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

impl Phase {
    /// Says whether what ran before is still untouched.
    #[must_use]
    pub fn is_before_swap(self) -> bool {
        matches!(self, Self::Fetching | Self::Staged)
    }
}

impl Transaction {
    /// The powered time it has taken until now.
    #[must_use]
    pub fn elapsed(&self, now: Moment) -> Duration {
        self.powered + now.since(self.counted_at)
    }

    /// The powered time since the swap was done.
    #[must_use]
    pub fn since_swap(&self, now: Moment) -> Option<Duration> {
        Some(self.elapsed(now).saturating_sub(self.swapped?))
    }

    /// Counts the powered time until now into what is stored.
    pub fn count(&mut self, now: Moment) {
        self.powered = self.elapsed(now);
        self.counted_at = now;
    }

    /// The moment at which `elapsed` will be `duration`.
    #[must_use]
    pub fn when(&self, duration: Duration) -> Moment {
        self.counted_at + duration.saturating_sub(self.powered)
    }

    /// The leg of a service.
    #[must_use]
    pub fn leg(&self, service: &str) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.service == service)
    }

    /// Says whether there is something to go back to.
    #[must_use]
    pub fn can_go_back(&self) -> bool {
        self.legs.iter().any(|leg| leg.from.is_some())
    }
}
