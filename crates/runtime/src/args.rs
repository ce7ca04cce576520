//! Flags and environment that processes share: one struct per concern, flattened into each
//! process's own.
//!
//! Every flag can be given by an environment variable named after the process and the flag:
//! `--database-url-file` of `registry` is `REGISTRY_DATABASE_URL_FILE`. Secrets are given by file,
//! so that no process list shows them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Command, ValueEnum};

use crate::secret::Secret;

/// Where a process listens, and how it ends.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// Address to serve on.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: SocketAddr,
    /// Address to serve Prometheus metrics on; not served when absent.
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// How long to finish what is under way after a signal.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub drain_seconds: u64,
    /// End when standard input ends: the supervisor that holds it is gone.
    #[arg(long, hide = true)]
    pub supervised: bool,
}

impl ListenArgs {
    /// How long to finish what is under way.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// Where logs and traces go.
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// What to log: a level, or levels by part.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How to write logs.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Pretty)]
    pub log_format: LogFormat,
    /// Address of an OTLP collector (gRPC) for traces; none are made when absent.
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Pretty,
    /// A JSON object per line.
    Json,
}

/// Which database a process uses.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// File with the connection URL of the process's own role.
    #[arg(long, value_name = "FILE")]
    pub database_url_file: PathBuf,
    /// The most connections to hold.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub database_connections: u32,
}

impl DatabaseArgs {
    /// Reads the connection URL.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn url(&self) -> Result<Secret, ReadError> {
        read_secret("--database-url-file", &self.database_url_file)
    }
}

/// How a process knows callers and makes itself known.
#[derive(Debug, Clone, Args)]
pub struct AuthArgs {
    /// File with this process's own token.
    #[arg(long, value_name = "FILE")]
    pub service_token_file: PathBuf,
    /// File with a line `name hash` for each process of Slipway that may call.
    #[arg(long, value_name = "FILE")]
    pub peers_file: PathBuf,
    /// Take callers without a credential for an administrator. Loopback only.
    #[arg(long)]
    pub no_auth: bool,
}

impl AuthArgs {
    /// Reads this process's own token.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn service_token(&self) -> Result<Secret, ReadError> {
        read_secret("--service-token-file", &self.service_token_file)
    }
}

/// A file named by a flag that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{flag} `{path}` cannot be read")]
pub struct ReadError {
    flag: &'static str,
    path: String,
    #[source]
    cause: io::Error,
}

/// Reads a secret from the file that a flag names.
///
/// # Errors
///
/// When the file cannot be read or is empty.
pub fn read_secret(flag: &'static str, path: &Path) -> Result<Secret, ReadError> {
    Secret::read(path).map_err(|cause| ReadError { flag, path: path.display().to_string(), cause })
}

/// Gives every flag of a command its environment variable, `PREFIX_FLAG_NAME`.
#[must_use]
pub fn with_environment(command: Command, prefix: &str) -> Command {
    let prefix = prefix.to_uppercase();
    command.mut_args(|arg| {
        let Some(long) = arg.get_long() else { return arg };
        if matches!(long, "help" | "version") {
            return arg;
        }
        let name = format!("{prefix}_{}", long.replace('-', "_").to_uppercase());
        arg.env(name)
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Example {
        #[command(flatten)]
        listen: ListenArgs,
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        let command = with_environment(<Example as clap::CommandFactory>::command(), "registry");
        let names: Vec<_> = command
            .get_arguments()
            .filter_map(|arg| arg.get_env().map(|name| name.to_string_lossy().into_owned()))
            .collect();
        assert!(names.contains(&"REGISTRY_METRICS_LISTEN".to_owned()), "{names:?}");
        let parsed = Example::parse_from(["x", "--listen", "127.0.0.1:0"]);
        assert_eq!(parsed.listen.drain(), Duration::from_secs(20));
    }
}
