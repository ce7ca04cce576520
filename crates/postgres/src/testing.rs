//! A database of its own for each test, on one shared server per checkout.
//!
//! The first test that asks starts the server, under a file lock; every later one, in whatever
//! process, finds it running. It is left running between runs: idle it costs next to nothing, and
//! the next run begins at once. Its state lies under `/tmp`, named by user and checkout. Nothing in
//! it is worth keeping: what does not start is thrown away and made anew.
//!
//! [`template`] prepares a database once, such as by migrating it; [`create_database`] copies it for
//! a test. The copy goes away when its [`TestDatabase`] is dropped, or else, when the process was
//! killed, as soon as another process begins to use the server.
//!
//! Who may remove what is decided by session locks in the server, not by process numbers: a process
//! holds one on everything that is its own, and they end with it, however it ends.

/// The password that tests give to roles. Roles belong to the whole shared server, so all tests of
/// all crates have to agree on it.
pub const ROLE_PASSWORD: &str = "slipway-test";

mod database;
mod server;
mod session;
mod shared;
mod state;
mod template;

use std::fmt::Display;

pub use database::TestDatabase;
pub use server::Server;
pub use shared::server;
pub use template::Template;

/// Why a test got no database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server could not be started.
    #[error(transparent)]
    Postgres(#[from] crate::Error),

    /// The server refused something.
    #[error("the test server refused to {what}: {cause}")]
    Database {
        /// What was tried.
        what: &'static str,
        /// What it said.
        cause: sqlx::Error,
    },

    /// The folder of the server's state cannot be used.
    #[error("the test server's folder `{folder}` cannot be used: {reason}; remove it")]
    State {
        /// The folder.
        folder: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A template's own preparation failed; nothing is left of it.
    #[error("the template `{key}` could not be prepared: {reason}")]
    Prepare {
        /// The template's key.
        key: String,
        /// What its preparation said.
        reason: String,
    },

    /// The thread that talks to the server has ended.
    #[error("the connection to the test server is closed")]
    Closed,
}

impl Error {
    /// Makes a refusal of the server an error; for `map_err`.
    fn database(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |cause| Self::Database { what, cause }
    }
}

/// Makes sure that the shared server holds a template for `key`, by [`Server::template`].
pub async fn template<F, E>(key: &str, prepare: F) -> Result<Template, Error>
where
    F: AsyncFnOnce(String) -> Result<(), E>,
    E: Display,
{
    server().template(key, prepare).await
}

/// Creates a database on the shared server, by [`Server::create_database`].
pub async fn create_database(template: &Template) -> Result<TestDatabase, Error> {
    server().create_database(template).await
}
