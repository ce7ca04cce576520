//! An engine without containers, for demonstrations, tests and measurements.
//!
//! It behaves as a real one does towards the agent, takes its time, and goes wrong as it is told.
//! There is no registry behind it: a pinned image has the digest that was asked for, an unpinned one
//! a digest made from its release.

mod bench;
mod fault;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

pub use bench::{Bench, Pace, PullCourse};
pub use fault::{Fault, FaultKind};

use crate::engine::{
    Answer, Container, Engine, EngineError, EngineInfo, LocalImage, NewContainer, Progress,
};
use crate::image::Image;
use crate::moment::Time;
use crate::storage::{Part, Storage};

/// In how many steps a pull moves.
const PULL_STEPS: u32 = 4;

/// A simulated engine.
pub struct Simulated {
    bench: Mutex<Bench>,
    time: Time,
    storage: Arc<dyn Storage>,
    moved: Notify,
    calls: Calls,
}

/// How often an engine was called.
#[derive(Debug, Default)]
pub struct Calls {
    reads: AtomicU32,
    writes: AtomicU32,
    pulls: AtomicU32,
}

impl Calls {
    /// Calls that look.
    #[must_use]
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Calls that change something, pulls among them.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Calls that pull.
    #[must_use]
    pub fn pulls(&self) -> u32 {
        self.pulls.load(Ordering::Relaxed)
    }
}

impl Simulated {
    /// An engine that has what was stored.
    #[must_use]
    pub fn open(mut bench: Bench, time: Time, storage: Arc<dyn Storage>) -> Self {
        if let Some(bytes) =
            storage.load(Part::Engine).ok().and_then(|copies| copies.into_iter().next())
        {
            bench.restore(&bytes, time.now());
        }
        let (moved, calls) = (Notify::new(), Calls::default());
        Self { bench: Mutex::new(bench), time, storage, moved, calls }
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Takes the power away from everything that runs.
    pub fn cut_power(&self) {
        let now = self.time.now();
        self.lock().cut_power(now);
        self.keep();
    }

    fn lock(&self) -> MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        look: impl FnOnce(&mut Bench) -> T + Send + 'a,
    ) -> Answer<'a, T> {
        self.calls.reads.fetch_add(1, Ordering::Relaxed);
        let answer = look(&mut self.lock());
        async move { Ok(answer) }.boxed()
    }

    fn write<'a>(
        &'a self,
        change: impl FnOnce(&mut Bench) -> Result<(), EngineError> + Send + 'a,
    ) -> Answer<'a, ()> {
        self.calls.writes.fetch_add(1, Ordering::Relaxed);
        async move {
            let result = change(&mut self.lock());
            self.keep();
            self.moved.notify_one();
            result
        }
        .boxed()
    }

    /// What runs outlives the program, as real containers do.
    fn keep(&self) {
        let stored = self.lock().stored();
        if let Err(error) = self.storage.save(Part::Engine, &stored) {
            tracing::warn!("a simulated engine could not be stored: {error}");
        }
    }
}

impl Engine for Simulated {
    fn info(&self) -> Answer<'_, EngineInfo> {
        self.read(|bench| EngineInfo {
            name: "simulated".to_owned(),
            platform: bench.platform().clone(),
        })
    }

    fn containers(&self) -> Answer<'_, Vec<Container>> {
        let now = self.time.now();
        self.read(move |bench| bench.containers(now))
    }

    fn images(&self) -> Answer<'_, Vec<LocalImage>> {
        self.read(|bench| bench.images().to_vec())
    }

    fn inspect<'a>(&'a self, image: &'a Image) -> Answer<'a, Option<LocalImage>> {
        let identity = image.identity();
        self.read(move |bench| {
            bench.images().iter().find(|local| local.identity == identity).cloned()
        })
    }

    fn pull<'a>(&'a self, image: &'a Image, progress: &'a Progress) -> Answer<'a, ()> {
        self.calls.writes.fetch_add(1, Ordering::Relaxed);
        self.calls.pulls.fetch_add(1, Ordering::Relaxed);
        async move {
            let course = self.lock().begin_pull(image);
            let Some(takes) = course.takes else { return std::future::pending().await };
            for step in 1..=PULL_STEPS {
                self.time.sleep(takes / PULL_STEPS).await;
                progress.advance(i32::try_from(step * 100 / PULL_STEPS).unwrap_or(100));
            }
            let result = self.lock().end_pull(course);
            self.keep();
            result
        }
        .boxed()
    }

    fn create<'a>(&'a self, container: &'a NewContainer) -> Answer<'a, ()> {
        self.write(move |bench| bench.create(container))
    }

    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.calls.writes.fetch_add(1, Ordering::Relaxed);
        async move {
            let now = self.time.now();
            let started = self.lock().start(id, now);
            let Some(result) = started else { return std::future::pending().await };
            self.keep();
            self.moved.notify_one();
            result
        }
        .boxed()
    }

    fn stop<'a>(&'a self, id: &'a str, _grace: Duration) -> Answer<'a, ()> {
        let now = self.time.now();
        self.write(move |bench| bench.stop(id, now))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        let now = self.time.now();
        self.write(move |bench| bench.remove(id, now))
    }

    fn remove_image<'a>(&'a self, identity: &'a str) -> Answer<'a, ()> {
        self.write(move |bench| bench.remove_image(identity))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        async move {
            let next = self.lock().next_change();
            tokio::select! {
                () = self.time.sleep_until(next) => {}
                () = self.moved.notified() => {}
            }
        }
        .boxed()
    }
}
