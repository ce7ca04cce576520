//! Which device should run what, now.

mod app;
mod args;
pub mod assignment;
pub mod batch;
mod error;
pub mod plan;
pub mod policy;
pub mod rollout;
pub mod tally;
pub mod target;

pub use app::{App, Config};
pub use args::Args;
pub use error::Error;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/rollout");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "rollout",
    role: "slipway_rollout",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/rollout/grants.sql"),
};
