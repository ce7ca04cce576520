//! The public REST API, called over HTTP.
//!
//! A server that cannot be reached is told within [`CONNECT_PATIENCE`], with its URL and context.
//! What a server refuses becomes a [`Failure`] here, whichever family of routes it came from.

mod answer;
mod events;
mod refusal;
mod request;
mod target;

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use reqwest::header::{self, HeaderName, HeaderValue};
use reqwest::{Certificate, Method};

pub use answer::{Answer, Page, read};
pub use events::{Event, Events};
pub use request::Request;
pub use target::{Target, parse_url, token_from_environment, unknown_context};

use crate::failure::{Exit, Failure, Result};

/// How long a connection may take.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// How long an answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const ANSWER_LIMIT: usize = 64 << 20;
/// How many items a list asks for at once.
const PAGE_SIZE: usize = 500;
/// Finds the request in the logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Calls one Slipway as one identity.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    target: Target,
}

impl Client {
    /// Makes a client; nothing is called yet.
    pub fn new(target: Target) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        if target.is_loopback() {
            builder = builder.no_proxy();
        }
        if let Some(path) = target.ca_file() {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let http = builder.build().map_err(|error| {
            Failure::new(Exit::Error, "the HTTP client cannot be made").cause(&error)
        })?;
        Ok(Self { http, target })
    }

    /// Whom it calls.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Calls; a refusal is a failure.
    pub async fn call(&self, request: Request) -> Result<Answer> {
        let answer = self.ask(request).await?;
        if answer.is_success() {
            return Ok(answer);
        }
        Err(self.refusal(&answer))
    }

    /// The failure that a refusal means.
    pub fn refusal(&self, answer: &Answer) -> Failure {
        refusal::failure(answer, &self.target)
    }

    /// Calls; a refusal is an answer.
    pub async fn ask(&self, request: Request) -> Result<Answer> {
        let response = self.send(request, Some(ANSWER_PATIENCE)).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(|error| self.unreachable(&error))?);
            if body.len() > ANSWER_LIMIT {
                return Err(Failure::new(Exit::Error, "the answer is larger than 64 MiB")
                    .hint("ask for less with --limit"));
            }
        }
        Ok(Answer::new(status, headers, &body))
    }

    /// Gets a list up to `limit` items, page after page.
    pub async fn list(&self, request: Request, items: &'static str, limit: usize) -> Result<Page> {
        let request = request.page_of(limit.min(PAGE_SIZE));
        let mut page = self.page(request.clone(), items).await?;
        while page.len() < limit {
            let Some(next) = page.next(&request) else { break };
            let more = self.page(next, items).await?;
            if !page.extend(more) {
                break;
            }
        }
        page.truncate(limit);
        Ok(page)
    }

    /// Gets one page of a list.
    pub async fn page(&self, request: Request, items: &'static str) -> Result<Page> {
        Page::read(self.call(request).await?, items)
    }

    /// Opens the live events: those of these types, or all, after an event or from now on.
    pub async fn events(&self, types: &[String], after: Option<i64>) -> Result<Events> {
        let types = (!types.is_empty()).then(|| types.join(","));
        let request = Request::get(["events"])
            .query_if("types", types)
            .header(header::ACCEPT, "text/event-stream")
            .header_if(HeaderName::from_static("last-event-id"), after.map(|id| id.to_string()));
        let response = self.send(request, None).await?;
        if response.status().is_success() {
            return Ok(Events::new(response));
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        Err(refusal::failure(&Answer::new(status, headers, &body), &self.target))
    }

    async fn send(
        &self,
        request: Request,
        patience: Option<Duration>,
    ) -> Result<reqwest::Response> {
        let url = request.url(self.target.url());
        let mut call = self.http.request(request.method().clone(), url);
        if let Some(patience) = request.patience().or(patience) {
            call = call.timeout(patience);
        }
        for (name, value) in request.headers() {
            call = call.header(name, value);
        }
        if let Some(token) = self.target.token().filter(|_| request.is_signed()) {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| {
                Failure::new(Exit::Denied, "the token is none: it holds what no header can carry")
                    .hint(self.target.login_line())
            })?;
            value.set_sensitive(true);
            call = call.header(header::AUTHORIZATION, value);
        }
        if let Some(body) = request.body_text() {
            call = call.header(header::CONTENT_TYPE, "application/json").body(body);
        } else if request.method() != Method::GET {
            call = call.header(header::CONTENT_LENGTH, "0");
        }
        call.send().await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let place = self.target.place();
        let what = if error.is_connect() {
            format!("{place} does not answer: {}", innermost(error))
        } else if error.is_timeout() {
            format!("{place} did not answer in time")
        } else {
            format!("the connection to {place} broke")
        };
        Failure::new(Exit::Unreachable, what).hint(self.target.reach_line()).cause(error)
    }
}

/// The last error of the chain says what happened; those before it say where.
fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(next) = last.source() {
        last = next;
    }
    match error.is_timeout() {
        true => format!("no connection within {} s", CONNECT_PATIENCE.as_secs()),
        false => last.to_string(),
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>> {
    let wrong = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(
            Exit::Error,
            format!("the CA file `{}` of the context cannot be used", path.display()),
        )
        .hint("`slipway context add NAME --url URL --ca-file FILE` sets another one")
        .cause(error)
    };
    let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))
}

/// The time of an answer, by the server's clock.
fn date(headers: &header::HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
}
