//! Between the wire and the vocabulary: what comes in is checked here and nowhere else.

mod device;
mod link;
mod policy;
mod rollout;

pub use device::{device_to_pb, fleet_to_pb, key_to_pb, services_from_pb};
pub use link::{report_from_pb, target_to_pb};
pub use policy::{policy_from_pb, policy_to_pb, selector_from_pb, update_policy};
pub use rollout::{
    assignment_to_pb, check_to_pb, release_from_pb, rollout_to_pb, state_from_pb, try_state_from_pb,
};

/// The etag of a thing that counts its changes. The quotes around it are HTTP's.
#[must_use]
pub fn etag(version: i64) -> String {
    version.to_string()
}

/// Reads an etag; empty = none was given.
///
/// # Errors
///
/// When it is none of ours: it cannot be the present one.
pub fn version(etag: &str) -> Result<Option<i64>, crate::Error> {
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    if etag.is_empty() || etag == "*" {
        return Ok(None);
    }
    etag.parse().map(Some).map_err(|_| crate::Error::StaleEtag)
}

/// Reads an optional UUID; empty = none was given.
///
/// # Errors
///
/// A violation of `field`.
pub fn optional_uuid(field: &str, text: &str) -> Result<Option<uuid::Uuid>, runtime::Problem> {
    if text.is_empty() { Ok(None) } else { runtime::id::parse_uuid(field, text).map(Some) }
}
