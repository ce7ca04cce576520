//! The agent as a whole: without sockets in a world of its own, and against a scripted server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binary;
mod engine;
mod failures;
mod history;
mod link;
mod reports;
mod restart;
mod scenario;
mod server;
mod simulator;
mod storage;
mod targets;
mod updates;
mod world;
