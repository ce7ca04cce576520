//! Finds PostgreSQL on this machine and runs a private server with it: for `slipway up` and for
//! tests.
//!
//! - [`Installation`] is a usable pair of `initdb` and `postgres`, found by a [`Search`].
//! - [`Account`] is the user as whom the server runs. PostgreSQL refuses to run as root.
//! - [`Cluster`] is one data directory and the server on it: created once and atomically, started,
//!   found running, stopped.
//! - `testing` (a feature) is one shared server per checkout, and a database of its own for each
//!   test.
//!
//! A private server listens on a Unix socket only, in a folder that its account alone may enter,
//! and asks everybody for a password. That of the superuser is generated and lies in a file of mode
//! 0600 in the data directory.
//!
//! What must hold:
//!
//! - A data directory is whole or absent: it is built beside its place and renamed into it.
//! - A crash of anything leaves a state from which the next start recovers by itself: a pid file or
//!   a socket that nobody serves, a process id that something else has taken since, a half-built
//!   data directory.
//! - The interlock by which PostgreSQL keeps two servers off one data directory stays intact, also
//!   while processes of a killed server are still ending.
//! - Every failure that a person can mend is one sentence that ends with the next step.
//!
//! Except for `testing` everything blocks and speaks no SQL: the caller has its own client.

mod account;
mod cluster;
mod error;
mod fingerprint;
mod installation;
mod pidfile;
mod platform;
mod poll;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
mod url;
mod version;

pub use account::Account;
pub use cluster::{Cluster, Options, SUPERUSER, Shutdown};
pub use error::Error;
pub use installation::{Installation, Search};
pub use platform::Platform;
pub use version::Version;
