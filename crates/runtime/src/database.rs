//! Postgres: the pool, named constraints, and what a broken database means to a caller.

use std::time::Duration;

use chrono::{DateTime, Utc};
use proto::reason;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use crate::args::DatabaseArgs;
use crate::secret::Secret;
use crate::{Clock, Problem};

/// Why the database cannot be used at the start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be read.
    #[error("the connection URL in `{0}` is none; write `postgres://role:password@host/database`")]
    Url(String),
    /// It answers, and does not let the role in.
    #[error("the database refuses the URL in `{0}`; `slipway migrate` makes roles and their URLs")]
    Refused(String, #[source] sqlx::Error),
    /// It does not answer.
    #[error("the database does not answer; is it running, and is the URL right?")]
    Unreachable(#[source] sqlx::Error),
}

/// Opens a pool as the flags say, and one connection to see that it works.
///
/// # Errors
///
/// When the URL is none or the database does not answer.
pub async fn connect(
    process: &str,
    args: &DatabaseArgs,
    url: &Secret,
) -> Result<PgPool, ConnectError> {
    let shown = args.database_url_file.display().to_string();
    let Ok(options) = url.expose().parse::<PgConnectOptions>() else {
        return Err(ConnectError::Url(shown));
    };
    let pool = pool(process, options, args.database_connections);
    match pool.acquire().await {
        Ok(_) => Ok(pool),
        Err(error) if error.as_database_error().is_some() && !is_away(&error) => {
            Err(ConnectError::Refused(shown, error))
        }
        Err(error) => Err(ConnectError::Unreachable(error)),
    }
}

/// How long a connection is taken for alive after it was used.
const FRESH: Duration = Duration::from_secs(1);

/// Opens a pool; connections are made when they are needed.
#[must_use]
pub fn pool(process: &str, options: PgConnectOptions, connections: u32) -> PgPool {
    let options = options
        .application_name(&format!("slipway-{process}"))
        .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(1))
        .log_statements(tracing::log::LevelFilter::Trace);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_secs(300))
        // A connection that was used a moment ago is not asked whether it lives: that would be a
        // round trip more for every call.
        .test_before_acquire(false)
        .before_acquire(|connection, last| {
            Box::pin(async move {
                if last.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// The time that decisions use: the database's, so that replicas with wrong clocks agree, or a
/// test's hand-cranked one.
///
/// # Errors
///
/// When the database does not answer.
pub async fn now(db: &mut PgConnection, clock: &Clock) -> Result<DateTime<Utc>, sqlx::Error> {
    if clock.is_manual() {
        return Ok(clock.now());
    }
    sqlx::query_scalar("select clock_timestamp()").fetch_one(db).await
}

/// The name of the constraint that a statement broke.
#[must_use]
pub fn constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::constraint)
}

/// What a failed statement means to a caller: 503 while the database is away, else our fault.
#[must_use]
pub fn problem(error: &sqlx::Error) -> Problem {
    if is_away(error) {
        tracing::warn!(error = %crate::problem::Chain(error), "the database does not answer");
        return Problem::unavailable(
            reason::DATABASE_UNREACHABLE,
            "the database does not answer; nothing was stored, try again soon",
        );
    }
    Problem::internal(error)
}

/// Whether the same statement may work later.
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Connection exceptions, too many connections, disk full, a server that starts or stops,
            // and transactions that lost against another one.
            code.starts_with("08")
                || code.starts_with("57P")
                || matches!(&*code, "53300" | "53100" | "40001" | "40P01")
        }),
        _ => false,
    }
}
