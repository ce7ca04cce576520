//! The operators' commands: the real program against a server that says what a test wants it to say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod answers;
mod contexts;
mod doctor;
mod refusals;
mod server;
mod serving;
mod shells;
mod simulating;
mod slipway;
mod steering;
mod telling;
mod terminal;
mod watching;
mod whole;
