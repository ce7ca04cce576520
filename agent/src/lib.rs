//! draft
pub mod chance;
pub mod engine;
pub mod image;
pub mod journal;
pub mod machine;
pub mod memory;
pub mod moment;
pub mod outbox;
pub mod plan;
pub mod platform;
pub mod recipe;
pub mod report;
pub mod row;
pub mod target;
pub mod timing;
pub mod transaction;
