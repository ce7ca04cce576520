//! Flags of `slipway serve approval`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use clap::Parser;
use http::Uri;
use runtime::args::DatabaseArgs;
use runtime::process::{self, Process, ProcessArgs, StartError};
use runtime::seal::Sealer;
use runtime::{Lifecycle, database};

use crate::limits::Rate;
use crate::retention::Keep;
use crate::{App, Config, SCHEMA, Settings};

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
    /// File with the key that receivers' secrets are sealed with; made when it is missing.
    #[arg(long, value_name = "FILE")]
    pub sealing_key_file: PathBuf,
    /// Limits and times.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Limits and times.
#[derive(Debug, Clone, clap::Args)]
pub struct LimitArgs {
    /// How many deliveries a second one receiver takes.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub receiver_rate: u32,
    /// How many deliveries one receiver takes at once.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub receiver_burst: u32,
    /// How many requests with wrong credentials a minute one address may send.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub failures_per_minute: u32,
    /// Events older than this are kept and not decided; 0 = all are decided.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub max_event_age_hours: u32,
    /// How long a sender waits for a verdict at the most.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1_000)]
    pub inline_milliseconds: u64,
    /// How long a review stays open.
    #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = clap::value_parser!(u32).range(1..))]
    pub review_hours: u32,
    /// How long deliveries are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub keep_deliveries_days: u32,
    /// How long the bodies of deliveries are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub keep_bodies_days: u32,
    /// How long a vendor's delivery id is remembered.
    #[arg(long, value_name = "DAYS", default_value_t = 8)]
    pub keep_delivery_ids_days: u32,
    /// How long settled pushes are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    pub keep_pushes_days: u32,
    /// How long ended reviews are kept.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    pub keep_reviews_days: u32,
    /// How long events are kept after every reader has stored them.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub keep_events_days: u32,
}

impl LimitArgs {
    fn settings(&self) -> Settings {
        let days = |days: u32| TimeDelta::days(days.into());
        let failures = f64::from(self.failures_per_minute);
        let max_age = TimeDelta::hours(self.max_event_age_hours.into());
        Settings {
            deliveries: Rate {
                per_second: self.receiver_rate.into(),
                burst: self.receiver_burst.into(),
            },
            failures: Rate { per_second: failures / 60.0, burst: failures },
            max_event_age: Some(max_age).filter(|age| !age.is_zero()),
            inline: Duration::from_millis(self.inline_milliseconds),
            review_deadline: TimeDelta::hours(self.review_hours.into()),
            keep: Keep {
                deliveries: days(self.keep_deliveries_days),
                bodies: days(self.keep_bodies_days),
                keys: days(self.keep_delivery_ids_days),
                pushes: days(self.keep_pushes_days),
                reviews: days(self.keep_reviews_days),
                events: days(self.keep_events_days),
            },
        }
    }
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
        let sealer = self.sealer()?;
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
            sealer,
            settings: self.limits.settings(),
        });
        Ok(Some(lifecycle))
    }

    fn sealer(&self) -> Result<Sealer, StartError> {
        let path = &self.sealing_key_file;
        Sealer::open_or_create(path).map_err(|error| {
            let path = path.display();
            StartError::Settings(format!(
                "--sealing-key-file `{path}` cannot be used: {error}; name a file of 64 hex digits, or one \
                 that can be made"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_flags_and_settings_agree() {
        let args = Args::parse_from([
            "approval",
            "--listen",
            "127.0.0.1:0",
            "--service-token-file",
            "t",
            "--peers-file",
            "p",
            "--database-url-file",
            "d",
            "--sealing-key-file",
            "k",
        ]);
        let (from_flags, by_default) = (args.limits.settings(), Settings::default());
        assert_eq!(format!("{from_flags:?}"), format!("{by_default:?}"));
    }
}
