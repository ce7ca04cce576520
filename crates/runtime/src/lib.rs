//! What every process of Slipway does the same way.
//!
//! A process is a handful of tonic services over one Postgres schema. What differs between
//! processes is what they decide; what is the same stands here:
//!
//! - **Start**: [`args`] (flags and environment, one struct per concern), [`process`] (what comes of
//!   them), [`telemetry`] (logs, traces), [`metrics`] (the `/metrics` listener), [`lifecycle`]
//!   (signals, drain, hard deadline).
//! - **Serve**: [`server`] puts health, reflection and the [`rpc`] layer around the services; the
//!   layer gives every call its request id, span, metrics and deadline and asks [`auth`] who calls
//!   and whether it may. A handler finds the answer in [`auth::Caller`].
//! - **Call**: [`client`] opens channels to other processes; request id, trace and identity travel
//!   along by themselves ([`context`]).
//! - **Refuse**: [`problem`] is the one shape of errors, on the wire and off it.
//! - **Decide alike**: [`clock`], [`mod@id`], [`page`], [`backoff`], [`secret`], [`seal`].
//! - **Work on**: [`worker`] runs one claimed row at a time, woken by a signal or a period.
//! - **Remember** (feature `postgres`): [`database`] (pool, named constraints), [`migrate`],
//!   [`outbox`] (events written in the business transaction and served as `EventLog`).
//!
//! Nothing here knows an image, a push or a device.

pub mod args;
pub mod auth;
pub mod backoff;
pub mod client;
pub mod clock;
pub mod context;
pub mod crash;
#[cfg(feature = "postgres")]
pub mod database;
pub mod event;
pub mod id;
pub mod lifecycle;
pub mod metrics;
#[cfg(feature = "postgres")]
pub mod migrate;
pub mod nearest;
#[cfg(feature = "postgres")]
pub mod outbox;
pub mod page;
pub mod problem;
pub mod process;
pub mod rpc;
pub mod seal;
pub mod secret;
pub mod server;
pub mod telemetry;
pub mod time;
pub mod wake;
pub mod worker;

pub use auth::{Actor, ActorKind, Caller};
pub use clock::Clock;
pub use lifecycle::Lifecycle;
pub use problem::{Code, Problem};
pub use wake::Wake;
