//! What every request goes through, in the order in which it happens.
//!
//! A request gets its id and its span; what is too large or comes from another site's page is
//! refused; a panic becomes a 500. On the way out a fault is written in the shape of the path's
//! family, an answer the client has already becomes a 304, and the headers that every answer has are
//! set.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use proto::reason;
use runtime::context::{self, Context};
use runtime::{Code, Problem, id};
use tracing::{Instrument as _, Span};

use crate::App;
use crate::error::{Family, Fault};
use crate::extract::etag;
use crate::list;

/// The most that a request's headers may hold.
const HEADER_BYTES: usize = 16 << 10;

/// Passes a request through.
pub async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let mut context = context::from_headers(request.headers());
    if context.request_id.is_empty() {
        context.request_id = id::uuid_v7(app.clock.now()).to_string();
    }
    let asked = Asked::of(&request, &context);
    let span = asked.span();
    context::continue_trace(&span, request.headers());
    let answer = answered(&app, request, next).instrument(span);
    let response = context::scope(context, answer).await;
    let response = asked.finished(&app, response).await;
    asked.record(&app, response.status(), started);
    response
}

/// The answer, or the fault that stands for it.
async fn answered(app: &App, request: Request, next: Next) -> Response {
    if let Err(fault) = admitted(app, &request) {
        return fault.into_response();
    }
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("a handler panicked");
            let message = "something went wrong on our side; the request id finds it in the logs";
            Fault::from(Problem::new(Code::Internal, reason::INTERNAL, message)).into_response()
        }
    }
}

fn admitted(app: &App, request: &Request) -> Result<(), Fault> {
    let headers = request.headers();
    let bytes: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes + request.uri().to_string().len() > HEADER_BYTES {
        let problem = Problem::new(
            Code::InvalidArgument,
            reason::HEADERS_TOO_LARGE,
            "the headers are over 16 KiB; send fewer or shorter ones",
        );
        return Err(Fault::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, problem));
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !is_own_origin(app, request) {
        let problem = Problem::new(
            Code::PermissionDenied,
            reason::CROSS_ORIGIN,
            "a page of another site made the browser send this; call from the same origin",
        );
        return Err(problem.into());
    }
    Ok(())
}

/// Whether a request that changes something comes from no browser, or from a page of this origin.
/// Without authentication (`--no-auth`) nothing else would keep a strange page from sending it.
fn is_own_origin(app: &App, request: &Request) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let Some(origin) = origin.as_ref().and_then(Uri::authority) else { return false };
    let public = app.public_url.parse::<Uri>().ok();
    let own = [
        request.uri().authority().map(|authority| authority.as_str()),
        request.headers().get(header::HOST).and_then(|host| host.to_str().ok()),
        public.as_ref().and_then(Uri::authority).map(|authority| authority.as_str()),
    ];
    own.into_iter().flatten().any(|own| own.eq_ignore_ascii_case(origin.as_str()))
}

/// What of a request is still needed for its answer.
struct Asked {
    method: Method,
    uri: Uri,
    /// The pattern of the route, never the path: a path may hold a receiver's token.
    route: String,
    known: Option<HeaderValue>,
    request_id: String,
}

impl Asked {
    fn of(request: &Request, context: &Context) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: route.map_or("other", MatchedPath::as_str).to_owned(),
            known: request.headers().get(header::IF_NONE_MATCH).cloned(),
            request_id: context.request_id.clone(),
        }
    }

    fn span(&self) -> Span {
        tracing::info_span!(
            "http",
            otel.name = format!("{} {}", self.method, self.route),
            otel.kind = "server",
            http.request.method = %self.method,
            http.route = self.route,
            request.id = self.request_id,
        )
    }

    async fn finished(&self, app: &App, response: Response) -> Response {
        let mut response = match response.extensions().get::<Fault>() {
            Some(fault) => {
                let mut told = fault.render(Family::of(self.uri.path()), &self.request_id);
                // A refused method says in `Allow` which ones are taken.
                for (name, value) in response.headers() {
                    told.headers_mut().entry(name).or_insert_with(|| value.clone());
                }
                told
            }
            None => response,
        };
        list::link(&app.public_url, &self.uri, &mut response);
        // The answer to a HEAD has no bytes any more that could be hashed.
        if self.method == Method::GET && response.status() == StatusCode::OK {
            response = etag::conditional(self.known.as_ref(), response).await;
        }
        self.set_headers(response.headers_mut());
        response
    }

    fn set_headers(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(context::REQUEST_ID, id);
        }
        let fixed = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            (header::CACHE_CONTROL, "private, no-cache"),
        ];
        for (name, value) in fixed {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
    }

    fn record(&self, app: &App, status: StatusCode, started: Instant) {
        let took = started.elapsed();
        app.stats.record(status.as_u16(), took);
        metrics::counter!(
            "http_requests_total",
            "method" => method_word(&self.method),
            "route" => self.route.clone(),
            "status" => status.as_u16().to_string()
        )
        .increment(1);
        metrics::histogram!("http_request_duration_seconds", "route" => self.route.clone())
            .record(took.as_secs_f64());
        tracing::debug!(
            request.id = self.request_id,
            "{} {} answered {} in {} ms",
            self.method,
            self.route,
            status.as_u16(),
            took.as_millis()
        );
    }
}

/// A method as metrics carry it; strangers cannot make new ones.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}
