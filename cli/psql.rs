//! `slipway psql`: a read-only session in which the tables have the names that the documents print.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{failure, migrate, up};

/// Flags of `slipway psql`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Data folder of `slipway up`
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// File with the connection URL of the role `slipway_reader`, for other databases
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    database_url_file: Option<PathBuf>,
    /// What `psql` is given, for instance `-c "select count(*) from device_target_state"`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    psql: Vec<String>,
}

/// Becomes `psql`. Returns only when that cannot be done.
pub async fn run(args: &Args) -> ExitCode {
    let error = match session(args) {
        Ok(mut psql) => {
            anyhow::Error::new(psql.exec()).context(
                "`psql` cannot be started; install the Postgres client (Debian: apt-get install postgresql-client)",
            )
        }
        Err(error) => error,
    };
    failure::failed(&error)
}

fn session(args: &Args) -> Result<Command> {
    let file = match &args.database_url_file {
        Some(file) => file.clone(),
        None => {
            let data = up::DataDir::resolve(args.data_dir.as_deref())?;
            migrate::url_file(&data.roles(), "reader")
        }
    };
    let url = migrate::reader_url(&file)?;
    let (place, password) = without_password(url.expose()).with_context(|| {
        format!("`{}` holds no connection URL; name another --database-url-file", file.display())
    })?;
    let schemas: Vec<_> = migrate::SCHEMAS.iter().map(|schema| schema.name).collect();
    let options =
        format!("-c search_path={} -c default_transaction_read_only=on", schemas.join(","));
    let mut psql = Command::new("psql");
    // The password goes by the environment, where no process list shows it.
    psql.arg(place).args(&args.psql).env("PGPASSWORD", password).env("PGOPTIONS", options);
    Ok(psql)
}

/// The URL without its password, and the password.
fn without_password(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (userinfo, place) = rest.split_once('@')?;
    let (user, password) = userinfo.split_once(':')?;
    Some((format!("{scheme}://{user}@{place}"), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_an_argument() {
        let (place, password) = without_password("postgres://r:pw@localhost/d?host=/x").unwrap();
        assert_eq!((place.as_str(), password.as_str()), ("postgres://r@localhost/d?host=/x", "pw"));
    }
}
