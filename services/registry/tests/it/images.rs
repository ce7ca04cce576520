//! Images: adding, finding, changing.

use proto::reason;
use proto::registry::v1 as pb;
use runtime::Code;
use tonic::Request;

use crate::harness::{Registry, Who, mask, refused};

fn create(repository: &str) -> pb::CreateImageRequest {
    pb::CreateImageRequest { repository: repository.to_owned(), ..Default::default() }
}

async fn list(registry: &Registry, request: pb::ListImagesRequest) -> Vec<String> {
    let answer = registry.images(Who::Viewer).list_images(request).await.unwrap().into_inner();
    assert_eq!(usize::try_from(answer.total_size).unwrap(), answer.images.len());
    answer.images.into_iter().map(|image| image.repository).collect()
}

#[tokio::test]
async fn who_may_approve_adds_an_approved_image() {
    let registry = Registry::start().await;
    let request = pb::CreateImageRequest {
        repository: "portainer/portainer-ce".to_owned(),
        description: "Lightweight container management UI".to_owned(),
        category: "management".to_owned(),
        is_official: false,
        unknown_tag: pb::UnknownTag::Request.into(),
    };
    let image = registry.images(Who::Admin).create_image(request).await.unwrap().into_inner();
    assert_eq!(image.approval_status(), pb::ApprovalStatus::Approved);
    assert_eq!((image.approved_by.as_str(), image.approve_time), ("root", image.create_time));
    assert_eq!(image.repository, "docker.io/portainer/portainer-ce");
    assert_eq!(
        (image.namespace.as_str(), image.image_name.as_str()),
        ("portainer", "portainer-ce")
    );
    assert_eq!(
        (image.unknown_tag(), image.category.as_str()),
        (pb::UnknownTag::Request, "management")
    );
    let stored = registry.image(image.id).await;
    assert_eq!(stored, pb::Image { warnings: Vec::new(), ..image });
}

#[tokio::test]
async fn who_may_not_approve_adds_a_pending_image() {
    let registry = Registry::start().await;
    let image = registry
        .images(Who::Operator)
        .create_image(create("memcached"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(image.approval_status(), pb::ApprovalStatus::Pending);
    assert_eq!((image.approved_by.as_str(), image.approve_time), ("", None));
    let events = registry.events().await;
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["actor"]["id"]),
        (&"image.registry.added".into(), &"otto".into())
    );
    assert_eq!(last["after"]["approval_status"], "pending");
}

#[tokio::test]
async fn an_image_approved_at_once_is_told_as_added_and_as_approved() {
    let registry = Registry::start().await;
    let image = registry.create_image("memcached").await;
    let events = registry.events().await;
    let types: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["image.registry.added", "image.registry.approved"]);
    for event in &events {
        assert_eq!(event["resource"]["id"], image.id.to_string());
        assert_eq!(event["resource"]["name"], "docker.io/library/memcached");
        assert_eq!(event["after"]["approved_by"], "root");
    }
}

#[tokio::test]
async fn a_process_adds_in_the_name_of_the_person_it_acts_for() {
    let registry = Registry::start().await;
    let alice = runtime::Actor::new(runtime::ActorKind::User, "alice", "Alice");
    let mut request = Request::new(create("memcached"));
    let header = alice.to_header().parse().unwrap();
    request.metadata_mut().insert(runtime::auth::ON_BEHALF_OF, header);
    let image = registry.images(Who::Approval).create_image(request).await.unwrap().into_inner();
    assert_eq!(image.approved_by, "Alice");
    let events = registry.events().await;
    assert_eq!(
        (&events[0]["actor"]["id"], &events[0]["on_behalf_of"]["id"]),
        (&"approval".into(), &"alice".into())
    );
}

#[tokio::test]
async fn one_repository_in_another_spelling_is_there_already() {
    let registry = Registry::start().await;
    for spelling in ["redis", "library/redis", "index.docker.io/redis", "DOCKER.IO/library/redis"] {
        let problem = refused(registry.images(Who::Admin).create_image(create(spelling)).await);
        assert_eq!((problem.code(), problem.reason()), (Code::AlreadyExists, reason::IMAGE_EXISTS));
        assert_eq!(problem.metadata()["image_id"], "1", "{spelling}");
    }
    let other = registry.create_image("ghcr.io/library/redis").await;
    assert_eq!(other.registry, "ghcr.io", "another host is another image");
    let evil = registry.create_image("evil/redis").await;
    assert_ne!(evil.id, 1, "another namespace is another image");
}

#[tokio::test]
async fn what_is_no_repository_is_refused() {
    let registry = Registry::start().await;
    for text in
        ["", "redis:7", "Redis", "redis@sha256:abc", " redis", "a//b", "https://ghcr.io/a/b"]
    {
        let problem = refused(registry.images(Who::Admin).create_image(create(text)).await);
        assert_eq!(
            (problem.code(), problem.reason()),
            (Code::InvalidArgument, reason::INVALID_REFERENCE),
            "{text}"
        );
        assert_eq!(problem.field_violations()[0].field, "repository");
    }
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn texts_have_limits() {
    let registry = Registry::start().await;
    let long = pb::CreateImageRequest { description: "é".repeat(2_001), ..create("memcached") };
    let odd = pb::CreateImageRequest { category: "data\0base".to_owned(), ..create("memcached") };
    let unknown = pb::CreateImageRequest { unknown_tag: 77, ..create("memcached") };
    for (request, field) in [(long, "description"), (odd, "category"), (unknown, "unknown_tag")] {
        let problem = refused(registry.images(Who::Admin).create_image(request).await);
        assert_eq!(problem.code(), Code::InvalidArgument);
        assert_eq!(problem.field_violations()[0].field, field);
    }
    let fits = pb::CreateImageRequest { description: "é".repeat(2_000), ..create("memcached") };
    registry.images(Who::Admin).create_image(fits).await.unwrap();
}

#[tokio::test]
async fn an_unknown_number_is_not_found() {
    let registry = Registry::start().await;
    for id in [0, -1, 10, i64::MAX] {
        let problem =
            refused(registry.images(Who::Viewer).get_image(pb::GetImageRequest { id }).await);
        assert_eq!((problem.code(), problem.reason()), (Code::NotFound, reason::IMAGE_NOT_FOUND));
    }
    let problem = refused(
        registry
            .images(Who::Viewer)
            .list_tags(pb::ListTagsRequest { image_id: 10, ..Default::default() })
            .await,
    );
    assert_eq!(problem.reason(), reason::IMAGE_NOT_FOUND);
}

#[tokio::test]
async fn lists_are_filtered() {
    let registry = Registry::start().await;
    registry.images(Who::Operator).create_image(create("memcached")).await.unwrap();
    let by_status = |status: pb::ApprovalStatus| pb::ListImagesRequest {
        approval_status: status.into(),
        ..Default::default()
    };
    assert_eq!(
        list(&registry, by_status(pb::ApprovalStatus::Pending)).await,
        ["docker.io/library/memcached"]
    );
    assert_eq!(list(&registry, by_status(pb::ApprovalStatus::Approved)).await.len(), 9);
    assert!(list(&registry, by_status(pb::ApprovalStatus::Rejected)).await.is_empty());
    let runtime = pb::ListImagesRequest { category: "runtime".to_owned(), ..Default::default() };
    assert_eq!(
        list(&registry, runtime).await,
        ["docker.io/library/node", "docker.io/library/python"]
    );
    let problem = refused(
        registry
            .images(Who::Viewer)
            .list_images(pb::ListImagesRequest { approval_status: 9, ..Default::default() })
            .await,
    );
    assert_eq!(problem.field_violations()[0].field, "approval_status", "never widened silently");
}

#[tokio::test]
async fn a_search_takes_every_character_for_itself_whatever_its_case() {
    let registry = Registry::start().await;
    let described = pb::CreateImageRequest {
        description: "Cuts disk use by 50%, see a_b\\c".to_owned(),
        ..create("acme/squeeze")
    };
    registry.images(Who::Admin).create_image(described).await.unwrap();
    let search = |text: &str| {
        let request = pb::ListImagesRequest { search: text.to_owned(), ..Default::default() };
        list(&registry, request)
    };
    assert_eq!(search("REDIS").await, ["docker.io/library/redis"]);
    assert_eq!(search("data structure").await, ["docker.io/library/redis"]);
    for text in ["50%", "a_b", "b\\c", "DISK use"] {
        assert_eq!(search(text).await, ["docker.io/acme/squeeze"], "{text}");
    }
    for text in ["5%", "a%c", "r_dis", "%%"] {
        assert!(search(text).await.is_empty(), "{text}");
    }
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repeat() {
    let registry = Registry::start().await;
    let mut request = pb::ListImagesRequest { page_size: 4, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page =
            registry.images(Who::Viewer).list_images(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.total_size, 9);
        seen.extend(page.images.iter().map(|image| image.id));
        if page.next_page_token.is_empty() {
            break;
        }
        assert_eq!(page.images.len(), 4);
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, (1..=9).collect::<Vec<_>>());

    request.category = "database".to_owned();
    let problem = refused(registry.images(Who::Viewer).list_images(request).await);
    assert_eq!(problem.reason(), reason::INVALID_PAGE_TOKEN, "the token is of another list");
}

#[tokio::test]
async fn callers_may_page_by_number() {
    let registry = Registry::start().await;
    let request = pb::ListImagesRequest { page_size: 3, skip: 7, ..Default::default() };
    let page = registry.images(Who::Viewer).list_images(request).await.unwrap().into_inner();
    let ids: Vec<_> = page.images.iter().map(|image| image.id).collect();
    assert_eq!((ids.as_slice(), page.total_size), (&[8, 9][..], 9));
    for (page_size, skip, field) in [(-1, 0, "page_size"), (0, -1, "skip"), (0, 10_001, "skip")] {
        let request = pb::ListImagesRequest { page_size, skip, ..Default::default() };
        let problem = refused(registry.images(Who::Viewer).list_images(request).await);
        assert_eq!(problem.field_violations()[0].field, field);
    }
}

fn update(image: pb::Image, paths: &[&str]) -> pb::UpdateImageRequest {
    pb::UpdateImageRequest { image: Some(image), update_mask: Some(mask(paths)) }
}

#[tokio::test]
async fn only_the_fields_of_the_mask_change() {
    let registry = Registry::start().await;
    registry.clock.advance(std::time::Duration::from_secs(60));
    let before = registry.image(1).await;
    let new = pb::Image {
        id: 1,
        description: "In-memory data structure store".to_owned(),
        category: "cache".to_owned(),
        unknown_tag: pb::UnknownTag::Deny.into(),
        approval_status: pb::ApprovalStatus::Rejected.into(),
        ..Default::default()
    };
    let request = update(new, &["description", "unknown_tag"]);
    let after = registry.images(Who::Operator).update_image(request).await.unwrap().into_inner();
    assert_eq!(
        after,
        pb::Image {
            description: "In-memory data structure store".to_owned(),
            unknown_tag: pb::UnknownTag::Deny.into(),
            etag: after.etag.clone(),
            update_time: after.update_time,
            ..before.clone()
        }
    );
    assert_ne!((&after.etag, after.update_time), (&before.etag, before.update_time));
    let event = registry.events().await.pop().unwrap();
    assert_eq!(event["type"], "image.registry.updated");
    assert_eq!(event["before"]["description"], before.description);
    assert_eq!(event["after"]["unknown_tag"], "deny");

    let back = pb::Image { id: 1, ..Default::default() };
    let request = update(back, &["unknown_tag"]);
    let after = registry.images(Who::Operator).update_image(request).await.unwrap().into_inner();
    assert_eq!(after.unknown_tag(), pb::UnknownTag::Unspecified, "as the gate says again");
}

#[tokio::test]
async fn a_change_to_what_is_there_already_is_none() {
    let registry = Registry::start().await;
    let before = registry.image(1).await;
    let request =
        update(before.clone(), &["description", "category", "is_official", "unknown_tag"]);
    let after = registry.images(Who::Operator).update_image(request).await.unwrap().into_inner();
    assert_eq!(after, before);
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn a_change_of_something_else_than_was_seen_is_refused() {
    let registry = Registry::start().await;
    let seen = registry.image(1).await;
    let first = pb::Image { description: "first".to_owned(), ..seen.clone() };
    registry.images(Who::Admin).update_image(update(first, &["description"])).await.unwrap();
    let second = pb::Image { description: "second".to_owned(), ..seen };
    let problem =
        refused(registry.images(Who::Admin).update_image(update(second, &["description"])).await);
    assert_eq!((problem.code(), problem.reason()), (Code::Aborted, reason::STALE_ETAG));
    assert_eq!(problem.metadata()["etag"], registry.image(1).await.etag);
    assert_eq!(registry.image(1).await.description, "first");
}

#[tokio::test]
async fn a_mask_names_fields_that_can_change() {
    let registry = Registry::start().await;
    let image = pb::Image { id: 1, ..Default::default() };
    for paths in [&[][..], &["approval_status"], &["description", "repository"], &["Description"]] {
        let problem =
            refused(registry.images(Who::Admin).update_image(update(image.clone(), paths)).await);
        assert_eq!(problem.code(), Code::InvalidArgument);
        assert_eq!(problem.field_violations()[0].field, "update_mask", "{paths:?}");
    }
    let missing = pb::UpdateImageRequest { image: None, update_mask: Some(mask(&["category"])) };
    let problem = refused(registry.images(Who::Admin).update_image(missing).await);
    assert_eq!(problem.field_violations()[0].field, "image");
    let unknown = pb::Image { id: 77, ..Default::default() };
    let problem =
        refused(registry.images(Who::Admin).update_image(update(unknown, &["category"])).await);
    assert_eq!(problem.reason(), reason::IMAGE_NOT_FOUND);
}

#[tokio::test]
async fn roles_open_what_they_grant() {
    let registry = Registry::start().await;
    let problem = refused(registry.images(Who::Viewer).create_image(create("memcached")).await);
    assert_eq!(
        (problem.code(), problem.reason()),
        (Code::PermissionDenied, reason::PERMISSION_MISSING)
    );
    assert_eq!(problem.metadata()["permission"], "images.write");
    let approve = pb::ApproveImageRequest { id: 1, ..Default::default() };
    let problem = refused(registry.images(Who::Operator).approve_image(approve).await);
    assert_eq!(problem.metadata()["permission"], "images.approve");
    let admit = pb::AdmitReferenceRequest { reference: "redis".to_owned(), ..Default::default() };
    let problem = refused(registry.images(Who::Approver).admit_reference(admit).await);
    assert_eq!(problem.metadata()["permission"], "images.admit");
}
