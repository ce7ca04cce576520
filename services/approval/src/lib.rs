//! What happens to a push, and who must say yes.
//!
//! A registry, or a person, says that something is new: a **push**. This process decides what
//! happens to it. It owns **receivers** (the addresses that registries send webhooks to),
//! **deliveries** (the requests as they came), pushes, and **reviews** (questions to a person). It asks
//! `registry` whether an image may run and which digest a tag has, and `rollout` for the rollout.
//!
//! # The way of the data
//!
//! - **In**: `intake` takes a request: limits (`limits`), credentials over the raw bytes (`verify`), JSON
//!   read one way only (`strict_json`), the vendor's parser (`parse`, one pure file for each line of
//!   `vendor`). Delivery, pushes and the key that tells repetitions apart are stored in one
//!   transaction; `redeliver` answers what came before. `by_hand` is the same for people.
//! - **Decide**: `decide` (and `arrive`, for what has just come) holds every rule, pure: a push and an
//!   `answer` in, the push and what comes next out. `advance` takes one step of one claimed push: it asks, lets `decide` decide, and writes
//!   down. `drive` runs steps until a push rests, for the sender who waits up to a second and for the
//!   `worker` who goes on later.
//! - **Ask a person**: `ask` finds or opens the review of a held push (`review` has the rules), `vote`
//!   stores a decision, `redrive` tells the registry and sets the held pushes going, `close` ends
//!   reviews in whatever other way, `expire` those that nobody decided in time.
//! - **Watch**: `watch_registry` acts on what happens to images elsewhere; `tell` tells `rollout` of
//!   approvals that were lost.
//! - **Start**: `target` admits what devices should run from the start, like a push.
//!
//! # What must hold
//!
//! - What is answered is stored. What is stored goes on by itself, whatever ends in between: every
//!   step may be repeated, and calls to others happen between transactions, never inside one.
//! - The release of a push is written down before `rollout` is asked for it, so that a repeated
//!   question asks for the same.
//! - Pushes of one repository and tag are decided one after the other, in the order in which they
//!   were stored: a claim (a lease in the row) is given out under the lane's lock, to one at a time.
//! - A push is written only by who has read its newest version.
//! - The registry's word counts, not the sender's, except where a receiver is trusted and no
//!   registry can be asked.
//! - A decision of a person is stored before anybody is told, and is about the digest and the
//!   evidence that the person has seen. Nobody decides what they asked for themselves.

mod advance;
mod answer;
mod app;
mod args;
mod arrive;
mod ask;
mod by_hand;
mod close;
mod convert;
mod decide;
mod delivery;
mod drive;
mod error;
mod expire;
mod explain;
mod finding;
mod grpc;
mod headers;
mod intake;
mod lanes;
mod limits;
mod meter;
mod moment;
mod outage;
mod parse;
mod peers;
mod push;
mod receiver;
mod redeliver;
mod redrive;
mod retention;
mod review;
mod store;
mod strict_json;
mod target;
mod tell;
mod vendor;
mod verify;
mod vote;
mod watch_registry;
mod webhook_log;
mod worker;

pub use app::{App, Config, Settings};
pub use args::{Args, LimitArgs};
pub use error::Error;
pub use limits::Rate;
pub use retention::Keep;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/approval");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "approval",
    role: "slipway_approval",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/approval/grants.sql"),
};
