//! Why something is so: reasons and checks, as decisions carry them.

use serde::{Deserialize, Serialize};

/// Why something is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    /// One of the constants of `proto::reason`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl Reason {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// One rule that was asked on the way to a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// The rule, for instance `image approved`.
    pub name: String,
    /// How it came out.
    pub result: CheckResult,
    /// What was found, in a sentence.
    pub detail: String,
}

impl Check {
    pub(crate) fn new(name: &str, result: CheckResult, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), result, detail: detail.into() }
    }
}

/// How a rule came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckResult {
    /// It holds.
    Pass,
    /// It does not hold, and decided.
    Fail,
    /// It was not asked.
    Skipped,
    /// It cannot be answered yet.
    Waiting,
}

/// One image of a multi-platform index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Platform {
    /// Operating system.
    pub os: String,
    /// Processor.
    pub architecture: String,
    /// Processor variant; empty = none.
    pub variant: String,
    /// The digest of this platform's manifest.
    pub digest: String,
    /// Compressed size of the manifest; 0 = not known.
    pub size_bytes: i64,
}
