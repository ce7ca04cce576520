//! Workers: idempotent steps, woken by a signal or a period, that take no arguments.
//!
//! A step claims one row, does one thing with it in one transaction, and says whether there is more.
//! There is no retry inside a step: the next period is the retry. Tests run a step directly.

use std::fmt::Display;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::Instrument as _;

use crate::context::{self, Context};
use crate::{Clock, Lifecycle, Wake, id};

/// What a step leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was due.
    Idle,
    /// Nothing is due before this time.
    Until(DateTime<Utc>),
    /// There may be more; come again at once.
    More,
}

/// What makes a worker run.
#[derive(Debug, Clone)]
pub struct Worker {
    /// What it is called in logs and metrics.
    pub name: &'static str,
    /// Rung when there may be something to do.
    pub wake: Wake,
    /// How long it sleeps when nothing rings: the net under lost signals and other replicas.
    pub period: Duration,
}

impl Worker {
    /// Runs steps until the process stops.
    pub async fn run<F, E>(&self, lifecycle: &Lifecycle, clock: &Clock, mut step: impl FnMut() -> F)
    where
        F: Future<Output = Result<Progress, E>>,
        E: Display,
    {
        while !lifecycle.is_stopping() {
            let pause = match self.run_once(clock, &mut step).await {
                Some(Progress::More) => continue,
                Some(Progress::Until(time)) => {
                    (time - clock.now()).to_std().unwrap_or_default().min(self.period)
                }
                Some(Progress::Idle) | None => self.period,
            };
            tokio::select! {
                () = lifecycle.stopping() => return,
                () = self.wake.wait() => {}
                () = clock.sleep(pause) => {}
            }
        }
    }

    async fn run_once<F, E>(&self, clock: &Clock, step: &mut impl FnMut() -> F) -> Option<Progress>
    where
        F: Future<Output = Result<Progress, E>>,
        E: Display,
    {
        let request_id = format!("{}-{}", self.name, id::uuid_v7(clock.now()).simple());
        let span = tracing::debug_span!("worker", worker = self.name);
        let context = Context { request_id, traceparent: None };
        match context::scope(context, step().instrument(span)).await {
            Ok(progress) => {
                #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact")]
                let now = clock.now().timestamp() as f64;
                metrics::gauge!("worker_last_success_time_seconds", "worker" => self.name).set(now);
                Some(progress)
            }
            Err(error) => {
                metrics::counter!("worker_failures_total", "worker" => self.name).increment(1);
                tracing::warn!(
                    worker = self.name,
                    "worker `{}` will try again: {error}",
                    self.name
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_worker_goes_on_after_an_error_and_stops_with_the_process() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let lifecycle = Lifecycle::new();
        let wake = Wake::new();
        let worker = Worker { name: "test", wake: wake.clone(), period: Duration::from_secs(30) };
        let steps = Arc::new(AtomicU32::new(0));
        let (reached, mut on_step) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn({
            let (clock, lifecycle, steps) = (clock.clone(), lifecycle.clone(), steps.clone());
            async move {
                worker
                    .run(&lifecycle, &clock, || {
                        let count = steps.fetch_add(1, Ordering::SeqCst);
                        reached.send(count).expect("the test listens");
                        async move {
                            if count == 0 {
                                Err("the first step fails")
                            } else {
                                Ok(Progress::Idle)
                            }
                        }
                    })
                    .await;
            }
        });
        assert_eq!(on_step.recv().await, Some(0));
        wake.ring();
        assert_eq!(on_step.recv().await, Some(1));
        lifecycle.stop();
        task.await.expect("the worker ends");
    }
}
