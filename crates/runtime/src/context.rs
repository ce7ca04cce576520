//! What travels along with a call: its request id and its trace.
//!
//! The [`rpc`](crate::rpc) layer opens a scope around every handler; workers open one around every
//! row. Clients, events and logs inside read it, so that nobody has to hand it on.

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header of the request id, on HTTP and on gRPC.
pub const REQUEST_ID: &str = "x-request-id";
/// The header of the trace, as W3C names it.
pub const TRACEPARENT: &str = "traceparent";

/// The scope of one call.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Names the call in logs, events and errors.
    pub request_id: String,
    /// The trace it came with; used as it is when this process exports no spans of its own.
    pub traceparent: Option<String>,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// Runs a future inside a scope.
pub async fn scope<F: Future>(context: Context, future: F) -> F::Output {
    CONTEXT.scope(context, future).await
}

/// The request id of the scope; empty outside of one.
#[must_use]
pub fn request_id() -> String {
    CONTEXT.try_with(|context| context.request_id.clone()).unwrap_or_default()
}

/// The trace to hand on: the present span's when spans are exported, else the one that came in.
#[must_use]
pub fn traceparent() -> Option<String> {
    let mut carrier = HeaderMap::new();
    TraceContextPropagator::new()
        .inject_context(&Span::current().context(), &mut HeaderInjector(&mut carrier));
    match carrier.get(TRACEPARENT).and_then(|value| value.to_str().ok()) {
        Some(own) => Some(own.to_owned()),
        None => scope_traceparent(),
    }
}

/// The trace that the scope came with, whatever the present span's is.
#[must_use]
pub fn scope_traceparent() -> Option<String> {
    CONTEXT.try_with(|context| context.traceparent.clone()).unwrap_or_default()
}

/// The trace's id, for events; empty when there is none.
#[must_use]
pub fn trace_id() -> String {
    traceparent().and_then(|text| text.split('-').nth(1).map(str::to_owned)).unwrap_or_default()
}

/// Reads request id and trace out of headers. A request id that is missing or not plain is left
/// empty, for the caller to make one.
#[must_use]
pub fn from_headers(headers: &HeaderMap) -> Context {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Context {
        request_id: text(REQUEST_ID).filter(|id| is_plain_id(id)).unwrap_or_default().to_owned(),
        traceparent: text(TRACEPARENT).map(str::to_owned),
    }
}

/// Whether a request id from outside may stand in logs as it is.
#[must_use]
pub fn is_plain_id(id: &str) -> bool {
    (1..=100).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte))
}

/// Makes the span a child of the trace in these headers.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if parent.span().span_context().is_valid() {
        let _ = span.set_parent(parent);
    }
}

/// Links the span to the trace that made the row it works on.
pub fn link_trace(span: &Span, traceparent: Option<&str>) {
    let Some(text) = traceparent else { return };
    let mut headers = HeaderMap::new();
    let Ok(value) = text.parse() else { return };
    headers.insert(TRACEPARENT, value);
    continue_trace(span, &headers);
}

struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct HeaderInjector<'a>(&'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (key.parse::<http::HeaderName>(), value.parse()) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trace_is_handed_on_even_when_no_spans_are_exported() {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context =
            Context { request_id: "r-1".to_owned(), traceparent: Some(traceparent.to_owned()) };
        scope(context, async {
            assert_eq!(request_id(), "r-1");
            assert_eq!(super::traceparent().as_deref(), Some(traceparent));
            assert_eq!(trace_id(), "0af7651916cd43dd8448eb211c80319c");
        })
        .await;
        assert_eq!(request_id(), "");
    }

    #[test]
    fn a_request_id_with_a_line_break_is_not_taken() {
        assert!(is_plain_id("7c1e-44"));
        assert!(!is_plain_id("x\nINFO forged"));
        assert!(!is_plain_id(""));
        assert!(!is_plain_id(&"x".repeat(101)));
    }
}
