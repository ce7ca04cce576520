//! What is done next with a push, given its state and what others said. Pure.
//!
//! Each function takes a push and an answer and returns the push as it then stands and what comes
//! next. Whoever calls them stores the push and does what comes next; no rule lives anywhere else.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proto::reason;

use crate::answer::{Admitted, Created, Resolved, Ruling};
use crate::arrive::SENDER;
use crate::finding::{Check, CheckResult, Reason};
use crate::push::{Decision, Outcome, Push, State, Step};
use crate::review::{Placement, ReviewId, Scope};

/// What comes after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next step, at once.
    Go,
    /// The same step again, after this time.
    Wait(Pause),
    /// A person is asked.
    Ask(Scope),
    /// Nothing.
    Settled,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Seconds at first, then longer, by chance.
    Backoff,
    /// This long.
    For(Duration),
}

/// Waits between tries of a tag that its registry does not know yet.
const NOT_FOUND_LADDER: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
/// How often to look again for what a person has to mend.
const SLOW: Duration = Duration::from_secs(300);
/// The longest wait that a registry may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// How long a push waits for a registry before it is refused.
const GIVE_UP: TimeDelta = TimeDelta::days(7);

/// The rules of this process, as they are called in checks.
const DIGEST: &str = "digest known";
const POLICY: &str = "rollout made";

/// Begins anew: what was found before no longer counts.
pub(crate) fn restart(mut push: Push, now: DateTime<Utc>) -> Push {
    push.state = State::Received;
    push.step = Step::Resolve;
    push.attempts = 0;
    push.due_at = now;
    push
}

/// Goes on after the registry elsewhere was asked.
pub(crate) fn resolved(mut push: Push, answer: Resolved, now: DateTime<Utc>) -> (Push, Next) {
    push.reasons.0.clear();
    push.checks.0.retain(|check| check.name == SENDER);
    push.digest.clone_from(&push.event_digest);
    push.pinned = false;
    push.platforms.0.clear();
    let image = push.familiar();
    match answer {
        Resolved::Digest { digest, platforms } => {
            let detail = format!("the registry says `{digest}`");
            push.checks.0.push(Check::new(DIGEST, CheckResult::Pass, detail));
            push.reasons.0.push(source(&push, &digest));
            push.pinned = true;
            // What was asked for by hand is what runs; whether it may is for the gate to say.
            if !push.digest_asked || push.event_digest.as_ref() == Some(&digest) {
                (push.digest, push.platforms.0) = (Some(digest), platforms);
            }
            go(push, Step::Admit)
        }
        Resolved::NotConfigured if push.trusted => {
            push.pinned = push.digest.is_some();
            let how =
                if push.pinned { "the digest is the sender's" } else { "the rollout goes by tag" };
            let detail =
                format!("no upstream lists `{}`; the sender is believed, {how}", host(&push));
            push.checks.0.push(Check::new(DIGEST, CheckResult::Skipped, detail.clone()));
            push.reasons.0.push(Reason::new(reason::PAYLOAD_TRUSTED, detail));
            go(push, Step::Admit)
        }
        Resolved::NotConfigured => {
            let message = format!(
                "no upstream lists `{}`, so the digest cannot be asked for; add one with `slipway registry add`",
                host(&push)
            );
            mend(push, reason::UPSTREAM_NOT_CONFIGURED, message, SLOW, now)
        }
        Resolved::NotFound => {
            let tries = usize::try_from(push.attempts).unwrap_or(usize::MAX);
            let pause = NOT_FOUND_LADDER.get(tries).copied().unwrap_or(SLOW);
            let message = format!("the registry does not know `{image}`, or not yet");
            mend(push, reason::NOT_RESOLVABLE, message, pause, now)
        }
        Resolved::Refused(message) => mend(push, reason::UPSTREAM_REFUSED, message, SLOW, now),
        Resolved::Unreachable(message) => {
            wait(push, reason::UPSTREAM_UNREACHABLE, message, DIGEST, Pause::Backoff)
        }
        Resolved::RateLimited(pause) => {
            let message = "the registry asks to wait".to_owned();
            let pause = Pause::For(pause.clamp(Duration::from_secs(1), LONGEST_WAIT));
            wait(push, reason::UPSTREAM_RATE_LIMITED, message, DIGEST, pause)
        }
        Resolved::Away(message) => {
            wait(push, reason::PEER_UNREACHABLE, message, DIGEST, Pause::Backoff)
        }
        Resolved::Malformed(message) => refuse(push, reason::INVALID_REFERENCE, message, DIGEST),
    }
}

/// Where the digest of a push comes from.
fn source(push: &Push, says: &str) -> Reason {
    match &push.event_digest {
        Some(asked) if asked != says && push.digest_asked => Reason::new(
            reason::STALE_EVENT,
            format!("`{asked}` was asked for; the registry says that the tag is `{says}`"),
        ),
        Some(said) if said != says => Reason::new(
            reason::STALE_EVENT,
            format!("the event said `{said}`, the registry says `{says}`, which counts"),
        ),
        Some(_) | None => Reason::new(
            reason::DIGEST_RESOLVED,
            format!("the registry says that `{}` is `{says}`", push.familiar()),
        ),
    }
}

/// Goes on after the gate was asked.
pub(crate) fn admitted(mut push: Push, answer: Admitted) -> (Push, Next) {
    let verdict = match answer {
        Admitted::Verdict(verdict) => verdict,
        Admitted::Away(message) => {
            return wait(push, reason::PEER_UNREACHABLE, message, "gate", Pause::Backoff);
        }
        Admitted::Malformed(message) => {
            return refuse(push, reason::INVALID_REFERENCE, message, "gate");
        }
    };
    push.checks.0.retain(|check| [SENDER, DIGEST].contains(&check.name.as_str()));
    push.checks.0.extend(verdict.checks);
    push.tag_added |= verdict.tag_added;
    explain(&mut push, verdict.reasons);
    match verdict.ruling {
        Ruling::Allow => {
            push.decision = Some(Decision::Allow);
            go(push, Step::Create)
        }
        Ruling::Hold(scope) => {
            push.decision = Some(Decision::Hold);
            (push, Next::Ask(scope))
        }
        Ruling::Deny => (settle(push, State::Denied, Decision::Deny), Next::Settled),
    }
}

/// Goes on after a held push has found its review; `opened` names a new one.
pub(crate) fn asked(mut push: Push, placement: &Placement, opened: ReviewId) -> (Push, Next) {
    match placement {
        Placement::Attach(id) => {
            push.review_id = Some(*id);
            (settle(push, State::Held, Decision::Hold), Next::Settled)
        }
        Placement::Open { .. } => {
            push.review_id = Some(opened);
            (settle(push, State::Held, Decision::Hold), Next::Settled)
        }
        Placement::Approving(id) => {
            push.review_id = Some(*id);
            (follow(push, *id), Next::Settled)
        }
        Placement::Approved(id) => {
            push.review_id = Some(*id);
            let message = format!("review `{id}` approved this digest");
            explain(&mut push, vec![Reason::new(reason::IMAGE_APPROVED, message)]);
            push.decision = Some(Decision::Allow);
            go(push, Step::Create)
        }
        Placement::Refused { by, who, reason: why } => {
            push.review_id = Some(*by);
            let message = format!("`{who}` rejected it: {why}");
            explain(&mut push, vec![Reason::new(reason::REVIEW_REJECTED, message)]);
            (settle(push, State::Denied, Decision::Deny), Next::Settled)
        }
    }
}

/// Waits for an approved review to be told to the registry.
pub(crate) fn follow(mut push: Push, review: ReviewId) -> Push {
    let message = format!("review `{review}` is approved; the registry is being told");
    explain(&mut push, vec![Reason::new(reason::REVIEW_APPROVED, message)]);
    push.state = State::Waiting;
    push.step = Step::Review;
    push.decision = Some(Decision::Hold);
    push
}

/// Refuses a held push whose review ended without a yes.
pub(crate) fn turned_down(mut push: Push, code: &str, message: String) -> Push {
    explain(&mut push, vec![Reason::new(code, message)]);
    settle(push, State::Denied, Decision::Deny)
}

/// Finishes a held push in whose place a newer one of the same tag goes on.
pub(crate) fn overtaken(mut push: Push, newer: &Push) -> Push {
    let message = format!("push `{}` of the same tag is newer and goes on in its place", newer.id);
    explain(&mut push, vec![Reason::new(reason::SUPERSEDED, message)]);
    push.outcome = Some(Outcome::Unchanged);
    settle(push, State::Done, Decision::Allow)
}

/// Goes on after `rollout` was asked.
pub(crate) fn created(mut push: Push, answer: Created) -> (Push, Next) {
    push.checks.0.retain(|check| check.name != POLICY);
    let image = push.familiar();
    let (outcome, code, message, rollout_id) = match answer {
        Created::Rollout { id } => {
            (Outcome::Rollout, reason::ROLLOUT_CREATED, format!("rollout `{id}` brings it"), id)
        }
        Created::NoPolicy { disabled: false } => {
            let message = format!("no enabled policy matches `{image}`");
            (Outcome::NoPolicy, reason::NO_POLICY, message, String::new())
        }
        Created::NoPolicy { disabled: true } => {
            let message = format!("the policy that matches `{image}` is disabled");
            (Outcome::NoPolicy, reason::POLICY_DISABLED, message, String::new())
        }
        Created::NoTarget { excluded } => {
            let message = format!("the policy takes no device ({excluded} selected and left out)");
            (Outcome::NoTarget, reason::NO_TARGET, message, String::new())
        }
        Created::Unchanged { rollout_id } => {
            let message = "the devices have it, or are getting it".to_owned();
            (Outcome::Unchanged, reason::UNCHANGED, message, rollout_id)
        }
        Created::Quarantined { rollout_id } => {
            let message =
                format!("it was rolled back by rollout `{rollout_id}` and is not tried again");
            (Outcome::Quarantined, reason::QUARANTINED, message, rollout_id)
        }
        Created::Away(message) => {
            return wait(push, reason::PEER_UNREACHABLE, message, POLICY, Pause::Backoff);
        }
        Created::Refused(why) => {
            push.checks.0.push(Check::new(POLICY, CheckResult::Fail, why.message.clone()));
            explain(&mut push, vec![why]);
            return (settle(push, State::Denied, Decision::Deny), Next::Settled);
        }
    };
    let result = match outcome {
        Outcome::Rollout => CheckResult::Pass,
        Outcome::NoPolicy | Outcome::NoTarget | Outcome::Unchanged | Outcome::Quarantined => {
            CheckResult::Fail
        }
    };
    push.checks.0.push(Check::new(POLICY, result, message.clone()));
    push.reasons.0.retain(|why| why.code != reason::PEER_UNREACHABLE);
    push.reasons.0.push(Reason::new(code, message));
    push.rollout_id = rollout_id;
    push.outcome = Some(outcome);
    (settle(push, State::Done, Decision::Allow), Next::Settled)
}

/// The decision of a delivery: the worst of its pushes'. A push that is not decided yet is held.
pub(crate) fn worst(decisions: impl IntoIterator<Item = Option<Decision>>) -> Decision {
    let rank = |decision: &Decision| match decision {
        Decision::Ignored => 0,
        Decision::Allow => 1,
        Decision::Hold => 2,
        Decision::Deny => 3,
        Decision::Rejected => 4,
    };
    decisions
        .into_iter()
        .map(|decision| decision.unwrap_or(Decision::Hold))
        .max_by_key(rank)
        .unwrap_or(Decision::Ignored)
}

/// Whether a repeated delivery gets this push's answer again. What was held or refused is decided
/// anew instead: something may have changed.
pub(crate) fn is_final(push: &Push) -> bool {
    match push.decision {
        Some(Decision::Allow | Decision::Ignored) => true,
        Some(Decision::Hold | Decision::Deny | Decision::Rejected) | None => false,
    }
}

fn go(mut push: Push, step: Step) -> (Push, Next) {
    push.state = State::Received;
    push.step = step;
    push.attempts = 0;
    (push, Next::Go)
}

fn settle(mut push: Push, state: State, decision: Decision) -> Push {
    push.state = state;
    push.decision = Some(decision);
    push.step = Step::Resolve;
    push.attempts = 0;
    push
}

fn wait(mut push: Push, code: &str, message: String, check: &str, pause: Pause) -> (Push, Next) {
    push.checks.0.retain(|known| known.name != check);
    push.checks.0.push(Check::new(check, CheckResult::Waiting, message.clone()));
    // What was allowed stays allowed while it waits for `rollout`.
    if push.step != Step::Create {
        push.decision = Some(Decision::Hold);
    }
    push.reasons.0.retain(|why| why.code != code);
    push.reasons.0.insert(0, Reason::new(code, message));
    push.state = State::Waiting;
    push.attempts = push.attempts.saturating_add(1);
    (push, Next::Wait(pause))
}

/// Waits for what a person has to mend, for a week.
fn mend(
    push: Push,
    code: &str,
    message: String,
    pause: Duration,
    now: DateTime<Utc>,
) -> (Push, Next) {
    if now - push.created_at <= GIVE_UP {
        return wait(push, code, message, DIGEST, Pause::For(pause));
    }
    let (mut push, _) = wait(push, code, message, DIGEST, Pause::Backoff);
    if let Some(check) = push.checks.0.last_mut() {
        check.result = CheckResult::Fail;
    }
    (settle(push, State::Denied, Decision::Deny), Next::Settled)
}

fn refuse(mut push: Push, code: &str, message: String, check: &str) -> (Push, Next) {
    push.checks.0.retain(|known| known.name != check);
    push.checks.0.push(Check::new(check, CheckResult::Fail, message.clone()));
    explain(&mut push, vec![Reason::new(code, message)]);
    (settle(push, State::Denied, Decision::Rejected), Next::Settled)
}

/// Puts what decided first, and keeps what is known about the digest.
fn explain(push: &mut Push, mut decided: Vec<Reason>) {
    let notes = [reason::DIGEST_RESOLVED, reason::STALE_EVENT, reason::PAYLOAD_TRUSTED];
    push.reasons.0.retain(|why| notes.contains(&why.code.as_str()));
    decided.append(&mut push.reasons.0);
    push.reasons.0 = decided;
}

fn host(push: &Push) -> &str {
    push.repository.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
