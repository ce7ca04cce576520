//! Flags of `slipway-agent`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use runtime::args::{TelemetryArgs, read_secret};
use runtime::{Clock, Problem};
use workload::DevicePolicy;

use crate::board::Board;
use crate::chance::Chance;
use crate::device::{Device, DeviceConfig};
use crate::engine::simulated::{Bench, Simulated};
use crate::enrolment::Enrolment;
use crate::identity::Identity;
use crate::link::Connector;
use crate::moment::Time;
use crate::platform::Platform;
use crate::profile::Profile;
use crate::storage::{Directory, DirectoryError, Storage, load_identity, save_identity};
use crate::timing::Timing;

/// Runs on this device what Slipway says.
#[derive(Debug, Clone, Parser)]
#[command(name = "slipway-agent", version)]
pub struct Args {
    /// Address of the device link, for instance `http://slipway.example:4020`.
    #[arg(long, value_name = "URL")]
    pub server: String,
    /// File with the key to enrol with; needed once.
    #[arg(long, value_name = "FILE")]
    pub enrolment_key_file: Option<PathBuf>,
    /// Folder in which the agent remembers.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/slipway-agent")]
    pub state_dir: PathBuf,
    /// What to call the device; the server chooses when absent.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub name: String,
    /// A label of the device; may be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    pub labels: Vec<(String, String)>,
    /// What runs the containers: `simulated`, which runs none.
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<String>,
    /// How the simulated engine behaves.
    #[arg(long, value_name = "PROFILE", default_value = "good")]
    pub profile: Profile,
    /// How long the agent waits for what.
    #[arg(long, value_enum, value_name = "TIMING", default_value_t = TimingName::Device)]
    pub timing: TimingName,
    /// Where logs and traces go.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

/// Durations by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimingName {
    /// Those of a device in the field.
    Device,
    /// Such that what happens is seen within seconds.
    Demonstration,
}

impl From<TimingName> for Timing {
    fn from(name: TimingName) -> Self {
        match name {
            TimingName::Device => Self::device(),
            TimingName::Demonstration => Self::demonstration(),
        }
    }
}

/// Why the agent does not start. The message is one sentence with the next step.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The flags are wrong.
    #[error("{0}")]
    Settings(String),
    /// Another agent works in the state folder.
    #[error("{0}")]
    Second(String),
    /// Something else is not as it should be.
    #[error("{0}")]
    Failed(String),
}

impl StartError {
    /// The exit code that says the same.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) => 64,
            Self::Second(_) => 75,
            Self::Failed(_) => 1,
        }
    }
}

impl Args {
    /// Starts the agent: enrols where that has not been done, and takes up what it remembers.
    ///
    /// # Errors
    ///
    /// When a flag is wrong, another agent runs, or what was stored cannot be used.
    pub async fn start(self) -> Result<Device, StartError> {
        self.check_engine()?;
        let mut chance = Chance::from_system();
        let timing = Arc::new(Timing::from(self.timing));
        let connector = Connector::own(&self.server, &timing.link, &mut chance)
            .map_err(|error| StartError::Settings(format!("--server {error}")))?;
        let directory = Directory::open(&self.state_dir).map_err(|error| match &error {
            DirectoryError::Locked(_) => StartError::Second(error.to_string()),
            DirectoryError::Unusable { .. } => StartError::Failed(error.to_string()),
        })?;
        let storage: Arc<dyn Storage> = Arc::new(directory);
        let time = Time::new(Clock::system());
        let identity = self.identity(&storage, &connector, &time, &timing, &mut chance).await?;
        let platform = Platform::host();
        let faults = self.profile.draw(&mut chance).faults;
        let bench = Bench::new(platform.clone(), self.profile.pace.clone(), faults, chance.fork());
        let engine = Arc::new(Simulated::open(bench, time.clone(), Arc::clone(&storage)));
        Device::open(DeviceConfig {
            identity,
            boot_id: boot_id(),
            platform,
            policy: Arc::new(DevicePolicy::default()),
            engine,
            storage,
            connector,
            timing,
            time,
            chance,
            board: Board::default(),
        })
        .map_err(|error| StartError::Failed(error.to_string()))
    }

    fn check_engine(&self) -> Result<(), StartError> {
        match self.engine.as_deref() {
            Some("simulated") => Ok(()),
            Some(other) => Err(StartError::Settings(format!(
                "--engine `{other}` is not known; this agent has `simulated` only"
            ))),
            None => Err(StartError::Settings(
                "this agent cannot run containers; give --engine simulated to try the device link \
                 without any"
                    .to_owned(),
            )),
        }
    }

    async fn identity(
        &self,
        storage: &Arc<dyn Storage>,
        connector: &Connector,
        time: &Time,
        timing: &Arc<Timing>,
        chance: &mut Chance,
    ) -> Result<Identity, StartError> {
        let stored = load_identity(&**storage);
        if let Some(identity) = stored.map_err(|error| StartError::Failed(error.to_string()))? {
            return Ok(identity);
        }
        let Some(file) = &self.enrolment_key_file else {
            return Err(StartError::Settings(
                "the device is not enrolled; give --enrolment-key-file".to_owned(),
            ));
        };
        let key = read_secret("--enrolment-key-file", file)
            .map_err(|error| StartError::Settings(error.to_string()))?;
        let enrolment = Enrolment {
            connector: connector.clone(),
            key,
            name: self.name.clone(),
            any_name: false,
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            platform: Platform::host(),
            timing: Arc::clone(timing),
            time: time.clone(),
        };
        let refused = |problem: &Problem| tracing::warn!("the device is not enrolled: {problem}");
        let identity = enrolment.run(chance, refused).await;
        save_identity(&**storage, &identity).map_err(|error| {
            StartError::Failed(format!("the identity cannot be stored: {error}"))
        })?;
        tracing::info!(device.id = identity.device_id, "enrolled as `{}`", identity.name);
        Ok(identity)
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write a label as `key=value`".to_owned()),
    }
}

/// Changes with every start of the kernel; on a system that does not say, with every start of the
/// agent.
fn boot_id() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(text) => text.trim().to_owned(),
        Err(_) => runtime::id::uuid_v7(Clock::system().now()).to_string(),
    }
}
