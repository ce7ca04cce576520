//! Locks in the server that end with the session that took them.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use super::Error;
use crate::fingerprint::hash;

/// What a lock is for. The name it is on is hashed with it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock<'a> {
    /// A process, by its token: held while it lives.
    Process(&'a str),
    /// Held while a template is being built.
    Build(&'a str),
    /// Held, shared, by each process that copies a template, and alone while it is dropped.
    Use(&'a str),
}

impl Lock<'_> {
    fn key(self) -> i64 {
        let text = match self {
            Self::Process(token) => format!("process {token}"),
            Self::Build(template) => format!("build {template}"),
            Self::Use(template) => format!("use {template}"),
        };
        hash(text.as_bytes()).cast_signed()
    }

    /// Waits for the lock.
    pub(super) async fn take(self, db: &mut PgConnection) -> Result<(), Error> {
        let query = sqlx::query("select pg_advisory_lock($1)").bind(self.key());
        query.execute(db).await.map(drop).map_err(Error::database("lock"))
    }

    /// Waits for the lock, to hold it together with others.
    pub(super) async fn share(self, db: &mut PgConnection) -> Result<(), Error> {
        let query = sqlx::query("select pg_advisory_lock_shared($1)").bind(self.key());
        query.execute(db).await.map(drop).map_err(Error::database("lock"))
    }

    /// Takes the lock unless somebody has it; tells whether that was so.
    pub(super) async fn try_take(self, db: &mut PgConnection) -> Result<bool, Error> {
        let query = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(self.key());
        query.fetch_one(db).await.map_err(Error::database("lock"))
    }

    /// Gives back what [`Lock::take`] or [`Lock::try_take`] took.
    pub(super) async fn give_back(self, db: &mut PgConnection) -> Result<(), Error> {
        let query = sqlx::query("select pg_advisory_unlock($1)").bind(self.key());
        query.execute(db).await.map(drop).map_err(Error::database("unlock"))
    }

    /// Gives back what [`Lock::share`] took.
    pub(super) async fn give_back_share(self, db: &mut PgConnection) -> Result<(), Error> {
        let query = sqlx::query("select pg_advisory_unlock_shared($1)").bind(self.key());
        query.execute(db).await.map(drop).map_err(Error::database("unlock"))
    }
}

/// How to connect, without a word about each statement in the tests' output.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, Error> {
    let options: PgConnectOptions = url.parse().map_err(Error::database("connect"))?;
    Ok(options.disable_statement_logging())
}

pub(super) async fn connect(url: &str) -> Result<PgConnection, Error> {
    PgConnection::connect_with(&options(url)?).await.map_err(Error::database("connect"))
}

/// Runs a statement with names in it, all of which are this module's own making: letters, digits
/// and underscores.
pub(super) async fn run(
    db: &mut PgConnection,
    what: &'static str,
    statement: &str,
) -> Result<(), Error> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(db).await;
    done.map(drop).map_err(Error::database(what))
}

/// Tells whether a database is there.
pub(super) async fn exists(db: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let query = sqlx::query_scalar("select exists (select from pg_database where datname = $1)");
    query.bind(name).fetch_one(db).await.map_err(Error::database("look for a database"))
}

/// Drops a database, whoever is still connected to it.
pub(super) async fn drop_database(db: &mut PgConnection, name: &str) -> Result<(), Error> {
    let statement = format!("drop database if exists {name} with (force)");
    run(db, "drop a database", &statement).await
}
