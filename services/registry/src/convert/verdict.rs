//! Verdicts on the wire.

use imageref::{Digest, Reference};
use proto::registry::v1 as pb;
use proto::registry::v1::verdict as pb_verdict;
use proto::types::v1 as types;

use super::{digest, platforms, reference};
use crate::Error;
use crate::admit::{Check, CheckResult, Question, ReviewScope, Ruling, Verdict};
use crate::store::admission::Known;
use crate::tag::Platform;

/// A request for a verdict.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub reference: Reference,
    pub resolved: Option<Digest>,
    pub platforms: Vec<Platform>,
    pub record: bool,
}

/// A verdict with what it was about.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub known: Known,
    pub verdict: Verdict,
    /// The approved tag nearest to the one refused; empty = none.
    pub nearest_approved: String,
}

impl TryFrom<pb::AdmitReferenceRequest> for Asked {
    type Error = Error;

    fn try_from(request: pb::AdmitReferenceRequest) -> Result<Self, Error> {
        Ok(Self {
            reference: reference("reference", &request.reference)?,
            resolved: digest("digest", &request.digest)?,
            platforms: platforms("platforms", request.platforms)?,
            record: request.record,
        })
    }
}

impl Asked {
    /// The question, with what is known.
    pub(crate) fn question<'a>(&'a self, known: &'a Known) -> Question<'a> {
        Question {
            gate: &known.gate,
            reference: &self.reference,
            resolved: self.resolved.as_ref(),
            image: known.image.as_ref(),
            tag: known.tag.as_ref(),
            listing: known.listing,
        }
    }

    /// The verdict as it is told.
    pub(crate) fn told(&self, answer: Answer) -> pb::Verdict {
        let Answer { known, verdict, nearest_approved } = answer;
        let (decision, review_scope) = match verdict.ruling {
            Ruling::Allow => (pb_verdict::Decision::Allow, pb_verdict::ReviewScope::Unspecified),
            Ruling::Hold(ReviewScope::Image) => {
                (pb_verdict::Decision::Hold, pb_verdict::ReviewScope::Image)
            }
            Ruling::Hold(ReviewScope::Tag) => {
                (pb_verdict::Decision::Hold, pb_verdict::ReviewScope::Tag)
            }
            Ruling::Deny => (pb_verdict::Decision::Deny, pb_verdict::ReviewScope::Unspecified),
        };
        let reasons = verdict.reasons.into_iter();
        pb::Verdict {
            decision: decision.into(),
            reasons: reasons
                .map(|reason| types::Reason {
                    code: reason.code.to_owned(),
                    message: reason.message,
                })
                .collect(),
            reference: self.reference.to_string(),
            familiar_repository: self.reference.repository().familiar().to_owned(),
            internal: verdict.internal,
            image: known.image.map(pb::Image::from),
            tag: known.tag.map(pb::Tag::from),
            tag_added: verdict.adds_tag,
            review_scope: review_scope.into(),
            checks: verdict.checks.into_iter().map(types::Check::from).collect(),
            nearest_approved,
        }
    }
}

impl From<Check> for types::Check {
    fn from(check: Check) -> Self {
        let result = match check.result {
            CheckResult::Pass => types::check::Result::Pass,
            CheckResult::Fail => types::check::Result::Fail,
            CheckResult::Skipped => types::check::Result::Skipped,
            CheckResult::Waiting => types::check::Result::Waiting,
        };
        Self { name: check.name.to_owned(), result: result.into(), detail: check.detail }
    }
}
