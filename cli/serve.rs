//! `slipway serve <process>`: one process, for deployments.
//!
//! Settings are flags or environment variables, `REGISTRY_LISTEN` for `--listen` of `registry`. They
//! are read before anything is bound; wrong ones end the process with one sentence and exit code 64.

mod settings;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Command, Subcommand};
use runtime::Lifecycle;
use runtime::process::{ProcessArgs, StartError};
use runtime::telemetry::Telemetry;

/// A process of Slipway.
#[derive(Debug, Clone, Subcommand)]
pub enum Service {
    /// Images, tags, the gate, upstream registries
    Registry(Box<registry::Args>),
    /// Receivers, pushes, reviews, admitted targets
    Approval(Box<approval::Args>),
    /// Policies, rollouts, devices, the device link
    Rollout(Box<rollout::Args>),
    /// Access tokens and the audit log
    Access(Box<access::Args>),
    /// REST, webhooks and live events
    Gateway(Box<gateway::Args>),
}

impl Service {
    fn name(&self) -> &'static str {
        match self {
            Self::Registry(_) => "registry",
            Self::Approval(_) => "approval",
            Self::Rollout(_) => "rollout",
            Self::Access(_) => "access",
            Self::Gateway(_) => "gateway",
        }
    }

    fn process(&self) -> &ProcessArgs {
        match self {
            Self::Registry(args) => &args.process,
            Self::Approval(args) => &args.process,
            Self::Rollout(args) => &args.process,
            Self::Access(args) => &args.process,
            Self::Gateway(args) => &args.process,
        }
    }

    async fn start(&self) -> Result<Option<Lifecycle>, StartError> {
        match self {
            Self::Registry(args) => args.start().await,
            Self::Approval(args) => args.start().await,
            Self::Rollout(args) => args.start().await,
            Self::Access(args) => args.start().await,
            Self::Gateway(args) => args.start().await,
        }
    }
}

/// The subcommand with the environment variables and usual ports of every process.
pub fn with_settings(command: Command) -> Command {
    settings::PORTS.into_iter().fold(command, |command, (name, port)| {
        command.mut_subcommand(name, |service| settings::of(service, name, port))
    })
}

/// Says in a sentence what is wrong with the settings of a process. None where the command line is
/// not that of one, or asks for something else.
pub fn wrong_settings(error: &clap::Error, line: &[String]) -> Option<ExitCode> {
    let at = line.iter().position(|word| word == "serve")?;
    let process = line.get(at + 1)?;
    settings::PORTS.iter().find(|(name, _)| name == process)?;
    let sentence = settings::sentence(error, process)?;
    Some(refused(&StartError::Settings(sentence)))
}

/// Runs a process until it is asked to stop.
pub async fn run(service: Service) -> ExitCode {
    let process = service.process().clone();
    let telemetry = match Telemetry::start(service.name(), &process.telemetry) {
        Ok(telemetry) => telemetry,
        Err(error) => return refused(&StartError::settings(&error)),
    };
    let lifecycle = match service.start().await {
        Ok(Some(lifecycle)) => lifecycle,
        Ok(None) => {
            println!("{}: the settings are right and everything needed is there", service.name());
            return ExitCode::SUCCESS;
        }
        Err(error) => return refused(&error),
    };
    tracing::info!("{} serves on {}", service.name(), process.listen.listen);
    let code = lifecycle.run(process.listen.drain(), process.listen.supervised).await;
    tracing::info!("{} ends", service.name());
    tokio::task::spawn_blocking(move || drop(telemetry));
    tokio::time::sleep(Duration::from_millis(10)).await;
    code
}

fn refused(error: &StartError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(error.exit_code())
}
