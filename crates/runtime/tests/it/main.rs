//! What every process does the same way, tried from outside: a real listener, a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod outbox;
mod server;
