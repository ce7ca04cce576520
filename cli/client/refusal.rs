//! What the API refuses, as a failure: one meaning for every family of routes.
//!
//! Flat families say `{"error", "message", "reason", …}`, nested ones `{"error": {"code",
//! "message", "details"}}`.

use proto::reason;
use reqwest::StatusCode;
use serde_json::Value;

use super::{Answer, Target};
use crate::failure::{Exit, Failure};
use crate::ids::short;

/// The failure that a refusal means.
pub fn failure(answer: &Answer, target: &Target) -> Failure {
    let refusal = Refusal::read(answer);
    let exit = exit(answer.status(), refusal.reason.as_deref());
    let what = match refusal.message {
        Some(message) => message,
        None => unspoken(answer, target),
    };
    Failure::new(exit, what)
        .hint_if(refusal.hint.or_else(|| hint(answer.status(), refusal.reason.as_deref(), target)))
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
        let line = text(details, "review_id")
            .map(|review| format!("`slipway review show {}`", short(&review)))
            .or_else(|| Some(format!("`slipway rollout create {}`", text(details, "undo_image")?)));
        let violations = inner.get("violations").or_else(|| details.get("violations"));
        let reason = text(details, "reason")
            .or_else(|| text(inner, "reason"))
            .or_else(|| text(document, "reason"))
            .or_else(|| text(inner, "code"));
        Self {
            message: text(inner, "message")
                .or_else(|| text(document, "error"))
                .map(|message| message + &others(violations)),
            hint: line
                .or_else(|| text(document, "action_required"))
                .or_else(|| text(document, "help")),
            reason,
            request_id: text(document, "request_id").or_else(|| text(details, "request_id")),
        }
    }
}

/// The fields that are wrong beside the first one, which is told by the message.
fn others(violations: Option<&Value>) -> String {
    let others = violations.and_then(Value::as_array).into_iter().flatten().skip(1);
    let told = others.filter_map(|violation| {
        let (field, description) = (violation.get("field")?, violation.get("description")?);
        Some(format!("\n`{}`: {}", field.as_str()?, description.as_str()?))
    });
    told.collect()
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

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::context::Entry;

    fn refused(status: u16, body: Value) -> Failure {
        let entry = Entry { url: "http://127.0.0.1:4002".to_owned(), token: None, ca_file: None };
        let target = Target::of("local", &entry, None).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer::new(status, HeaderMap::new(), body.to_string().as_bytes());
        failure(&answer, &target)
    }

    #[test]
    fn every_status_ends_the_command_with_its_code() {
        for (status, reason, code) in [
            (400, "INVALID_ARGUMENT", 2),
            (401, "TOKEN_UNKNOWN", 4),
            (403, "PERMISSION_MISSING", 4),
            (403, "IMAGE_NOT_APPROVED", 6),
            (404, "TAG_NOT_LISTED", 6),
            (404, "DEVICE_NOT_FOUND", 3),
            (409, "ROLLOUT_NOT_PAUSED", 5),
            (412, "STALE_ETAG", 5),
            (429, "RATE_LIMITED", 1),
            (500, "INTERNAL", 1),
            (503, "ROLLOUT_UNREACHABLE", 9),
        ] {
            let flat = refused(status, json!({"error": "x", "message": "y", "reason": reason}));
            assert_eq!(flat.exit().code(), code, "{status} {reason}");
            let details = json!({"reason": reason});
            let nested = json!({"error": {"code": "CONFLICT", "message": "y", "details": details}});
            let nested = refused(status, nested);
            assert_eq!((nested.exit().code(), nested.what()), (code, "y"), "{status} {reason}");
        }
    }

    #[test]
    fn the_next_step_is_a_line_to_type_where_the_answer_leads_to_one() {
        let id = "0198f3c2-0000-7000-8000-000000000001";
        let held = refused(
            403,
            json!({
                "message": "Image 'x' is not in the approved registry",
                "reason": "IMAGE_NOT_APPROVED",
                "action_required": "Admin must approve this image before deployment",
                "details": {"review_id": id},
            }),
        );
        assert_eq!(held.hint_text(), Some("`slipway review show 0198f3c2-0000-7000`"));
        let undo = json!({"message": "m", "details": {"undo_image": "redis:7.4"}});
        assert_eq!(refused(409, undo).hint_text(), Some("`slipway rollout create redis:7.4`"));
        let login = refused(401, Value::Null);
        assert_eq!(
            login.what(),
            "http://127.0.0.1:4002 (context `local`) answered 401 Unauthorized"
        );
        assert!(login.hint_text().unwrap().contains("slipway login --context local"));
    }

    #[test]
    fn all_fields_that_are_wrong_are_told() {
        let violation = |field: &str| json!({"field": field, "description": "is missing"});
        let body = json!({
            "message": "`name`: is missing",
            "violations": [violation("name"), violation("fleet")],
        });
        assert_eq!(refused(400, body).what(), "`name`: is missing\n`fleet`: is missing");
    }
}
