//! The process over real sockets, with a real database and scripted peers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod fake;
mod world;

mod dedup;
mod histories;
mod lanes;
mod logs;
mod outage;
mod outcomes;
mod receivers;
mod resolving;
mod restart;
mod retention;
mod reviews;
mod targets;
mod watch;
