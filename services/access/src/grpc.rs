//! The RPCs: parse, begin, store or decide, write the event, commit, convert.

mod audit_log;
mod event_log;
mod tokens;

pub(crate) use audit_log::AuditLogRpc;
pub(crate) use event_log::EventLogRpc;
pub(crate) use tokens::TokensRpc;
