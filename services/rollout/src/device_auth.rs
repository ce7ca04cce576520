//! Authentication on the device link: a device by its own token, and by nothing a message says.
//!
//! Answers are remembered for a minute; revoking a device forgets them here at once, and on other
//! replicas when they next look for changes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use proto::permission::{self, Permission};
use proto::reason;
use runtime::auth::{Authenticate, CALLER_IP, Peers, Principal, RELAY, bearer};
use runtime::secret::Hash;
use runtime::{Caller, Code, Problem};
use tokio::time::Instant;
use tonic::async_trait;
use uuid::Uuid;

use crate::app::App;
use crate::error::Error;
use crate::store::credential::Bearer;
use crate::store::{self};

const REMEMBERED: Duration = Duration::from_secs(60);
/// More tokens than this are not remembered at once.
const CAPACITY: usize = 200_000;

/// Knows devices by the hashes of their tokens.
#[derive(Clone)]
pub struct DeviceAuth {
    app: App,
    peers: Peers,
    known: Arc<Mutex<HashMap<Hash, Known>>>,
}

/// Who was found to bear a token, and when.
#[derive(Clone)]
struct Known {
    device: Uuid,
    name: String,
    at: Instant,
}

impl DeviceAuth {
    /// Makes it; `peers` are the processes that may relay a device's call.
    #[must_use]
    pub fn new(app: App, peers: Peers) -> Self {
        Self { app, peers, known: Arc::default() }
    }

    /// Forgets what is remembered of a device.
    pub fn forget(&self, device: Uuid) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, known| known.device != device);
    }

    async fn device(&self, token: &Hash) -> Result<(Uuid, String), Problem> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        if let Some(known) = known
            && known.at.elapsed() < REMEMBERED
        {
            return Ok((known.device, known.name));
        }
        let bearer = self.look_up(token).await.map_err(Problem::from)?;
        let unknown = || {
            Problem::new(
                Code::Unauthenticated,
                reason::DEVICE_TOKEN_UNKNOWN,
                "no device bears this token; enrol again",
            )
        };
        let bearer = bearer.ok_or_else(unknown)?;
        if bearer.ends_at.is_some_and(|end| end <= self.app.clock.now()) {
            return Err(unknown());
        }
        if bearer.revoked {
            return Err(Problem::new(
                Code::Unauthenticated,
                reason::DEVICE_REVOKED,
                "the device's credentials were ended",
            ));
        }
        let found =
            Known { device: bearer.device.0, name: bearer.name.clone(), at: Instant::now() };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(*token, found);
        Ok((bearer.device.0, bearer.name))
    }

    /// Finds the bearer; the first use of a newer token ends the older ones.
    async fn look_up(&self, token: &Hash) -> Result<Option<Bearer>, Error> {
        let mut db = self.app.pool.acquire().await?;
        let bearer = store::credential::bearer(&mut db, token).await?;
        if let Some(bearer) = &bearer
            && bearer.overlaps
        {
            store::credential::delete_older(&mut db, token).await?;
            self.forget(bearer.device.0);
        }
        Ok(bearer)
    }

    fn address(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> String {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let relayed =
            text(RELAY).is_some_and(|token| self.peers.name_of(&Hash::of(token)).is_some());
        let said = relayed.then(|| text(CALLER_IP)).flatten();
        said.map_or_else(
            || peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
            str::to_owned,
        )
    }
}

#[async_trait]
impl Authenticate for DeviceAuth {
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        permission: &Permission,
    ) -> Result<Caller, Problem> {
        let principal = match permission.name {
            permission::ENROLMENT => Principal::device("", "a device that enrols"),
            permission::DEVICE => {
                let token = bearer(headers)?.ok_or_else(|| {
                    Problem::new(
                        Code::Unauthenticated,
                        reason::CREDENTIALS_MISSING,
                        "no credential came with the call; send `authorization: Bearer <device token>`",
                    )
                })?;
                let (device, name) = self.device(&Hash::of(token)).await?;
                Principal::device(&device.to_string(), &name)
            }
            _ => {
                return Err(Problem::new(
                    Code::PermissionDenied,
                    reason::PERMISSION_MISSING,
                    "this listener serves devices only; call the process's own listener",
                ));
            }
        };
        Ok(Caller::new(principal).from_address(self.address(headers, peer), ""))
    }
}

impl std::fmt::Debug for DeviceAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceAuth")
    }
}
