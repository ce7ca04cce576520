//! The verdict on a reference. Pure: what is known goes in, what to do comes out.
//!
//! [`RULES`] are asked in order and the first one that decides ends the questions. A rule that does
//! not apply, or that nobody asked any more, is told as skipped, so that the checks always name all
//! of them.

use imageref::{Digest, Reference};
use proto::reason;

use crate::gate::Gate;
use crate::image::{ApprovalStatus, Image, UnknownTag};
use crate::tag::{NewTag, Platform, Tag};

/// What a verdict is asked about, and what is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub gate: &'a Gate,
    /// With a tag, a digest, or both.
    pub reference: &'a Reference,
    /// What the tag resolved to; `None` = it was not resolved.
    pub resolved: Option<&'a Digest>,
    pub image: Option<&'a Image>,
    /// The tag that the reference names.
    pub tag: Option<&'a Tag>,
    /// Which of the image's tags hold the digest that the reference names.
    pub listing: Listing,
}

/// Which tags of an image hold a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    /// None.
    Unlisted,
    /// At least one that may be used.
    Listed,
    /// Deprecated ones only.
    Deprecated,
}

/// What to do with a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub ruling: Ruling,
    /// Why; the first one decided.
    pub reasons: Vec<Reason>,
    /// Whether nothing was checked.
    pub internal: bool,
    /// Whether the tag is unknown and is added.
    pub adds_tag: bool,
    /// Every rule, in the order it was asked.
    pub checks: Vec<Check>,
}

/// The decision of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It may run.
    Allow,
    /// A person must decide first, about this.
    Hold(ReviewScope),
    /// It may not run.
    Deny,
}

/// What a person has to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReviewScope {
    /// Whether the image may run at all.
    Image,
    /// Whether this tag, or this digest, may run.
    Tag,
}

/// Why something is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub code: &'static str,
    pub message: String,
}

/// One rule and how it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub name: &'static str,
    pub result: CheckResult,
    pub detail: String,
}

/// How a rule came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckResult {
    Pass,
    Fail,
    Skipped,
    Waiting,
}

/// What a verdict leaves to write.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Nothing.
    Nothing,
    /// The tag is added.
    AddTag(Box<NewTag>),
    /// The tag, as it was, has another digest or other platforms now.
    PinTag(Box<Tag>, Box<Tag>),
}

type Rule = fn(&Question<'_>) -> Finding;

/// The rules, in the order in which they are asked.
const RULES: [(&str, Rule); 6] = [
    ("internal namespace", internal_namespace),
    ("image known", image_known),
    ("image approved", image_approved),
    ("tag not deprecated", tag_not_deprecated),
    ("tag listed", tag_listed),
    ("digest listed", digest_listed),
];

/// What a rule found.
enum Finding {
    DoesNotApply(String),
    Holds(String),
    /// It ends the questions.
    Decides {
        ruling: Ruling,
        result: CheckResult,
        reasons: Vec<Reason>,
    },
}

/// Decides whether a reference may run.
pub(crate) fn decide(question: &Question<'_>) -> Verdict {
    let mut checks = Vec::with_capacity(RULES.len());
    let mut decided = None;
    for (name, rule) in RULES {
        if decided.is_some() {
            let detail = "an earlier rule decided".to_owned();
            checks.push(Check { name, result: CheckResult::Skipped, detail });
            continue;
        }
        let (result, detail) = match rule(question) {
            Finding::DoesNotApply(detail) => (CheckResult::Skipped, detail),
            Finding::Holds(detail) => (CheckResult::Pass, detail),
            Finding::Decides { ruling, result, reasons } => {
                let detail = reasons.first().map(|reason| reason.message.clone());
                decided = Some((ruling, reasons));
                (result, detail.unwrap_or_default())
            }
        };
        checks.push(Check { name, result, detail });
    }
    let internal = question.gate.internal(question.reference.repository()).is_some();
    let adds_tag =
        decided.is_none() && question.tag.is_none() && question.reference.tag().is_some();
    let (ruling, reasons) =
        decided.unwrap_or_else(|| (Ruling::Allow, vec![admitted(question, adds_tag)]));
    Verdict { ruling, reasons, internal, adds_tag, checks }
}

impl Verdict {
    /// What is to be written, when the caller wants it recorded.
    pub(crate) fn effect(&self, question: &Question<'_>, platforms: &[Platform]) -> Effect {
        if self.ruling != Ruling::Allow || self.internal {
            return Effect::Nothing;
        }
        if self.adds_tag
            && let Some(name) = question.reference.tag()
        {
            let (digest, platforms) = (question.resolved.cloned(), platforms.to_vec());
            let named = NewTag::named(name.clone(), digest, platforms);
            return Effect::AddTag(Box::new(NewTag { is_auto_added: true, ..named }));
        }
        let (Some(tag), Some(digest)) = (question.tag, question.resolved) else {
            return Effect::Nothing;
        };
        if question.reference.digest().is_some_and(|named| named != digest) {
            // Who names a digest asks about that one, not about where the tag has gone since.
            return Effect::Nothing;
        }
        match tag.pinned(digest, platforms, tag.updated_at) {
            Some(after) => Effect::PinTag(Box::new(tag.clone()), Box::new(after)),
            None => Effect::Nothing,
        }
    }

    /// Whether it is about a tag of an approved image, so that another tag may be named instead.
    pub(crate) fn refuses_version(&self) -> bool {
        match self.ruling {
            Ruling::Allow | Ruling::Hold(ReviewScope::Image) => false,
            Ruling::Hold(ReviewScope::Tag) => true,
            Ruling::Deny => self.reasons.iter().all(|reason| reason.code != reason::IMAGE_REJECTED),
        }
    }
}

fn internal_namespace(question: &Question<'_>) -> Finding {
    match question.gate.internal(question.reference.repository()) {
        Some(namespace) => Finding::Decides {
            ruling: Ruling::Allow,
            result: CheckResult::Pass,
            reasons: vec![Reason {
                code: reason::INTERNAL_NAMESPACE,
                message: format!("`{namespace}` is an internal namespace: nothing is checked"),
            }],
        },
        None => Finding::DoesNotApply("it is of no internal namespace".to_owned()),
    }
}

fn image_known(question: &Question<'_>) -> Finding {
    if question.image.is_some() {
        return Finding::Holds("the image is in the registry".to_owned());
    }
    let name = familiar(question);
    Finding::Decides {
        ruling: Ruling::Hold(ReviewScope::Image),
        result: CheckResult::Fail,
        reasons: vec![Reason {
            code: reason::IMAGE_NOT_APPROVED,
            message: format!("Image '{name}' is not in the approved registry"),
        }],
    }
}

fn image_approved(question: &Question<'_>) -> Finding {
    let Some(image) = question.image else {
        return Finding::DoesNotApply("the image is not known".to_owned());
    };
    let must_be_approved =
        |code| Reason { code, message: "This image must be approved before deployment".to_owned() };
    match image.approval_status {
        ApprovalStatus::Approved => {
            let by = image.approved_by.as_deref().unwrap_or("somebody");
            Finding::Holds(format!("the image was approved by `{by}`"))
        }
        ApprovalStatus::Pending => Finding::Decides {
            ruling: Ruling::Hold(ReviewScope::Image),
            result: CheckResult::Waiting,
            reasons: vec![must_be_approved(reason::IMAGE_PENDING)],
        },
        ApprovalStatus::Rejected => {
            let mut reasons = vec![must_be_approved(reason::IMAGE_REJECTED)];
            if !image.rejection_reason.is_empty() {
                reasons.push(Reason {
                    code: reason::IMAGE_REJECTED,
                    message: image.rejection_reason.clone(),
                });
            }
            Finding::Decides { ruling: Ruling::Deny, result: CheckResult::Fail, reasons }
        }
    }
}

fn tag_not_deprecated(question: &Question<'_>) -> Finding {
    match question.tag {
        Some(tag) if tag.is_deprecated => deprecated(question, &tag.tag),
        Some(tag) => Finding::Holds(format!("tag `{}` is not deprecated", tag.tag)),
        None => Finding::DoesNotApply("no known tag is named".to_owned()),
    }
}

fn tag_listed(question: &Question<'_>) -> Finding {
    let Some(name) = question.reference.tag() else {
        return Finding::DoesNotApply("no tag is named".to_owned());
    };
    if question.tag.is_some() {
        return Finding::Holds(format!("tag `{name}` is listed"));
    }
    let message = "This tag is not in the approved tags list";
    match unknown_tag(question) {
        UnknownTag::AutoAdd => Finding::Holds(format!("tag `{name}` is unknown and is added")),
        UnknownTag::Request => hold_tag(reason::TAG_NOT_APPROVED, message),
        UnknownTag::Deny => deny(reason::TAG_NOT_LISTED, message),
    }
}

fn digest_listed(question: &Question<'_>) -> Finding {
    let Some(digest) = question.reference.digest() else {
        return Finding::DoesNotApply("no digest is named".to_owned());
    };
    if question.tag.is_some_and(|tag| tag.holds(digest)) {
        return Finding::Holds("the digest is the tag's".to_owned());
    }
    match question.listing {
        Listing::Listed => return Finding::Holds("the digest is a listed tag's".to_owned()),
        Listing::Deprecated => return deprecated(question, digest.as_str()),
        Listing::Unlisted => {}
    }
    if question.reference.tag().is_some() && question.resolved == Some(digest) {
        return Finding::Holds("the registry says that the tag has the digest".to_owned());
    }
    let name = familiar(question);
    let message = format!("Digest '{digest}' belongs to no approved tag of image '{name}'");
    match unknown_tag(question) {
        // A digest is no name, so there is nothing to add.
        UnknownTag::AutoAdd | UnknownTag::Request => hold_tag(reason::DIGEST_NOT_LISTED, message),
        UnknownTag::Deny => deny(reason::DIGEST_NOT_LISTED, message),
    }
}

fn admitted(question: &Question<'_>, adds_tag: bool) -> Reason {
    let image = familiar(question);
    match question.reference.tag() {
        Some(tag) if adds_tag => Reason {
            code: reason::TAG_ADDED,
            message: format!("Tag '{tag}' is new and is added to image '{image}'"),
        },
        Some(_) | None => {
            Reason { code: reason::IMAGE_APPROVED, message: format!("Image '{image}' is approved") }
        }
    }
}

fn deprecated(question: &Question<'_>, version: &str) -> Finding {
    let image = familiar(question);
    let noun = if question.reference.tag().is_some_and(|tag| tag.as_str() == version) {
        "Tag"
    } else {
        "Digest"
    };
    deny(
        reason::TAG_DEPRECATED,
        format!("{noun} '{version}' for image '{image}' is marked as deprecated"),
    )
}

fn hold_tag(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::Decides {
        ruling: Ruling::Hold(ReviewScope::Tag),
        result: CheckResult::Fail,
        reasons: vec![Reason { code, message: message.into() }],
    }
}

fn deny(code: &'static str, message: impl Into<String>) -> Finding {
    Finding::Decides {
        ruling: Ruling::Deny,
        result: CheckResult::Fail,
        reasons: vec![Reason { code, message: message.into() }],
    }
}

/// What the image does with unknown tags, or else the gate.
fn unknown_tag(question: &Question<'_>) -> UnknownTag {
    question.image.and_then(|image| image.unknown_tag).unwrap_or(question.gate.unknown_tag)
}

fn familiar<'a>(question: &Question<'a>) -> &'a str {
    question.reference.repository().familiar()
}

#[cfg(test)]
mod tests;
