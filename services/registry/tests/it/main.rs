//! The process `registry` over real sockets: its own Postgres database and role, a real channel, and
//! small stand-ins for `access`, `rollout` and registries elsewhere.

#![expect(clippy::unwrap_used, reason = "what a test cannot do fails it")]

mod admission;
mod concurrency;
mod debian;
mod decisions;
mod delete;
mod events;
mod first_data;
mod gate;
mod harness;
mod images;
mod peers;
mod resolve;
mod start;
mod tags;
mod upstreams;
mod verify;
