//! The services that operators and other processes call.

mod devices;
mod policies;
mod rollouts;
mod watch;

pub use devices::Devices;
pub use policies::Policies;
pub use rollouts::Rollouts;
