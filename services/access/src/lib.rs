//! Who are you, what may you do, who did what.

mod app;
mod args;
mod error;

pub use app::{App, Config};
pub use args::Args;
pub use error::Error;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/access");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "access",
    role: "slipway_access",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/access/grants.sql"),
};
