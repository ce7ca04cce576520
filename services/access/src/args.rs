//! Flags of `slipway serve access`.

use std::time::Duration;

use clap::Parser;
use http::Uri;
use runtime::args::DatabaseArgs;
use runtime::process::{self, Process, ProcessArgs, StartError};
use runtime::{Lifecycle, database};

use crate::{App, Config, SCHEMA, Sources};

/// Access tokens and the audit log.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// What every process has.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Its database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Address of the process `registry`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4011")]
    pub registry_url: Uri,
    /// Address of the process `approval`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4012")]
    pub approval_url: Uri,
    /// Address of the process `rollout`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4013")]
    pub rollout_url: Uri,
    /// How long events stay in the outbox after they are in the audit log.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub keep_events_days: u32,
    /// How long a watcher of the live log may take nothing before entries are left out for it.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub watch_patience_seconds: u32,
}

impl Args {
    /// Starts the process; it runs until the lifecycle ends. With `--check` it is only looked
    /// whether it could.
    ///
    /// # Errors
    ///
    /// When the settings are wrong, or the database or the port cannot be used.
    pub async fn start(&self) -> Result<Option<Lifecycle>, StartError> {
        let process = Process::from_args("access", &self.process)?;
        let url = self.database.url().map_err(|error| StartError::settings(&error))?;
        let pool = database::connect(process.name, &self.database, &url)
            .await
            .map_err(|error| StartError::failed(&error))?;
        SCHEMA.check(&pool).await.map_err(|error| StartError::failed(&error))?;
        if self.process.check {
            return Ok(None);
        }
        let listener = process::bind("--listen", self.process.listen.listen).await?;
        process.serve_metrics(self.process.listen.metrics_listen).await?;
        let lifecycle = process.lifecycle.clone();
        App::start(Config {
            process,
            pool,
            listener,
            sources: self.sources(),
            outbox_retention: Duration::from_secs(u64::from(self.keep_events_days) * 86_400),
            watch_patience: Duration::from_secs(u64::from(self.watch_patience_seconds)),
        });
        Ok(Some(lifecycle))
    }

    fn sources(&self) -> Sources {
        Sources {
            registry: self.registry_url.clone(),
            approval: self.approval_url.clone(),
            rollout: self.rollout_url.clone(),
        }
    }
}
