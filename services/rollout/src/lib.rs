//! Which device should run what, now.

mod app;
mod args;
pub mod assignment;
pub mod batch;
mod change;
mod command;
mod convert;
mod create;
mod device;
mod device_auth;
mod drive;
mod enrol;
mod error;
mod frozen;
mod grpc;
mod link;
pub mod plan;
pub mod policy;
mod report;
mod retire;
mod revoke;
pub mod rollout;
mod select;
mod session;
mod store;
mod take_over;
pub mod tally;
pub mod target;
pub mod withdraw;
mod worker;

pub use app::{App, Config, Settings};
pub use args::Args;
pub use error::Error;
pub use worker::Retention;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/rollout");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "rollout",
    role: "slipway_rollout",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/rollout/grants.sql"),
};
