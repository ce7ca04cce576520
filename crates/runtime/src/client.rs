//! Calls to other processes.
//!
//! A channel connects when it is first used and reconnects by itself. Every call carries this
//! process's token, the request id and the trace of the scope it is made in, and a deadline.

use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::auth::{Actor, ON_BEHALF_OF};
use crate::backoff::Backoff;
use crate::secret::Secret;
use crate::{Problem, context};

/// A channel whose calls carry who calls.
pub type Outbound = InterceptedService<Channel, Identity>;

/// How long a call may take when it says nothing else.
const DEADLINE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(2);

/// Puts this process's token, the request id and the trace into calls.
#[derive(Clone)]
pub struct Identity {
    authorization: Option<MetadataValue<Ascii>>,
}

impl Identity {
    /// The identity of the process that holds this token.
    ///
    /// # Panics
    ///
    /// When the token has characters that no header may hold; tokens of ours have none.
    #[must_use]
    pub fn of(token: &Secret) -> Self {
        let mut value = MetadataValue::from_str(&format!("Bearer {}", token.expose()))
            .expect("a token is plain ASCII");
        value.set_sensitive(true);
        Self { authorization: Some(value) }
    }

    /// No identity: whoever relays calls puts the callers' own into them.
    #[must_use]
    pub fn none() -> Self {
        Self { authorization: None }
    }
}

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some(own) = &self.authorization
            && !metadata.contains_key("authorization")
        {
            metadata.insert("authorization", own.clone());
        }
        let request_id = context::request_id();
        if !request_id.is_empty()
            && let Ok(value) = request_id.parse()
        {
            metadata.insert(context::REQUEST_ID, value);
        }
        if let Some(value) = context::traceparent().and_then(|text| text.parse().ok()) {
            metadata.insert(context::TRACEPARENT, value);
        }
        Ok(request)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// Opens a channel to a process; it connects when it is used.
#[must_use]
pub fn connect(address: &Uri, identity: Identity) -> Outbound {
    InterceptedService::new(channel(address), identity)
}

/// Opens a channel without an identity.
#[must_use]
pub fn channel(address: &Uri) -> Channel {
    Endpoint::from(address.clone())
        .connect_timeout(CONNECT)
        .timeout(DEADLINE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(false)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 20)
        .connect_lazy()
}

/// Says in a request for whom this process acts.
#[must_use]
pub fn on_behalf_of<T>(message: T, person: &Actor) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = person.to_header().parse() {
        request.metadata_mut().insert(ON_BEHALF_OF, value);
    }
    request
}

/// Tries a call that may be repeated (a read, or one with a request id) up to three times while the
/// peer is away, within about half a second.
///
/// # Errors
///
/// The last problem.
pub async fn retried<T, F>(mut call: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(250));
    for attempt in 1.. {
        let problem = match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => Problem::from(status),
        };
        let away = problem.code() == crate::Code::Unavailable;
        if !away || attempt == 3 {
            return Err(problem);
        }
        tokio::time::sleep(backoff.wait(attempt)).await;
    }
    unreachable!("the loop ends by returning")
}
