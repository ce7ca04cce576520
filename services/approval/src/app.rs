//! The process: what its handlers share, and how it starts.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use http::Uri;
use proto::approval::v1::pushes_server::PushesServer;
use proto::approval::v1::receivers_server::ReceiversServer;
use proto::approval::v1::reviews_server::ReviewsServer;
use proto::approval::v1::targets_server::TargetsServer;
use proto::event::v1::event_log_server::EventLogServer;
use runtime::outbox::{Feed, Outbox};
use runtime::process::Process;
use runtime::seal::Sealer;
use runtime::server::{GrpcListener, Services};
use runtime::{Clock, Lifecycle};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::grpc::pushes::PushesRpc;
use crate::grpc::receivers::ReceiversRpc;
use crate::grpc::reviews::ReviewsRpc;
use crate::grpc::targets::TargetsRpc;
use crate::lanes::Lanes;
use crate::limits::{Limits, Rate};
use crate::outage::Outages;
use crate::peers::Peers;
use crate::retention::Keep;
use crate::worker::{self, Wakes};

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
    /// What receivers' secrets are sealed with.
    pub sealer: Sealer,
    /// Limits and times.
    pub settings: Settings,
}

/// Limits and times that operators may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How fast one receiver takes deliveries.
    pub deliveries: Rate,
    /// How fast one address may fail.
    pub failures: Rate,
    /// How old an event may be that is still decided; `None` = any age.
    pub max_event_age: Option<TimeDelta>,
    /// How long a sender waits for a verdict at the most.
    pub inline: Duration,
    /// How long a review stays open.
    pub review_deadline: TimeDelta,
    /// How long things are kept.
    pub keep: Keep,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deliveries: Rate { per_second: 50.0, burst: 200.0 },
            failures: Rate { per_second: 20.0 / 60.0, burst: 20.0 },
            max_event_age: Some(TimeDelta::hours(24)),
            inline: Duration::from_secs(1),
            review_deadline: TimeDelta::days(7),
            keep: Keep::default(),
        }
    }
}

/// What handlers and workers share.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) peers: Peers,
    pub(crate) sealer: Sealer,
    pub(crate) settings: Arc<Settings>,
    pub(crate) limits: Limits,
    pub(crate) lanes: Lanes,
    pub(crate) outages: Outages,
    pub(crate) wakes: Wakes,
}

impl App {
    /// Starts serving and working; both end with the lifecycle.
    pub fn start(config: Config) -> Self {
        let Config { process, pool, listener, access, registry, rollout, sealer, settings } =
            config;
        let app = Self {
            peers: Peers::connect(&process, &registry, &rollout),
            clock: process.clock.clone(),
            lifecycle: process.lifecycle.clone(),
            outbox: Outbox::new(crate::SCHEMA.name),
            limits: Limits::new(settings.deliveries, settings.failures),
            settings: Arc::new(settings),
            lanes: Lanes::default(),
            outages: Outages::default(),
            wakes: Wakes::default(),
            pool,
            sealer,
        };
        let grpc = GrpcListener {
            listener,
            services: app.services(),
            auth: process.auth(&access),
            clock: process.clock.clone(),
            limits: runtime::server::Limits::OPERATORS,
        };
        app.lifecycle.spawn("grpc", grpc.serve(app.lifecycle.clone()));
        worker::start(&app);
        app
    }

    fn services(&self) -> Services {
        let feed = Feed::new(self.outbox.clone(), self.pool.clone(), self.lifecycle.clone());
        Services::new()
            .with(PushesServer::new(PushesRpc(self.clone())))
            .with(ReviewsServer::new(ReviewsRpc(self.clone())))
            .with(TargetsServer::new(TargetsRpc(self.clone())))
            .with(ReceiversServer::new(ReceiversRpc(self.clone())))
            .with(EventLogServer::new(feed))
    }
}
