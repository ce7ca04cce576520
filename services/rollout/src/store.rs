//! SQL: one function per statement. The caller owns the transaction.

pub mod assignment;
pub mod credential;
pub mod device;
pub mod fleet;
pub mod key;
pub mod policy;
pub mod report;
pub mod retention;
pub mod rollout;
pub mod session;
pub mod target;
