//! The words that people read for the states that the API tells, and how grave each is.
//!
//! The same word stands in every list, page and line. What this version does not know is shown as
//! it came.

use std::borrow::Cow;

/// How grave a word is; it gives colour and sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// Not begun.
    Wait,
    /// Under way.
    Move,
    /// As it should be.
    Good,
    /// A person is needed.
    Need,
    /// Wrong.
    Bad,
    /// On its way back, or back.
    Back,
    /// Stopped for a while.
    Paused,
    /// Out of reach.
    Off,
    /// Over, without more to say.
    Calm,
}

/// A word with its weight.
pub type Word = (Cow<'static, str>, Token);

fn known(word: &'static str, token: Token) -> Word {
    (Cow::Borrowed(word), token)
}

/// A constant in snake case as words.
fn unknown(state: &str) -> Word {
    (Cow::Owned(state.to_lowercase().replace('_', " ")), Token::Calm)
}

/// A rollout: its status, and its state where that is finer.
pub fn rollout(status: &str, state: &str, stopped_itself: bool) -> Word {
    match (status, state) {
        (_, "rolling_back") => known("rolling back", Token::Back),
        (_, "rollback_incomplete") => known("failed", Token::Bad),
        (_, "settling") => known("finishing", Token::Move),
        (_, "cancelling") => known("cancelling", Token::Calm),
        (_, "superseded") => known("superseded", Token::Calm),
        ("pending", _) => known("not started", Token::Wait),
        ("scheduled", _) => known("scheduled", Token::Wait),
        ("in_progress", _) => known("in progress", Token::Move),
        ("paused", _) if stopped_itself => known("paused", Token::Bad),
        ("paused", _) => known("paused", Token::Paused),
        ("completed", _) => known("completed", Token::Good),
        ("failed", _) => known("failed", Token::Bad),
        ("cancelled", _) => known("cancelled", Token::Calm),
        ("rolled_back", _) => known("rolled back", Token::Back),
        (status, _) => unknown(status),
    }
}

/// A device's part in a rollout.
pub fn assignment(status: &str) -> Word {
    match status {
        "pending" | "queued" => known("waiting", Token::Wait),
        "scheduled" | "offered" => known("waiting", Token::Wait),
        "acked" | "pulling" | "downloading" => known("downloading", Token::Move),
        "updating" | "staged" | "installing" => known("installing", Token::Move),
        "health_checking" | "verifying" => known("checking", Token::Move),
        "completed" | "succeeded" => known("updated", Token::Good),
        "failed" | "timed_out" | "rejected" | "revert_failed" => known("failed", Token::Bad),
        "reverting" => known("going back", Token::Back),
        "rolled_back" | "reverted" => known("taken back", Token::Back),
        "deferred" => known("offline", Token::Off),
        "skipped" => known("skipped", Token::Calm),
        "superseded" | "cancelled" => known("withdrawn", Token::Calm),
        status => unknown(status),
    }
}

/// A push: what was decided, and what came of it.
pub fn push(state: &str, decision: Option<&str>, outcome: Option<&str>) -> Word {
    match (state, outcome, decision) {
        ("done", Some("rollout"), _) => known("became a rollout", Token::Good),
        ("done", Some("unchanged"), _) => known("unchanged", Token::Calm),
        ("done", Some("no_policy" | "no_target"), _) => known("nothing to do", Token::Calm),
        ("done", Some("quarantined"), _) => known("quarantined", Token::Bad),
        ("held", _, _) => known("held", Token::Need),
        ("denied", _, Some("rejected" | "REJECTED")) => known("unreadable", Token::Bad),
        ("denied", _, _) => known("denied", Token::Bad),
        ("ignored", _, _) => known("ignored", Token::Calm),
        ("received" | "waiting", _, _) => known("waiting", Token::Move),
        (state, _, _) => unknown(state),
    }
}

/// What was decided about a delivery.
pub fn decision(decision: &str) -> Word {
    match decision {
        "allow" => known("allowed", Token::Good),
        "hold" => known("held", Token::Need),
        "deny" => known("denied", Token::Bad),
        "rejected" => known("unreadable", Token::Bad),
        "ignored" => known("ignored", Token::Calm),
        decision => unknown(decision),
    }
}

/// A review: its status, and its state where that is finer.
pub fn review(status: &str, state: &str) -> Word {
    match (status, state) {
        (_, "expired") => known("expired", Token::Calm),
        (_, "superseded") => known("superseded", Token::Calm),
        (_, "cancelled") => known("cancelled", Token::Calm),
        (_, "revoked") => known("revoked", Token::Bad),
        ("pending", _) => known("needs 1 vote", Token::Need),
        ("approved", _) => known("approved", Token::Good),
        ("rejected", _) => known("rejected", Token::Bad),
        (status, _) => unknown(status),
    }
}

/// Whether an image may run.
pub fn approval(status: &str) -> Word {
    match status {
        "approved" => known("approved", Token::Good),
        "pending" => known("pending", Token::Need),
        "rejected" => known("rejected", Token::Bad),
        status => unknown(status),
    }
}

/// A tag of an image.
pub fn tag(is_recommended: bool, is_deprecated: bool) -> Word {
    match (is_recommended, is_deprecated) {
        (_, true) => known("deprecated", Token::Calm),
        (true, false) => known("recommended", Token::Good),
        (false, false) => known("", Token::Calm),
    }
}

/// How a rule or a condition came out.
pub fn check(result: &str) -> Word {
    match result {
        "pass" => known("yes", Token::Good),
        "fail" => known("no", Token::Bad),
        "waiting" => known("not yet", Token::Move),
        "skipped" => known("not asked", Token::Wait),
        result => unknown(result),
    }
}

/// A service on a device, as the device reports it.
pub fn phase(phase: &str, healthy: bool) -> Word {
    match phase {
        "running" if healthy => known("running", Token::Good),
        "running" => known("not healthy", Token::Bad),
        "downloading" => known("downloading", Token::Move),
        "staged" | "installing" => known("installing", Token::Move),
        "verifying" => known("checking", Token::Move),
        "reverting" => known("going back", Token::Back),
        "reverted" => known("taken back", Token::Back),
        "failed" => known("failed", Token::Bad),
        "rejected" => known("refused", Token::Bad),
        "deferred" => known("deferred", Token::Off),
        "stopped" => known("stopped", Token::Calm),
        phase => unknown(phase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finer_state_is_shown_where_there_is_one() {
        let shown = |status, state| rollout(status, state, false).0;
        assert_eq!(shown("in_progress", "running"), "in progress");
        assert_eq!(shown("in_progress", "rolling_back"), "rolling back");
        assert_eq!(shown("cancelled", "superseded"), "superseded");
        assert_eq!(shown("failed", "rollback_incomplete"), "failed");
        assert_eq!(rollout("paused", "", true).1, Token::Bad);
    }

    #[test]
    fn what_is_not_known_is_shown_as_it_came() {
        assert_eq!(push("ON_HOLD", None, None), ("on hold".into(), Token::Calm));
        assert_eq!(push("done", None, Some("unchanged")).0, "unchanged");
        assert_eq!(assignment("health_checking").0, "checking");
    }
}
