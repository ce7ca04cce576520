//! `slipway`: every process of Slipway, the operators' commands, and `up`, which starts all of it.
//!
//! - [`serve`] runs one process for real deployments.
//! - [`up`] starts everything on this machine, each process its own, with a private Postgres.
//! - [`migrate`], [`psql`] and [`check`] are for whoever keeps the database.
//! - [`simulate`] runs devices that are not there.
//!
//! Everything else are the operators' [`commands`]; they use the public API only.

use std::process::ExitCode;

use clap::{Args as _, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::CompleteEnv;

use failure::failed;
use options::Options;

mod check;
mod client;
mod commands;
mod complete;
mod context;
mod documents;
mod failure;
mod ids;
mod images;
mod migrate;
mod options;
mod output;
mod psql;
mod secrets;
mod serve;
mod session;
mod simulate;
mod up;
mod watch;

/// Half the memory per device stream (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Decides which container images may run on a fleet of devices, and gets them there safely.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Start everything on this machine, with demo data on the first start
    Up(up::Args),
    /// Run one process, for deployments
    #[command(subcommand)]
    Serve(serve::Service),
    /// Make roles and schemas, and apply what is missing
    Migrate(migrate::Args),
    /// Look at the database, read-only
    Psql(psql::Args),
    /// Look whether what must always hold does hold
    Check(check::Args),
    /// Run devices that are not there
    Simulate(simulate::Args),
    /// Keep Postgres only as long as standard input is open
    #[command(hide = true)]
    Guard(up::guard::Args),
    #[command(flatten)]
    Operator(commands::Command),
}

/// The commands that call no server: the operators' flags mean nothing to them, and their help does
/// not show them.
const WITHOUT_SERVER: [&str; 7] = ["up", "serve", "migrate", "psql", "check", "simulate", "guard"];

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing installed a crypto provider before");
    CompleteEnv::with_factory(command).var(commands::COMPLETION_VARIABLE).complete();
    let parsed = command().try_get_matches().and_then(|found| Cli::from_arg_matches(&found));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let line: Vec<_> =
                std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
            return serve::wrong_settings(&error, &line).unwrap_or_else(|| error.exit());
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .enable_all()
        .build()
        .expect("the runtime starts");
    let code = runtime.block_on(run(cli));
    // What still blocks, such as a read of standard input, does not hold the exit up.
    runtime.shutdown_background();
    code
}

async fn run(Cli { options, command }: Cli) -> ExitCode {
    match command {
        Commands::Up(args) => up::run(args).await,
        Commands::Serve(service) => serve::run(service).await,
        Commands::Migrate(args) => told(migrate::run(&args).await),
        Commands::Psql(args) => psql::run(&args).await,
        Commands::Check(args) => {
            check::run(&args, options.json.is_some()).await.unwrap_or_else(|error| failed(&error))
        }
        Commands::Simulate(args) => told(simulate::run(args).await),
        Commands::Guard(args) => up::guard::run(&args).await,
        Commands::Operator(command) => commands::run(command, &options).await,
    }
}

/// The command line, with the environment variable of every flag of `serve`.
fn command() -> Command {
    let command = Cli::command().mut_subcommand("serve", serve::with_settings);
    let options = Options::augment_args(Command::new("options"));
    WITHOUT_SERVER.iter().fold(command, |command, name| {
        let hidden = options.get_arguments().map(|arg| {
            let is_known = *name == "check" && arg.get_id().as_str() == "json";
            arg.clone().hide(!is_known)
        });
        command.mut_subcommand(name, |without| without.args(hidden))
    })
}

/// Says on standard error why a command did not do what it should.
fn told(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// As many as there are cores, but few: most processes wait most of the time.
fn worker_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(1, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn commands_that_call_no_server_are_there() {
        let command = command();
        let told =
            command.get_subcommands().map(|known| known.get_about().map(ToString::to_string));
        let told: std::collections::HashSet<_> = told.collect();
        assert_eq!(told.len(), command.get_subcommands().count(), "each is told in its own words");
        for name in WITHOUT_SERVER {
            assert!(command.find_subcommand(name).is_some(), "{name}");
        }
    }
}
