//! One `registry` of a test's own.

use std::fmt::Debug;
use std::time::Duration;

use chrono::DateTime;
use http::Uri;
use postgres::testing::{self, ROLE_PASSWORD, TestDatabase};
use proto::event::v1::ListEventsRequest;
use proto::event::v1::event_log_client::EventLogClient;
use proto::registry::v1 as pb;
use proto::registry::v1::gate_client::GateClient;
use proto::registry::v1::image_registry_client::ImageRegistryClient;
use proto::registry::v1::upstreams_client::UpstreamsClient;
use registry::{App, Config, SCHEMA, Times};
use runtime::auth::Peers;
use runtime::client::{self, Identity, Outbound};
use runtime::migrate::{READER, ensure_role};
use runtime::process::Process;
use runtime::secret::Secret;
use runtime::{Clock, Lifecycle, Problem, database};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;
use tonic::{Response, Status};

use crate::peers::{Access, Rollout};

/// A running `registry`.
pub struct Registry {
    pub app: App,
    pub clock: Clock,
    pub rollout: Rollout,
    pub database: TestDatabase,
    address: Uri,
    lifecycle: Lifecycle,
    _access: Access,
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub enum Who {
    /// Reads.
    Viewer,
    /// Reads and writes, approves nothing.
    Operator,
    /// Reads and approves.
    Approver,
    /// Everything.
    Admin,
    /// The process `approval`.
    Approval,
}

impl Who {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    pub fn token(self) -> &'static str {
        match self {
            Self::Viewer => "ghd_viewer",
            Self::Operator => "ghd_operator",
            Self::Approver => "ghd_approver",
            Self::Admin => "ghd_admin",
            Self::Approval => "slw_approval",
        }
    }
}

impl Registry {
    /// Starts one with a fresh database.
    pub async fn start() -> Self {
        Self::start_with(Times::default(), Rollout::start().await).await
    }

    /// Starts one whose questions elsewhere end after a time.
    pub async fn start_impatient(upstream_timeout: Duration) -> Self {
        let times = Times { upstream_timeout, ..Times::default() };
        Self::start_with(times, Rollout::start().await).await
    }

    /// Starts one.
    pub async fn start_with(times: Times, rollout: Rollout) -> Self {
        let database = database().await;
        let access = Access::start().await;
        let clock = Clock::manual(DateTime::from_timestamp(1_760_000_000, 0).unwrap());
        let lifecycle = Lifecycle::new();
        let token = Secret::new("slw_registry");
        let peers = Peers::default()
            .with("registry", token.hash())
            .with("approval", Secret::new(Who::Approval.token()).hash());
        let process = Process {
            name: "registry",
            clock: clock.clone(),
            lifecycle: lifecycle.clone(),
            peers,
            token,
            no_auth: false,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = uri(&listener);
        let url = database.url_as(SCHEMA.role, ROLE_PASSWORD);
        let pool = database::pool("registry", url.parse().unwrap(), 5);
        let app = App::start(Config {
            process,
            pool,
            listener,
            access: access.address.clone(),
            rollout: rollout.address.clone(),
            times,
        });
        Self { app, clock, rollout, database, address, lifecycle, _access: access }
    }

    fn channel(&self, who: Who) -> Outbound {
        client::connect(&self.address, Identity::of(&Secret::new(who.token())))
    }

    pub fn images(&self, who: Who) -> ImageRegistryClient<Outbound> {
        ImageRegistryClient::new(self.channel(who))
    }

    pub fn gate(&self, who: Who) -> GateClient<Outbound> {
        GateClient::new(self.channel(who))
    }

    pub fn upstreams(&self, who: Who) -> UpstreamsClient<Outbound> {
        UpstreamsClient::new(self.channel(who))
    }

    /// Adds an image as the administrator.
    pub async fn create_image(&self, repository: &str) -> pb::Image {
        let request =
            pb::CreateImageRequest { repository: repository.to_owned(), ..Default::default() };
        self.images(Who::Admin).create_image(request).await.unwrap().into_inner()
    }

    /// Adds a tag as the administrator.
    pub async fn create_tag(&self, image_id: i64, tag: pb::Tag) -> pb::Tag {
        let request = pb::CreateTagRequest { image_id, tag: Some(tag) };
        self.images(Who::Admin).create_tag(request).await.unwrap().into_inner()
    }

    pub async fn image(&self, id: i64) -> pb::Image {
        let request = pb::GetImageRequest { id };
        self.images(Who::Admin).get_image(request).await.unwrap().into_inner()
    }

    pub async fn tags(&self, image_id: i64) -> Vec<pb::Tag> {
        let request = pb::ListTagsRequest { image_id, page_size: 1_000, ..Default::default() };
        self.images(Who::Admin).list_tags(request).await.unwrap().into_inner().tags
    }

    /// Changes the gate as the administrator.
    pub async fn set_gate(&self, settings: pb::GateSettings, paths: &[&str]) {
        let request =
            pb::UpdateGateRequest { gate: Some(settings), update_mask: Some(mask(paths)) };
        self.gate(Who::Admin).update_gate(request).await.unwrap();
    }

    /// Lists a registry elsewhere as the upstream of a host.
    pub async fn add_upstream(&self, url: &str, host: &str) -> pb::Upstream {
        let upstream = pb::Upstream {
            name: host.to_owned(),
            url: url.to_owned(),
            host: host.to_owned(),
            ..Default::default()
        };
        let request = pb::CreateUpstreamRequest { upstream: Some(upstream) };
        self.upstreams(Who::Admin).create_upstream(request).await.unwrap().into_inner()
    }

    /// The envelopes of all events so far, by the feed.
    pub async fn events(&self) -> Vec<Value> {
        let request = ListEventsRequest { after_sequence: 0, page_size: 1_000 };
        let mut feed = EventLogClient::new(self.channel(Who::Admin));
        let events = feed.list_events(request).await.unwrap().into_inner().events;
        events.iter().map(|event| serde_json::from_str(&event.envelope).unwrap()).collect()
    }

    /// The types of all events so far.
    pub async fn event_types(&self) -> Vec<String> {
        let text = |event: &Value| event["type"].as_str().unwrap().to_owned();
        self.events().await.iter().map(text).collect()
    }

    /// The URL by which its own role reaches its database.
    pub fn url(&self) -> String {
        self.database.url_as(SCHEMA.role, ROLE_PASSWORD)
    }

    /// A connection of the role that `slipway psql` uses.
    pub async fn reader(&self) -> PgConnection {
        PgConnection::connect(&self.database.url_as(READER, ROLE_PASSWORD)).await.unwrap()
    }

    /// A connection of the owner.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

/// The problem that a call was refused with.
pub fn refused<T: Debug>(result: Result<Response<T>, Status>) -> Problem {
    Problem::from(result.expect_err("the call is refused"))
}

/// An update mask.
pub fn mask(paths: &[&str]) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

/// A tag of this name.
pub fn tag(name: &str) -> pb::Tag {
    pb::Tag { tag: name.to_owned(), ..Default::default() }
}

pub fn uri(listener: &TcpListener) -> Uri {
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

async fn database() -> TestDatabase {
    let migrations: Vec<_> = SCHEMA
        .migrator
        .iter()
        .map(|migration| (migration.version, migration.checksum.clone()))
        .collect();
    let key = format!("registry {migrations:?} {}", SCHEMA.grants);
    let template = testing::template(&key, async |url: String| {
        let mut owner = PgConnection::connect(&url).await.map_err(|error| error.to_string())?;
        let password = Secret::new(ROLE_PASSWORD);
        SCHEMA.ensure_role(&mut owner, &password).await.map_err(|error| error.to_string())?;
        ensure_role(&mut owner, READER, &password).await.map_err(|error| error.to_string())?;
        SCHEMA.migrate(&mut owner).await.map_err(|error| format!("{error:?}"))
    });
    testing::create_database(&template.await.unwrap()).await.unwrap()
}
