//! The process: what its handlers share, and how it starts.

use http::Uri;
use proto::event::v1::event_log_server::EventLogServer;
use runtime::Clock;
use runtime::outbox::{Feed, Outbox};
use runtime::process::Process;
use runtime::server::{GrpcListener, Limits, Services};
use sqlx::PgPool;
use tokio::net::TcpListener;

/// What the process is started with.
#[derive(Debug)]
pub struct Config {
    /// Its name, clock, lifecycle and identity.
    pub process: Process,
    /// Its database.
    pub pool: PgPool,
    /// Where it serves.
    pub listener: TcpListener,
    /// The process `access`.
    pub access: Uri,
    /// The process `registry`.
    pub registry: Uri,
    /// The process `rollout`.
    pub rollout: Uri,
}

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox,
}

impl App {
    /// Starts serving and working; both end with the lifecycle.
    pub fn start(config: Config) -> Self {
        let Config { process, pool, listener, access, registry: _, rollout: _ } = config;
        let app = Self {
            pool: pool.clone(),
            clock: process.clock.clone(),
            outbox: Outbox::new(crate::SCHEMA.name),
        };
        let lifecycle = process.lifecycle.clone();
        let services = Services::new().with(EventLogServer::new(Feed::new(
            app.outbox.clone(),
            pool,
            lifecycle.clone(),
        )));
        let grpc = GrpcListener {
            listener,
            services,
            auth: process.auth(&access),
            clock: process.clock.clone(),
            limits: Limits::OPERATORS,
        };
        lifecycle.spawn("grpc", grpc.serve(lifecycle.clone()));
        app
    }
}
