//! The gRPC listener of a process: services, health, reflection, limits, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use crate::auth::Authenticate;
use crate::rpc::RpcLayer;
use crate::{Clock, Lifecycle};

/// Services to serve on one listener.
#[derive(Default)]
pub struct Services {
    routes: RoutesBuilder,
    names: Vec<&'static str>,
}

impl Services {
    /// Begins without any.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Error = std::convert::Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send,
    {
        self.names.push(S::NAME);
        self.routes.add_service(service);
        self
    }
}

/// Limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Streams that one connection may hold open.
    pub streams_per_connection: u32,
    /// HTTP/2 window of a stream and of a connection, in bytes.
    pub window: u32,
    /// How often an idle connection is asked whether it lives.
    pub keepalive: Duration,
}

impl Limits {
    /// For processes and operators: few connections with many calls.
    pub const OPERATORS: Self =
        Self { streams_per_connection: 1_024, window: 1 << 20, keepalive: Duration::from_secs(30) };
    /// For devices: very many connections with one stream and small messages each.
    pub const DEVICES: Self =
        Self { streams_per_connection: 8, window: 1 << 16, keepalive: Duration::from_secs(60) };
}

/// How long a connection may take to answer a keepalive.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);
/// How much metadata a request may bring.
const HEADER_LIST_BYTES: u32 = 16 << 10;

/// One gRPC listener.
pub struct GrpcListener {
    /// Where connections come in.
    pub listener: TcpListener,
    /// What is served.
    pub services: Services,
    /// Who may call.
    pub auth: Arc<dyn Authenticate>,
    /// The clock.
    pub clock: Clock,
    /// The limits.
    pub limits: Limits,
}

impl GrpcListener {
    /// The address it serves on.
    ///
    /// # Errors
    ///
    /// When the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process stops: then health says so, no connection is taken any more, and
    /// open calls have until the drain time is over.
    ///
    /// # Errors
    ///
    /// When the listener breaks.
    pub async fn serve(self, lifecycle: Lifecycle) -> Result<(), tonic::transport::Error> {
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in &self.services.names {
            reporter.set_service_status(name, ServingStatus::Serving).await;
        }
        reporter.set_service_status("", ServingStatus::Serving).await;

        let routes = with_reflection(self.services.routes.routes().add_service(health));
        let names = self.services.names;
        let soft = lifecycle.soft_token();
        let stopped = async move {
            soft.cancelled().await;
            for name in names {
                reporter.set_service_status(name, ServingStatus::NotServing).await;
            }
            reporter.set_service_status("", ServingStatus::NotServing).await;
        };

        // The builder's own setting does not reach connections of a listener that is handed in; without
        // it an answer in two frames waits 40 ms for the acknowledgement of the first.
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        Server::builder()
            .http2_keepalive_interval(Some(self.limits.keepalive))
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .max_concurrent_streams(self.limits.streams_per_connection)
            .initial_stream_window_size(self.limits.window)
            .initial_connection_window_size(self.limits.window)
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .layer(RpcLayer::new(self.auth, self.clock))
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, stopped)
            .await
    }
}

fn with_reflection(routes: Routes) -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    routes
        .add_service(builder().build_v1().expect("our descriptors are whole"))
        .add_service(builder().build_v1alpha().expect("our descriptors are whole"))
}
