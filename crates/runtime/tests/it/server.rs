//! A listener: who may call, what comes back, how it ends.

use std::sync::Arc;
use std::time::Duration;

use proto::access::v1::tokens_client::TokensClient;
use proto::access::v1::tokens_server::{Tokens, TokensServer};
use proto::access::v1::{self as pb};
use proto::reason;
use runtime::auth::{Introspect, Peers, Principal, RemoteIntrospection, ServiceAuth};
use runtime::client::{self, Identity, Outbound};
use runtime::secret::{Hash, Secret};
use runtime::server::{GrpcListener, Limits, Services};
use runtime::{Actor, ActorKind, Caller, Clock, Code, Lifecycle, Problem};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Answers with what it was called with.
struct Mirror;

#[async_trait]
impl Tokens for Mirror {
    async fn create_token(
        &self,
        _: Request<pb::CreateTokenRequest>,
    ) -> Result<Response<pb::CreateTokenResponse>, Status> {
        panic!("a fault of ours");
    }

    async fn list_tokens(
        &self,
        _: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        Ok(Response::new(pb::ListTokensResponse::default()))
    }

    async fn revoke_token(
        &self,
        _: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::Token>, Status> {
        Err(Problem::new(Code::NotFound, reason::TOKEN_NOT_FOUND, "no such token").into())
    }

    async fn introspect(
        &self,
        _: Request<pb::IntrospectRequest>,
    ) -> Result<Response<pb::Principal>, Status> {
        let eve = Actor::new(ActorKind::User, "eve", "eve");
        Ok(Response::new(pb::Principal { actor: Some((&eve).into()), ..pb::Principal::default() }))
    }

    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::Principal>, Status> {
        let caller = Caller::of(&request);
        let actor = Actor { name: runtime::context::request_id(), ..caller.actor().clone() };
        Ok(Response::new(pb::Principal {
            actor: Some((&actor).into()),
            ..pb::Principal::default()
        }))
    }
}

struct Nobody;

#[async_trait]
impl Introspect for Nobody {
    async fn introspect(&self, token: Hash) -> Result<Principal, Problem> {
        if token == Hash::of("viewer") {
            return Ok(Principal {
                actor: Actor::new(ActorKind::User, "eve", "eve"),
                role: None,
                permissions: Some(Arc::default()),
                expires: None,
            });
        }
        Err(Problem::new(Code::Unauthenticated, reason::TOKEN_UNKNOWN, "unknown"))
    }
}

struct Running {
    address: http::Uri,
    lifecycle: Lifecycle,
}

impl Running {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let lifecycle = Lifecycle::new();
        let peers = Peers::default().with("approval", Hash::of("slw_approval"));
        let auth = ServiceAuth::new(peers, Arc::new(Nobody), false, Clock::system());
        let grpc = GrpcListener {
            listener,
            services: Services::new().with(TokensServer::new(Mirror)),
            auth: Arc::new(auth),
            clock: Clock::system(),
            limits: Limits::OPERATORS,
        };
        lifecycle.spawn("grpc", grpc.serve(lifecycle.clone()));
        Self { address, lifecycle }
    }

    fn as_bearer(&self, token: &str) -> TokensClient<Outbound> {
        TokensClient::new(client::connect(&self.address, Identity::of(&Secret::new(token))))
    }

    async fn health(&self) -> Result<ServingStatus, Status> {
        let mut health = HealthClient::new(client::channel(&self.address));
        let answer = health.check(HealthCheckRequest { service: String::new() }).await?;
        Ok(answer.into_inner().status())
    }
}

#[tokio::test]
async fn a_handler_knows_who_calls_and_under_which_request_id() {
    let running = Running::start().await;
    let mut request = Request::new(pb::WhoAmIRequest {});
    request.metadata_mut().insert("x-request-id", "r-42".parse().unwrap());
    let answer = running.as_bearer("viewer").who_am_i(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "r-42");
    let actor = answer.into_inner().actor.unwrap();
    assert_eq!((actor.id.as_str(), actor.name.as_str()), ("eve", "r-42"));
}

#[tokio::test]
async fn each_refusal_has_its_code_and_reason() {
    let running = Running::start().await;
    let why = |status: Status| {
        let problem = Problem::from(status);
        (problem.code(), problem.reason().to_owned())
    };
    let answer = running.as_bearer("stranger").who_am_i(pb::WhoAmIRequest {}).await;
    assert_eq!(why(answer.unwrap_err()), (Code::Unauthenticated, reason::TOKEN_UNKNOWN.to_owned()));
    let answer = running.as_bearer("viewer").list_tokens(pb::ListTokensRequest::default()).await;
    assert_eq!(
        why(answer.unwrap_err()),
        (Code::PermissionDenied, reason::PERMISSION_MISSING.to_owned())
    );
    let answer = running.as_bearer("viewer").introspect(pb::IntrospectRequest::default()).await;
    assert_eq!(why(answer.unwrap_err()), (Code::PermissionDenied, reason::SERVICE_ONLY.to_owned()));
    let mut peer = running.as_bearer("slw_approval");
    let answer = peer.revoke_token(pb::RevokeTokenRequest::default()).await;
    assert_eq!(why(answer.unwrap_err()), (Code::NotFound, reason::TOKEN_NOT_FOUND.to_owned()));
}

#[tokio::test]
async fn a_panic_in_a_handler_is_an_answer_and_the_process_goes_on() {
    let running = Running::start().await;
    let mut client = running.as_bearer("slw_approval");
    let status = client.create_token(pb::CreateTokenRequest::default()).await.unwrap_err();
    let problem = Problem::from(status);
    assert_eq!((problem.code(), problem.reason()), (Code::Internal, reason::INTERNAL));
    assert!(!problem.message().contains("a fault of ours"), "nothing of the inside is told");
    client.list_tokens(pb::ListTokensRequest::default()).await.expect("it goes on");
}

#[tokio::test]
async fn health_is_open_to_everybody_and_ends_with_the_process() {
    let running = Running::start().await;
    assert_eq!(running.health().await.unwrap(), ServingStatus::Serving);
    assert!(running.lifecycle.finish(Duration::from_secs(5)).await);
    assert!(running.health().await.is_err(), "nobody is there any more");
}

#[tokio::test]
async fn a_peer_that_is_away_reads_as_unavailable() {
    let nowhere: http::Uri = "http://127.0.0.1:1".parse().unwrap();
    let mut client = TokensClient::new(client::connect(&nowhere, Identity::none()));
    let problem = Problem::from(client.who_am_i(pb::WhoAmIRequest {}).await.unwrap_err());
    assert_eq!(problem.code(), Code::Unavailable);
    assert!(problem.is_transient());
}

/// A door before a listener that shuts on the first who come.
async fn door_that_shuts(times: usize, behind: &http::Uri) -> http::Uri {
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", door.local_addr().unwrap()).parse().unwrap();
    let behind = behind.authority().unwrap().to_string();
    tokio::spawn(async move {
        for visit in 0.. {
            let (mut guest, _) = door.accept().await.unwrap();
            if visit < times {
                continue;
            }
            let mut inside = TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut guest, &mut inside).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn who_bears_a_token_is_asked_again_once_after_a_connection_that_broke() {
    let running = Running::start().await;
    let ask = async |times| {
        let door = door_that_shuts(times, &running.address).await;
        let channel = client::connect(&door, Identity::of(&Secret::new("slw_approval")));
        RemoteIntrospection::new(channel).introspect(Hash::of("t")).await
    };
    assert_eq!(ask(1).await.unwrap().actor.id, "eve");
    let problem = ask(usize::MAX).await.unwrap_err();
    assert!(problem.is_transient(), "{problem:?}");
}
