//! What the API refuses, as a failure: one meaning for every family of routes.
//!
//! Flat families say `{"error", "message", "reason", …}`, nested ones `{"error": {"code",
//! "message", "details"}}`.

use proto::reason;
use reqwest::StatusCode;
use serde_json::Value;

use super::{Answer, Target};
use crate::failure::{Exit, Failure};

/// The failure that a refusal means.
pub fn failure(answer: &Answer, target: &Target) -> Failure {
    let refusal = Refusal::read(answer);
    let exit = exit(answer.status(), refusal.reason.as_deref());
    let what = match refusal.message {
        Some(message) => message,
        None => unspoken(answer, target),
    };
    Failure::new(exit, what)
        .hint_if(
            refusal.hint.or_else(|| hint(answer.status(), refusal.reason.as_deref(), target)),
        )
        .reason(refusal.reason)
        .request_id(refusal.request_id.or_else(|| answer.request_id()))
}

/// What a refusal's body says.
struct Refusal {
    message: Option<String>,
    hint: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
}

impl Refusal {
    fn read(answer: &Answer) -> Self {
        let document = answer.document();
        let nested = document.get("error").filter(|error| error.is_object());
        let text = |at: &Value, name: &str| {
            at.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let inner = nested.unwrap_or(document);
        let details = inner.get("details").unwrap_or(&Value::Null);
        let reason = text(details, "reason")
            .or_else(|| text(inner, "reason"))
            .or_else(|| text(document, "reason"))
            .or_else(|| text(inner, "code"));
        Self {
            message: text(inner, "message").or_else(|| text(document, "error")),
            hint: text(document, "action_required").or_else(|| text(document, "help")),
            reason,
            request_id: text(document, "request_id").or_else(|| text(details, "request_id")),
        }
    }
}

/// A refusal without words, from something that is no gateway or stands before one.
fn unspoken(answer: &Answer, target: &Target) -> String {
    let status = answer.status();
    match status.canonical_reason() {
        Some(name) => format!("{} answered {} {name}", target.place(), status.as_u16()),
        None => format!("{} answered {}", target.place(), status.as_u16()),
    }
}

/// How a command ends that was refused.
fn exit(status: StatusCode, reason: Option<&str>) -> Exit {
    if reason.is_some_and(is_of_the_gate) {
        return Exit::Refused;
    }
    match status.as_u16() {
        400 | 413 => Exit::Usage,
        401 | 403 => Exit::Denied,
        404 => Exit::NotFound,
        409 | 412 | 422 => Exit::Conflict,
        502..=504 => Exit::Unreachable,
        _ => Exit::Error,
    }
}

/// Whether the image, not the caller, is refused.
pub fn is_of_the_gate(reason: &str) -> bool {
    matches!(
        reason,
        reason::IMAGE_NOT_APPROVED
            | reason::IMAGE_PENDING
            | reason::IMAGE_REJECTED
            | reason::TAG_DEPRECATED
            | reason::TAG_NOT_APPROVED
            | reason::TAG_NOT_LISTED
            | reason::DIGEST_NOT_LISTED
    )
}

/// What to do next, where the refusal does not say it.
fn hint(status: StatusCode, reason: Option<&str>, target: &Target) -> Option<String> {
    if status == StatusCode::UNAUTHORIZED {
        return Some(target.login_line());
    }
    let line = match reason? {
        reason::PERMISSION_MISSING => "`slipway whoami` shows what you may do",
        reason::STALE_ETAG => "somebody changed it meanwhile; look again, then repeat the command",
        reason::EVIDENCE_CHANGED => "`slipway review list` shows what is asked now",
        reason::IMAGE_NOT_APPROVED | reason::IMAGE_PENDING | reason::TAG_NOT_APPROVED => {
            "`slipway review list` shows what waits for a decision"
        }
        reason::IMAGE_REJECTED => "`slipway image list --status rejected` shows it",
        reason::IMAGE_HAS_POLICIES => "`slipway policy list` shows them",
        reason::SELF_REVIEW => "another person has to decide it",
        _ => return None,
    };
    Some(line.to_owned())
}
