//! What the outcome of a call means.

use std::time::Duration;

use super::Machine;
use crate::engine::EngineError;
use crate::journal::Change;
use crate::moment::Moment;
use crate::plan::Call;
use crate::transaction::Phase;

impl Machine {
    /// Notes how a call went.
    pub fn done(&mut self, call: &Call, result: Result<(), EngineError>, now: Moment) {
        if let Call::CancelPull = call {
            self.note_cancelled(now);
            return;
        }
        if result.is_ok() {
            self.note_success(call, now);
        }
        let key = call.key();
        let failed = result.err().map(|error| {
            let tries = self.memory.tries(&key) + 1;
            let retry = now + self.retry_wait(call, &error, tries);
            (error, retry)
        });
        self.memory.note_call(&key, failed);
    }

    fn note_success(&mut self, call: &Call, now: Moment) {
        match call {
            Call::Pull(image) => {
                let identity = image.identity();
                if !self.journal.pulled.contains(&identity) {
                    self.journal.pulled.push(identity);
                    self.unsaved = true;
                }
            }
            Call::Start(id) => self.note_start(id, now),
            Call::CancelPull
            | Call::Create(_)
            | Call::Stop(..)
            | Call::Remove(_)
            | Call::RemoveImage(_) => {}
        }
    }

    /// A container that was started, was: it may end before it is seen to run.
    fn note_start(&mut self, id: &str, now: Moment) {
        let Some(container) = self.observed.containers.iter().find(|one| one.id == id) else {
            return;
        };
        self.memory.note_start(container, now);
        let swaps = matches!(self.phase(), Some(Phase::Swapping | Phase::Reverting));
        let leg = self.transaction().and_then(|one| one.leg(&container.service));
        if swaps && leg.is_some_and(|leg| !leg.started) {
            let service = container.service.clone();
            self.memory.note_begin(id);
            self.journal.apply(Change::Started(service), now);
        }
    }

    /// A pull that was cancelled because nothing came has failed once; one that nobody wants any
    /// more has not.
    fn note_cancelled(&mut self, now: Moment) {
        let Some(pull) = self.observed.pull.take() else { return };
        let stall = self.setup.timing.pull_stall;
        if now.since(pull.moved) < stall {
            return;
        }
        let key = format!("pull {}", pull.identity);
        let tries = self.memory.tries(&key) + 1;
        let ceiling = self.setup.timing.pull_backoff.ceiling(tries);
        let wait = ceiling.mul_f64(self.setup.chance.unit());
        let error = EngineError::PullFailed(format!("no byte came for {} s", stall.as_secs_f32()));
        self.memory.note_call(&key, Some((error, now + wait)));
    }

    fn retry_wait(&mut self, call: &Call, error: &EngineError, tries: u32) -> Duration {
        let backoff = match call {
            Call::Pull(_) if !error.is_engines_fault() => self.setup.timing.pull_backoff,
            Call::Pull(_)
            | Call::CancelPull
            | Call::Create(_)
            | Call::Start(_)
            | Call::Stop(..)
            | Call::Remove(_)
            | Call::RemoveImage(_) => self.setup.timing.engine_backoff,
        };
        backoff.ceiling(tries).mul_f64(self.setup.chance.unit())
    }
}
