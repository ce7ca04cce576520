//! `slipway simulate`: devices that are not there, over the real device protocol.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::profile::Profile;
use agent::simulator::{Connections, SimulatedGroup, Simulator, SimulatorConfig, Summary};
use agent::timing::Timing;
use anyhow::{Context as _, Result};
use runtime::args::{LogFormat, TelemetryArgs};
use runtime::secret::Secret;
use runtime::telemetry::Telemetry;
use runtime::{Clock, Lifecycle};
use tokio::net::TcpStream;

use crate::client::CONNECT_PATIENCE;
use crate::output::text;
use crate::up;

/// Where the device link is when nothing else is known.
const LINK_URL: &str = "http://127.0.0.1:4020";
/// The fleet of the demo whose key is taken.
const DEMO_FLEET: &str = "north";
/// How often it is looked how the devices are.
const EVERY: Duration = Duration::from_secs(1);
/// How many problems are told at once.
const PROBLEMS: usize = 3;

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
    /// Address of the device link [default: that of `slipway up` on this machine, else
    /// http://127.0.0.1:4020]
    #[arg(long, value_name = "URL")]
    link_url: Option<String>,
    /// File with the enrolment key of the devices [default: that of the demo fleet `north` of
    /// `slipway up` on this machine]
    #[arg(long, value_name = "FILE")]
    enrolment_key_file: Option<PathBuf>,
    /// Data folder of `slipway up`
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
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
    let config = config(&args)?;
    let link_url = config.link_url.clone();
    let simulator = Simulator::start(config)?;
    let lifecycle = Lifecycle::new();
    tokio::select! {
        _ = lifecycle.run(Duration::from_secs(1), args.supervised) => {}
        never = tell_progress(&simulator, &link_url), if !args.supervised => match never {},
    }
    simulator.stop().await;
    telemetry.flush();
    Ok(())
}

fn config(args: &Args) -> Result<SimulatorConfig> {
    let profile: Profile =
        args.profile.parse().with_context(|| format!("--profile `{}` is none", args.profile))?;
    let data = up::DataDir::resolve(args.data_dir.as_deref());
    let groups = if args.group.is_empty() {
        let file = match &args.enrolment_key_file {
            Some(file) => file.clone(),
            None => demo_key(data.as_ref().ok())?,
        };
        vec![group("device", args.devices, &file, &profile)?]
    } else {
        args.group.iter().map(|text| parse_group(text, &profile)).collect::<Result<Vec<_>>>()?
    };
    Ok(SimulatorConfig {
        link_url: args.link_url.clone().unwrap_or_else(|| link_url(data.as_ref().ok())),
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

/// The key that the demo's own devices enrol with.
fn demo_key(data: Option<&up::DataDir>) -> Result<PathBuf> {
    let place = data.map_or("".into(), |data| data.path().to_string_lossy());
    let key = data.map(|data| up::enrolment_key_file(data, DEMO_FLEET));
    key.filter(|key| key.exists()).with_context(|| {
        format!(
            "no enrolment key is given, and no `slipway up` has left one in `{place}`; name its folder with \
             --data-dir, or make a key: `slipway enrolment-key create NAME --fleet FLEET > FILE`, then \
             --enrolment-key-file FILE"
        )
    })
}

fn link_url(data: Option<&up::DataDir>) -> String {
    let endpoints = data.and_then(up::Endpoints::load);
    endpoints.map_or_else(|| LINK_URL.to_owned(), |endpoints| up::url(endpoints.link))
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

/// Says how the devices are, and what keeps them from working, whenever that changes.
async fn tell_progress(simulator: &Simulator, link_url: &str) -> Infallible {
    if let Some(problem) = unreachable(link_url).await {
        eprintln!("{problem}");
    }
    let mut told = String::new();
    loop {
        let line = progress(&simulator.summary(), link_url);
        if line != told {
            println!("{line}");
            told = line;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What is wrong with the link at the start. Devices wait up to a minute before they would say so.
async fn unreachable(link_url: &str) -> Option<String> {
    let url = reqwest::Url::parse(link_url).ok()?;
    let place = (url.host_str()?.trim_matches(['[', ']']).to_owned(), url.port_or_known_default()?);
    let why = match tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(place)).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {} s", CONNECT_PATIENCE.as_secs()),
    };
    Some(format!(
        "warning: the device link {link_url} does not answer: {why}; the devices go on trying: start \
         `slipway up`, or name another --link-url"
    ))
}

/// How the devices are, in a line.
fn progress(summary: &Summary, link_url: &str) -> String {
    let devices = text::count(summary.devices as u64, "device");
    let verb = if summary.devices == 1 { "is" } else { "are" };
    let linked = text::number(summary.linked as u64);
    let mut line = format!("{linked} of {devices} {verb} connected to {link_url}");
    for (problem, count) in summary.problems.iter().take(PROBLEMS) {
        line += &format!("; {}: {}", text::number(*count as u64), text::clean(problem));
    }
    line
}
