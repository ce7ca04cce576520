//! Tags.

use proto::reason;
use proto::registry::v1 as pb;
use runtime::Code;

use crate::harness::{Registry, Who, mask, refused, tag};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn update(tag: pb::Tag, paths: &[&str]) -> pb::UpdateTagRequest {
    pb::UpdateTagRequest { tag: Some(tag), update_mask: Some(mask(paths)) }
}

fn recommended(tags: &[pb::Tag]) -> Vec<&str> {
    tags.iter().filter(|tag| tag.is_recommended).map(|tag| tag.tag.as_str()).collect()
}

#[tokio::test]
async fn a_tag_is_added_with_the_defaults_of_the_document() {
    let registry = Registry::start().await;
    let added = registry.create_tag(1, tag("7.5-alpine")).await;
    assert_eq!((added.id, added.image_id, added.tag.as_str()), (5, 1, "7.5-alpine"));
    assert_eq!((added.architecture.as_str(), added.os.as_str()), ("amd64", "linux"));
    assert_eq!(added.security_scan_status(), pb::ScanStatus::Unscanned);
    assert!(!added.is_recommended && !added.is_deprecated);
    assert_eq!(registry.image(1).await.tag_count, 5);
    let event = registry.events().await.pop().unwrap();
    assert_eq!(event["type"], "image.tag.added");
    assert_eq!(event["resource"]["name"], "docker.io/library/redis:7.5-alpine");
    assert_eq!(event["after"]["repository"], "docker.io/library/redis");
}

#[tokio::test]
async fn a_tag_keeps_what_is_said_of_it() {
    let registry = Registry::start().await;
    let said = pb::Tag {
        digest: DIGEST.to_owned(),
        size_bytes: 45_000_000,
        architecture: "arm64".to_owned(),
        os: "linux".to_owned(),
        push_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        is_deprecated: true,
        ..tag("7.5-alpine")
    };
    let added = registry.create_tag(1, said.clone()).await;
    assert_eq!(
        (
            &added.digest,
            added.size_bytes,
            &added.architecture,
            added.push_time,
            added.is_deprecated
        ),
        (&said.digest, said.size_bytes, &said.architecture, said.push_time, said.is_deprecated)
    );
}

#[tokio::test]
async fn a_recommended_tag_takes_the_mark() {
    let registry = Registry::start().await;
    registry.create_tag(1, pb::Tag { is_recommended: true, ..tag("7.5-alpine") }).await;
    assert_eq!(recommended(&registry.tags(1).await), ["7.5-alpine"]);
    let events = registry.events().await;
    assert_eq!(events[0]["type"], "image.tag.updated");
    assert_eq!(
        (&events[0]["after"]["tag"], &events[0]["after"]["is_recommended"]),
        (&"7-alpine".into(), &false.into())
    );
    assert_eq!(events[1]["type"], "image.tag.added");

    let back = pb::Tag { image_id: 1, id: 2, is_recommended: true, ..Default::default() };
    registry.images(Who::Operator).update_tag(update(back, &["is_recommended"])).await.unwrap();
    assert_eq!(recommended(&registry.tags(1).await), ["7.2-alpine"]);

    let none = pb::Tag { image_id: 1, id: 2, ..Default::default() };
    registry.images(Who::Operator).update_tag(update(none, &["is_recommended"])).await.unwrap();
    assert!(recommended(&registry.tags(1).await).is_empty());
}

#[tokio::test]
async fn what_is_no_tag_is_refused() {
    let registry = Registry::start().await;
    for name in ["", "7 alpine", "-7", "a/b", "7:8", &"x".repeat(129)] {
        let request = pb::CreateTagRequest { image_id: 1, tag: Some(tag(name)) };
        let problem = refused(registry.images(Who::Admin).create_tag(request).await);
        assert_eq!(
            (problem.code(), problem.reason()),
            (Code::InvalidArgument, reason::INVALID_REFERENCE)
        );
        assert_eq!(problem.field_violations()[0].field, "tag.tag");
    }
    for (odd, field) in [
        (pb::Tag { digest: "sha256:abc".to_owned(), ..tag("x") }, "tag.digest"),
        (pb::Tag { size_bytes: -1, ..tag("x") }, "tag.size_bytes"),
        (pb::Tag { architecture: "amd 64".to_owned(), ..tag("x") }, "tag.architecture"),
        (pb::Tag { os: "l\0nux".to_owned(), ..tag("x") }, "tag.os"),
    ] {
        let request = pb::CreateTagRequest { image_id: 1, tag: Some(odd) };
        let problem = refused(registry.images(Who::Admin).create_tag(request).await);
        assert_eq!(problem.code(), Code::InvalidArgument);
        assert_eq!(problem.field_violations()[0].field, field);
    }
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn a_tag_of_no_image_or_twice_is_refused() {
    let registry = Registry::start().await;
    let request = pb::CreateTagRequest { image_id: 77, tag: Some(tag("x")) };
    let problem = refused(registry.images(Who::Admin).create_tag(request).await);
    assert_eq!(problem.reason(), reason::IMAGE_NOT_FOUND);
    let request = pb::CreateTagRequest { image_id: 1, tag: Some(tag("latest")) };
    let problem = refused(registry.images(Who::Admin).create_tag(request).await);
    assert_eq!((problem.code(), problem.reason()), (Code::AlreadyExists, reason::TAG_EXISTS));
    assert_eq!(problem.metadata()["tag_id"], "4");
    let request = pb::CreateTagRequest { image_id: 2, tag: Some(tag("latest")) };
    registry.images(Who::Admin).create_tag(request).await.expect("another image's tag");
}

#[tokio::test]
async fn only_the_fields_of_the_mask_change() {
    let registry = Registry::start().await;
    let before = registry.tags(1).await.remove(0);
    let new = pb::Tag {
        image_id: 1,
        id: 1,
        security_scan_status: pb::ScanStatus::Passed.into(),
        vulnerabilities_count: 3,
        is_deprecated: true,
        is_recommended: false,
        ..Default::default()
    };
    let paths = ["security_scan_status", "vulnerabilities_count", "is_deprecated"];
    let after =
        registry.images(Who::Operator).update_tag(update(new, &paths)).await.unwrap().into_inner();
    assert_eq!(
        after,
        pb::Tag {
            security_scan_status: pb::ScanStatus::Passed.into(),
            vulnerabilities_count: 3,
            is_deprecated: true,
            etag: after.etag.clone(),
            update_time: after.update_time,
            ..before.clone()
        }
    );
    assert_ne!(after.etag, before.etag);
    let event = registry.events().await.pop().unwrap();
    assert_eq!(
        (&event["type"], &event["actor"]["id"]),
        (&"image.tag.updated".into(), &"otto".into())
    );
    assert_eq!(event["before"]["security_scan_status"], "unscanned");
    assert_eq!(event["after"]["security_scan_status"], "passed");
}

#[tokio::test]
async fn every_field_of_the_mask_can_change_and_a_repeat_changes_nothing() {
    let registry = Registry::start().await;
    let new = pb::Tag {
        image_id: 1,
        id: 2,
        digest: DIGEST.to_owned(),
        size_bytes: 7,
        architecture: "arm64".to_owned(),
        os: "windows".to_owned(),
        push_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        is_recommended: true,
        is_deprecated: true,
        security_scan_status: pb::ScanStatus::Failed.into(),
        vulnerabilities_count: 9,
        ..Default::default()
    };
    let paths = [
        "digest",
        "size_bytes",
        "architecture",
        "os",
        "push_time",
        "is_recommended",
        "is_deprecated",
        "security_scan_status",
        "vulnerabilities_count",
    ];
    let once = registry
        .images(Who::Admin)
        .update_tag(update(new.clone(), &paths))
        .await
        .unwrap()
        .into_inner();
    let expected = pb::Tag {
        tag: "7.2-alpine".to_owned(),
        create_time: once.create_time,
        update_time: once.update_time,
        etag: once.etag.clone(),
        ..new.clone()
    };
    assert_eq!(once, expected);
    let events = registry.events().await.len();
    let twice =
        registry.images(Who::Admin).update_tag(update(new, &paths)).await.unwrap().into_inner();
    assert_eq!((twice, registry.events().await.len()), (once, events));
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused() {
    let registry = Registry::start().await;
    let one = pb::Tag { image_id: 1, id: 1, ..Default::default() };
    for (tag, paths, field) in [
        (one.clone(), &[][..], "update_mask"),
        (one.clone(), &["tag"], "update_mask"),
        (one.clone(), &["security_scan_status"], "tag.security_scan_status"),
        (
            pb::Tag { vulnerabilities_count: -1, ..one.clone() },
            &["vulnerabilities_count"],
            "tag.vulnerabilities_count",
        ),
        (pb::Tag { digest: "x".to_owned(), ..one.clone() }, &["digest"], "tag.digest"),
    ] {
        let problem = refused(registry.images(Who::Admin).update_tag(update(tag, paths)).await);
        assert_eq!(problem.code(), Code::InvalidArgument);
        assert_eq!(problem.field_violations()[0].field, field);
    }
    for (image_id, id, expected) in [
        (77, 1, reason::IMAGE_NOT_FOUND),
        (1, 77, reason::TAG_NOT_FOUND),
        (2, 1, reason::TAG_NOT_FOUND),
    ] {
        let tag = pb::Tag { image_id, id, ..Default::default() };
        let problem = refused(registry.images(Who::Admin).update_tag(update(tag, &["os"])).await);
        assert_eq!((problem.code(), problem.reason()), (Code::NotFound, expected));
    }
    let stale = pb::Tag { etag: "77".to_owned(), is_deprecated: true, ..one };
    let problem =
        refused(registry.images(Who::Admin).update_tag(update(stale, &["is_deprecated"])).await);
    assert_eq!((problem.code(), problem.reason()), (Code::Aborted, reason::STALE_ETAG));
}

#[tokio::test]
async fn a_new_digest_forgets_what_the_old_one_held() {
    let registry = Registry::start().await;
    let platform = proto::types::v1::Platform {
        os: "linux".to_owned(),
        architecture: "arm64".to_owned(),
        digest: OTHER.to_owned(),
        ..Default::default()
    };
    let approve = pb::ApproveImageRequest {
        id: 1,
        tags: vec![pb::TagToAdd {
            tag: "8".to_owned(),
            digest: DIGEST.to_owned(),
            platforms: vec![platform.clone()],
        }],
        ..Default::default()
    };
    registry.images(Who::Admin).approve_image(approve).await.unwrap();
    let added = registry.tags(1).await.pop().unwrap();
    assert_eq!(added.platforms, [platform]);
    let moved = pb::Tag { digest: OTHER.to_owned(), ..added };
    let moved = registry
        .images(Who::Admin)
        .update_tag(update(moved, &["digest"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((moved.digest.as_str(), moved.platforms.len()), (OTHER, 0));
}

#[tokio::test]
async fn a_tag_is_removed() {
    let registry = Registry::start().await;
    let request = pb::DeleteTagRequest { image_id: 1, id: 3 };
    let deleted = registry.images(Who::Operator).delete_tag(request).await.unwrap().into_inner();
    assert_eq!(deleted.tag, "7.4-alpine");
    assert_eq!(registry.image(1).await.tag_count, 3);
    let event = registry.events().await.pop().unwrap();
    assert_eq!(
        (&event["type"], &event["before"]["tag"]),
        (&"image.tag.deleted".into(), &"7.4-alpine".into())
    );
    for (image_id, id, expected) in [
        (1, 3, reason::TAG_NOT_FOUND),
        (2, 1, reason::TAG_NOT_FOUND),
        (77, 1, reason::IMAGE_NOT_FOUND),
    ] {
        let request = pb::DeleteTagRequest { image_id, id };
        let problem = refused(registry.images(Who::Operator).delete_tag(request).await);
        assert_eq!((problem.code(), problem.reason()), (Code::NotFound, expected));
    }
}

#[tokio::test]
async fn tags_are_paged_by_number() {
    let registry = Registry::start().await;
    let mut request = pb::ListTagsRequest { image_id: 1, page_size: 3, ..Default::default() };
    let page = registry.images(Who::Viewer).list_tags(request.clone()).await.unwrap().into_inner();
    assert_eq!((page.tags.len(), page.total_size), (3, 4));
    request.page_token = page.next_page_token.clone();
    let last = registry.images(Who::Viewer).list_tags(request).await.unwrap().into_inner();
    assert_eq!((last.tags[0].id, last.next_page_token.as_str()), (4, ""));
    let elsewhere =
        pb::ListTagsRequest { image_id: 2, page_token: page.next_page_token, page_size: 3 };
    let problem = refused(registry.images(Who::Viewer).list_tags(elsewhere).await);
    assert_eq!(problem.reason(), reason::INVALID_PAGE_TOKEN);
}

/// A push brings a tag of redis that the registry does not know.
async fn pushed(registry: &Registry, name: &str) -> pb::Tag {
    let request = pb::AdmitReferenceRequest {
        reference: format!("redis:{name}"),
        record: true,
        ..Default::default()
    };
    let verdict = registry.images(Who::Approval).admit_reference(request).await.unwrap();
    verdict.into_inner().tag.expect("the tag is added")
}

#[tokio::test]
async fn who_adds_a_tag_that_a_push_has_added_takes_it_over() {
    let registry = Registry::start().await;
    let added = pushed(&registry, "7.6-alpine").await;
    let given = pb::Tag { digest: DIGEST.to_owned(), is_recommended: true, ..tag("7.6-alpine") };
    let taken = registry.create_tag(1, given.clone()).await;
    assert_eq!((taken.id, taken.is_recommended), (added.id, true));
    assert_eq!((taken.digest.as_str(), &taken.tag), (DIGEST, &added.tag));
    assert_ne!(taken.etag, added.etag);
    assert_eq!(recommended(&registry.tags(1).await), ["7.6-alpine"]);
    assert_eq!(
        registry.event_types().await,
        ["image.tag.added", "image.tag.updated", "image.tag.updated"],
        "a push added it, the mark was taken from another one and given to it"
    );
    let request = pb::CreateTagRequest { image_id: 1, tag: Some(given) };
    let problem = refused(registry.images(Who::Admin).create_tag(request).await);
    assert_eq!(problem.reason(), reason::TAG_EXISTS, "it is somebody's now");
}

#[tokio::test]
async fn a_tag_that_a_push_has_added_is_taken_over_as_it_is_when_nothing_is_given() {
    let registry = Registry::start().await;
    let request = pb::AdmitReferenceRequest {
        reference: "redis:7.6-alpine".to_owned(),
        digest: DIGEST.to_owned(),
        record: true,
        ..Default::default()
    };
    let verdict = registry.images(Who::Approval).admit_reference(request).await.unwrap();
    let added = verdict.into_inner().tag.expect("the tag is added");
    let taken = registry.create_tag(1, tag("7.6-alpine")).await;
    assert_eq!((taken.id, taken.digest), (added.id, added.digest));
}

#[tokio::test]
async fn a_tag_that_a_person_has_changed_is_no_longer_there_to_be_taken() {
    let registry = Registry::start().await;
    let added = pushed(&registry, "7.6-alpine").await;
    let change = pb::Tag { is_deprecated: true, ..added };
    registry.images(Who::Admin).update_tag(update(change, &["is_deprecated"])).await.unwrap();
    let request = pb::CreateTagRequest { image_id: 1, tag: Some(tag("7.6-alpine")) };
    let problem = refused(registry.images(Who::Admin).create_tag(request).await);
    assert_eq!(problem.reason(), reason::TAG_EXISTS);
}
