//! The process `access` as others see it: real sockets, a real database, its own role.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bootstrap;
mod grants;
mod list;
mod pull;
mod replicas;
mod source;
mod support;
mod tokens;
mod verify;
mod watch;
