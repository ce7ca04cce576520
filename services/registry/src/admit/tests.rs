//! Each row of the source documents' outcome tables.

mod properties;

use chrono::DateTime;
use imageref::{Namespace, Reference};
use proto::reason;

use super::*;
use crate::gate::VerifyUpstream;
use crate::image::ImageId;
use crate::tag::{ScanStatus, TagId};

const ONE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn gate(unknown_tag: UnknownTag) -> Gate {
    Gate {
        unknown_tag,
        verify_upstream: VerifyUpstream::Warn,
        internal_namespaces: vec![
            Namespace::new("docker.io", "iotistic").unwrap(),
            Namespace::new("ghcr.io", "dsamborschi").unwrap(),
        ],
        updated_at: DateTime::UNIX_EPOCH,
        version: 1,
    }
}

fn image(approval_status: ApprovalStatus) -> Image {
    Image {
        id: ImageId(1),
        repository: "docker.io/library/redis".to_owned(),
        registry: "docker.io".to_owned(),
        namespace: "library".to_owned(),
        image_name: "redis".to_owned(),
        description: String::new(),
        category: String::new(),
        is_official: true,
        approval_status,
        approved_by: None,
        approved_at: None,
        rejection_reason: String::new(),
        unknown_tag: None,
        verified: false,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
        version: 1,
        tag_count: 1,
    }
}

fn tag(name: &str, is_deprecated: bool, digest: Option<&str>) -> Tag {
    Tag {
        id: TagId(1),
        image_id: ImageId(1),
        tag: name.to_owned(),
        digest: digest.map(str::to_owned),
        size_bytes: None,
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        pushed_at: None,
        is_recommended: false,
        is_deprecated,
        security_scan_status: ScanStatus::Unscanned,
        vulnerabilities_count: 0,
        platforms: Vec::new(),
        verified: false,
        is_auto_added: false,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
        version: 1,
    }
}

/// A question with everything in it, to be changed by each test.
#[derive(Debug)]
struct Case {
    gate: Gate,
    reference: Reference,
    resolved: Option<Digest>,
    image: Option<Image>,
    tag: Option<Tag>,
    listing: Listing,
}

impl Case {
    fn of(reference: &str) -> Self {
        Self {
            gate: gate(UnknownTag::AutoAdd),
            reference: Reference::parse(reference).unwrap(),
            resolved: None,
            image: Some(image(ApprovalStatus::Approved)),
            tag: None,
            listing: Listing::Unlisted,
        }
    }

    fn image(mut self, image: Option<Image>) -> Self {
        self.image = image;
        self
    }

    fn tag(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
        self
    }

    fn unknown_tag(mut self, unknown_tag: UnknownTag) -> Self {
        self.gate.unknown_tag = unknown_tag;
        self
    }

    fn listing(mut self, listing: Listing) -> Self {
        self.listing = listing;
        self
    }

    fn resolved(mut self, digest: &str) -> Self {
        self.resolved = Some(Digest::parse(digest).unwrap());
        self
    }

    fn question(&self) -> Question<'_> {
        Question {
            gate: &self.gate,
            reference: &self.reference,
            resolved: self.resolved.as_ref(),
            image: self.image.as_ref(),
            tag: self.tag.as_ref(),
            listing: self.listing,
        }
    }

    fn verdict(&self) -> Verdict {
        decide(&self.question())
    }

    fn effect(&self) -> Effect {
        self.verdict().effect(&self.question(), &[])
    }
}

/// The ruling, the first reason's code, and its message.
fn outcome(case: &Case) -> (Ruling, &'static str, String) {
    let verdict = case.verdict();
    (verdict.ruling, verdict.reasons[0].code, verdict.reasons[0].message.clone())
}

#[test]
fn an_internal_image_is_admitted_unchecked() {
    for reference in ["iotistic/agent:v2.1.0", "ghcr.io/dsamborschi/tools/probe:1"] {
        let case = Case::of(reference).image(None);
        let verdict = case.verdict();
        assert_eq!((verdict.ruling, verdict.internal), (Ruling::Allow, true), "{reference}");
        assert_eq!(verdict.reasons[0].code, reason::INTERNAL_NAMESPACE);
        assert!(verdict.checks[1..].iter().all(|check| check.result == CheckResult::Skipped));
        assert!(matches!(case.effect(), Effect::Nothing));
    }
}

#[test]
fn a_name_that_only_begins_like_an_internal_one_is_checked() {
    for reference in [
        "iotistic-evil/agent:1",
        "ghcr.io/iotistic/agent:1",
        "evil.io/iotistic/agent:1",
        "iotistic:1",
    ] {
        let case = Case::of(reference).image(None);
        assert_eq!(outcome(&case).1, reason::IMAGE_NOT_APPROVED, "{reference}");
    }
}

#[test]
fn an_image_that_is_not_in_the_registry_is_held_for_a_review() {
    let case = Case::of("portainer/portainer-ce:latest").image(None);
    assert_eq!(
        outcome(&case),
        (
            Ruling::Hold(ReviewScope::Image),
            reason::IMAGE_NOT_APPROVED,
            "Image 'portainer/portainer-ce' is not in the approved registry".to_owned(),
        )
    );
    assert!(!case.verdict().refuses_version());
}

#[test]
fn a_pending_image_is_held() {
    let case = Case::of("redis:7").image(Some(image(ApprovalStatus::Pending)));
    assert_eq!(
        outcome(&case),
        (
            Ruling::Hold(ReviewScope::Image),
            reason::IMAGE_PENDING,
            "This image must be approved before deployment".to_owned(),
        )
    );
    assert_eq!(case.verdict().checks[2].result, CheckResult::Waiting);
}

#[test]
fn a_rejected_image_is_denied_with_the_reason_that_was_given() {
    let mut rejected = image(ApprovalStatus::Rejected);
    rejected.rejection_reason = "use valkey".to_owned();
    let case = Case::of("redis:7").image(Some(rejected));
    assert_eq!(
        outcome(&case),
        (
            Ruling::Deny,
            reason::IMAGE_REJECTED,
            "This image must be approved before deployment".to_owned(),
        )
    );
    let verdict = case.verdict();
    assert_eq!(verdict.reasons[1].message, "use valkey");
    assert!(!verdict.refuses_version());
}

#[test]
fn a_new_tag_of_an_approved_image_is_added() {
    let case = Case::of("redis:7.6-alpine").resolved(ONE);
    let verdict = case.verdict();
    assert_eq!((verdict.ruling, verdict.adds_tag), (Ruling::Allow, true));
    assert_eq!(verdict.reasons[0].code, reason::TAG_ADDED);
    let Effect::AddTag(new) = case.effect() else { panic!("the tag is added") };
    assert_eq!((new.tag.as_str(), new.is_recommended), ("7.6-alpine", false));
    assert_eq!(new.digest.map(|digest| digest.to_string()).as_deref(), Some(ONE));
}

#[test]
fn a_new_tag_is_held_or_denied_when_the_gate_says_so() {
    let message = "This tag is not in the approved tags list".to_owned();
    let held = Case::of("redis:7.6-alpine").unknown_tag(UnknownTag::Request);
    assert_eq!(
        outcome(&held),
        (Ruling::Hold(ReviewScope::Tag), reason::TAG_NOT_APPROVED, message.clone())
    );
    let denied = Case::of("redis:7.6-alpine").unknown_tag(UnknownTag::Deny);
    assert_eq!(outcome(&denied), (Ruling::Deny, reason::TAG_NOT_LISTED, message));
    assert!(denied.verdict().refuses_version());
    assert!(matches!(denied.effect(), Effect::Nothing));
}

#[test]
fn what_the_image_says_of_unknown_tags_counts_before_the_gate() {
    let mut strict = image(ApprovalStatus::Approved);
    strict.unknown_tag = Some(UnknownTag::Deny);
    let case = Case::of("redis:7.6-alpine").image(Some(strict));
    assert_eq!(outcome(&case).1, reason::TAG_NOT_LISTED);
}

#[test]
fn a_deprecated_tag_is_denied() {
    let case = Case::of("redis:6-alpine").tag(tag("6-alpine", true, None));
    assert_eq!(
        outcome(&case),
        (
            Ruling::Deny,
            reason::TAG_DEPRECATED,
            "Tag '6-alpine' for image 'redis' is marked as deprecated".to_owned(),
        )
    );
    assert!(case.verdict().refuses_version());
}

#[test]
fn a_listed_tag_of_an_approved_image_is_admitted() {
    let case = Case::of("redis:7.5-alpine").tag(tag("7.5-alpine", false, Some(ONE)));
    let verdict = case.verdict();
    assert_eq!((verdict.ruling, verdict.adds_tag), (Ruling::Allow, false));
    assert_eq!(verdict.reasons[0].code, reason::IMAGE_APPROVED);
    assert_eq!(verdict.checks.len(), RULES.len());
}

#[test]
fn a_digest_must_be_a_listed_tags() {
    let bare = format!("redis@{ONE}");
    let listed = Case::of(&bare).listing(Listing::Listed);
    assert_eq!(listed.verdict().ruling, Ruling::Allow);
    let deprecated = Case::of(&bare).listing(Listing::Deprecated);
    assert_eq!(outcome(&deprecated).1, reason::TAG_DEPRECATED);
    for unknown_tag in [UnknownTag::AutoAdd, UnknownTag::Request] {
        let held = Case::of(&bare).unknown_tag(unknown_tag);
        let ruling = Ruling::Hold(ReviewScope::Tag);
        assert_eq!((outcome(&held).0, outcome(&held).1), (ruling, reason::DIGEST_NOT_LISTED));
    }
    let denied = Case::of(&bare).unknown_tag(UnknownTag::Deny);
    assert_eq!((outcome(&denied).0, outcome(&denied).1), (Ruling::Deny, reason::DIGEST_NOT_LISTED));
}

#[test]
fn a_tag_does_not_vouch_for_a_digest_beside_it() {
    let both = format!("redis:7@{ONE}");
    let known = || tag("7", false, Some(TWO));
    assert_eq!(outcome(&Case::of(&both).tag(known())).1, reason::DIGEST_NOT_LISTED);
    let own = Case::of(&both).tag(tag("7", false, Some(ONE)));
    assert_eq!(own.verdict().ruling, Ruling::Allow);
    let resolved = Case::of(&both).tag(known()).resolved(ONE);
    assert_eq!(resolved.verdict().ruling, Ruling::Allow);
    let moved_on = Case::of(&both).tag(known()).resolved(TWO);
    assert_eq!(outcome(&moved_on).1, reason::DIGEST_NOT_LISTED);
    let deprecated = Case::of(&both).tag(known()).resolved(ONE).listing(Listing::Deprecated);
    assert_eq!(outcome(&deprecated).1, reason::TAG_DEPRECATED);
    let unknown = Case::of(&both);
    assert!(!unknown.verdict().adds_tag, "what is held adds nothing");
}

#[test]
fn the_digest_of_a_platform_is_its_tags() {
    let mut known = tag("7", false, Some(TWO));
    known.platforms.push(Platform {
        os: "linux".to_owned(),
        architecture: "arm64".to_owned(),
        variant: String::new(),
        digest: ONE.to_owned(),
        size_bytes: 0,
    });
    let case = Case::of(&format!("redis:7@{ONE}")).tag(known);
    assert_eq!(case.verdict().ruling, Ruling::Allow);
}

#[test]
fn a_digest_is_recorded_once() {
    let moved = Case::of("redis:7").tag(tag("7", false, Some(TWO))).resolved(ONE);
    let Effect::PinTag(_, after) = moved.effect() else { panic!("the digest is new") };
    assert_eq!(after.digest.as_deref(), Some(ONE));
    let same = Case::of("redis:7").tag(tag("7", false, Some(ONE))).resolved(ONE);
    assert!(matches!(same.effect(), Effect::Nothing));
    let unresolved = Case::of("redis:7").tag(tag("7", false, Some(ONE)));
    assert!(matches!(unresolved.effect(), Effect::Nothing));
    let pinned = Case::of(&format!("redis:7@{ONE}")).tag(tag("7", false, Some(ONE))).resolved(TWO);
    assert!(matches!(pinned.effect(), Effect::Nothing), "who names a digest records no other one");
    let denied = Case::of("redis:7").tag(tag("7", true, Some(TWO))).resolved(ONE);
    assert!(matches!(denied.effect(), Effect::Nothing));
}
