//! Approving and rejecting images.

use proto::reason;
use proto::registry::v1 as pb;
use runtime::Code;

use crate::harness::{Registry, Who, refused};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const REVIEW: &str = "0198f3a4-0000-7000-8000-000000000001";

fn approve(repository: &str) -> pb::ApproveImageRequest {
    pb::ApproveImageRequest { repository: repository.to_owned(), ..Default::default() }
}

fn reject(repository: &str) -> pb::RejectImageRequest {
    pb::RejectImageRequest { repository: repository.to_owned(), ..Default::default() }
}

fn add(tag: &str) -> pb::TagToAdd {
    pb::TagToAdd { tag: tag.to_owned(), digest: DIGEST.to_owned(), platforms: Vec::new() }
}

async fn pending(registry: &Registry, repository: &str) -> pb::Image {
    let request =
        pb::CreateImageRequest { repository: repository.to_owned(), ..Default::default() };
    registry.images(Who::Operator).create_image(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_approval_makes_image_and_tag_where_they_are_missing() {
    let registry = Registry::start().await;
    let request = pb::ApproveImageRequest {
        tags: vec![add("latest"), add("latest")],
        request_id: REVIEW.to_owned(),
        ..approve("portainer/portainer-ce")
    };
    let image = registry.images(Who::Approver).approve_image(request).await.unwrap().into_inner();
    assert_eq!((image.id, image.approval_status()), (10, pb::ApprovalStatus::Approved));
    assert_eq!((image.approved_by.as_str(), image.tag_count), ("anna", 1));
    assert_eq!(registry.tags(10).await[0].digest, DIGEST);
    assert_eq!(
        registry.event_types().await,
        ["image.registry.added", "image.registry.approved", "image.tag.added"]
    );
    assert_eq!(registry.events().await[1]["after"]["review_id"], REVIEW);
}

#[tokio::test]
async fn an_approval_of_what_is_approved_changes_nothing() {
    let registry = Registry::start().await;
    let before = registry.image(1).await;
    let request = pb::ApproveImageRequest { tags: vec![add("latest")], ..approve("redis") };
    let after = registry.images(Who::Admin).approve_image(request).await.unwrap().into_inner();
    assert_eq!(after, before);
    assert_eq!(registry.tags(1).await[3].digest, "", "the tag that is there stays as it is");
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn a_pending_image_is_approved_or_rejected_and_set_back() {
    let registry = Registry::start().await;
    let image = pending(&registry, "memcached").await;
    let by_id = pb::ApproveImageRequest { id: image.id, etag: image.etag, ..Default::default() };
    let image = registry.images(Who::Approver).approve_image(by_id).await.unwrap().into_inner();
    assert_eq!(image.approval_status(), pb::ApprovalStatus::Approved);

    let no =
        pb::RejectImageRequest { id: image.id, reason: "too old".to_owned(), ..Default::default() };
    let image = registry.images(Who::Approver).reject_image(no).await.unwrap().into_inner();
    assert_eq!(image.approval_status(), pb::ApprovalStatus::Rejected);
    assert_eq!((image.approved_by.as_str(), image.approve_time), ("", None));

    let back = pb::RejectImageRequest { id: image.id, pending: true, ..Default::default() };
    let image = registry.images(Who::Approver).reject_image(back).await.unwrap().into_inner();
    assert_eq!(image.approval_status(), pb::ApprovalStatus::Pending);

    let events = registry.events().await;
    let types: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(
        types,
        [
            "image.registry.added",
            "image.registry.approved",
            "image.registry.rejected",
            "image.registry.updated",
        ]
    );
    assert_eq!(events[2]["after"]["rejection_reason"], "too old");
    assert_eq!(
        (&events[3]["before"]["approval_status"], &events[3]["after"]["approval_status"]),
        (&"rejected".into(), &"pending".into())
    );
}

#[tokio::test]
async fn a_rejection_makes_a_rejected_image_where_it_is_missing() {
    let registry = Registry::start().await;
    let request =
        pb::RejectImageRequest { reason: "unknown maker".to_owned(), ..reject("evil/miner") };
    let image =
        registry.images(Who::Approver).reject_image(request.clone()).await.unwrap().into_inner();
    assert_eq!((image.id, image.approval_status()), (10, pb::ApprovalStatus::Rejected));
    let again = registry.images(Who::Approver).reject_image(request).await.unwrap().into_inner();
    assert_eq!(again, image);
    assert_eq!(registry.event_types().await, ["image.registry.added", "image.registry.rejected"]);
}

#[tokio::test]
async fn a_review_that_is_resent_does_not_undo_what_came_after_it() {
    let registry = Registry::start().await;
    let request = pb::ApproveImageRequest { request_id: REVIEW.to_owned(), ..approve("memcached") };
    registry.images(Who::Approval).approve_image(request.clone()).await.unwrap();
    registry.images(Who::Approver).reject_image(reject("memcached")).await.unwrap();
    let events = registry.events().await.len();
    let image =
        registry.images(Who::Approval).approve_image(request.clone()).await.unwrap().into_inner();
    assert_eq!(image.approval_status(), pb::ApprovalStatus::Rejected);
    assert_eq!(registry.events().await.len(), events);

    let delete = pb::DeleteImageRequest { id: image.id, ..Default::default() };
    registry.images(Who::Admin).delete_image(delete).await.unwrap();
    let problem = refused(registry.images(Who::Approval).approve_image(request).await);
    assert_eq!((problem.code(), problem.reason()), (Code::NotFound, reason::IMAGE_NOT_FOUND));
}

#[tokio::test]
async fn the_same_review_may_be_taken_back() {
    let registry = Registry::start().await;
    let request = pb::ApproveImageRequest { request_id: REVIEW.to_owned(), ..approve("memcached") };
    registry.images(Who::Approval).approve_image(request).await.unwrap();
    let back = pb::RejectImageRequest {
        request_id: REVIEW.to_owned(),
        pending: true,
        ..reject("memcached")
    };
    let image = registry.images(Who::Approval).reject_image(back).await.unwrap().into_inner();
    assert_eq!(image.approval_status(), pb::ApprovalStatus::Pending);
}

#[tokio::test]
async fn a_decision_names_one_image_that_is_as_it_was_seen() {
    let registry = Registry::start().await;
    let mut images = registry.images(Who::Admin);
    let nothing = pb::ApproveImageRequest::default();
    let both = pb::ApproveImageRequest { id: 1, ..approve("redis") };
    for request in [nothing, both] {
        assert_eq!(refused(images.approve_image(request).await).code(), Code::InvalidArgument);
    }
    let unknown = pb::ApproveImageRequest { id: 77, ..Default::default() };
    assert_eq!(refused(images.approve_image(unknown).await).reason(), reason::IMAGE_NOT_FOUND);
    let unknown =
        pb::RejectImageRequest { id: 77, request_id: REVIEW.to_owned(), ..Default::default() };
    assert_eq!(refused(images.reject_image(unknown).await).reason(), reason::IMAGE_NOT_FOUND);
    let malformed = approve("Redis");
    assert_eq!(refused(images.approve_image(malformed).await).reason(), reason::INVALID_REFERENCE);
    let bad_tag = pb::ApproveImageRequest { tags: vec![add("a b")], ..approve("redis") };
    assert_eq!(refused(images.approve_image(bad_tag).await).reason(), reason::INVALID_REFERENCE);
    let bad_review = pb::ApproveImageRequest { request_id: "x".to_owned(), ..approve("redis") };
    let problem = refused(images.approve_image(bad_review).await);
    assert_eq!(problem.field_violations()[0].field, "request_id");
    for repository in ["redis", "memcached"] {
        let stale = pb::RejectImageRequest { etag: "77".to_owned(), ..reject(repository) };
        let problem = refused(images.reject_image(stale).await);
        assert_eq!((problem.code(), problem.reason()), (Code::Aborted, reason::STALE_ETAG));
    }
    assert!(registry.events().await.is_empty());
}
