//! The SQL. Every function takes a connection; whoever calls owns the transaction.

pub(crate) mod audit;
pub(crate) mod entry;
pub(crate) mod token;
