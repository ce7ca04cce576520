//! The process over real sockets, with a real database and scripted peers.

mod fake;
mod world;

mod dedup;
mod lanes;
mod outage;
mod outcomes;
mod receivers;
mod restart;
mod reviews;
mod targets;
mod watch;
