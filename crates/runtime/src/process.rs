//! What a process is, once its flags are read: a name, a clock, a lifecycle, an identity.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use http::Uri;
use tokio::net::TcpListener;

use crate::args::{AuthArgs, ListenArgs, TelemetryArgs};
use crate::auth::{CachedIntrospection, Introspect, Peers, RemoteIntrospection, ServiceAuth};
use crate::client::{self, Identity, Outbound};
use crate::metrics::Metrics;
use crate::problem::Chain;
use crate::secret::Secret;
use crate::{Clock, Lifecycle};

/// Flags that every service has.
#[derive(Debug, Clone, Args)]
pub struct ProcessArgs {
    /// Where it listens, and how it ends.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Where logs and traces go.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// How it knows callers and makes itself known.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// Read the settings, connect, check the schema, and end.
    #[arg(long)]
    pub check: bool,
}

/// Why a process does not start. The message is one sentence with the next step.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong: exit code 64.
    #[error("{0}")]
    Settings(String),
    /// The settings are right and something else is not: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl StartError {
    /// Wrong settings, with everything that caused it.
    #[must_use]
    pub fn settings(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Settings(Chain(error).to_string())
    }

    /// Something else, with everything that caused it.
    #[must_use]
    pub fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Failed(Chain(error).to_string())
    }

    /// The exit code that says the same.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) => 64,
            Self::Failed(_) => 1,
        }
    }
}

/// One process, or one service in a test.
#[derive(Debug, Clone)]
pub struct Process {
    /// `registry`, `approval`, `rollout`, `access`, `gateway`.
    pub name: &'static str,
    /// The clock it decides by.
    pub clock: Clock,
    /// Its tasks and their end.
    pub lifecycle: Lifecycle,
    /// The other processes of Slipway.
    pub peers: Peers,
    /// What it makes itself known with.
    pub token: Secret,
    /// Whether callers without a credential count as an administrator.
    pub no_auth: bool,
}

impl Process {
    /// Reads the files that the flags name.
    ///
    /// # Errors
    ///
    /// When a file cannot be used, or authentication is off on an address that others can reach.
    pub fn from_args(name: &'static str, args: &ProcessArgs) -> Result<Self, StartError> {
        if args.auth.no_auth && !args.listen.listen.ip().is_loopback() {
            return Err(StartError::Settings(format!(
                "--no-auth works on loopback only, and --listen is {}; listen on 127.0.0.1 or leave --no-auth out",
                args.listen.listen
            )));
        }
        let peers =
            Peers::read(&args.auth.peers_file).map_err(|error| StartError::settings(&error))?;
        let token = args.auth.service_token().map_err(|error| StartError::settings(&error))?;
        check_token(name, &token, &peers, &args.auth)?;
        Ok(Self {
            name,
            clock: system_clock(),
            lifecycle: Lifecycle::new(),
            peers,
            token,
            no_auth: args.auth.no_auth,
        })
    }

    /// Serves metrics when an address is given.
    ///
    /// # Errors
    ///
    /// When the address is taken.
    pub async fn serve_metrics(&self, address: Option<SocketAddr>) -> Result<(), StartError> {
        let Some(address) = address else { return Ok(()) };
        let listener = bind("--metrics-listen", address).await?;
        if let Some(metrics) = Metrics::start() {
            self.lifecycle.spawn("metrics", metrics.serve(listener, self.lifecycle.clone()));
        }
        Ok(())
    }

    /// Opens a channel to another process, with this one's identity.
    #[must_use]
    pub fn connect(&self, address: &Uri) -> Outbound {
        client::connect(address, Identity::of(&self.token))
    }

    /// Authentication that asks the process `access` at this address.
    #[must_use]
    pub fn auth(&self, access: &Uri) -> Arc<ServiceAuth> {
        let remote = RemoteIntrospection::new(self.connect(access));
        self.auth_with(Arc::new(CachedIntrospection::new(remote)))
    }

    /// Authentication with another source of answers.
    #[must_use]
    pub fn auth_with(&self, introspection: Arc<dyn Introspect>) -> Arc<ServiceAuth> {
        let (peers, clock) = (self.peers.clone(), self.clock.clone());
        Arc::new(ServiceAuth::new(peers, introspection, self.no_auth, clock))
    }
}

/// A token that the others would not know this process by is told at the start.
fn check_token(
    name: &str,
    token: &Secret,
    peers: &Peers,
    args: &AuthArgs,
) -> Result<(), StartError> {
    let whose = match peers.name_of(&token.hash()) {
        Some(known) if known == name => return Ok(()),
        Some(other) => format!("is the token of `{other}`"),
        None => format!("is in --peers-file `{}` for no process", args.peers_file.display()),
    };
    Err(StartError::Settings(format!(
        "--service-token-file `{}` {whose}; name the one of `{name}`, which `slipway migrate --secrets-dir` makes",
        args.service_token_file.display()
    )))
}

/// Binds a listener.
///
/// # Errors
///
/// When the address is taken or is not this machine's.
pub async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| {
        StartError::Failed(match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "{flag} {address}: the port is taken; stop what listens there or choose another one"
            ),
            _ => format!("{flag} {address}: cannot listen there: {error}"),
        })
    })
}

/// The system's clock; in debug builds wrong by `SLIPWAY_CLOCK_SKEW_SECONDS`, so that tests can run
/// a process on a machine with a bad clock.
fn system_clock() -> Clock {
    let skew = std::env::var("SLIPWAY_CLOCK_SKEW_SECONDS").ok();
    match skew.and_then(|text| text.parse().ok()) {
        Some(seconds) if cfg!(debug_assertions) => {
            Clock::skewed(chrono::TimeDelta::seconds(seconds))
        }
        Some(_) | None => Clock::system(),
    }
}
