//! Verdicts over the wire: the outcome table of document 2, and what they leave behind.

use proto::reason;
use proto::registry::v1 as pb;
use proto::registry::v1::verdict::{Decision, ReviewScope};
use proto::types::v1::Platform;
use runtime::Code;

use crate::harness::{Registry, Who, mask, refused, tag};

const ONE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn push(reference: &str, digest: &str) -> pb::AdmitReferenceRequest {
    pb::AdmitReferenceRequest {
        reference: reference.to_owned(),
        digest: digest.to_owned(),
        platforms: Vec::new(),
        record: true,
    }
}

fn arm64(digest: &str) -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: "arm64".to_owned(),
        digest: digest.to_owned(),
        ..Default::default()
    }
}

async fn admit(registry: &Registry, request: pb::AdmitReferenceRequest) -> pb::Verdict {
    registry.images(Who::Approval).admit_reference(request).await.unwrap().into_inner()
}

async fn set_unknown_tag(registry: &Registry, unknown_tag: pb::UnknownTag) {
    let settings = pb::GateSettings { unknown_tag: unknown_tag.into(), ..Default::default() };
    registry.set_gate(settings, &["unknown_tag"]).await;
}

async fn deprecate(registry: &Registry, id: i64) {
    let tag = pb::Tag { image_id: 1, id, is_deprecated: true, ..Default::default() };
    let request =
        pb::UpdateTagRequest { tag: Some(tag), update_mask: Some(mask(&["is_deprecated"])) };
    registry.images(Who::Admin).update_tag(request).await.unwrap();
}

#[tokio::test]
async fn internal_image() {
    let registry = Registry::start().await;
    let verdict = admit(&registry, push("iotistic/agent:v2.1.0", ONE)).await;
    assert_eq!((verdict.decision(), verdict.internal), (Decision::Allow, true));
    assert_eq!(verdict.reference, "docker.io/iotistic/agent:v2.1.0");
    assert_eq!((verdict.image, verdict.tag), (None, None));
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn image_not_in_registry() {
    let registry = Registry::start().await;
    let verdict = admit(&registry, push("portainer/portainer-ce:latest", ONE)).await;
    assert_eq!(verdict.decision(), Decision::Hold);
    assert_eq!(verdict.review_scope(), ReviewScope::Image);
    assert_eq!(verdict.reasons[0].code, reason::IMAGE_NOT_APPROVED);
    assert_eq!(
        verdict.reasons[0].message,
        "Image 'portainer/portainer-ce' is not in the approved registry"
    );
    assert_eq!(verdict.familiar_repository, "portainer/portainer-ce");
    assert_eq!((verdict.image, verdict.nearest_approved.as_str()), (None, ""));
    assert!(registry.events().await.is_empty(), "nothing is written");
}

#[tokio::test]
async fn image_pending_or_rejected() {
    let registry = Registry::start().await;
    let request =
        pb::CreateImageRequest { repository: "memcached".to_owned(), ..Default::default() };
    registry.images(Who::Operator).create_image(request).await.unwrap();
    let verdict = admit(&registry, push("memcached:1.6", ONE)).await;
    assert_eq!((verdict.decision(), verdict.review_scope()), (Decision::Hold, ReviewScope::Image));
    assert_eq!(verdict.reasons[0].code, reason::IMAGE_PENDING);
    assert_eq!(verdict.reasons[0].message, "This image must be approved before deployment");

    let reject =
        pb::RejectImageRequest { id: 10, reason: "use redis".to_owned(), ..Default::default() };
    registry.images(Who::Approver).reject_image(reject).await.unwrap();
    let verdict = admit(&registry, push("memcached:1.6", ONE)).await;
    assert_eq!(
        (verdict.decision(), verdict.review_scope()),
        (Decision::Deny, ReviewScope::Unspecified)
    );
    assert_eq!(verdict.reasons[0].message, "This image must be approved before deployment");
    assert_eq!(verdict.reasons[1].message, "use redis");
    assert!(registry.tags(10).await.is_empty());
}

#[tokio::test]
async fn image_approved_and_tag_not_found() {
    let registry = Registry::start().await;
    let request =
        pb::AdmitReferenceRequest { platforms: vec![arm64(TWO)], ..push("redis:7.6-alpine", ONE) };
    let verdict = admit(&registry, request.clone()).await;
    assert_eq!((verdict.decision(), verdict.tag_added), (Decision::Allow, true));
    assert_eq!(verdict.reasons[0].code, reason::TAG_ADDED);
    let added = verdict.tag.unwrap();
    assert_eq!((added.id, added.tag.as_str(), added.digest.as_str()), (5, "7.6-alpine", ONE));
    assert_eq!((added.is_recommended, added.platforms.as_slice()), (false, &[arm64(TWO)][..]));
    assert_eq!(verdict.image.unwrap().tag_count, 5);
    let events = registry.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["type"], &events[0]["after"]["tag"]),
        (&"image.tag.added".into(), &"7.6-alpine".into())
    );

    let again = admit(&registry, request).await;
    assert_eq!((again.decision(), again.tag_added), (Decision::Allow, false));
    assert_eq!(again.tag, Some(added));
    assert_eq!(registry.events().await.len(), 1, "the same push twice changes nothing");
}

#[tokio::test]
async fn a_verdict_that_is_not_recorded_writes_nothing() {
    let registry = Registry::start().await;
    let only_asked =
        |reference: &str| pb::AdmitReferenceRequest { record: false, ..push(reference, ONE) };
    let verdict = admit(&registry, only_asked("redis:7.6-alpine")).await;
    assert_eq!((verdict.decision(), verdict.tag_added, verdict.tag), (Decision::Allow, true, None));
    let verdict = admit(&registry, only_asked("redis:7-alpine")).await;
    assert_eq!((verdict.decision(), verdict.tag.unwrap().digest), (Decision::Allow, String::new()));
    assert_eq!(registry.image(1).await.tag_count, 4);
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn image_approved_and_tag_deprecated() {
    let registry = Registry::start().await;
    let old = registry.create_tag(1, tag("6-alpine")).await;
    deprecate(&registry, old.id).await;
    let verdict = admit(&registry, push("redis:6-alpine", ONE)).await;
    assert_eq!(
        (verdict.decision(), verdict.review_scope()),
        (Decision::Deny, ReviewScope::Unspecified)
    );
    assert_eq!(verdict.reasons[0].code, reason::TAG_DEPRECATED);
    assert_eq!(
        verdict.reasons[0].message,
        "Tag '6-alpine' for image 'redis' is marked as deprecated"
    );
    assert_eq!(verdict.nearest_approved, "7-alpine", "the recommended one");
    assert_eq!(verdict.tag.unwrap().digest, "", "a denied digest is not recorded");
    deprecate(&registry, 1).await;
    let verdict = admit(&registry, push("redis:6-alpine", ONE)).await;
    assert_eq!(verdict.nearest_approved, "7.4-alpine", "the highest one left");
}

#[tokio::test]
async fn image_approved_and_tag_exists() {
    let registry = Registry::start().await;
    registry.create_tag(1, pb::Tag { digest: ONE.to_owned(), ..tag("7.5-alpine") }).await;
    let events = registry.events().await.len();
    let verdict = admit(&registry, push("redis:7.5-alpine", ONE)).await;
    assert_eq!((verdict.decision(), verdict.tag_added), (Decision::Allow, false));
    assert_eq!(verdict.reasons[0].code, reason::IMAGE_APPROVED);
    assert_eq!(registry.events().await.len(), events);
    let names: Vec<_> = verdict.checks.iter().map(|check| check.name.as_str()).collect();
    let expected = [
        "internal namespace",
        "image known",
        "image approved",
        "tag not deprecated",
        "tag listed",
        "digest listed",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn unknown_tags_are_held_or_denied_as_the_gate_or_the_image_says() {
    let registry = Registry::start().await;
    set_unknown_tag(&registry, pb::UnknownTag::Request).await;
    let verdict = admit(&registry, push("redis:7.6-alpine", ONE)).await;
    assert_eq!((verdict.decision(), verdict.review_scope()), (Decision::Hold, ReviewScope::Tag));
    assert_eq!(verdict.reasons[0].code, reason::TAG_NOT_APPROVED);
    assert_eq!(verdict.nearest_approved, "7-alpine");

    set_unknown_tag(&registry, pb::UnknownTag::Deny).await;
    let verdict = admit(&registry, push("redis:7.6-alpine", ONE)).await;
    assert_eq!(verdict.decision(), Decision::Deny);
    assert_eq!(verdict.reasons[0].code, reason::TAG_NOT_LISTED);
    assert_eq!(verdict.reasons[0].message, "This tag is not in the approved tags list");

    let image =
        pb::Image { id: 1, unknown_tag: pb::UnknownTag::AutoAdd.into(), ..Default::default() };
    let request =
        pb::UpdateImageRequest { image: Some(image), update_mask: Some(mask(&["unknown_tag"])) };
    registry.images(Who::Admin).update_image(request).await.unwrap();
    let verdict = admit(&registry, push("redis:7.6-alpine", ONE)).await;
    assert_eq!((verdict.decision(), verdict.tag_added), (Decision::Allow, true));
}

#[tokio::test]
async fn a_tags_new_digest_is_taken_and_told() {
    let registry = Registry::start().await;
    let first =
        pb::AdmitReferenceRequest { platforms: vec![arm64(TWO)], ..push("redis:7-alpine", ONE) };
    let verdict = admit(&registry, first).await;
    assert_eq!(verdict.tag.unwrap().platforms.len(), 1);
    let verdict = admit(&registry, push("redis:7-alpine", TWO)).await;
    let moved = verdict.tag.unwrap();
    assert_eq!(
        (moved.digest.as_str(), moved.platforms.len()),
        (TWO, 0),
        "nothing is left of the old one"
    );
    let events = registry.events().await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["type"], "image.tag.updated");
    assert_eq!(
        (&events[1]["before"]["digest"], &events[1]["after"]["digest"]),
        (&ONE.into(), &TWO.into())
    );
    let verdict = admit(&registry, push("redis:7-alpine", "")).await;
    assert_eq!(verdict.tag.unwrap().digest, TWO, "what was not resolved erases nothing");
}

#[tokio::test]
async fn a_scan_of_the_digest_before_is_stale() {
    let registry = Registry::start().await;
    admit(&registry, push("redis:7-alpine", ONE)).await;
    let scanned = pb::Tag {
        image_id: 1,
        id: 1,
        security_scan_status: pb::ScanStatus::Passed.into(),
        ..Default::default()
    };
    let paths = mask(&["security_scan_status"]);
    let request = pb::UpdateTagRequest { tag: Some(scanned), update_mask: Some(paths) };
    registry.images(Who::Admin).update_tag(request).await.unwrap();
    let verdict = admit(&registry, push("redis:7-alpine", TWO)).await;
    assert_eq!(verdict.tag.unwrap().security_scan_status(), pb::ScanStatus::Stale);
}

#[tokio::test]
async fn a_digest_without_a_tag_must_be_a_listed_one() {
    let registry = Registry::start().await;
    let bare = format!("redis@{ONE}");
    let verdict = admit(&registry, push(&bare, "")).await;
    assert_eq!((verdict.decision(), verdict.review_scope()), (Decision::Hold, ReviewScope::Tag));
    assert_eq!(verdict.reasons[0].code, reason::DIGEST_NOT_LISTED);
    assert_eq!(verdict.reference, format!("docker.io/library/redis@{ONE}"));

    let known =
        pb::AdmitReferenceRequest { platforms: vec![arm64(TWO)], ..push("redis:7-alpine", ONE) };
    admit(&registry, known).await;
    for digest in [ONE, TWO] {
        let verdict = admit(&registry, push(&format!("redis@{digest}"), "")).await;
        assert_eq!(verdict.decision(), Decision::Allow, "a tag's own digest, or its platform's");
    }
    let elsewhere = admit(&registry, push(&format!("postgres@{ONE}"), "")).await;
    assert_eq!(elsewhere.decision(), Decision::Hold, "another image's digest is none of this one");

    deprecate(&registry, 1).await;
    let verdict = admit(&registry, push(&bare, "")).await;
    assert_eq!(
        (verdict.decision(), verdict.reasons[0].code.as_str()),
        (Decision::Deny, reason::TAG_DEPRECATED)
    );
}

#[tokio::test]
async fn a_name_alone_is_the_latest_tag() {
    let registry = Registry::start().await;
    let verdict = admit(&registry, push("redis", "")).await;
    assert_eq!(
        (verdict.decision(), verdict.reference.as_str()),
        (Decision::Allow, "docker.io/library/redis:latest")
    );
    assert_eq!(verdict.tag.unwrap().id, 4);
}

#[tokio::test]
async fn an_approval_of_one_namespace_says_nothing_of_another() {
    let registry = Registry::start().await;
    for reference in
        ["evil/redis:7-alpine", "ghcr.io/library/redis:7-alpine", "ghcr.io/redis:7-alpine"]
    {
        let verdict = admit(&registry, push(reference, ONE)).await;
        assert_eq!(verdict.reasons[0].code, reason::IMAGE_NOT_APPROVED, "{reference}");
    }
}

#[tokio::test]
async fn what_is_no_reference_is_an_error_not_a_verdict() {
    let registry = Registry::start().await;
    for request in
        [push("", ""), push("Redis:7", ""), push("redis:7", "sha256:abc"), push("a b", "")]
    {
        let problem = refused(registry.images(Who::Approval).admit_reference(request).await);
        assert_eq!(
            (problem.code(), problem.reason()),
            (Code::InvalidArgument, reason::INVALID_REFERENCE)
        );
    }
}
