//! From the wire to our words and back.

mod entry;
mod token;

pub(crate) use entry::{entry, filter, selection};
pub(crate) use token::{introspected, principal, wish};
