//! `{"error", "message", …}`: errors of documents 1 and 2, and of the routes that no document names.

use proto::reason;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Fault, details, violations};

/// Why a request was not done.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "error": "Image not found",
    "message": "there is no image 77; list the images to find it",
    "reason": "IMAGE_NOT_FOUND",
    "request_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11"
}))]
pub struct FlatError {
    /// What kind of error it is, in a few words.
    pub error: String,
    /// What went wrong and what to do next, in a sentence.
    pub message: String,
    /// The same for programs: a constant in UPPER_SNAKE.
    pub reason: String,
    /// What varies, for programs: ids, states, names.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, required = false)]
    pub details: Map<String, Value>,
    /// The fields that do not hold what they may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub violations: Vec<Violation>,
    /// Names the request in logs and events.
    pub request_id: String,
}

/// A field that does not hold what it may.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Violation {
    /// The field's path, for instance `batches[0].percent`.
    pub field: String,
    /// What is wrong and what is right.
    pub description: String,
}

impl FlatError {
    /// Tells a fault.
    #[must_use]
    pub fn of(fault: &Fault, request_id: &str) -> Self {
        let problem = fault.problem();
        Self {
            error: title(problem.reason()),
            message: problem.message().to_owned(),
            reason: problem.reason().to_owned(),
            details: details(problem),
            violations: violations(problem),
            request_id: request_id.to_owned(),
        }
    }
}

impl Violation {
    /// As JSON shows it.
    #[must_use]
    pub fn of(violation: &runtime::problem::Violation) -> Self {
        Self { field: violation.field.clone(), description: violation.description.clone() }
    }
}

/// A constant as a person writes it: `TAG_NOT_FOUND` is `Tag not found`. The documents say the same
/// of an image that is unknown, waits or was rejected, and of a tag that is unknown or not listed.
#[must_use]
pub fn title(reason: &str) -> String {
    let reason = match reason {
        reason::IMAGE_PENDING | reason::IMAGE_REJECTED => reason::IMAGE_NOT_APPROVED,
        reason::TAG_NOT_LISTED => reason::TAG_NOT_FOUND,
        reason => reason,
    };
    let mut letters = reason.chars();
    let first: String = letters.next().into_iter().collect();
    first + &letters.as_str().to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_titles_of_the_documents_come_out_of_the_constants() {
        use proto::reason::{IMAGE_NOT_APPROVED, IMAGE_PENDING, IMAGE_REJECTED, TAG_DEPRECATED};
        for reason in [IMAGE_NOT_APPROVED, IMAGE_PENDING, IMAGE_REJECTED] {
            assert_eq!(title(reason), "Image not approved");
        }
        assert_eq!(title(TAG_DEPRECATED), "Tag deprecated");
        for reason in [reason::TAG_NOT_FOUND, reason::TAG_NOT_LISTED] {
            assert_eq!(title(reason), "Tag not found");
        }
        assert_eq!(title(""), "");
    }
}
