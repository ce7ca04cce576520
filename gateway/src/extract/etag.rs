//! ETags: change only what you have seen, and fetch only what you have not.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use proto::reason;
use runtime::{Code, Problem};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use crate::App;
use crate::error::Fault;

/// The etag that a change is bound to; `None` = none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfMatch(pub Option<String>);

/// How the header is documented.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub struct IfMatchHeader {
    /// The `ETag` last seen. When the thing has changed since, nothing is done (412).
    #[param(rename = "If-Match", required = false, example = "\"7\"")]
    etag: Option<String>,
}

impl IfMatch {
    /// The etag as RPCs take it: empty = none.
    #[must_use]
    pub fn text(self) -> String {
        self.0.unwrap_or_default()
    }

    /// Refuses when the thing is not as the caller has seen it: for RPCs that take no etag.
    ///
    /// # Errors
    ///
    /// `STALE_ETAG`.
    pub fn require(&self, current: &str) -> Result<(), Fault> {
        match &self.0 {
            Some(seen) if seen != current => Err(Problem::new(
                Code::Aborted,
                reason::STALE_ETAG,
                "it changed since you read it; read it again and repeat",
            )
            .with("etag", current)
            .into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Fault> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        seen(value).map(Self).ok_or_else(|| {
            let message = "is no etag; send the `ETag` of one answer, with its quotes";
            Problem::invalid("If-Match", message).into()
        })
    }
}

/// The etag of an `If-Match`; `*` is none in particular. A proxy that compresses marks etags as
/// weak, which changes nothing about what was seen.
fn seen(value: &HeaderValue) -> Option<Option<String>> {
    let text = value.to_str().ok()?.trim();
    if text == "*" {
        return Some(None);
    }
    let text = text.strip_prefix("W/").unwrap_or(text);
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let plain = !text.is_empty() && text.len() <= 200 && !text.contains(['"', ',', ' ']);
    plain.then(|| Some(text.to_owned()))
}

/// A thing with its etag.
#[derive(Debug)]
pub struct Tagged<T> {
    etag: String,
    whole: bool,
    body: T,
}

impl<T> Tagged<T> {
    /// A thing whose answer shows more than its etag speaks for: it is always sent whole.
    pub fn new(etag: impl Into<String>, body: T) -> Self {
        Self { etag: etag.into(), whole: false, body }
    }

    /// A thing whose etag speaks for all of the answer: who has it gets a 304.
    pub fn whole(etag: impl Into<String>, body: T) -> Self {
        Self { etag: etag.into(), whole: true, body }
    }
}

/// Marks an answer whose etag speaks for all of it.
#[derive(Debug, Clone, Copy)]
struct Whole;

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.body).into_response();
        set(&mut response, &format!("\"{}\"", self.etag));
        if self.whole {
            response.extensions_mut().insert(Whole);
        }
        response
    }
}

/// Puts an etag, with its quotes, on an answer.
pub fn set(response: &mut Response, etag: &str) {
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// An answer without an etag of its own gets one of its bytes, so that who has it already need not
/// be sent it again. A 304 comes out when the client knows the answer.
pub async fn conditional(known: Option<&HeaderValue>, response: Response) -> Response {
    let response = match hashed(response).await {
        Ok(response) | Err(response) => response,
    };
    let speaks_for_all = response.extensions().get::<Whole>().is_some();
    let (Some(known), Some(etag)) = (known, response.headers().get(header::ETAG)) else {
        return response;
    };
    if !speaks_for_all || !lists(known, etag) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

/// Hashes a whole JSON body; what is streamed, or has an etag, is `Err` and as it was.
async fn hashed(response: Response) -> Result<Response, Response> {
    let headers = response.headers();
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let exact = response.body().size_hint().exact();
    if !is_json || headers.contains_key(header::ETAG) || exact.is_none() {
        return Err(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let etag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&bytes)[..12]));
    let mut response = Response::from_parts(parts, Body::from(bytes));
    set(&mut response, &etag);
    response.extensions_mut().insert(Whole);
    Ok(response)
}

/// Whether an `If-None-Match` lists an etag; here weak and strong ones are the same.
fn lists(known: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(known), Ok(etag)) = (known.to_str(), etag.to_str()) else { return false };
    let bare = |etag: &str| etag.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|one| bare(one) == bare(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_read_as_it_was_sent_by_us_or_through_a_proxy() {
        let read = |text: &'static str| seen(&HeaderValue::from_static(text));
        assert_eq!(read("\"7\""), Some(Some("7".to_owned())));
        assert_eq!(read("W/\"7\""), Some(Some("7".to_owned())));
        assert_eq!(read("7"), Some(Some("7".to_owned())));
        assert_eq!(read("*"), Some(None));
        for odd in ["", "\"\"", "\"7\", \"8\"", "\"a b\""] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_list_of_etags_is_searched_whole() {
        let lists = |known, etag| {
            super::lists(&HeaderValue::from_static(known), &HeaderValue::from_static(etag))
        };
        assert!(lists("\"a\", W/\"b\"", "\"b\""));
        assert!(lists("*", "\"b\""));
        assert!(!lists("\"a\"", "\"ab\""));
    }
}
