//! The whole of Slipway for tests.
//!
//! [`Slipway`] runs every process's own `App` in the test's process, over real sockets, with a real
//! database in which each of them has its own role. [`Processes`] runs the same as operating-system
//! processes of the real binary, which can be killed, started again, stopped for a while and armed
//! with a crash point. Both are used alike: [`Api`] speaks REST to them, [`Fleet`] puts simulated
//! devices beside them, a [`LoopbackRegistry`] stands for the registries
//! of the world.
//!
//! Nothing here sleeps for a length of time: [`eventually`] asks again until something is so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod api;
mod database;
mod fleet;
mod patience;
mod processes;
mod slipway;
mod sse;
pub mod steps;
mod tokens;

pub use api::{Answer, Api};
pub use database::Database;
pub use fleet::{Fleet, enrolment_key, set_template};
pub use loopback::{Fault, LoopbackRegistry, digest_of};
pub use patience::{PATIENCE, eventually};
pub use processes::{Process, Processes, free_port};
pub use slipway::{Settings, Slipway};
pub use sse::{EventStream, StreamEvent};
pub use tokens::Tokens;

/// The processes that keep data, by name.
pub const SERVICES: [&str; 4] = ["registry", "approval", "rollout", "access"];
