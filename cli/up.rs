//! `slipway up`: everything on this machine, each process its own, with a private Postgres.
//!
//! In this order: take the data folder, start Postgres under a guard, migrate as its owner, start
//! the processes, wait until they serve, make the first data on the first start, say where
//! everything is, and keep it running. Children end when their standard input does, so nothing is
//! left over even when this process is killed.

mod child;
mod data_dir;
mod demo;
mod endpoints;
pub mod guard;
mod log_file;
mod processes;
mod screen;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use runtime::secret::Secret;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::failed;
use crate::{context, migrate, secrets};

pub use data_dir::DataDir;
pub use demo::enrolment_key_file;
pub use endpoints::{Endpoints, url};
use processes::Processes;
use server::Server;

/// Where the gateway listens when nothing else is said: what the documents print.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4002);

/// Flags of `slipway up`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Folder for all data [default: $XDG_DATA_HOME/slipway, as root /var/lib/slipway]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the gateway [default: 127.0.0.1:4002]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// How many devices to simulate
    #[arg(long, value_name = "N", default_value_t = 25)]
    devices: usize,
    /// Take callers without a token for an administrator; loopback only
    #[arg(long)]
    no_auth: bool,
    /// Make no demo data and simulate no devices
    #[arg(long)]
    no_demo: bool,
    /// Use this database, given by its owner's connection URL, instead of a private one
    #[arg(long, value_name = "URL", env = "SLIPWAY_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Remove all data and begin anew
    #[arg(long)]
    reset: bool,
}

/// Starts everything and keeps it running until it is asked to stop.
pub async fn run(args: Args) -> ExitCode {
    let mut up = Up::default();
    let mut signals = match Signals::watch() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let started = tokio::select! {
        started = up.start(&args) => started,
        () = signals.any() => Ok(()),
    };
    let result = match started {
        Ok(()) => {
            tokio::select! {
                result = up.keep_running() => result,
                () = signals.any() => Ok(()),
            }
        }
        Err(error) => Err(error),
    };
    if up.server.is_some() || up.processes.is_some() {
        eprintln!("Stopping …");
    }
    up.stop().await;
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// What runs.
#[derive(Default)]
struct Up {
    data: Option<DataDir>,
    server: Option<Server>,
    processes: Option<Processes>,
}

impl Up {
    async fn start(&mut self, args: &Args) -> Result<()> {
        let listen = args.listen.unwrap_or(LISTEN);
        if args.no_auth && !listen.ip().is_loopback() {
            bail!(
                "--no-auth works on loopback only, and --listen is {listen}; listen on 127.0.0.1 or leave --no-auth out"
            );
        }
        let data = self.data.insert(DataDir::resolve(args.data_dir.as_deref())?);
        data.take()?;
        if args.reset {
            server::stop_left_over(data)?;
            data.clear()?;
        }
        data.check_version()?;
        let endpoints = Endpoints::choose(args.listen, LISTEN, Endpoints::load(data).as_ref())?;
        let owner_url = match &args.database_url {
            Some(url) => Secret::new(url.clone()),
            None => self.server.insert(Server::start(data).await?).owner_url().await?,
        };
        step("Applying migrations");
        migrate::apply(&owner_url, &data.roles()).await?;
        data.write_version()?;
        secrets::prepare(&data.folder("secrets")?)?;
        let admin = secrets::admin_token(&data.roles(), &data.admin_token()).await?;

        step("Starting the processes");
        endpoints.write(data)?;
        let processes = Processes::start(data, &endpoints, args.no_auth)?;
        let processes = self.processes.insert(processes);
        processes.wait_until_ready(&endpoints).await?;

        let first_start =
            demo::receiver(data, &endpoints, &admin, listen.ip().is_loopback()).await?;
        if !args.no_demo {
            demo::first_data(data, &endpoints, &admin).await?;
            processes.simulate(data, &endpoints, args.devices)?;
        }
        let context = context::remember("local", &endpoints.gateway_url(), &admin);
        screen::print(data, &endpoints, args, first_start, context.as_ref().ok());
        Ok(())
    }

    /// Restarts what dies. Ends when something dies that cannot be restarted.
    async fn keep_running(&mut self) -> Result<()> {
        let processes = self.processes.as_mut().context("nothing was started")?;
        match &mut self.server {
            Some(server) => {
                tokio::select! {
                    result = server.keep_running() => result,
                    result = processes.keep_running() => result,
                }
            }
            None => processes.keep_running().await,
        }
    }

    async fn stop(&mut self) {
        if let Some(processes) = &mut self.processes {
            processes.stop(Duration::from_secs(3)).await;
        }
        if let Some(server) = &mut self.server {
            server.stop(Duration::from_secs(2)).await;
        }
        if let Some(data) = &self.data {
            data.leave();
        }
    }
}

/// Says what is being done; long starts are seen to go on.
fn step(what: &str) {
    eprintln!("{what} …");
}

/// What ends the process.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn watch() -> Result<Self> {
        let watch = |kind| signal(kind).context("signals cannot be watched");
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
