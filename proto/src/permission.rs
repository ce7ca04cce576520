//! What the caller of each RPC must hold.

/// One RPC's permission, as its option in the proto declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The RPC's path on the wire, `/slipway.registry.v1.ImageRegistry/GetImage`.
    pub path: &'static str,
    /// The permission; one of the four words of [`is_special`] or `noun.verb`.
    pub name: &'static str,
    /// A second permission that some requests need in addition; empty = none.
    pub also: &'static str,
}

/// Any valid credential will do.
pub const AUTHENTICATED: &str = "authenticated";
/// Only another process of Slipway.
pub const SERVICE: &str = "service";
/// Only a device, with its own credential.
pub const DEVICE: &str = "device";
/// Only a device that enrols: the key is in the request.
pub const ENROLMENT: &str = "enrolment";

/// Every RPC, sorted by path.
pub const ALL: &[Permission] = include!(concat!(env!("OUT_DIR"), "/permissions.rs"));

/// Finds an RPC's permission by its path.
#[must_use]
pub fn of(path: &str) -> Option<&'static Permission> {
    let index = ALL.binary_search_by(|permission| permission.path.cmp(path)).ok()?;
    ALL.get(index)
}

/// Whether a permission names a kind of caller instead of something a role grants.
#[must_use]
pub fn is_special(name: &str) -> bool {
    matches!(name, AUTHENTICATED | SERVICE | DEVICE | ENROLMENT)
}
