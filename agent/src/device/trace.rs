//! One span per update, in the trace of what caused it.

use runtime::context::link_trace;
use tracing::Span;
use tracing::field::Empty;

use crate::journal::Journal;
use crate::target::AttemptKey;

/// The span of the update under way.
#[derive(Debug)]
pub(super) struct UpdateSpan {
    device_id: String,
    open: Option<(AttemptKey, Span)>,
}

impl UpdateSpan {
    pub(super) fn new(device_id: &str) -> Self {
        Self { device_id: device_id.to_owned(), open: None }
    }

    /// Opens a span when an update begins, and ends it with the update.
    pub(super) fn follow(&mut self, journal: &Journal) {
        let attempt =
            journal.transaction.as_ref().and_then(|transaction| transaction.attempt.as_ref());
        if self.open.as_ref().map(|(key, _)| key) == attempt {
            return;
        }
        if let Some((key, span)) = self.open.take() {
            let ended = journal.outcomes.iter().find(|one| one.attempt.as_ref() == Some(&key));
            let outcome = ended.map_or("COMMITTED", |outcome| outcome.cause.reason.as_str());
            span.record("outcome", outcome);
            span.in_scope(|| tracing::debug!("the update ended: {outcome}"));
        }
        if let Some(key) = attempt {
            let span = tracing::info_span!(
                "device.update",
                device.id = self.device_id,
                rollout.id = key.rollout,
                rollout.attempt = key.number,
                outcome = Empty,
            );
            let target = journal.target.as_ref();
            link_trace(&span, target.map(|target| target.traceparent.as_str()));
            self.open = Some((key.clone(), span));
        }
    }
}
