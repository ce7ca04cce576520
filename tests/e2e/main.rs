//! The whole of Slipway, tried from outside: by REST, by gRPC, by the device protocol, by its
//! program, and by killing its processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod api_page;
mod deploy;
mod events;
mod examples;
mod faults;
mod isolation;
mod outcomes;
mod processes;
mod reflection;
mod scene;
mod shell_device;
mod telemetry;
mod up;
mod whole_way;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway");
