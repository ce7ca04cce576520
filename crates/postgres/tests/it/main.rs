//! A private server and the databases of tests, through the PostgreSQL of this machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod faults;
mod installation;
mod support;
mod testing;
