//! Flags of `slipway serve registry`.

use std::time::Duration;

use clap::{Parser, value_parser};
use http::Uri;
use runtime::args::DatabaseArgs;
use runtime::process::{self, Process, ProcessArgs, StartError};
use runtime::{Lifecycle, database};

use crate::{App, Config, SCHEMA, Times};

/// Images, tags, the gate, upstream registries.
#[derive(Debug, Clone, Parser)]
pub struct Args {
    /// What every process has.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Its database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Address of the process `access`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4014")]
    pub access_url: Uri,
    /// Address of the process `rollout`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4013")]
    pub rollout_url: Uri,
    /// How long a registry elsewhere may take to answer one question.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(1..=60))]
    pub upstream_timeout_seconds: u64,
    /// How long events are kept after every reader has stored them.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = value_parser!(u64).range(1..=36_500))]
    pub keep_events_days: u64,
}

impl Args {
    /// Starts the process; it runs until the lifecycle ends. With `--check` it is only looked
    /// whether it could.
    ///
    /// # Errors
    ///
    /// When the settings are wrong, or the database or the port cannot be used.
    pub async fn start(&self) -> Result<Option<Lifecycle>, StartError> {
        let process = Process::from_args("registry", &self.process)?;
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
            access: self.access_url.clone(),
            rollout: self.rollout_url.clone(),
            times: Times {
                upstream_timeout: Duration::from_secs(self.upstream_timeout_seconds),
                outbox_retention: Duration::from_secs(self.keep_events_days * 86_400),
            },
        });
        Ok(Some(lifecycle))
    }
}
