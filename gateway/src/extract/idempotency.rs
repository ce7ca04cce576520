//! `Idempotency-Key`: a key of the caller's that makes a repeated POST return the first answer.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderValue, Method};
use runtime::Problem;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::App;
use crate::error::Fault;

const HEADER: &str = "idempotency-key";
const MOST: usize = 255;

/// The request id that a key stands for; empty = no key came.
///
/// A UUID is taken as it is. Any other key is hashed into one together with method, path and
/// credential, so that the same short key of another caller, or of another route, is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

/// How the header is documented.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub struct IdempotencyHeader {
    /// A key of your own, at best a UUID. A repeated request with the same key and the same body gets
    /// the first answer; with another body it is refused (422).
    #[param(rename = "Idempotency-Key", required = false)]
    key: Option<String>,
}

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Fault> {
        let Some(key) = parts.headers.get(HEADER) else { return Ok(Self(String::new())) };
        let credential = parts.headers.get(AUTHORIZATION);
        request_id(&parts.method, parts.uri.path(), credential, key).map(Self).ok_or_else(|| {
            let message = format!("is no key; send 1 to {MOST} visible characters");
            Problem::invalid("Idempotency-Key", message).into()
        })
    }
}

fn request_id(
    method: &Method,
    path: &str,
    credential: Option<&HeaderValue>,
    key: &HeaderValue,
) -> Option<String> {
    let key = key.to_str().ok()?.trim();
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if !(1..=MOST).contains(&key.len()) {
        return None;
    }
    if let Ok(id) = Uuid::try_parse(key) {
        return Some(id.to_string());
    }
    let credential = credential.map_or(&b""[..], HeaderValue::as_bytes);
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), path.as_bytes(), credential, key.as_bytes()] {
        hash.update(Sha256::digest(part));
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Some(uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(path: &str, credential: &str, key: &str) -> Option<String> {
        let credential = HeaderValue::from_str(credential).unwrap();
        let key = HeaderValue::from_str(key).unwrap();
        request_id(&Method::POST, path, Some(&credential), &key)
    }

    #[test]
    fn a_uuid_is_taken_as_it_is() {
        let key = "0198F3A4-6c1e-7000-8000-0b9d2f7a4c11";
        assert_eq!(id("/a", "x", key).unwrap(), key.to_lowercase());
        assert_eq!(id("/a", "x", &format!("\"{key}\"")).unwrap(), key.to_lowercase());
    }

    #[test]
    fn another_key_route_or_caller_is_another_request() {
        let first = id("/a", "x", "order-1").unwrap();
        assert_eq!(id("/a", "x", "order-1").unwrap(), first);
        assert_eq!(Uuid::try_parse(&first).unwrap().get_version_num(), 8);
        for other in [id("/a", "x", "order-2"), id("/b", "x", "order-1"), id("/a", "y", "order-1")]
        {
            assert_ne!(other.unwrap(), first);
        }
    }

    #[test]
    fn no_key_at_all_and_one_without_end_are_refused() {
        assert_eq!(id("/a", "x", ""), None);
        assert_eq!(id("/a", "x", "\"\""), None);
        assert_eq!(id("/a", "x", &"k".repeat(256)), None);
    }
}
