//! What runs containers on a device.
//!
//! The agent asks an engine for what there is and tells it one thing at a time. Every call may be
//! made again: creating what exists, starting what runs and removing what is gone succeed. What a
//! pull brought is believed only when [`Engine::inspect`] shows it.

pub mod simulated;

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::image::Image;
use crate::platform::Platform;
use crate::recipe::Recipe;

/// The answer to a call.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, EngineError>>;

/// A container engine.
pub trait Engine: Send + Sync {
    /// What the engine is.
    fn info(&self) -> Answer<'_, EngineInfo>;

    /// The containers of this agent, running or not. Others are never shown.
    fn containers(&self) -> Answer<'_, Vec<Container>>;

    /// The images that are there.
    fn images(&self) -> Answer<'_, Vec<LocalImage>>;

    /// The image, if it is there.
    fn inspect<'a>(&'a self, image: &'a Image) -> Answer<'a, Option<LocalImage>>;

    /// Pulls an image and says meanwhile how far it is. Ends when it is dropped.
    fn pull<'a>(&'a self, image: &'a Image, progress: &'a Progress) -> Answer<'a, ()>;

    /// Makes a container, which does not run yet.
    fn create<'a>(&'a self, container: &'a NewContainer) -> Answer<'a, ()>;

    /// Starts a container.
    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;

    /// Stops a container, by force after the grace period.
    fn stop<'a>(&'a self, id: &'a str, grace: Duration) -> Answer<'a, ()>;

    /// Removes a container that does not run; its volumes stay.
    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;

    /// Removes an image, unless a container uses it.
    fn remove_image<'a>(&'a self, identity: &'a str) -> Answer<'a, ()>;

    /// Waits until something may have changed. A hint: it may come too often, or not at all.
    fn changed(&self) -> BoxFuture<'_, ()>;
}

/// What an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its name and version, for instance `docker 20.10.24`.
    pub name: String,
    /// What it runs images of.
    pub platform: Platform,
}

/// A container to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewContainer {
    /// Its service.
    pub service: String,
    /// What to make it from; its configuration is known.
    pub recipe: Recipe,
    /// The generation that asked for it, for people.
    pub generation: i64,
}

impl NewContainer {
    /// The name of the container. Those of old and new differ, so nothing is ever renamed.
    #[must_use]
    pub fn name(&self) -> String {
        let spec = self.recipe.spec();
        format!("slipway-{}-{}", self.service, spec.get(..10).unwrap_or(spec))
    }
}

/// A container as the engine shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// What to call it in calls.
    pub id: String,
    /// The service it is of.
    pub service: String,
    /// The hash of what it was made from.
    pub spec: String,
    /// The image it was made from, as the target named it.
    pub image: Image,
    /// The digest of that image.
    pub digest: String,
    /// Whether it runs.
    pub state: ContainerState,
    /// What its healthcheck says.
    pub health: Health,
    /// Changes with every start.
    pub starts: u64,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// It was never started.
    Created,
    /// It runs.
    Running,
    /// It ended.
    Exited {
        /// With this code.
        code: i32,
        /// Because it used more memory than it may.
        oom_killed: bool,
    },
}

/// What a healthcheck says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// There is no healthcheck.
    Unchecked,
    /// It has not said anything yet.
    Starting,
    /// All is well.
    Healthy,
    /// It is not.
    Unhealthy,
}

impl Container {
    /// Says whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }

    /// Says whether it runs and nothing says that it is not well.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        match self.health {
            Health::Unchecked | Health::Healthy => self.is_running(),
            Health::Starting | Health::Unhealthy => false,
        }
    }
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalImage {
    /// The identity under which it was asked for.
    pub identity: String,
    /// Its digest, as the engine computed it.
    pub digest: String,
    /// What it runs on.
    pub platform: Platform,
}

/// Why an engine did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It did not answer in time.
    #[error("the container engine did not answer in time")]
    Hung,
    /// It is not there.
    #[error("the container engine is not there: {0}")]
    Away(String),
    /// What the call is about is not there.
    #[error("there is no {0}")]
    Missing(String),
    /// There is no room.
    #[error("there is no room for {0}")]
    NoSpace(String),
    /// The image could not be pulled.
    #[error("the pull failed: {0}")]
    PullFailed(String),
    /// The image is not what was asked for.
    #[error("{0} came with another digest")]
    DigestMismatch(String),
    /// The image is for another platform.
    #[error("{0}")]
    WrongPlatform(String),
    /// The container could not be made or started.
    #[error("the container did not start: {0}")]
    StartFailed(String),
}

impl EngineError {
    /// Says whether the engine, not what it was asked, was at fault.
    #[must_use]
    pub fn is_engines_fault(&self) -> bool {
        match self {
            Self::Hung | Self::Away(_) => true,
            Self::Missing(_)
            | Self::NoSpace(_)
            | Self::PullFailed(_)
            | Self::DigestMismatch(_)
            | Self::WrongPlatform(_)
            | Self::StartFailed(_) => false,
        }
    }
}

/// How far a pull is.
#[derive(Debug, Default)]
pub struct Progress {
    percent: AtomicI32,
    beats: AtomicU64,
    moved: Notify,
}

impl Progress {
    /// Says that bytes came, and how far the pull is.
    pub fn advance(&self, percent: i32) {
        self.percent.store(percent.clamp(0, 100), Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.moved.notify_one();
    }

    /// How far it is, 0 to 100.
    #[must_use]
    pub fn percent(&self) -> i32 {
        self.percent.load(Ordering::Relaxed)
    }

    /// Grows whenever bytes come.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Waits until bytes come.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }
}
