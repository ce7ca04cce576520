//! The private Postgres.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postgres::{Cluster, Installation, Options, Search, Shutdown};
use runtime::secret::Secret;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::child::{Child, Spec};
use super::data_dir::DataDir;
use super::step;

/// The database of Slipway.
const DATABASE: &str = "slipway";

/// A running Postgres under its guard.
pub struct Server {
    cluster: Cluster,
    guard: Child,
}

impl Server {
    /// Makes the cluster on the first start, and starts it.
    pub async fn start(data: &DataDir) -> Result<Self> {
        let cluster = cluster(data)?;
        if !data.postgres().exists() {
            step("Making a private Postgres");
        }
        let making = cluster.clone();
        tokio::task::spawn_blocking(move || making.init()).await.context("interrupted")??;
        stop_left_over(data)?;
        step("Starting Postgres");
        let guard = spawn(data, &cluster)?;
        let mut server = Self { cluster, guard };
        server.wait_ready().await?;
        Ok(server)
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let cluster = self.cluster.clone();
        let ready =
            tokio::task::spawn_blocking(move || cluster.wait_ready(Duration::from_secs(60)));
        tokio::select! {
            ready = ready => Ok(ready.context("interrupted")??),
            ended = self.guard.ended() => bail!("Postgres did not start ({ended}); see {}", self.guard.log().display()),
        }
    }

    /// The owner's connection URL; the database is made when it is missing.
    pub async fn owner_url(&self) -> Result<Secret> {
        let maintenance = self.cluster.superuser_url("postgres")?;
        let mut owner = PgConnection::connect(&maintenance)
            .await
            .context("the private Postgres does not let its owner in")?;
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(DATABASE)
                .fetch_one(&mut owner)
                .await?;
        if !exists {
            owner
                .execute("create database slipway")
                .await
                .context("the database cannot be made")?;
        }
        owner.close().await?;
        Ok(Secret::new(self.cluster.superuser_url(DATABASE)?))
    }

    /// Starts Postgres again when it dies.
    pub async fn keep_running(&mut self) -> Result<()> {
        loop {
            let ended = self.guard.ended().await;
            eprintln!("postgres ended ({ended}); starting it again");
            stop_cluster(&self.cluster)?;
            self.guard.restart().await?;
            self.wait_ready().await?;
        }
    }

    /// Stops Postgres, in the end without its consent.
    pub async fn stop(&mut self, patience: Duration) {
        self.guard.terminate();
        self.guard.stop(patience).await;
        if self.cluster.running().is_some()
            && let Err(error) = self.cluster.stop(Shutdown::Immediate, patience)
        {
            eprintln!("Postgres did not stop: {error}");
        }
    }
}

fn cluster(data: &DataDir) -> Result<Cluster> {
    let search = Search::from_env().for_data(&data.postgres());
    let installation = Installation::find(&search)?;
    let socket = data.path().join("run");
    Ok(Cluster::new(installation, &data.postgres(), &socket, Options::durable())?)
}

fn spawn(data: &DataDir, cluster: &Cluster) -> Result<Child> {
    let spec = Spec {
        name: "postgres",
        arguments: vec![
            "guard".into(),
            "--data".into(),
            cluster.data_dir().into(),
            "--socket".into(),
            data.path().join("run").into(),
        ],
        environment: Vec::new(),
    };
    Child::start(spec, &data.folder("logs")?, Stdio::piped())
}

/// Stops a Postgres that a killed `up` left on this data.
pub fn stop_left_over(data: &DataDir) -> Result<()> {
    if !data.postgres().exists() {
        return Ok(());
    }
    stop_cluster(&cluster(data)?)
}

fn stop_cluster(cluster: &Cluster) -> Result<()> {
    if cluster.running().is_some() {
        cluster.stop(Shutdown::Fast, Duration::from_secs(5))?;
    }
    Ok(())
}
