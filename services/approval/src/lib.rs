//! What happens to a push, and who must say yes.

mod app;
mod args;
mod error;

pub use app::{App, Config};
pub use args::Args;
pub use error::Error;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/approval");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "approval",
    role: "slipway_approval",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/approval/grants.sql"),
};
