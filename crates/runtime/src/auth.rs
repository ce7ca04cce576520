//! Who calls, and whether it may.
//!
//! A credential is a bearer string in `authorization`. It is either the token of another process of
//! Slipway, known here by its hash in a file, or somebody's access token, which `access` knows.
//! What comes of it is a [`Caller`], which the [`rpc`](crate::rpc) layer puts into every request
//! after it has checked the permission that the RPC's proto declares.
//!
//! The gateway relays the credential of whoever called it, so a call that came through it counts as
//! that caller's; its own token travels beside, as `x-slipway-relay`, and makes what it says about
//! the caller's address believable. What a process says in `x-slipway-on-behalf-of` is believed
//! when it calls with its own token.

mod caller;
mod introspect;
mod peers;
mod service;

use std::net::SocketAddr;

use http::HeaderMap;
use proto::permission::Permission;
use tonic::async_trait;

use crate::Problem;

pub use caller::{Actor, ActorKind, Caller, Principal, least_role, permission_missing};
pub use introspect::{CachedIntrospection, Introspect, RemoteIntrospection};
pub use peers::{Peers, PeersError};
pub use service::{ServiceAuth, bearer};

/// The header by which the gateway makes itself known beside the caller's credential.
pub const RELAY: &str = "x-slipway-relay";
/// The header in which a process names whom it acts for.
pub const ON_BEHALF_OF: &str = "x-slipway-on-behalf-of";
/// The header in which the gateway names the caller's address.
pub const CALLER_IP: &str = "x-slipway-caller-ip";
/// The header in which the gateway names the caller's program.
pub const CALLER_AGENT: &str = "x-slipway-caller-agent";

/// Finds out who calls and whether it may call this RPC.
#[async_trait]
pub trait Authenticate: Send + Sync {
    /// Returns the caller of an RPC with this permission.
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        permission: &Permission,
    ) -> Result<Caller, Problem>;
}
