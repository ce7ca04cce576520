//! x
mod answer; mod app; mod args; mod edge; mod error; mod extract; mod list; mod peer; mod relay; mod router; mod routes; mod server; mod shape; mod sse; mod stats;
pub use app::{App, Config, Settings};
pub use args::Args;
