//! How a process ends: softly, then hard, and never in silence.
//!
//! A soft stop begins with a signal, with the end of standard input where a supervisor holds it, or
//! with the end of a task that should not have ended. Tasks see [`stopping`](Lifecycle::stopping)
//! and finish what they do. What is left after the drain time is cut off.

use std::fmt::Display;
use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// Tasks and their end.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    crashed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// Makes the lifecycle of a process, or of one service in a test.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that lives as long as the process. When it ends before a stop was asked for, the
    /// process stops and its exit tells so.
    pub fn spawn<E: Display + Send>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let lifecycle = self.clone();
        self.tasks.spawn(async move {
            let hard = lifecycle.hard.clone();
            let result = tokio::select! {
                result = task => result,
                () = hard.cancelled() => return,
            };
            if let Err(error) = result {
                tracing::error!(task = name, "the task `{name}` failed: {error}");
            } else if lifecycle.soft.is_cancelled() {
                return;
            } else {
                tracing::error!(task = name, "the task `{name}` ended on its own");
            }
            lifecycle.crashed.store(true, Ordering::Relaxed);
            lifecycle.soft.cancel();
        });
    }

    /// Waits until a stop is asked for.
    pub fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.soft.cancelled()
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// The token that ends with the soft stop, for streams that outlive their handler.
    #[must_use]
    pub fn soft_token(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Waits until the drain time is over.
    pub fn cut_off(&self) -> WaitForCancellationFuture<'_> {
        self.hard.cancelled()
    }

    /// Asks for a stop.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Stops, waits up to `drain` for the tasks, then cuts them off. Returns whether all went well.
    pub async fn finish(&self, drain: Duration) -> bool {
        self.soft.cancel();
        self.tasks.close();
        if tokio::time::timeout(drain, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "cutting off what did not end in time");
            self.hard.cancel();
            let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
        }
        !self.crashed.load(Ordering::Relaxed)
    }

    /// Runs the process until SIGTERM or SIGINT, the end of a supervised standard input, or a crash
    /// of a task; then finishes. A second signal cuts off at once.
    pub async fn run(&self, drain: Duration, supervised: bool) -> ExitCode {
        if supervised {
            stop_at_end_of_stdin(self.soft.clone());
        }
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be watched");
        let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be watched");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.soft.cancelled() => {}
        }
        let well = tokio::select! {
            well = self.finish(drain) => well,
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
        };
        if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A thread of its own, because a blocked read of standard input would keep the runtime from
/// ending; nobody waits for this one.
fn stop_at_end_of_stdin(soft: CancellationToken) {
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while matches!(std::io::stdin().read(&mut buffer), Ok(read) if read > 0) {}
        soft.cancel();
    });
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_on_its_own_stops_the_process_and_is_told() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("short", async { Ok::<(), Infallible>(()) });
        lifecycle.stopping().await;
        assert!(!lifecycle.finish(Duration::from_secs(5)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_in_time_is_cut_off() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("stubborn", std::future::pending::<Result<(), Infallible>>());
        assert!(lifecycle.finish(Duration::from_secs(5)).await);
        assert!(lifecycle.hard.is_cancelled());
    }
}
