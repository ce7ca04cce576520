//! A collector of spans that speaks OTLP as the real ones do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, async_trait};

/// The collector; it ends with this value.
pub struct Collector {
    /// Where it takes spans.
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: AbortHandle,
}

/// A span, as far as tests look at it.
#[derive(Debug, Clone)]
pub struct Span {
    /// The name of the process's service.
    pub process: String,
    /// Its own name.
    pub name: String,
    trace: String,
    id: String,
    parent: String,
}

impl Collector {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let service = TraceServiceServer::new(Sink(spans.clone()));
        let serve =
            Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(serve).abort_handle();
        Self { url, spans, server }
    }

    /// The spans of a trace.
    pub fn spans_of(&self, trace: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap();
        spans.iter().filter(|span| span.trace == trace).cloned().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The spans whose parent is neither among them nor the one that was given.
pub fn orphans(spans: &[Span], root: &str) -> Vec<String> {
    let known: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).chain([root]).collect();
    let lost = spans.iter().filter(|span| !known.contains(span.parent.as_str()));
    lost.map(|span| format!("{}: {}", span.process, span.name)).collect()
}

struct Sink(Arc<Mutex<Vec<Span>>>);

#[async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap();
        for sent in request.into_inner().resource_spans {
            let process = sent.resource.as_ref().map(service_name).unwrap_or_default();
            for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Span {
                    process: process.clone(),
                    name: span.name,
                    trace: hex::encode(span.trace_id),
                    id: hex::encode(span.span_id),
                    parent: hex::encode(span.parent_span_id),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn service_name(resource: &Resource) -> String {
    let named = resource.attributes.iter().find(|attribute| attribute.key == "service.name");
    match named.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}
