//! Which container images may run, and what a registry elsewhere says about them.

mod app;
mod args;
mod error;

pub use app::{App, Config};
pub use args::Args;
pub use error::Error;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/registry");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "registry",
    role: "slipway_registry",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/registry/grants.sql"),
};
