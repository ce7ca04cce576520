//! Authentication on the listeners of services.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use proto::permission::{self, Permission};
use proto::reason;
use tonic::async_trait;

use super::{
    Actor, Authenticate, CALLER_AGENT, CALLER_IP, Caller, Introspect, ON_BEHALF_OF, Peers,
    Principal, RELAY,
};
use crate::secret::Hash;
use crate::{Clock, Code, Problem};

/// Knows processes by their hashes and everybody else through `access`.
#[derive(Clone)]
pub struct ServiceAuth {
    peers: Peers,
    introspection: Arc<dyn Introspect>,
    no_auth: bool,
    clock: Clock,
}

impl ServiceAuth {
    /// Makes it. `no_auth` takes callers without a credential for an administrator.
    #[must_use]
    pub fn new(
        peers: Peers,
        introspection: Arc<dyn Introspect>,
        no_auth: bool,
        clock: Clock,
    ) -> Self {
        Self { peers, introspection, no_auth, clock }
    }

    async fn principal(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        let Some(bearer) = bearer(headers)? else {
            if self.no_auth {
                return Ok(Principal::anonymous());
            }
            return Err(Problem::new(
                Code::Unauthenticated,
                reason::CREDENTIALS_MISSING,
                "no credential came with the call; send `authorization: Bearer <token>`",
            ));
        };
        let hash = Hash::of(bearer);
        if let Some(process) = self.peers.name_of(&hash) {
            return Ok(Principal::system(process));
        }
        let principal = self.introspection.introspect(hash).await?;
        match principal.expires {
            Some(end) if end <= self.clock.now() => Err(Problem::new(
                Code::Unauthenticated,
                reason::TOKEN_EXPIRED,
                "the token has ended; make a new one",
            )),
            Some(_) | None => Ok(principal),
        }
    }

    /// The address and program of the caller: what the gateway says, when it proves itself, else
    /// what the connection says.
    fn address(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> (String, String) {
        let relayed = text(headers, RELAY)
            .is_some_and(|token| self.peers.name_of(&Hash::of(token)).is_some());
        let direct = || peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        if relayed {
            let said = |name| text(headers, name).map(str::to_owned);
            return (
                said(CALLER_IP).unwrap_or_else(direct),
                said(CALLER_AGENT).unwrap_or_default(),
            );
        }
        (direct(), text(headers, "user-agent").unwrap_or_default().to_owned())
    }
}

#[async_trait]
impl Authenticate for ServiceAuth {
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        permission: &Permission,
    ) -> Result<Caller, Problem> {
        let principal = self.principal(headers).await?;
        let (ip, user_agent) = self.address(headers, peer);
        let caller = Caller::new(principal).from_address(ip, user_agent);
        match permission.name {
            permission::AUTHENTICATED => {}
            permission::SERVICE if caller.is_system() => {}
            permission::SERVICE => {
                return Err(Problem::new(
                    Code::PermissionDenied,
                    reason::SERVICE_ONLY,
                    "only another process of Slipway may call this",
                ));
            }
            permission::DEVICE | permission::ENROLMENT => {
                return Err(Problem::new(
                    Code::PermissionDenied,
                    reason::DEVICE_ONLY,
                    "only devices call this, on the listener of the device link",
                ));
            }
            name => caller.require(name)?,
        }
        if caller.is_system() {
            let person = text(headers, ON_BEHALF_OF).and_then(Actor::from_header);
            return Ok(caller.acting_for(person));
        }
        Ok(caller)
    }
}

/// The bearer string of a request; `None` when it has no credential.
///
/// # Errors
///
/// `CREDENTIALS_MALFORMED` when the header is there and is not `Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(http::header::AUTHORIZATION) else { return Ok(None) };
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty())
        .map(|(_, token)| Some(token.trim()))
        .ok_or_else(|| {
            Problem::new(
                Code::Unauthenticated,
                reason::CREDENTIALS_MALFORMED,
                "the credential cannot be read; send `authorization: Bearer <token>`",
            )
        })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proto::access::v1::Role;

    use super::*;
    use crate::auth::ActorKind;

    struct OneToken;

    #[async_trait]
    impl Introspect for OneToken {
        async fn introspect(&self, token: Hash) -> Result<Principal, Problem> {
            if token != Hash::of("ghd_viewer") {
                return Err(Problem::new(Code::Unauthenticated, reason::TOKEN_UNKNOWN, "unknown"));
            }
            Ok(Principal {
                actor: Actor::new(ActorKind::User, "eve", "eve"),
                role: Some(Role::Viewer),
                permissions: Some(Arc::new(BTreeSet::from(["images.read".to_owned()]))),
                expires: None,
            })
        }
    }

    fn auth(no_auth: bool) -> ServiceAuth {
        let peers = Peers::default()
            .with("gateway", Hash::of("slw_gateway"))
            .with("approval", Hash::of("slw_approval"));
        ServiceAuth::new(peers, Arc::new(OneToken), no_auth, Clock::system())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    async fn call(
        auth: &ServiceAuth,
        path: &str,
        pairs: &[(&'static str, &str)],
    ) -> Result<Caller, Problem> {
        let permission = permission::of(path).expect("a known RPC");
        auth.authenticate(&headers(pairs), "10.0.0.7:99".parse().ok(), permission).await
    }

    const GET_IMAGE: &str = "/slipway.registry.v1.ImageRegistry/GetImage";
    const DELETE_IMAGE: &str = "/slipway.registry.v1.ImageRegistry/DeleteImage";
    const INTROSPECT: &str = "/slipway.access.v1.Tokens/Introspect";

    #[tokio::test]
    async fn a_call_without_a_credential_is_refused_unless_authentication_is_off() {
        let problem = call(&auth(false), GET_IMAGE, &[]).await.unwrap_err();
        assert_eq!(problem.reason(), reason::CREDENTIALS_MISSING);
        let caller = call(&auth(true), GET_IMAGE, &[]).await.unwrap();
        assert_eq!(caller.actor().kind, ActorKind::Anonymous);
        let problem = call(&auth(true), INTROSPECT, &[]).await.unwrap_err();
        assert_eq!(problem.reason(), reason::SERVICE_ONLY, "nobody is not a process");
    }

    #[tokio::test]
    async fn a_role_opens_what_it_grants_and_nothing_else() {
        let bearer = [("authorization", "Bearer ghd_viewer")];
        assert!(call(&auth(false), GET_IMAGE, &bearer).await.is_ok());
        let problem = call(&auth(false), DELETE_IMAGE, &bearer).await.unwrap_err();
        assert_eq!(problem.reason(), reason::PERMISSION_MISSING);
        let problem = call(&auth(false), INTROSPECT, &bearer).await.unwrap_err();
        assert_eq!(problem.reason(), reason::SERVICE_ONLY);
    }

    #[tokio::test]
    async fn a_relay_is_believed_about_the_address_but_never_about_the_caller() {
        let alice = Actor::new(ActorKind::User, "alice", "alice").to_header();
        let relayed = [
            ("authorization", "Bearer ghd_viewer"),
            (RELAY, "slw_gateway"),
            (CALLER_IP, "192.0.2.9"),
            (ON_BEHALF_OF, alice.as_str()),
        ];
        let caller = call(&auth(false), GET_IMAGE, &relayed).await.unwrap();
        assert_eq!((caller.ip(), caller.person().id.as_str()), ("192.0.2.9", "eve"));

        let without_credential = [(RELAY, "slw_gateway")];
        let problem = call(&auth(false), GET_IMAGE, &without_credential).await.unwrap_err();
        assert_eq!(problem.reason(), reason::CREDENTIALS_MISSING, "a relay is no credential");

        let forged =
            [("authorization", "Bearer ghd_viewer"), (RELAY, "x"), (CALLER_IP, "192.0.2.9")];
        let caller = call(&auth(false), GET_IMAGE, &forged).await.unwrap();
        assert_eq!(caller.ip(), "10.0.0.7");
    }

    #[tokio::test]
    async fn a_process_may_act_for_a_person() {
        let alice = Actor::new(ActorKind::User, "alice", "alice");
        let header = alice.to_header();
        let pairs = [("authorization", "Bearer slw_approval"), (ON_BEHALF_OF, header.as_str())];
        let caller = call(&auth(false), DELETE_IMAGE, &pairs).await.unwrap();
        assert_eq!((caller.actor().id.as_str(), caller.person()), ("approval", &alice));
    }

    #[tokio::test]
    async fn a_malformed_credential_is_told_apart_from_none() {
        for value in ["Bearer ", "ghd_viewer", "Basic eDp5"] {
            let problem =
                call(&auth(true), GET_IMAGE, &[("authorization", value)]).await.unwrap_err();
            assert_eq!(problem.reason(), reason::CREDENTIALS_MALFORMED, "{value}");
        }
    }
}
