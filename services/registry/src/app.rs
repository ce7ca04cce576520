//! The process: what its handlers share, and how it starts.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use proto::event::v1::event_log_server::EventLogServer;
use proto::registry::v1::gate_server::GateServer;
use proto::registry::v1::image_registry_server::ImageRegistryServer;
use proto::registry::v1::upstreams_server::UpstreamsServer;
use proto::rollout::v1::policies_client::PoliciesClient;
use runtime::Clock;
use runtime::client::Outbound;
use runtime::outbox::{Feed, Outbox};
use runtime::process::Process;
use runtime::server::{GrpcListener, Limits, Services};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::resolve::Resolver;
use crate::{Error, retention};

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
    /// The process `rollout`.
    pub rollout: Uri,
    /// How long things take and last.
    pub times: Times,
}

/// How long things take and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long a registry elsewhere may take to answer one question.
    pub upstream_timeout: Duration,
    /// How long events are kept that every reader has stored.
    pub outbox_retention: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            upstream_timeout: Duration::from_secs(5),
            outbox_retention: Duration::from_secs(30 * 86_400),
        }
    }
}

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) policies: PoliciesClient<Outbound>,
    pub(crate) times: Times,
}

impl App {
    /// Starts serving and working; both end with the lifecycle.
    pub fn start(config: Config) -> Self {
        let Config { process, pool, listener, access, rollout, times } = config;
        let app = Self {
            pool: pool.clone(),
            clock: process.clock.clone(),
            outbox: Outbox::new(crate::SCHEMA.name),
            resolver: Arc::new(Resolver::new(process.clock.clone(), times.upstream_timeout)),
            policies: PoliciesClient::new(process.connect(&rollout)),
            times,
        };
        let lifecycle = process.lifecycle.clone();
        let services = Services::new()
            .with(ImageRegistryServer::new(app.clone()))
            .with(GateServer::new(app.clone()))
            .with(UpstreamsServer::new(app.clone()))
            .with(EventLogServer::new(Feed::new(app.outbox.clone(), pool, lifecycle.clone())));
        let grpc = GrpcListener {
            listener,
            services,
            auth: process.auth(&access),
            clock: process.clock.clone(),
            limits: Limits::OPERATORS,
        };
        lifecycle.spawn("grpc", grpc.serve(lifecycle.clone()));
        lifecycle.spawn("retention", retention::run(app.clone(), lifecycle.clone()));
        app
    }

    /// Removes what is older than the retention, as the worker does by itself every hour.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn sweep_once(&self) -> Result<(), Error> {
        retention::sweep(self).await.map(drop)
    }
}
