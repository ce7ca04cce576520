//! The process: what its handlers share, and how it starts.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use proto::access::v1::audit_log_server::AuditLogServer;
use proto::access::v1::tokens_server::TokensServer;
use proto::event::v1::event_log_server::EventLogServer;
use runtime::outbox::{Feed, Outbox};
use runtime::process::Process;
use runtime::server::{GrpcListener, Limits, Services};
use runtime::{Clock, Lifecycle};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::grpc::{AuditLogRpc, EventLogRpc, TokensRpc};
use crate::introspect::Introspection;
use crate::last_use::LastUses;
use crate::tail::Tail;
use crate::worker;

/// What the process is started with.
#[derive(Debug)]
pub struct Config {
    /// Its name, clock, lifecycle and identity.
    pub process: Process,
    /// Its database.
    pub pool: PgPool,
    /// Where it serves.
    pub listener: TcpListener,
    /// Whose events it collects, beside its own.
    pub sources: Sources,
    /// How long its own events stay in its outbox after they are in the log.
    pub outbox_retention: Duration,
    /// How long a watcher of the live log may take nothing before entries are left out for it.
    pub watch_patience: Duration,
}

/// The processes whose events belong into the audit log.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The process `registry`.
    pub registry: Uri,
    /// The process `approval`.
    pub approval: Uri,
    /// The process `rollout`.
    pub rollout: Uri,
}

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) outbox: Outbox,
    pub(crate) introspection: Introspection,
    pub(crate) uses: LastUses,
    pub(crate) tail: Tail,
    pub(crate) outbox_retention: Duration,
    pub(crate) watch_patience: Duration,
}

impl App {
    /// Starts serving and working; both end with the lifecycle.
    pub fn start(config: Config) -> Self {
        let Config { process, pool, listener, sources, outbox_retention, watch_patience } = config;
        let uses = LastUses::default();
        let app = Self {
            clock: process.clock.clone(),
            lifecycle: process.lifecycle.clone(),
            outbox: Outbox::new(crate::SCHEMA.name),
            introspection: Introspection::new(pool.clone(), process.clock.clone(), uses.clone()),
            uses,
            tail: Tail::new(),
            outbox_retention,
            watch_patience,
            pool,
        };
        let grpc = GrpcListener {
            listener,
            services: app.services(),
            auth: process.auth_with(Arc::new(app.introspection.clone())),
            clock: app.clock.clone(),
            limits: Limits::OPERATORS,
        };
        app.lifecycle.spawn("grpc", grpc.serve(app.lifecycle.clone()));
        worker::start(&app, &process, &sources);
        app
    }

    fn services(&self) -> Services {
        let feed = Feed::new(self.outbox.clone(), self.pool.clone(), self.lifecycle.clone());
        Services::new()
            .with(TokensServer::new(TokensRpc(self.clone())))
            .with(AuditLogServer::new(AuditLogRpc(self.clone())))
            .with(EventLogServer::new(EventLogRpc(feed)))
    }
}
