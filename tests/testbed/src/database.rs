//! A database of one test, with the schemas and roles of all processes.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::time::Duration;

use postgres::testing::{self, ROLE_PASSWORD, TestDatabase};
use postgres::{Cluster, Installation, Options, Search, Shutdown};
use runtime::migrate::{self, READER, Schema};
use runtime::secret::Secret;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::PATIENCE;

/// Every schema.
pub const SCHEMAS: [&Schema; 4] =
    [&registry::SCHEMA, &approval::SCHEMA, &rollout::SCHEMA, &access::SCHEMA];

/// A database with everything that `slipway migrate` makes.
#[derive(Debug)]
pub struct Database(Source);

#[derive(Debug)]
enum Source {
    /// On the server that all tests share, which syncs nothing.
    Shared(TestDatabase),
    /// On a durable server of its own.
    Own(Server),
}

/// A durable server of one test.
#[derive(Debug)]
struct Server {
    cluster: Cluster,
    owner_url: String,
    process: Option<Child>,
    folder: TempDir,
}

impl Database {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// When there is no Postgres.
    pub async fn create() -> Self {
        let versions = SCHEMAS.iter().flat_map(|schema| {
            let steps = schema.migrator.iter().map(|step| format!("{:?}", step.checksum));
            steps.chain([schema.grants.to_owned()])
        });
        let key = format!("slipway {}", versions.collect::<Vec<_>>().join(" "));
        let template = testing::template(&key, prepare).await.unwrap();
        Self(Source::Shared(testing::create_database(&template).await.unwrap()))
    }

    /// Makes one on a durable server of its own, as `slipway up` has it, which the test may stop.
    ///
    /// # Panics
    ///
    /// When there is no Postgres.
    pub async fn with_own_server() -> Self {
        let mut server = tokio::task::spawn_blocking(Server::create).await.unwrap();
        server.start();
        let maintenance = server.cluster.superuser_url("postgres").unwrap();
        let mut owner = PgConnection::connect(&maintenance).await.unwrap();
        owner.execute("create database slipway").await.unwrap();
        owner.close().await.unwrap();
        prepare(server.owner_url.clone()).await.unwrap();
        Self(Source::Own(server))
    }

    /// Stops its own server as a crash would, and starts it again.
    ///
    /// # Panics
    ///
    /// When the server is shared.
    pub fn restart_server(&mut self) {
        let Source::Own(server) = &mut self.0 else { panic!("the server is shared") };
        server.stop();
        server.start();
    }

    /// The owner's URL.
    #[must_use]
    pub fn owner_url(&self) -> &str {
        match &self.0 {
            Source::Shared(database) => database.url(),
            Source::Own(server) => &server.owner_url,
        }
    }

    fn url_as(&self, role: &str) -> String {
        match &self.0 {
            Source::Shared(database) => database.url_as(role, ROLE_PASSWORD),
            Source::Own(server) => server.cluster.url(role, ROLE_PASSWORD, "slipway"),
        }
    }

    /// The URL of a process's role.
    ///
    /// # Panics
    ///
    /// When no process of this name keeps data.
    #[must_use]
    pub fn url_of(&self, process: &str) -> String {
        let schema = SCHEMAS.iter().find(|schema| schema.name == process).unwrap();
        self.url_as(schema.role)
    }

    /// The URL of the role that reads everything and writes nothing.
    #[must_use]
    pub fn reader_url(&self) -> String {
        self.url_as(READER)
    }

    /// A connection of the owner, to look at rows.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect(self.owner_url()).await.unwrap()
    }
}

impl Server {
    fn create() -> Self {
        let folder = tempfile::Builder::new().prefix("slipway-pg-").tempdir_in("/tmp").unwrap();
        // Postgres runs as another user when this is root, and has to get through.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let data = folder.path().join("data");
        let installation = Installation::find(&Search::from_env().for_data(&data)).unwrap();
        let options = Options::durable();
        let socket = folder.path().join("run");
        let cluster = Cluster::new(installation, &data, &socket, options).unwrap();
        cluster.init().unwrap();
        let owner_url = cluster.superuser_url("slipway").unwrap();
        Self { cluster, owner_url, process: None, folder }
    }

    fn start(&mut self) {
        let log = self.folder.path().join("log");
        self.process = Some(self.cluster.start(&log, PATIENCE).unwrap());
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // It is this process's child, which has to be reaped to be gone.
        let reaped = std::thread::spawn(move || process.wait());
        self.cluster.stop(Shutdown::Immediate, Duration::from_secs(5)).unwrap();
        reaped.join().unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn prepare(url: String) -> Result<(), Box<dyn std::error::Error>> {
    let mut owner = PgConnection::connect(&url).await?;
    let password = Secret::new(ROLE_PASSWORD);
    migrate::ensure_role(&mut owner, READER, &password).await?;
    for schema in SCHEMAS {
        schema.ensure_role(&mut owner, &password).await?;
        schema.migrate(&mut owner).await?;
    }
    owner.close().await?;
    Ok(())
}
