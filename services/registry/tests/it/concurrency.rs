//! Many at once.

use std::collections::BTreeSet;

use proto::reason;
use proto::registry::v1 as pb;
use runtime::Problem;
use tokio::task::JoinSet;

use crate::harness::{Registry, Who, tag};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_equal_images_one_is_added() {
    let registry = Registry::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let mut images = registry.images(Who::Admin);
        let request =
            pb::CreateImageRequest { repository: "memcached".to_owned(), ..Default::default() };
        calls.spawn(async move { images.create_image(request).await });
    }
    let mut added = Vec::new();
    for result in calls.join_all().await {
        match result {
            Ok(image) => added.push(image.into_inner().id),
            Err(status) => {
                let problem = Problem::from(status);
                assert_eq!(problem.reason(), reason::IMAGE_EXISTS);
                assert_eq!(problem.metadata()["image_id"], "10");
            }
        }
    }
    assert_eq!(added, [10]);
    assert_eq!(registry.event_types().await, ["image.registry.added", "image.registry.approved"]);
    assert_eq!(registry.create_image("traefik").await.id, 11, "the losers used up no number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_recommended_tags_one_has_the_mark() {
    let registry = Registry::start().await;
    let mut calls = JoinSet::new();
    for number in 0..10 {
        let mut images = registry.images(Who::Admin);
        let tag = pb::Tag { is_recommended: true, ..tag(&format!("8.{number}")) };
        let request = pb::CreateTagRequest { image_id: 1, tag: Some(tag) };
        calls.spawn(async move { images.create_tag(request).await.unwrap() });
    }
    calls.join_all().await;
    let tags = registry.tags(1).await;
    assert_eq!(tags.len(), 14);
    assert_eq!(tags.iter().filter(|tag| tag.is_recommended).count(), 1);
    let ids: BTreeSet<_> = tags.iter().map(|tag| tag.id).collect();
    assert_eq!(ids, (1..=14).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_equal_pushes_one_adds_the_tag() {
    let registry = Registry::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let mut images = registry.images(Who::Approval);
        let request = pb::AdmitReferenceRequest {
            reference: "redis:7.6-alpine".to_owned(),
            digest: DIGEST.to_owned(),
            record: true,
            ..Default::default()
        };
        calls.spawn(async move { images.admit_reference(request).await.unwrap().into_inner() });
    }
    let verdicts = calls.join_all().await;
    assert_eq!(verdicts.iter().filter(|verdict| verdict.tag_added).count(), 1);
    let ids: BTreeSet<_> =
        verdicts.iter().map(|verdict| verdict.tag.as_ref().unwrap().id).collect();
    assert_eq!(ids, BTreeSet::from([5]));
    assert_eq!(registry.event_types().await, ["image.tag.added"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_equal_approvals_one_is_told() {
    let registry = Registry::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let mut images = registry.images(Who::Approval);
        let request = pb::ApproveImageRequest {
            repository: "memcached".to_owned(),
            tags: vec![pb::TagToAdd { tag: "1.6".to_owned(), ..Default::default() }],
            ..Default::default()
        };
        calls.spawn(async move { images.approve_image(request).await.unwrap().into_inner() });
    }
    let images = calls.join_all().await;
    assert!(images.iter().all(|image| image.id == 10 && image.tag_count == 1));
    assert_eq!(
        registry.event_types().await,
        ["image.registry.added", "image.registry.approved", "image.tag.added"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_defaults_one_has_the_mark() {
    let registry = Registry::start().await;
    let mut calls = JoinSet::new();
    for number in 0..6 {
        let mut upstreams = registry.upstreams(Who::Admin);
        let upstream = pb::Upstream {
            name: format!("mirror {number}"),
            url: format!("https://mirror-{number}.example.com"),
            is_default: true,
            ..Default::default()
        };
        let request = pb::CreateUpstreamRequest { upstream: Some(upstream) };
        calls.spawn(async move { upstreams.create_upstream(request).await.unwrap() });
    }
    calls.join_all().await;
    let mut viewer = registry.upstreams(Who::Viewer);
    let list = viewer.list_upstreams(pb::ListUpstreamsRequest::default());
    let upstreams = list.await.unwrap().into_inner().upstreams;
    assert_eq!(upstreams.iter().filter(|upstream| upstream.is_default).count(), 1);
    assert_eq!(upstreams.last().unwrap().id, 6);
}
