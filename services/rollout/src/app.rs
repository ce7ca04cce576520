//! The process: what its handlers share, and how it starts.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Uri;
use proto::event::v1::event_log_server::EventLogServer;
use proto::rollout::v1::device_link_server::DeviceLinkServer;
use proto::rollout::v1::devices_server::DevicesServer;
use proto::rollout::v1::policies_server::PoliciesServer;
use proto::rollout::v1::rollouts_server::RolloutsServer;
use runtime::outbox::{Feed, Outbox};
use runtime::process::Process;
use runtime::server::{GrpcListener, Limits, Services};
use runtime::{Clock, Lifecycle, Wake, id};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use crate::change::Targets;
use crate::convert;
use crate::device_auth::DeviceAuth;
use crate::frozen::Cache;
use crate::grpc;
use crate::link::{self, Admission};
use crate::report::Reports;
use crate::session::Sessions;
use crate::worker;

/// What the process is started with.
#[derive(Debug)]
pub struct Config {
    /// Its name, clock, lifecycle and identity.
    pub process: Process,
    /// Its database.
    pub pool: PgPool,
    /// Where it serves operators and other processes.
    pub listener: TcpListener,
    /// Where it serves devices.
    pub link_listener: TcpListener,
    /// The process `access`.
    pub access: Uri,
    /// What can be set.
    pub settings: Settings,
}

/// What can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often a device with a stream reports when nothing changes.
    pub report_interval: Duration,
    /// How often a device without a stream calls; three times that and it counts as offline.
    pub poll_interval: Duration,
    /// How many streams may be opened a second.
    pub connects_per_second: u32,
    /// How long rows are kept.
    pub retention: worker::Retention,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            report_interval: Duration::from_secs(300),
            poll_interval: Duration::from_secs(60),
            connects_per_second: 2_000,
            retention: worker::Retention::default(),
        }
    }
}

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) settings: Settings,
    /// This replica, among those that share the database.
    pub(crate) replica: Uuid,
    /// Rung when a rollout may have something to do.
    pub(crate) driver: Wake,
    pub(crate) frozen: Cache,
    pub(crate) sessions: Sessions,
    pub(crate) reports: Reports,
    changed: watch::Sender<()>,
}

impl App {
    /// Starts serving and working; both end with the lifecycle.
    pub fn start(config: Config) -> Self {
        let Config { process, pool, listener, link_listener, access, settings } = config;
        let lifecycle = process.lifecycle.clone();
        let (sessions, closed) = Sessions::new();
        let (reports, queue) = Reports::new();
        let app = Self {
            pool,
            clock: process.clock.clone(),
            outbox: Outbox::new(crate::SCHEMA.name),
            lifecycle: lifecycle.clone(),
            settings,
            replica: id::uuid_v7(process.clock.now()),
            driver: Wake::new(),
            frozen: Cache::default(),
            sessions,
            reports,
            changed: watch::channel(()).0,
        };
        worker::start(&app, queue, closed);

        let feed = Feed::new(app.outbox.clone(), app.pool.clone(), lifecycle.clone());
        let operators = GrpcListener {
            listener,
            services: Services::new()
                .with(PoliciesServer::new(grpc::Policies(app.clone())))
                .with(RolloutsServer::new(grpc::Rollouts(app.clone())))
                .with(DevicesServer::new(grpc::Devices(app.clone())))
                .with(EventLogServer::new(feed)),
            auth: process.auth(&access),
            clock: process.clock.clone(),
            limits: Limits::OPERATORS,
        };
        lifecycle.spawn("grpc", operators.serve(lifecycle.clone()));

        let auth = DeviceAuth::new(app.clone(), process.peers.clone());
        let admission = Admission::new(app.settings.connects_per_second);
        let link = link::Link::new(app.clone(), auth.clone(), admission);
        let devices = GrpcListener {
            listener: link_listener,
            services: Services::new()
                .with(DeviceLinkServer::new(link).max_decoding_message_size(link::REPORT_BYTES)),
            auth: Arc::new(auth),
            clock: process.clock,
            limits: Limits::DEVICES,
        };
        lifecycle.spawn("link", devices.serve(lifecycle.clone()));
        app.drain_streams();
        app
    }

    /// Tells the devices to go when the process stops.
    fn drain_streams(&self) {
        let app = self.clone();
        self.lifecycle.spawn("drain", async move {
            app.lifecycle.stopping().await;
            let streams = app.sessions.drain();
            if streams > 0 {
                tracing::info!(streams, "told {streams} devices to connect again");
            }
            Ok::<(), Infallible>(())
        });
    }

    /// A device without a stream that was not heard since then is offline.
    pub(crate) fn heard_since(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.settings.poll_interval * 3
    }

    /// Tells devices that have a stream here about their new targets.
    pub(crate) fn deliver(&self, targets: Targets, now: DateTime<Utc>) {
        if targets.is_empty() {
            return;
        }
        self.sessions.deliver(
            targets.iter().map(|(device, target)| convert::target_to_pb(*device, target, now)),
        );
    }

    /// Wakes who watches rollouts.
    pub(crate) fn rollout_changed(&self) {
        self.changed.send_replace(());
    }

    /// Wakes after every look at a rollout of this process.
    pub(crate) fn rollout_changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Drives rollouts until none is due: what the driver does, for tests with a hand-cranked clock.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn drive_until_idle(&self) -> Result<(), crate::Error> {
        while crate::drive::drive_one(self).await? == runtime::worker::Progress::More {}
        Ok(())
    }
}
