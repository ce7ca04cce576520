//! The layer around every RPC: request id, trace, caller, permission, metrics, panics.
//!
//! What a call goes through is written once, here, in the order in which it happens. A service that
//! is not Slipway's (health, reflection) passes unasked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task;
use std::time::Instant;

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response};
use proto::{permission, reason};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use crate::auth::Authenticate;
use crate::context::{self, Context};
use crate::{Clock, Code, Problem, id};

/// Puts [`Rpc`] around a service.
#[derive(Clone)]
pub struct RpcLayer {
    auth: Arc<dyn Authenticate>,
    clock: Clock,
}

impl RpcLayer {
    /// Makes the layer with the authentication of one listener.
    #[must_use]
    pub fn new(auth: Arc<dyn Authenticate>, clock: Clock) -> Self {
        Self { auth, clock }
    }
}

impl<S> Layer<S> for RpcLayer {
    type Service = Rpc<S>;

    fn layer(&self, inner: S) -> Rpc<S> {
        Rpc { inner, layer: self.clone() }
    }
}

/// A service whose every call is authenticated, traced and counted.
#[derive(Clone)]
pub struct Rpc<S> {
    inner: S,
    layer: RpcLayer,
}

impl<S> Service<Request<Body>> for Rpc<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let layer = self.layer.clone();
        Box::pin(async move {
            let mut context = context::from_headers(request.headers());
            if context.request_id.is_empty() {
                context.request_id = id::uuid_v7(layer.clock.now()).to_string();
            }
            let method = Method::of(request.uri().path());
            let span = method.span(&context);
            context::continue_trace(&span, request.headers());
            let request_id = context.request_id.clone();
            let answer = layer.answer(inner, request, &method).instrument(span);
            let mut response = context::scope(context, answer).await;
            if let Ok(value) = HeaderValue::from_str(&request_id) {
                response.headers_mut().insert(context::REQUEST_ID, value);
            }
            Ok(response)
        })
    }
}

impl RpcLayer {
    async fn answer<S>(
        &self,
        mut inner: S,
        mut request: Request<Body>,
        method: &Method,
    ) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let started = Instant::now();
        method.count_start();
        let response = match self.admit(&mut request).await {
            Ok(()) => {
                let call = AssertUnwindSafe(inner.call(request)).catch_unwind();
                match call.await {
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(_) => refuse(Problem::new(
                        Code::Internal,
                        reason::INTERNAL,
                        "something went wrong on our side; the request id finds it in the logs",
                    )),
                }
            }
            Err(problem) => refuse(problem),
        };
        method.count_end(status_code(&response), started);
        response
    }

    /// Finds out who calls and puts the caller into the request.
    async fn admit(&self, request: &mut Request<Body>) -> Result<(), Problem> {
        let path = request.uri().path();
        if path.starts_with("/grpc.") {
            return Ok(());
        }
        let permission = permission::of(path).ok_or_else(|| {
            Problem::new(
                Code::Unimplemented,
                reason::NOT_BUILT,
                format!("there is no RPC `{path}`"),
            )
        })?;
        let peer = peer_address(request);
        let caller = self.auth.authenticate(request.headers(), peer, permission).await?;
        Span::current().record("actor.id", tracing::field::display(&caller.actor().id));
        request.extensions_mut().insert(Arc::new(caller));
        Ok(())
    }
}

fn peer_address(request: &Request<Body>) -> Option<SocketAddr> {
    request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr)
}

fn refuse(problem: Problem) -> Response<Body> {
    tonic::Status::from(problem).into_http()
}

/// The status of an answer whose code is known at its start; a stream's comes with its end.
fn status_code(response: &Response<Body>) -> tonic::Code {
    response
        .headers()
        .get("grpc-status")
        .map_or(tonic::Code::Ok, |code| tonic::Code::from_bytes(code.as_bytes()))
}

/// An RPC's names, as spans and metrics carry them. A path that is no RPC of ours is one name, so
/// that strangers cannot fill the metrics.
struct Method {
    service: &'static str,
    name: &'static str,
}

impl Method {
    fn of(path: &str) -> Self {
        let known = permission::of(path).map_or("", |permission| permission.path);
        let (service, name) =
            known.trim_start_matches('/').split_once('/').unwrap_or(("other", "other"));
        Self { service, name }
    }

    fn span(&self, context: &Context) -> Span {
        tracing::info_span!(
            "rpc",
            otel.name = format!("{}/{}", self.service, self.name),
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.service = self.service,
            rpc.method = self.name,
            request.id = context.request_id,
            actor.id = tracing::field::Empty,
        )
    }

    fn count_start(&self) {
        metrics::counter!("rpc_started_total", "service" => self.service, "method" => self.name)
            .increment(1);
    }

    fn count_end(&self, code: tonic::Code, started: Instant) {
        let code = format!("{code:?}");
        metrics::counter!(
            "rpc_handled_total",
            "service" => self.service, "method" => self.name, "code" => code
        )
        .increment(1);
        metrics::histogram!("rpc_duration_seconds", "service" => self.service, "method" => self.name)
            .record(started.elapsed().as_secs_f64());
    }
}
