//! Which status and which words a delivery is answered with: document 2's outcome table. Pure.

use http::StatusCode;
use proto::approval::v1 as pb;
use proto::approval::v1::ResponseMode;
use proto::approval::v1::push::{Outcome, State};
use proto::reason;

use crate::error::title;
use crate::routes::pushes::image;

/// What is said about a delivery.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: StatusCode,
    /// Why it was refused, in a few words.
    pub error: Option<String>,
    /// What became of it, in a sentence.
    pub message: String,
    /// What a person must do.
    pub action_required: Option<&'static str>,
}

impl Verdict {
    /// What is said: the worst of its pushes speaks for a delivery of several.
    pub fn of(taken: &pb::SubmitDeliveryResponse) -> Self {
        let mode = taken.response_mode();
        let worst = taken.pushes.iter().rev().max_by_key(|push| rank(strict(push)));
        match worst {
            Some(push) => Self::of_push(push, mode),
            None => Self {
                status: StatusCode::OK,
                error: None,
                message: taken.note.clone(),
                action_required: None,
            },
        }
    }

    fn of_push(push: &pb::Push, mode: ResponseMode) -> Self {
        let strict = strict(push);
        let status = match mode {
            ResponseMode::Ack => acknowledged(push, strict),
            ResponseMode::Strict | ResponseMode::Unspecified => strict,
        };
        let refused = strict.is_client_error();
        Self {
            status,
            error: refused.then(|| error(first(push).0)),
            message: if refused { first(push).1.to_owned() } else { message(push) },
            action_required: if push.state() == State::Held { action(first(push).0) } else { None },
        }
    }
}

/// Why a push stands where it does: the constant and the sentence.
fn first(push: &pb::Push) -> (&str, &str) {
    push.reasons.first().map_or(("", ""), |why| (why.code.as_str(), why.message.as_str()))
}

/// The status as the documents print it.
fn strict(push: &pb::Push) -> StatusCode {
    match push.state() {
        State::Unspecified | State::Received | State::Waiting => StatusCode::ACCEPTED,
        State::Held => StatusCode::FORBIDDEN,
        State::Denied => match first(push).0 {
            reason::TAG_NOT_LISTED => StatusCode::NOT_FOUND,
            reason::INVALID_REFERENCE => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        },
        State::Done | State::Ignored => StatusCode::OK,
    }
}

/// The status for senders that switch a webhook off after refusals.
fn acknowledged(push: &pb::Push, strict: StatusCode) -> StatusCode {
    match push.state() {
        State::Held => StatusCode::ACCEPTED,
        State::Denied if strict != StatusCode::BAD_REQUEST => StatusCode::OK,
        State::Unspecified
        | State::Received
        | State::Waiting
        | State::Denied
        | State::Done
        | State::Ignored => strict,
    }
}

/// Which of several statuses speaks for all.
fn rank(status: StatusCode) -> u8 {
    match status {
        StatusCode::FORBIDDEN => 4,
        StatusCode::NOT_FOUND => 3,
        StatusCode::BAD_REQUEST => 2,
        StatusCode::ACCEPTED => 1,
        _ => 0,
    }
}

fn error(code: &str) -> String {
    if code.is_empty() { title(reason::IMAGE_NOT_APPROVED) } else { title(code) }
}

fn action(code: &str) -> Option<&'static str> {
    match code {
        reason::IMAGE_NOT_APPROVED | reason::IMAGE_PENDING => {
            Some("Admin must approve this image before deployment")
        }
        reason::TAG_NOT_APPROVED => Some("Admin must approve this tag before deployment"),
        _ => None,
    }
}

/// What became of a push that was not refused.
fn message(push: &pb::Push) -> String {
    let image = image(push);
    let why = first(push).1;
    match push.state() {
        State::Unspecified | State::Received => {
            format!("`{image}` is stored and goes on by itself")
        }
        State::Waiting => format!("`{image}` is stored and goes on by itself: {why}"),
        State::Done => match push.outcome() {
            Outcome::Unspecified | Outcome::Rollout => "Rollout created".to_owned(),
            Outcome::NoPolicy => "No matching policy".to_owned(),
            Outcome::NoTarget => "No matching devices".to_owned(),
            Outcome::Unchanged => "Already deployed".to_owned(),
            Outcome::Quarantined => "Rolled back before, not deployed again".to_owned(),
        },
        State::Held | State::Denied | State::Ignored => why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
