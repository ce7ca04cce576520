//! Flags of `slipway serve rollout`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use http::Uri;
use runtime::args::DatabaseArgs;
use runtime::process::{self, Process, ProcessArgs, StartError};
use runtime::{Lifecycle, database};

use crate::{App, Config, Retention, SCHEMA, Settings};

/// Policies, rollouts, devices, the device link.
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
    /// Address to serve devices on.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4020")]
    pub link_listen: SocketAddr,
    /// How often a device with a stream reports when nothing changes.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub report_interval_seconds: u64,
    /// How often a device without a stream calls; three times that and it counts as offline.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub poll_interval_seconds: u64,
    /// How many device streams may be opened a second.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub connects_per_second: u32,
    /// How long events are kept after they were read.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub keep_events_days: u64,
    /// How long reports are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub keep_reports_days: u64,
    /// How long the tries of ended rollouts are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    pub keep_assignments_days: u64,
    /// How long ended rollouts are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    pub keep_rollouts_days: u64,
}

impl Args {
    fn settings(&self) -> Settings {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Settings {
            report_interval: Duration::from_secs(self.report_interval_seconds),
            poll_interval: Duration::from_secs(self.poll_interval_seconds),
            connects_per_second: self.connects_per_second,
            retention: Retention {
                events: days(self.keep_events_days),
                reports: days(self.keep_reports_days),
                assignments: days(self.keep_assignments_days),
                rollouts: days(self.keep_rollouts_days),
            },
        }
    }

    /// Starts the process; it runs until the lifecycle ends. With `--check` it is only looked
    /// whether it could.
    ///
    /// # Errors
    ///
    /// When the settings are wrong, or the database or the port cannot be used.
    pub async fn start(&self) -> Result<Option<Lifecycle>, StartError> {
        let process = Process::from_args("rollout", &self.process)?;
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
        let link_listener = process::bind("--link-listen", self.link_listen).await?;
        App::start(Config {
            process,
            pool,
            listener,
            link_listener,
            access: self.access_url.clone(),
            settings: self.settings(),
        });
        Ok(Some(lifecycle))
    }
}
