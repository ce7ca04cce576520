//! The device side of Slipway.
//!
//! The agent makes a device run what its target says. Whatever breaks, the device runs the new
//! image, healthy, or the old one, and says which.
//!
//! The way of things through the files:
//!
//! ```text
//!  server ──▶ link ──▶ machine ◀── engine        what is: target, answers, containers
//!                         │
//!                  plan (pure): one step
//!                         │
//!               journal ──▶ storage              remembered before it is done
//!                         │
//!            device ──▶ engine, link             done, then looked at again
//! ```
//!
//! - [`target`], [`recipe`], [`image`], [`transaction`], [`row`]: the vocabulary.
//! - [`plan`]: the only home of rules. It is a function of what should run, what is seen, what is
//!   remembered, and the time.
//! - [`machine`]: plan, journal, memory and reports as one thing without I/O, so that tests can cut
//!   the power between any two steps.
//! - [`journal`] and [`storage`]: one document, written whole; [`outbox`]: ends of attempts that the
//!   server has yet to hear.
//! - [`engine`]: what runs containers, behind one trait; [`engine::simulated`] runs none.
//! - [`link`]: one stream to the server, reports one at a time, and when to come back.
//! - [`device`]: the loop that ties them together.
//! - [`simulator`] and [`profile`]: thousands of devices in one process, and what goes wrong on them.
//!
//! What must hold:
//!
//! - Nothing is done that was not remembered before, as far as it must be remembered.
//! - What ran before is stopped only once all that replaces it is there, and its container stays
//!   until the server has heard that the new one is good.
//! - Without the server a device keeps what it runs; in the middle of an update it goes back alone.
//! - No timer looks at the wall clock.
//! - A report number is never used twice, and an end of an attempt is told until it was heard.

pub mod args;
pub mod board;
pub mod chance;
pub mod device;
pub mod engine;
pub mod enrolment;
pub mod identity;
pub mod image;
pub mod journal;
pub mod link;
pub mod machine;
pub mod memory;
pub mod moment;
pub mod outbox;
pub mod plan;
pub mod platform;
pub mod profile;
pub mod recipe;
pub mod report;
pub mod row;
pub mod simulator;
pub mod storage;
pub mod target;
pub mod timing;
pub mod transaction;

pub use args::{Args, StartError};
pub use device::{Device, DeviceConfig};
pub use profile::Profile;
pub use simulator::{
    Connections, SimulatedDevice, SimulatedGroup, Simulator, SimulatorConfig, SimulatorError,
    Summary,
};
pub use timing::Timing;
