//! What others said when they were asked about a push.

use std::time::Duration;

use crate::finding::{Check, Platform, Reason};
use crate::review::Scope;

/// What a registry elsewhere, asked through `registry`, said about a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    Digest {
        digest: String,
        platforms: Vec<Platform>,
    },
    /// No upstream lists the host.
    NotConfigured,
    /// It does not know the tag, or not yet.
    NotFound,
    /// It does not answer, or not as it should.
    Unreachable(String),
    /// It wants other credentials.
    Refused(String),
    /// It asks to wait.
    RateLimited(Duration),
    /// The process `registry` does not answer.
    Away(String),
    /// The question can never be answered.
    Malformed(String),
}

/// What the gate said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admitted {
    Verdict(Verdict),
    /// The process `registry` does not answer.
    Away(String),
    /// The question can never be answered.
    Malformed(String),
}

/// The gate's verdict on a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub ruling: Ruling,
    /// Why; the first one decided.
    pub reasons: Vec<Reason>,
    pub checks: Vec<Check>,
    /// True = an internal namespace: nothing was checked.
    pub internal: bool,
    pub tag_added: bool,
}

/// The decision of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    Allow,
    Hold(Scope),
    Deny,
}

/// What `rollout` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Created {
    Rollout {
        id: String,
    },
    NoPolicy {
        disabled: bool,
    },
    NoTarget {
        excluded: i32,
    },
    /// The rollout that brought it; empty = none known.
    Unchanged {
        rollout_id: String,
    },
    Quarantined {
        rollout_id: String,
    },
    /// The process `rollout` does not answer.
    Away(String),
    /// What was asked can never be done, such as a policy that is not there.
    Refused(Reason),
}
