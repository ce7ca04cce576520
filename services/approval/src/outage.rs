//! Which of the other processes were away when they were asked last.
//!
//! What waits for one of them is tried again ever more rarely. The first answer after an outage
//! makes all of it due at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runtime::Wake;

/// What is known about the other processes, and whom to wake when one is back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outages(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    registry: AtomicBool,
    rollout: AtomicBool,
    over: Wake,
}

impl Outages {
    /// Notes whether `registry` was away.
    pub(crate) fn registry(&self, away: bool) {
        self.note(&self.0.registry, away);
    }

    /// Notes whether `rollout` was away.
    pub(crate) fn rollout(&self, away: bool) {
        self.note(&self.0.rollout, away);
    }

    /// Rings when a process is back.
    pub(crate) fn over(&self) -> Wake {
        self.0.over.clone()
    }

    fn note(&self, known: &AtomicBool, away: bool) {
        if known.swap(away, Ordering::Relaxed) && !away {
            self.0.over.ring();
        }
    }
}
