//! The caller's line to the processes behind the gateway.
//!
//! A call carries the caller's own credential, so that it counts as the caller's; beside it stand
//! the gateway's token, which makes the rest believable, the caller's address and its program. What
//! the caller sends in headers of these names goes nowhere.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Uri, header};
use proto::access::v1::audit_log_client::AuditLogClient;
use proto::access::v1::tokens_client::TokensClient;
use proto::approval::v1::pushes_client::PushesClient;
use proto::approval::v1::receivers_client::ReceiversClient;
use proto::approval::v1::reviews_client::ReviewsClient;
use proto::approval::v1::targets_client::TargetsClient;
use proto::reason;
use proto::registry::v1::gate_client::GateClient;
use proto::registry::v1::image_registry_client::ImageRegistryClient;
use proto::registry::v1::upstreams_client::UpstreamsClient;
use proto::rollout::v1::device_link_client::DeviceLinkClient;
use proto::rollout::v1::devices_client::DevicesClient;
use proto::rollout::v1::policies_client::PoliciesClient;
use proto::rollout::v1::rollouts_client::RolloutsClient;
use runtime::auth::{CALLER_AGENT, CALLER_IP, RELAY};
use runtime::backoff::Backoff;
use runtime::client::Identity;
use runtime::secret::Secret;
use runtime::{Code, Problem};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

use crate::App;
use crate::error::Fault;
use crate::peer::Peer;

/// A channel whose calls are the caller's.
pub type Line = InterceptedService<Peer, Headers>;

/// The largest answer that is taken from a process.
const ANSWER_BYTES: usize = 32 << 20;

/// Where the processes answer.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// `registry`.
    pub registry: Uri,
    /// `approval`.
    pub approval: Uri,
    /// `rollout`, where operators call.
    pub rollout: Uri,
    /// `rollout`, where devices call.
    pub link: Uri,
    /// `access`.
    pub access: Uri,
}

/// The processes behind the gateway.
#[derive(Debug)]
pub struct Peers {
    /// Images, tags, the gate, upstream registries.
    pub registry: Peer,
    /// Receivers, pushes, reviews, admitted targets.
    pub approval: Peer,
    /// Policies, rollouts, devices.
    pub rollout: Peer,
    /// What devices call.
    pub link: Peer,
    /// Tokens and the audit log.
    pub access: Peer,
    own: MetadataValue<Ascii>,
    token: MetadataValue<Ascii>,
}

impl Peers {
    /// Opens channels; the gateway makes itself known with `token`.
    ///
    /// # Panics
    ///
    /// When the token has characters that no header may hold; tokens of ours have none.
    #[must_use]
    pub fn new(addresses: &Addresses, token: &Secret) -> Self {
        let value = |text: &str| {
            let mut value = MetadataValue::from_str(text).expect("a token is plain ASCII");
            value.set_sensitive(true);
            value
        };
        Self {
            registry: Peer::new("registry", reason::REGISTRY_UNREACHABLE, &addresses.registry),
            approval: Peer::new("approval", reason::APPROVAL_UNREACHABLE, &addresses.approval),
            rollout: Peer::new("rollout", reason::ROLLOUT_UNREACHABLE, &addresses.rollout),
            link: Peer::new("link", reason::ROLLOUT_UNREACHABLE, &addresses.link),
            access: Peer::new("access", reason::ACCESS_UNREACHABLE, &addresses.access),
            own: value(&format!("Bearer {}", token.expose())),
            token: value(token.expose()),
        }
    }

    /// All of them.
    pub fn all(&self) -> [&Peer; 5] {
        [&self.registry, &self.approval, &self.rollout, &self.link, &self.access]
    }
}

/// What a call says about who makes it.
#[derive(Debug, Clone)]
pub struct Headers {
    authorization: Option<MetadataValue<Ascii>>,
    token: MetadataValue<Ascii>,
    ip: Option<MetadataValue<Ascii>>,
    agent: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Headers {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let mut request = Identity::none().call(request)?;
        let metadata = request.metadata_mut();
        if let Some(value) = &self.authorization {
            metadata.insert("authorization", value.clone());
        }
        metadata.insert(RELAY, self.token.clone());
        if let Some(value) = &self.ip {
            metadata.insert(CALLER_IP, value.clone());
        }
        if let Some(value) = &self.agent {
            metadata.insert(CALLER_AGENT, value.clone());
        }
        Ok(request)
    }
}

/// The address that a connection came from.
#[derive(Debug, Clone, Copy)]
pub struct CallerAddress(pub SocketAddr);

/// The caller's line to the processes.
#[derive(Debug, Clone)]
pub struct Relay {
    peers: Arc<Peers>,
    headers: Headers,
    address: Option<SocketAddr>,
}

impl Relay {
    /// Images and tags.
    #[must_use]
    pub fn images(&self) -> ImageRegistryClient<Line> {
        ImageRegistryClient::new(self.line(&self.peers.registry))
            .max_decoding_message_size(ANSWER_BYTES)
    }

    /// The gate.
    #[must_use]
    pub fn gate(&self) -> GateClient<Line> {
        GateClient::new(self.line(&self.peers.registry)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// Registries elsewhere.
    #[must_use]
    pub fn upstreams(&self) -> UpstreamsClient<Line> {
        UpstreamsClient::new(self.line(&self.peers.registry))
            .max_decoding_message_size(ANSWER_BYTES)
    }

    /// Pushes.
    #[must_use]
    pub fn pushes(&self) -> PushesClient<Line> {
        PushesClient::new(self.line(&self.peers.approval)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// Reviews.
    #[must_use]
    pub fn reviews(&self) -> ReviewsClient<Line> {
        ReviewsClient::new(self.line(&self.peers.approval)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// Admitted targets.
    #[must_use]
    pub fn targets(&self) -> TargetsClient<Line> {
        TargetsClient::new(self.line(&self.peers.approval)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// Receivers.
    #[must_use]
    pub fn receivers(&self) -> ReceiversClient<Line> {
        ReceiversClient::new(self.line(&self.peers.approval))
            .max_decoding_message_size(ANSWER_BYTES)
    }

    /// Update policies.
    #[must_use]
    pub fn policies(&self) -> PoliciesClient<Line> {
        PoliciesClient::new(self.line(&self.peers.rollout)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// Rollouts.
    #[must_use]
    pub fn rollouts(&self) -> RolloutsClient<Line> {
        RolloutsClient::new(self.line(&self.peers.rollout)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// The fleet.
    #[must_use]
    pub fn devices(&self) -> DevicesClient<Line> {
        DevicesClient::new(self.line(&self.peers.rollout)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// What devices call.
    #[must_use]
    pub fn link(&self) -> DeviceLinkClient<Line> {
        DeviceLinkClient::new(self.line(&self.peers.link)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// Access tokens.
    #[must_use]
    pub fn tokens(&self) -> TokensClient<Line> {
        TokensClient::new(self.line(&self.peers.access)).max_decoding_message_size(ANSWER_BYTES)
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> AuditLogClient<Line> {
        AuditLogClient::new(self.line(&self.peers.access)).max_decoding_message_size(ANSWER_BYTES)
    }

    fn line(&self, peer: &Peer) -> Line {
        InterceptedService::new(peer.clone(), self.headers.clone())
    }

    /// The same line in the gateway's own name, for the few calls that are its own: handing on a
    /// webhook, whose sender is nobody that `access` knows, and showing a rollout's events to whoever
    /// may see the rollout.
    #[must_use]
    pub fn as_gateway(&self) -> Self {
        let mut line = self.clone();
        line.headers.authorization = Some(self.peers.own.clone());
        line
    }

    /// The same line without a credential, for whoever has none yet.
    #[must_use]
    pub fn as_nobody(&self) -> Self {
        let mut line = self.clone();
        line.headers.authorization = None;
        line
    }

    /// Where the caller comes from; empty = not known.
    #[must_use]
    pub fn caller_ip(&self) -> String {
        self.address.map(|address| address.ip().to_canonical().to_string()).unwrap_or_default()
    }
}

impl FromRequestParts<App> for Relay {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<CallerAddress>().map(|address| address.0);
        let ip = address.map(|address| address.ip().to_canonical().to_string());
        Ok(Self {
            peers: app.peers.clone(),
            headers: Headers {
                authorization: copied(&parts.headers, header::AUTHORIZATION),
                token: app.peers.token.clone(),
                ip: ip.and_then(|ip| ip.parse().ok()),
                agent: copied(&parts.headers, header::USER_AGENT),
            },
            address,
        })
    }
}

/// A header's value as metadata carries it. Bytes that metadata cannot carry become a mark that no
/// process takes for a credential, so that a broken header is refused and never left out.
fn copied(headers: &HeaderMap, name: header::HeaderName) -> Option<MetadataValue<Ascii>> {
    let value = headers.get(name)?;
    let text = value.to_str().unwrap_or("unreadable");
    let mut copy: MetadataValue<Ascii> = text.parse().ok()?;
    copy.set_sensitive(value.is_sensitive());
    Some(copy)
}

/// Makes a call that may be repeated: a read, or one that names itself by a request id. While the
/// process is away it is tried three times within about half a second.
///
/// # Errors
///
/// The last fault.
pub async fn read<C, Q, A>(
    client: C,
    request: Q,
    call: impl AsyncFn(C, Q) -> Result<Response<A>, Status>,
) -> Result<A, Fault>
where
    C: Clone,
    Q: Clone,
{
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(250));
    let mut attempt = 1;
    loop {
        let status = match call(client.clone(), request.clone()).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => status,
        };
        let away = Problem::from(status.clone()).code() == Code::Unavailable;
        if !away || attempt == 3 {
            return Err(status.into());
        }
        tokio::time::sleep(backoff.wait(attempt)).await;
        attempt += 1;
    }
}
