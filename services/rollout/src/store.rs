//! SQL: one function per statement. The caller owns the transaction.

pub mod assignment;
pub mod batch;
pub mod credential;
pub mod device;
pub mod fleet;
pub mod key;
pub mod lease;
pub mod outlook;
pub mod policy;
pub mod release;
pub mod report;
pub mod retention;
pub mod rollout;
pub mod session;
pub mod target;
