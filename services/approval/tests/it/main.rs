//! The process over real sockets, with a real database and scripted peers.

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
