//! Who are you, what may you do, who did what.
//!
//! **Tokens.** A token is `ghd_` and 32 random bytes. It is shown once and known afterwards by its
//! SHA-256 only, in a table that the reader's role cannot see. It has a subject (a person or a service
//! account), a role, and perhaps an end. `role` is the one place that says what a role may do.
//! Other processes ask `introspect` who bears a token and remember the answer for some seconds;
//! this process asks its own database on every call. When a token was last used is gathered in
//! `last_use` and written once a minute. There is no default token: [`bootstrap_admin_token`] makes
//! the first one out of a secret that whoever sets Slipway up has made.
//!
//! **The audit log.** Every process writes its events in the transaction of the change they tell
//! about, numbers them, and serves them as a feed. Here the feeds become one log:
//!
//! ```text
//! source   the own outbox, or another process's EventLog
//! pull     per source: list what is missing, follow the feed, begin again after a failure
//! append   one transaction: claim the cursor, leave out what is known, link to the chain,
//!          store the entries, move the head, move the cursor
//! tail     the end of the log, read once per process for all who watch
//! watch    one watcher: what is stored, then what comes
//! verify   the chain recomputed, from the first entry to the head
//! ```
//!
//! What must hold:
//!
//! - Entries are numbered densely from 1, across all sources. Who appends holds the head's row, so
//!   they become visible in the order of their numbers, and a reader that remembers the last number
//!   misses nothing.
//! - The cursor of a source moves in the transaction that stores its events: nothing is lost and
//!   nothing is doubled, whenever this process or a source ends. An event that comes again is known by
//!   its id.
//! - The order of one source's events is kept. Between sources it is the order of arrival.
//! - Any number of replicas may run: the cursor's row decides which of them appends.
//! - An entry is never changed or removed, not even by this process: its role may not. `chain` says
//!   how the hashes are made, so that anybody can check them without us.
//! - What a list or a live log tells about an event comes from the envelope, which the chain covers;
//!   the columns beside it are for filters, and verification compares them with it.
//!
//! Users, sessions and limits per user have their place beside tokens: a token's subject is an actor
//! already, and a role is looked up by its word.

mod app;
mod append;
mod args;
mod bootstrap;
mod chain;
mod convert;
mod create;
mod entry;
mod error;
mod filter;
mod grpc;
mod introspect;
mod last_use;
mod pull;
mod retention;
mod role;
mod source;
mod store;
mod tail;
mod token;
mod verify;
mod watch;
mod worker;

pub use app::{App, Config, Sources};
pub use args::Args;
pub use bootstrap::{Bootstrap, bootstrap_admin_token};
pub use error::Error;
pub use role::Role;
pub use token::{PREFIX as TOKEN_PREFIX, TokenId};
pub use verify::verify_chain;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/access");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "access",
    role: "slipway_access",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/access/grants.sql"),
};
