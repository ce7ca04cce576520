//! `slipway simulate`: devices that are not there, over the real device protocol.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::profile::Profile;
use agent::simulator::{Connections, SimulatedGroup, Simulator, SimulatorConfig};
use agent::timing::Timing;
use anyhow::{Context as _, Result};
use runtime::args::{LogFormat, TelemetryArgs};
use runtime::secret::Secret;
use runtime::telemetry::Telemetry;
use runtime::{Clock, Lifecycle};

/// Flags of `slipway simulate`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many devices, when no groups are given
    #[arg(long, value_name = "N", default_value_t = 25)]
    devices: usize,
    /// How they behave: `good`, `slow`, `flaky`, `offline`, or faults with their share, as in
    /// `good,unhealthy:50%@docker.io/acme/sensor:2.0`
    #[arg(long, value_name = "PROFILE", default_value = "good")]
    profile: String,
    /// Address of the device link
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4020")]
    link_url: String,
    /// File with the enrolment key of the devices
    #[arg(long, value_name = "FILE", required_unless_present = "group")]
    enrolment_key_file: Option<PathBuf>,
    /// A group of devices: name, number, file with its enrolment key
    #[arg(long, value_name = "NAME=N:FILE")]
    group: Vec<String>,
    /// File in which the devices remember who they are
    #[arg(long, value_name = "FILE")]
    state_file: Option<PathBuf>,
    /// Connect and report at once instead of with the pauses of real devices
    #[arg(long)]
    fast: bool,
    /// How many devices share a connection; 0 = each has its own
    #[arg(long, value_name = "N", default_value_t = 0)]
    per_connection: usize,
    /// Address of an OTLP collector (gRPC) for traces; none are made when absent
    #[arg(long, value_name = "URL", env = "SIMULATE_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// End when standard input ends
    #[arg(long, hide = true)]
    supervised: bool,
}

/// Runs devices until it is asked to stop.
pub async fn run(args: Args) -> Result<()> {
    let telemetry = TelemetryArgs {
        log: "warn".to_owned(),
        log_format: LogFormat::Pretty,
        otlp_endpoint: args.otlp_endpoint.clone(),
    };
    let telemetry = Telemetry::start("device", &telemetry)?;
    let simulator = Simulator::start(config(&args)?)?;
    let lifecycle = Lifecycle::new();
    if !args.supervised {
        tell_progress(&simulator, &lifecycle);
    }
    lifecycle.run(Duration::from_secs(1), args.supervised).await;
    simulator.stop().await;
    telemetry.flush();
    Ok(())
}

fn config(args: &Args) -> Result<SimulatorConfig> {
    let profile: Profile =
        args.profile.parse().with_context(|| format!("--profile `{}` is none", args.profile))?;
    let groups = if args.group.is_empty() {
        let file = args.enrolment_key_file.clone().context("--enrolment-key-file is missing")?;
        vec![group("device", args.devices, &file, &profile)?]
    } else {
        args.group.iter().map(|text| parse_group(text, &profile)).collect::<Result<Vec<_>>>()?
    };
    Ok(SimulatorConfig {
        link_url: args.link_url.clone(),
        groups,
        timing: if args.fast { Timing::demonstration() } else { Timing::default() },
        clock: Clock::system(),
        storage: args.state_file.clone(),
        connections: match args.per_connection {
            0 => Connections::Own,
            devices => Connections::Shared(devices),
        },
        seed: 1,
    })
}

fn parse_group(text: &str, profile: &Profile) -> Result<SimulatedGroup> {
    let wrong = || format!("--group `{text}` is none; write NAME=N:FILE");
    let (name, rest) = text.split_once('=').with_context(wrong)?;
    let (count, file) = rest.split_once(':').with_context(wrong)?;
    let count = count.parse().with_context(wrong)?;
    group(name, count, &PathBuf::from(file), profile)
}

fn group(name: &str, devices: usize, key: &Path, profile: &Profile) -> Result<SimulatedGroup> {
    let secret = Secret::read(key)
        .with_context(|| format!("the enrolment key in `{}` cannot be read", key.display()))?;
    Ok(SimulatedGroup { profile: profile.clone(), ..SimulatedGroup::new(name, devices, secret) })
}

/// Says every few seconds how the devices are.
fn tell_progress(simulator: &Simulator, lifecycle: &Lifecycle) {
    let devices = simulator.devices().to_vec();
    let lifecycle = lifecycle.clone();
    tokio::spawn(async move {
        let mut last = String::new();
        while !lifecycle.is_stopping() {
            let linked = devices.iter().filter(|device| device.seen().linked).count();
            let line = format!("{linked} of {} devices are connected", devices.len());
            if line != last {
                println!("{line}");
                last = line;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}
