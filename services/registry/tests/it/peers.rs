//! Stand-ins for the processes that `registry` calls: scripted, recording, on real sockets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::Uri;
use proto::access::v1::tokens_server::{Tokens, TokensServer};
use proto::access::v1::{self as access, Principal, Role};
use proto::rollout::v1 as rollout;
use proto::rollout::v1::policies_server::{Policies, PoliciesServer};
use runtime::auth::{Actor, ActorKind, ON_BEHALF_OF};
use runtime::secret::Hash;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

use crate::harness::{Who, uri};

const READ: [&str; 3] = ["images.read", "gate.read", "upstreams.read"];
const WRITE: [&str; 3] = ["images.write", "gate.write", "upstreams.write"];

/// `access`, which knows a token for each role.
pub struct Access {
    pub address: Uri,
    server: AbortHandle,
}

impl Access {
    pub async fn start() -> Self {
        let known = Who::ALL.map(|who| (Hash::of(who.token()).0.to_vec(), principal(who)));
        let service = TokensServer::new(KnownTokens(HashMap::from(known)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = uri(&listener);
        let serve = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self { address, server: tokio::spawn(serve).abort_handle() }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn principal(who: Who) -> Principal {
    let (name, role, permissions) = match who {
        Who::Viewer => ("vera", Role::Viewer, READ.to_vec()),
        Who::Operator => ("otto", Role::Operator, [READ, WRITE].concat()),
        Who::Approver => ("anna", Role::Approver, [&READ[..], &["images.approve"]].concat()),
        Who::Admin | Who::Approval => {
            let more = ["images.approve", "images.admit", "events.read"];
            ("root", Role::Admin, [READ, WRITE, more].concat())
        }
    };
    Principal {
        actor: Some((&Actor::new(ActorKind::User, name, name)).into()),
        role: role.into(),
        permissions: permissions.into_iter().map(str::to_owned).collect(),
        expire_time: None,
    }
}

struct KnownTokens(HashMap<Vec<u8>, Principal>);

#[async_trait]
impl Tokens for KnownTokens {
    async fn introspect(
        &self,
        request: Request<access::IntrospectRequest>,
    ) -> Result<Response<Principal>, Status> {
        match self.0.get(&request.into_inner().token_hash) {
            Some(principal) => Ok(Response::new(principal.clone())),
            None => Err(Status::unauthenticated("nobody bears this token")),
        }
    }

    async fn create_token(
        &self,
        _: Request<access::CreateTokenRequest>,
    ) -> Result<Response<access::CreateTokenResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn list_tokens(
        &self,
        _: Request<access::ListTokensRequest>,
    ) -> Result<Response<access::ListTokensResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn revoke_token(
        &self,
        _: Request<access::RevokeTokenRequest>,
    ) -> Result<Response<access::Token>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn who_am_i(
        &self,
        _: Request<access::WhoAmIRequest>,
    ) -> Result<Response<Principal>, Status> {
        Err(Status::unimplemented("not scripted"))
    }
}

/// `rollout`, which says which policies match.
pub struct Rollout {
    pub address: Uri,
    script: Arc<Script>,
    server: Option<AbortHandle>,
}

#[derive(Default)]
struct Script {
    policies: Mutex<Vec<rollout::Policy>>,
    asked: Mutex<Vec<(String, Option<Actor>)>>,
}

impl Rollout {
    pub async fn start() -> Self {
        let script = Arc::new(Script::default());
        let service = PoliciesServer::new(Scripted(script.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = uri(&listener);
        let serve = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self { address, script, server: Some(tokio::spawn(serve).abort_handle()) }
    }

    /// One that is not there: its port is nobody's.
    pub async fn down() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: uri(&listener), script: Arc::default(), server: None }
    }

    /// Says from now on that these match.
    pub fn match_policies(&self, policies: Vec<rollout::Policy>) {
        *self.script.policies.lock().unwrap() = policies;
    }

    /// Which repositories it was asked for, and for whom.
    pub fn asked(&self) -> Vec<(String, Option<Actor>)> {
        self.script.asked.lock().unwrap().clone()
    }
}

impl Drop for Rollout {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

struct Scripted(Arc<Script>);

#[async_trait]
impl Policies for Scripted {
    async fn match_repository(
        &self,
        request: Request<rollout::MatchRepositoryRequest>,
    ) -> Result<Response<rollout::MatchRepositoryResponse>, Status> {
        let person = request.metadata().get(ON_BEHALF_OF);
        let person = person.and_then(|header| Actor::from_header(header.to_str().ok()?));
        self.0.asked.lock().unwrap().push((request.into_inner().repository, person));
        let policies = self.0.policies.lock().unwrap().clone();
        Ok(Response::new(rollout::MatchRepositoryResponse { policies }))
    }

    async fn create_policy(
        &self,
        _: Request<rollout::CreatePolicyRequest>,
    ) -> Result<Response<rollout::Policy>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn get_policy(
        &self,
        _: Request<rollout::GetPolicyRequest>,
    ) -> Result<Response<rollout::Policy>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn list_policies(
        &self,
        _: Request<rollout::ListPoliciesRequest>,
    ) -> Result<Response<rollout::ListPoliciesResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn update_policy(
        &self,
        _: Request<rollout::UpdatePolicyRequest>,
    ) -> Result<Response<rollout::Policy>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn delete_policy(
        &self,
        _: Request<rollout::DeletePolicyRequest>,
    ) -> Result<Response<rollout::Policy>, Status> {
        Err(Status::unimplemented("not scripted"))
    }

    async fn preview_policy(
        &self,
        _: Request<rollout::PreviewPolicyRequest>,
    ) -> Result<Response<rollout::PreviewPolicyResponse>, Status> {
        Err(Status::unimplemented("not scripted"))
    }
}
