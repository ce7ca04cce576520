//! What a push waits for, or what came of it, and the line to type next. Pure.

use proto::reason;

use crate::push::{Decision, Outcome, Push, State, Step};
use crate::review::{Review, ReviewState};

/// A push in two lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explanation {
    pub summary: String,
    /// Empty = nothing to do.
    pub next_step: String,
}

/// Explains a push; `review` is the one it names.
pub(crate) fn explain(push: &Push, review: Option<&Review>) -> Explanation {
    match push.state {
        State::Received => told(format!("`{}` is being decided", push.familiar()), ""),
        State::Waiting => waiting(push, review),
        State::Held => held(push, review),
        State::Denied => denied(push, review),
        State::Done => done(push),
        State::Ignored => ignored(push),
    }
}

fn told(summary: impl Into<String>, next_step: impl Into<String>) -> Explanation {
    Explanation { summary: summary.into(), next_step: next_step.into() }
}

fn why(push: &Push) -> (&str, &str) {
    push.reasons
        .0
        .first()
        .map_or(("", "no reason is known"), |why| (why.code.as_str(), why.message.as_str()))
}

fn waiting(push: &Push, review: Option<&Review>) -> Explanation {
    let (code, message) = why(push);
    let image = push.familiar();
    let next_step = match code {
        reason::UPSTREAM_NOT_CONFIGURED => {
            let host = push.repository.split('/').next().unwrap_or_default();
            format!("slipway registry add --host {host}")
        }
        reason::UPSTREAM_REFUSED => "slipway registry list".to_owned(),
        reason::PEER_UNREACHABLE => "slipway status".to_owned(),
        _ => String::new(),
    };
    match push.step {
        Step::Resolve => told(
            format!("`{image}` waits for its digest and is tried again by itself: {message}"),
            next_step,
        ),
        Step::Admit => told(
            format!("`{image}` waits for the gate and goes on by itself: {message}"),
            next_step,
        ),
        Step::Create => told(
            format!(
                "`{image}` may run and waits for its rollout, which is made by itself: {message}"
            ),
            next_step,
        ),
        Step::Review => {
            let error = review.map_or("", |review| review.follow_up_error.as_str());
            let told_so_far = if error.is_empty() { "" } else { "; the last try failed: " };
            told(format!("`{image}` goes on by itself: {message}{told_so_far}{error}"), "")
        }
    }
}

fn held(push: &Push, review: Option<&Review>) -> Explanation {
    let (_, message) = why(push);
    let image = push.familiar();
    let Some(review) = review else {
        return told(format!("`{image}` is held: {message}"), "");
    };
    told(
        format!("`{image}` waits for somebody to decide review `{}`: {message}", review.id),
        format!("slipway review approve {}", review.id),
    )
}

fn denied(push: &Push, review: Option<&Review>) -> Explanation {
    let (code, message) = why(push);
    let image = push.familiar();
    let verb = match push.decision {
        Some(Decision::Rejected) => "cannot be taken",
        Some(Decision::Allow | Decision::Hold | Decision::Deny | Decision::Ignored) | None => {
            "may not run"
        }
    };
    let rejected = review.is_some_and(|review| review.state == ReviewState::Rejected);
    let next_step = match code {
        reason::SOURCE_NOT_AUTHORISED => "slipway receiver list".to_owned(),
        reason::TAG_DEPRECATED => format!("slipway tag list {}", push.familiar_repository()),
        reason::POLICY_NOT_FOUND => "slipway policy list".to_owned(),
        reason::IMAGE_REJECTED => format!("slipway image approve {}", push.familiar_repository()),
        _ if rejected => format!("slipway image approve {}", push.familiar_repository()),
        _ => format!("slipway push retry {}", push.id),
    };
    told(format!("`{image}` {verb}: {message}"), next_step)
}

fn done(push: &Push) -> Explanation {
    let image = push.familiar();
    let (_, message) = push
        .reasons
        .0
        .last()
        .map_or(("", "it is finished"), |why| (why.code.as_str(), why.message.as_str()));
    let next_step = match push.outcome {
        Some(Outcome::Rollout) => format!("slipway rollout watch {}", push.rollout_id),
        Some(Outcome::NoPolicy) => "slipway policy list".to_owned(),
        Some(Outcome::NoTarget) => "slipway device list".to_owned(),
        Some(Outcome::Quarantined) => format!("slipway rollout explain {}", push.rollout_id),
        Some(Outcome::Unchanged) | None => String::new(),
    };
    told(format!("`{image}` is decided: {message}"), next_step)
}

fn ignored(push: &Push) -> Explanation {
    let (code, message) = why(push);
    let retry = if code == reason::EVENT_TOO_OLD {
        format!("slipway push retry {}", push.id)
    } else {
        String::new()
    };
    told(format!("`{}` needs no decision: {message}", push.familiar()), retry)
}

#[cfg(test)]
mod tests;
