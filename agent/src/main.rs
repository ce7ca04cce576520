//! The agent on a device.

use std::process::ExitCode;

use agent::{Args, StartError};
use clap::{CommandFactory as _, FromArgMatches as _};
use runtime::args::with_environment;
use runtime::telemetry::Telemetry;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slipway-agent: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run() -> Result<(), StartError> {
    let matches = with_environment(Args::command(), "slipway_agent").get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let _telemetry = Telemetry::start("agent", &args.telemetry)
        .map_err(|error| StartError::Settings(error.to_string()))?;
    let work = async { Ok(args.start().await?.run().await) };
    let failed = |error| StartError::Failed(format!("signals cannot be watched: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        ended = work => ended.map(|never| match never {}),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
