//! Which container images may run, and what a registry elsewhere says about them.
//!
//! The process owns the images that somebody decided about, their tags, the rules of the gate, and
//! the list of registries elsewhere that may be asked. Three services stand on that: `ImageRegistry`,
//! `Gate` and `Upstreams`, and beside them the feed of events.
//!
//! **The way of a request.** `grpc` parses it with `convert`, opens a transaction, calls
//! `store` and the vocabulary (`image`, `tag`, `gate`, `upstream`), writes what happened
//! (`event`) into the outbox of the same transaction, commits, and converts back. The caller owns
//! the transaction: no function of the store begins or ends one.
//!
//! **The verdict.** `admit` is the only place that decides whether a reference may run. It is
//! pure: gate, image and tag go in, ruling, reasons and checks come out. `AdmitReference` reads all
//! it needs in one round trip (`store::admission`) and opens a transaction only when the verdict
//! leaves something to write: a tag that is added, or the digest that a tag has now. Then it holds
//! the image's row and decides once more, so that what it writes follows from what is true then.
//!
//! **Elsewhere.** `resolve` asks registries over HTTP, and `lookup` finds out which one and what
//! follows. Neither happens inside a transaction.
//!
//! What must hold:
//!
//! - An image is its canonical repository, host and path: approving `redis` approves nothing named
//!   `evil/redis`. The columns `registry`, `namespace` and `image_name` are its parts.
//! - One tag of an image at most is recommended, one upstream at most is the default: a unique index
//!   says so, and who sets the mark takes it from the one that has it, in the same transaction.
//! - Whoever changes an image or its tags holds the image's row; whoever adds an image has queued for
//!   its repository. So what is there is seen before anything is inserted, and the numbers that
//!   people see have no gaps from requests that were refused.
//! - `image.registry.added` tells that an image is there; `approved` and `rejected` tell each
//!   decision, also one that comes with the adding. An image that is pending was `added` so or
//!   `updated` back to it.
//! - A review carries out its decision once: resent later, it does not undo what came after it.
//! - Nothing is removed while an update policy uses it, or while that cannot be known.

mod admit;
mod app;
mod args;
mod convert;
mod error;
mod event;
mod gate;
mod grpc;
mod image;
mod lookup;
mod nearest;
mod resolve;
mod retention;
mod store;
mod tag;
mod upstream;
mod verify;

pub use app::{App, Config, Times};
pub use args::Args;
pub use error::Error;

use runtime::migrate::Schema;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/registry");

/// The schema this process owns.
pub static SCHEMA: Schema = Schema {
    name: "registry",
    role: "slipway_registry",
    migrator: &MIGRATOR,
    grants: include_str!("../../../migrations/registry/grants.sql"),
};
