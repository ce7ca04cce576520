//! What callers are told when something is not done.
//!
//! Handlers, extractors and middleware all end with a [`Fault`]. It leaves them without a body; the
//! edge, which knows the path, writes the body in the shape of the path's [`Family`]. So a 404 of
//! the router and a 409 of a process far behind look alike within a family.

mod flat;
mod names;
mod nested;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use proto::reason;
use runtime::{Code, Problem};
use serde_json::{Map, Value};
use tonic::Status;

pub use flat::{FlatError, Violation, title};
pub use nested::NestedError;

/// The shape of a route family's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `{"error", "message", …}`: images, webhooks, rollouts and what no document names.
    Flat,
    /// `{"error": {"code", "message", "details"}}`: management and upstream registries.
    Nested,
}

/// Where routes with nested errors begin.
const NESTED: [&str; 5] = [
    "/api/v1/image-registries",
    "/api/v1/tokens",
    "/api/v1/audit",
    "/api/v1/health",
    "/api/v1/metrics",
];

impl Family {
    /// The family of a path, also of one that no route has.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let below = |root: &&str| {
            path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if NESTED.iter().any(below) { Self::Nested } else { Self::Flat }
    }
}

/// Why a request was not done, with the HTTP status that says so.
#[derive(Debug, Clone)]
pub struct Fault {
    problem: Problem,
    status: StatusCode,
}

impl Fault {
    /// A problem of HTTP itself, which has a status that no RPC has.
    #[must_use]
    pub fn new(status: StatusCode, problem: Problem) -> Self {
        Self { problem, status }
    }

    /// What this version does not do.
    #[must_use]
    pub fn not_built(field: &str, message: &str) -> Self {
        let message = format!("`{field}`: {message}");
        Problem::new(Code::Unimplemented, reason::NOT_BUILT, message).at(field).into()
    }

    /// What went wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Gives the fields of the RPC the names that the route has for them.
    #[must_use]
    pub fn renamed(self, table: &[(&str, &str)]) -> Self {
        Self { problem: names::renamed(&self.problem, table), ..self }
    }

    /// The whole answer in the shape of a family.
    #[must_use]
    pub fn render(&self, family: Family, request_id: &str) -> Response {
        let body = match family {
            Family::Flat => serde_json::to_vec(&FlatError::of(self, request_id)),
            Family::Nested => serde_json::to_vec(&NestedError::of(self, request_id)),
        };
        let body = body.expect("the shapes of errors have only text keys");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        self.set_headers(response.headers_mut());
        response
    }

    fn set_headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.problem.reason() {
                reason::TOKEN_UNKNOWN
                | reason::TOKEN_EXPIRED
                | reason::TOKEN_REVOKED
                | reason::CREDENTIALS_MALFORMED
                | reason::DEVICE_TOKEN_UNKNOWN
                | reason::DEVICE_REVOKED => "Bearer realm=\"slipway\", error=\"invalid_token\"",
                _ => "Bearer realm=\"slipway\"",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }

    /// When it is worth trying again, in seconds.
    fn retry_after(&self) -> Option<u64> {
        let asked = self.problem.retry_time().map(|wait| {
            let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            whole.max(1)
        });
        let waits =
            [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.status);
        asked.or(waits.then_some(1))
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { problem, status }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        let told = names::of_rpcs(&Problem::from(status));
        if told.reason() == reason::PEER_UNREACHABLE {
            return Problem::unavailable(
                reason::PEER_UNREACHABLE,
                "a part of Slipway went away during the call; try again soon",
            )
            .into();
        }
        if told.message().is_empty() {
            let message = "a part of Slipway refused without saying why; look at its log";
            return Problem::new(told.code(), reason::INTERNAL, message).into();
        }
        told.into()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

/// What errors carry numbers in; everything else of their metadata is text.
const NUMBERS: [&str; 5] = ["image_id", "tag_id", "token_id", "upstream_id", "next_batch"];

/// The dynamic parts of a problem, as JSON shows them.
fn details(problem: &Problem) -> Map<String, Value> {
    let shown = |key: &String, text: &String| match text.parse::<i64>() {
        Ok(number) if NUMBERS.contains(&key.as_str()) => Value::from(number),
        Ok(_) | Err(_) => Value::from(text.as_str()),
    };
    problem.metadata().iter().map(|(key, text)| (key.clone(), shown(key, text))).collect()
}

/// The fields that do not hold what they may.
fn violations(problem: &Problem) -> Vec<Violation> {
    problem.field_violations().iter().map(Violation::of).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_path_has_its_family_whether_or_not_a_route_has_it() {
        for (path, family) in [
            ("/api/v1/tokens", Family::Nested),
            ("/api/v1/tokens/7", Family::Nested),
            ("/api/v1/tokens-of-mine", Family::Flat),
            ("/api/v1/image-registries/1/test", Family::Nested),
            ("/api/v1/images", Family::Flat),
            ("/nowhere", Family::Flat),
        ] {
            assert_eq!(Family::of(path), family, "{path}");
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_zero() {
        let wait = |millis| {
            let problem = Problem::new(Code::ResourceExhausted, reason::TOO_MANY_DELIVERIES, "x")
                .retry_after(Duration::from_millis(millis));
            Fault::from(problem).retry_after()
        };
        assert_eq!(
            (wait(0), wait(1), wait(1_000), wait(1_001)),
            (Some(1), Some(1), Some(1), Some(2))
        );
        let without = Problem::new(Code::Unavailable, reason::DATABASE_UNREACHABLE, "x");
        assert_eq!(Fault::from(without).retry_after(), Some(1));
        assert_eq!(Fault::from(Problem::invalid("a", "b")).retry_after(), None);
    }

    #[test]
    fn what_the_transport_says_is_not_shown_to_callers() {
        let fault = Fault::from(Status::unknown("h2 protocol error: connection to 10.0.0.3 reset"));
        assert_eq!(fault.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!fault.problem().message().contains("10.0.0.3"));
    }

    #[test]
    fn numbers_of_things_are_numbers_and_tags_stay_text() {
        let problem = Problem::new(Code::AlreadyExists, reason::TAG_EXISTS, "x")
            .with("tag_id", 5)
            .with("tag", "7");
        let shown = details(&problem);
        assert_eq!((&shown["tag_id"], &shown["tag"]), (&Value::from(5), &Value::from("7")));
    }
}
