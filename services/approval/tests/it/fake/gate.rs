//! The rules of the gate as the documents give them.

use imageref::{Digest, Reference, Tag};
use proto::reason;
use proto::registry::v1 as pb;
use proto::registry::v1::verdict::{Decision, ReviewScope};
use proto::types::v1 as types;

use super::registry::{Image, State, UnknownTag};

pub(super) fn verdict(state: &mut State, reference: &Reference, record: bool) -> pb::Verdict {
    let repository = reference.repository();
    let rule = state.unknown_tag;
    let allow = |code| (Decision::Allow, ReviewScope::Unspecified, code);
    let internal = repository.path().starts_with("iotistic/");
    let (decision, scope, code) = match state.images.get_mut(repository.as_str()) {
        _ if internal => allow(reason::INTERNAL_NAMESPACE),
        None => (Decision::Hold, ReviewScope::Image, reason::IMAGE_NOT_APPROVED),
        Some(image) => match image.status {
            pb::ApprovalStatus::Pending | pb::ApprovalStatus::Unspecified => {
                (Decision::Hold, ReviewScope::Image, reason::IMAGE_PENDING)
            }
            pb::ApprovalStatus::Rejected => {
                (Decision::Deny, ReviewScope::Unspecified, reason::IMAGE_REJECTED)
            }
            pb::ApprovalStatus::Approved => version(image, rule, reference, record),
        },
    };
    pb::Verdict {
        decision: decision.into(),
        reasons: vec![types::Reason { code: code.to_owned(), message: format!("gate: {code}") }],
        reference: reference.to_string(),
        familiar_repository: repository.familiar().to_owned(),
        internal,
        tag_added: code == reason::TAG_ADDED,
        review_scope: scope.into(),
        checks: vec![types::Check {
            name: "image approved".to_owned(),
            result: types::check::Result::Pass.into(),
            detail: "as the test says".to_owned(),
        }],
        ..Default::default()
    }
}

/// The verdict on a version of an approved image.
fn version(
    image: &mut Image,
    rule: UnknownTag,
    reference: &Reference,
    record: bool,
) -> (Decision, ReviewScope, &'static str) {
    let Some(tag) = reference.tag().map(Tag::as_str) else {
        assert!(reference.digest().map(Digest::as_str).is_some(), "a version");
        return (Decision::Hold, ReviewScope::Tag, reason::DIGEST_NOT_LISTED);
    };
    match (image.tags.get(tag), rule) {
        (Some(true), _) => (Decision::Deny, ReviewScope::Unspecified, reason::TAG_DEPRECATED),
        (Some(false), _) => (Decision::Allow, ReviewScope::Unspecified, reason::IMAGE_APPROVED),
        (None, UnknownTag::AutoAdd) => {
            if record {
                image.tags.insert(tag.to_owned(), false);
            }
            (Decision::Allow, ReviewScope::Unspecified, reason::TAG_ADDED)
        }
        (None, UnknownTag::Request) => (Decision::Hold, ReviewScope::Tag, reason::TAG_NOT_APPROVED),
        (None, UnknownTag::Deny) => {
            (Decision::Deny, ReviewScope::Unspecified, reason::TAG_NOT_LISTED)
        }
    }
}
