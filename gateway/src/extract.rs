//! What handlers take out of requests. Everything that does not fit ends as a [`Fault`].
//!
//! [`Fault`]: crate::error::Fault

pub mod body;
pub mod etag;
pub mod idempotency;
pub mod members;
pub mod path;
pub mod query;
mod refusal;

pub use body::{Body, Change, OptionalBody, RawBody};
pub use etag::{IfMatch, Tagged};
pub use idempotency::IdempotencyKey;
pub use members::{Given, Members};
pub use path::At;
pub use query::{Page, Query};
