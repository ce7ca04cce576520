//! Flags of `slipway serve approval`.

use clap::Parser;
use http::Uri;
use runtime::args::DatabaseArgs;
use runtime::process::{self, Process, ProcessArgs, StartError};
use runtime::{Lifecycle, database};

use crate::{App, Config, SCHEMA};

/// Receivers, pushes, reviews, admitted targets.
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
    /// Address of the process `registry`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4011")]
    pub registry_url: Uri,
    /// Address of the process `rollout`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4013")]
    pub rollout_url: Uri,
}

impl Args {
    /// Starts the process; it runs until the lifecycle ends. With `--check` it is only looked
    /// whether it could.
    ///
    /// # Errors
    ///
    /// When the settings are wrong, or the database or the port cannot be used.
    pub async fn start(&self) -> Result<Option<Lifecycle>, StartError> {
        let process = Process::from_args("approval", &self.process)?;
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
            registry: self.registry_url.clone(),
            rollout: self.rollout_url.clone(),
        });
        Ok(Some(lifecycle))
    }
}
