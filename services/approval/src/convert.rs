//! Words of the wire and words of this process.

pub(crate) mod delivery;
pub(crate) mod push;
pub(crate) mod receiver;
pub(crate) mod review;

use proto::registry::v1 as registry;
use proto::types::v1 as types;

use crate::answer::{Ruling, Verdict};
use crate::finding::{Check, CheckResult, Platform, Reason};
use crate::peers::ApprovedTag;
use crate::review::Scope;

impl From<types::Platform> for Platform {
    fn from(platform: types::Platform) -> Self {
        let types::Platform { os, architecture, variant, digest, size_bytes } = platform;
        Self { os, architecture, variant, digest, size_bytes }
    }
}

impl From<Platform> for types::Platform {
    fn from(platform: Platform) -> Self {
        let Platform { os, architecture, variant, digest, size_bytes } = platform;
        Self { os, architecture, variant, digest, size_bytes }
    }
}

impl From<types::Reason> for Reason {
    fn from(reason: types::Reason) -> Self {
        Self { code: reason.code, message: reason.message }
    }
}

impl From<Reason> for types::Reason {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code, message: reason.message }
    }
}

impl From<types::Check> for Check {
    fn from(check: types::Check) -> Self {
        use types::check::Result;
        let result = match check.result() {
            Result::Pass => CheckResult::Pass,
            Result::Fail => CheckResult::Fail,
            Result::Waiting => CheckResult::Waiting,
            Result::Skipped | Result::Unspecified => CheckResult::Skipped,
        };
        Self { name: check.name, result, detail: check.detail }
    }
}

impl From<Check> for types::Check {
    fn from(check: Check) -> Self {
        use types::check::Result;
        let result = match check.result {
            CheckResult::Pass => Result::Pass,
            CheckResult::Fail => Result::Fail,
            CheckResult::Skipped => Result::Skipped,
            CheckResult::Waiting => Result::Waiting,
        };
        Self { name: check.name, result: result.into(), detail: check.detail }
    }
}

impl From<registry::Verdict> for Verdict {
    fn from(verdict: registry::Verdict) -> Self {
        use registry::verdict::{Decision, ReviewScope};
        let scope = match verdict.review_scope() {
            ReviewScope::Tag => Scope::Tag,
            ReviewScope::Image | ReviewScope::Unspecified => Scope::Image,
        };
        let ruling = match verdict.decision() {
            Decision::Allow => Ruling::Allow,
            Decision::Hold => Ruling::Hold(scope),
            // What is not understood may not run.
            Decision::Deny | Decision::Unspecified => Ruling::Deny,
        };
        Self {
            ruling,
            reasons: verdict.reasons.into_iter().map(Into::into).collect(),
            checks: verdict.checks.into_iter().map(Into::into).collect(),
            internal: verdict.internal,
            tag_added: verdict.tag_added,
        }
    }
}

impl From<ApprovedTag> for registry::TagToAdd {
    fn from(tag: ApprovedTag) -> Self {
        let platforms = tag.platforms.into_iter().map(Into::into).collect();
        Self { tag: tag.tag, digest: tag.digest, platforms }
    }
}
