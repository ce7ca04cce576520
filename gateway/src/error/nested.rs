//! `{"error": {"code", "message", "details"}}`: errors of document 4, which document 5 shares.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Fault, details, violations};

/// Why a request was not done.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "error": {
        "code": "TOKEN_NOT_FOUND",
        "message": "there is no token 77; list the tokens to find it",
        "details": {
            "reason": "TOKEN_NOT_FOUND",
            "token_id": 77,
            "request_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11"
        }
    }
}))]
pub struct NestedError {
    /// The error.
    pub error: NestedBody,
}

/// What an error says.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NestedBody {
    /// `UNAUTHORIZED`, `FORBIDDEN`, `<NOUN>_NOT_FOUND`, `CONFLICT`, `INVALID_REQUEST`,
    /// `RATE_LIMITED`, `INTERNAL_ERROR` …
    pub code: String,
    /// What went wrong and what to do next, in a sentence.
    pub message: String,
    /// `reason` (a constant in UPPER_SNAKE, finer than `code`), `request_id`, `violations` where
    /// fields do not hold what they may, and what varies.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

impl NestedError {
    /// Tells a fault.
    #[must_use]
    pub fn of(fault: &Fault, request_id: &str) -> Self {
        let problem = fault.problem();
        let mut details = details(problem);
        let violations = violations(problem);
        if !violations.is_empty() {
            let list = serde_json::to_value(violations).expect("violations are plain text");
            details.insert("violations".to_owned(), list);
        }
        details.insert("reason".to_owned(), Value::from(problem.reason()));
        details.insert("request_id".to_owned(), Value::from(request_id));
        let code = code(fault.status(), problem.reason());
        Self { error: NestedBody { code, message: problem.message().to_owned(), details } }
    }
}

/// The document's code for a status; what is not found is named.
fn code(status: StatusCode, reason: &str) -> String {
    let code = match status {
        StatusCode::BAD_REQUEST => "INVALID_REQUEST",
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::FORBIDDEN => "FORBIDDEN",
        StatusCode::NOT_FOUND if reason.ends_with("_NOT_FOUND") => reason,
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::TOO_MANY_REQUESTS => "RATE_LIMITED",
        StatusCode::INTERNAL_SERVER_ERROR => "INTERNAL_ERROR",
        // The document has no code for the rest; the constant says it best.
        _ => reason,
    };
    code.to_owned()
}

#[cfg(test)]
mod tests {
    use proto::reason;
    use runtime::{Code, Problem};

    use super::*;

    #[test]
    fn every_status_of_the_document_has_the_documents_code() {
        for (problem, expected) in [
            (Problem::invalid("a", "b"), "INVALID_REQUEST"),
            (Problem::new(Code::Unauthenticated, reason::TOKEN_UNKNOWN, ""), "UNAUTHORIZED"),
            (Problem::new(Code::PermissionDenied, reason::PERMISSION_MISSING, ""), "FORBIDDEN"),
            (Problem::new(Code::NotFound, reason::TOKEN_NOT_FOUND, ""), "TOKEN_NOT_FOUND"),
            (Problem::new(Code::AlreadyExists, reason::TOKEN_EXISTS, ""), "CONFLICT"),
            (Problem::new(Code::ResourceExhausted, reason::TOO_MANY_STREAMS, ""), "RATE_LIMITED"),
            (Problem::new(Code::Internal, reason::INTERNAL, ""), "INTERNAL_ERROR"),
            (Problem::new(Code::Aborted, reason::STALE_ETAG, ""), "STALE_ETAG"),
        ] {
            let told = NestedError::of(&Fault::from(problem), "r-1");
            assert_eq!(told.error.code, expected);
        }
    }
}
