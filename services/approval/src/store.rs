//! The SQL of this process. Every function takes a connection; the caller owns the transaction.

pub(crate) mod delivery;
pub(crate) mod feed;
pub(crate) mod follow_up;
pub(crate) mod push;
pub(crate) mod receiver;
pub(crate) mod review;
pub(crate) mod sweep;
