//! The one meaning of an image name.
//!
//! Two readings of the same text:
//!
//! - [`parse`] is what container engines do: the docker-style reading, with `docker.io/library`
//!   filled in, letter for letter as the reference implementation has it, quirks included. It
//!   borrows, and costs well under a microsecond.
//! - [`canonical`] is what Slipway stores and compares. On top of `parse` it folds every spelling
//!   of one place into one (lower-case host, no `:443`, Docker Hub's other hosts, one form of an
//!   IPv6 address), and refuses what only looks like a name. Allow-lists, policies and targets see
//!   nothing else.
//!
//! Three strings exist for an image: what came in (the caller keeps it), the canonical one
//! (`Display` of [`Reference`] and [`Repository`]; the only one to compare), and the familiar one
//! for people (`familiar()`).
//!
//! [`ImagePattern`], [`RepositoryGlob`] and [`HostPattern`] select names. Nothing here does I/O,
//! and nothing panics on any input.

mod digest;
mod error;
mod glob;
mod grammar;
mod host;
mod host_pattern;
mod namespace;
mod parse;
mod pattern;
mod reference;
mod repository;
mod repository_glob;
mod tag;
mod text;

pub use digest::{Algorithm, Digest};
pub use error::{Error, PatternError};
pub use host::{DOCKER_HUB, Host};
pub use host_pattern::HostPattern;
pub use namespace::Namespace;
pub use parse::{AnyReference, Parsed, parse, parse_any};
pub use pattern::{ImagePattern, Specificity};
pub use reference::{Reference, canonical};
pub use repository::Repository;
pub use repository_glob::RepositoryGlob;
pub use tag::Tag;
