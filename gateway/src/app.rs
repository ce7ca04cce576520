//! The process: what its handlers share, and how it starts.

use std::sync::Arc;
use std::time::Duration;

use runtime::process::Process;
use runtime::{Clock, Lifecycle};
use tokio::net::TcpListener;

use crate::relay::{Addresses, Peers};
use crate::sse::Streams;
use crate::stats::Stats;
use crate::{router, server};

/// What the process is started with.
#[derive(Debug)]
pub struct Config {
    /// Its name, clock, lifecycle and identity.
    pub process: Process,
    /// Where it serves.
    pub listener: TcpListener,
    /// The other processes.
    pub peers: Addresses,
    /// The URL that callers know it by, without a slash at the end.
    pub public_url: String,
    /// What can be set.
    pub settings: Settings,
}

/// What can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a request may take to come whole.
    pub read_timeout: Duration,
    /// How many live streams may be open.
    pub streams: usize,
    /// How many of them one caller may hold.
    pub streams_per_caller: usize,
    /// How long a process may take to say that it is well.
    pub health_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_timeout: Duration::from_secs(10),
            streams: 1_000,
            streams_per_caller: 20,
            health_timeout: Duration::from_secs(2),
        }
    }
}

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) peers: Arc<Peers>,
    pub(crate) public_url: Arc<str>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) streams: Streams,
}

impl App {
    /// Starts serving; it ends with the lifecycle.
    pub fn start(config: Config) -> Self {
        let Config { process, listener, peers, public_url, settings } = config;
        let lifecycle = process.lifecycle.clone();
        let app = Self {
            clock: process.clock.clone(),
            lifecycle: lifecycle.clone(),
            peers: Arc::new(Peers::new(&peers, &process.token)),
            public_url: public_url.into(),
            streams: Streams::new(settings.streams, settings.streams_per_caller),
            settings: Arc::new(settings),
            stats: Arc::default(),
        };
        let served = server::serve(
            listener,
            router::router(app.clone()),
            app.settings.read_timeout,
            lifecycle.clone(),
        );
        lifecycle.spawn("http", served);
        app
    }
}
