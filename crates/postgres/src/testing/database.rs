//! One test's own database.

use sqlx::PgPool;
use tokio::runtime;

use super::Error;
use super::server::Server;
use super::session;
use super::template::{Template, run_until_free};
use crate::cluster::Cluster;

/// A database that one test has to itself; dropped with this value, also while connections to it are
/// still open.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    cluster: Cluster,
    runtime: runtime::Handle,
    pool: PgPool,
}

impl TestDatabase {
    /// What the names of all of them begin with; the token of the process follows.
    pub(super) const PREFIX: &str = "slipway_test_";

    /// Copies a template.
    pub(super) async fn create(
        server: &Server,
        template: &Template,
        name: String,
    ) -> Result<Self, Error> {
        let url = server.cluster.superuser_url(&name)?;
        let (runtime, pool) = (server.runtime.clone(), server.pool.clone());
        let cluster = server.cluster.clone();
        let database = Self { name, url, cluster, runtime, pool };
        // Copying files is two to three times as fast as logging pages where nothing is synced. It is
        // the only way before version 15.
        let strategy =
            if server.cluster.version().major() >= 15 { "strategy file_copy" } else { "" };
        let (name, template) = (&database.name, template.name());
        let statement = format!("create database {name} template {template} {strategy}");
        // When the test that waits here is cancelled, the copy is finished and then dropped.
        let copy = server.runtime.spawn(async move {
            let mut db = database.pool.acquire().await.map_err(Error::database("connect"))?;
            run_until_free(&mut db, "copy a template", &statement).await?;
            Ok(database)
        });
        copy.await.map_err(|_| Error::Closed)?
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL by which the superuser reaches it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL by which another role reaches it. Roles belong to the server, not to one database:
    /// tests that create some give them names of their own.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.cluster.url(user, password, &self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (pool, name) = (self.pool.clone(), std::mem::take(&mut self.name));
        // Nobody waits for it. When the process ends first, another one sweeps.
        self.runtime.spawn(async move {
            if let Ok(mut db) = pool.acquire().await {
                let _ = session::drop_database(&mut db, &name).await;
            }
        });
    }
}
