//! Upstreams: the list, and whether they answer.

use proto::reason;
use proto::registry::v1 as pb;
use runtime::Code;

use crate::harness::{Registry, Who, mask, refused};
use loopback::{Fault, LoopbackRegistry};

fn upstream(name: &str, url: &str) -> pb::Upstream {
    pb::Upstream { name: name.to_owned(), url: url.to_owned(), ..Default::default() }
}

fn create(upstream: pb::Upstream) -> pb::CreateUpstreamRequest {
    pb::CreateUpstreamRequest { upstream: Some(upstream) }
}

fn update(upstream: pb::Upstream, paths: &[&str]) -> pb::UpdateUpstreamRequest {
    pb::UpdateUpstreamRequest { upstream: Some(upstream), update_mask: Some(mask(paths)) }
}

async fn add(registry: &Registry, upstream: pb::Upstream) -> pb::Upstream {
    registry.upstreams(Who::Operator).create_upstream(create(upstream)).await.unwrap().into_inner()
}

async fn get(registry: &Registry, id: i64) -> pb::Upstream {
    let request = pb::GetUpstreamRequest { id };
    registry.upstreams(Who::Viewer).get_upstream(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_upstream_is_kept_in_normal_form() {
    let registry = Registry::start().await;
    let added =
        add(&registry, upstream("docker-hub", "https://Registry-1.Docker.io:443/v2/")).await;
    assert_eq!((added.id, added.url.as_str()), (1, "https://registry-1.docker.io"));
    assert_eq!((added.host.as_str(), added.is_default), ("docker.io", false));
    assert_eq!(get(&registry, 1).await, added);
    let event = registry.events().await.pop().unwrap();
    assert_eq!(
        (&event["type"], &event["after"]["host"]),
        (&"upstream.created".into(), &"docker.io".into())
    );
}

#[tokio::test]
async fn one_name_one_url_one_host() {
    let registry = Registry::start().await;
    add(&registry, upstream("docker-hub", "https://registry-1.docker.io")).await;
    let elsewhere = pb::Upstream {
        host: "mirror.lan".to_owned(),
        ..upstream("x", "https://registry-1.docker.io/")
    };
    for (twin, field) in [
        (upstream("docker-hub", "https://ghcr.io"), "name"),
        (elsewhere, "url"),
        (upstream("hub", "https://index.docker.io/v1/"), "host"),
    ] {
        let problem = refused(registry.upstreams(Who::Admin).create_upstream(create(twin)).await);
        assert_eq!(
            (problem.code(), problem.reason()),
            (Code::AlreadyExists, reason::UPSTREAM_EXISTS)
        );
        assert_eq!(
            (problem.metadata()["upstream_id"].as_str(), problem.metadata()["field"].as_str()),
            ("1", field)
        );
    }
    let next = add(&registry, upstream("ghcr", "https://ghcr.io")).await;
    assert_eq!(next.id, 2, "refused ones use up no number");
    let twin = pb::Upstream { id: 2, name: "docker-hub".to_owned(), ..Default::default() };
    let problem =
        refused(registry.upstreams(Who::Admin).update_upstream(update(twin, &["name"])).await);
    assert_eq!(problem.reason(), reason::UPSTREAM_EXISTS);
}

#[tokio::test]
async fn what_is_no_upstream_is_refused() {
    let registry = Registry::start().await;
    for (odd, field) in [
        (upstream("", "https://ghcr.io"), "upstream.name"),
        (upstream(" x", "https://ghcr.io"), "upstream.name"),
        (upstream("x\0", "https://ghcr.io"), "upstream.name"),
        (upstream("x", ""), "upstream.url"),
        (upstream("x", "ghcr.io"), "upstream.url"),
        (upstream("x", "http://ghcr.io"), "upstream.url"),
        (upstream("x", "https://user:pw@ghcr.io"), "upstream.url"),
        (
            pb::Upstream { host: "gh cr".to_owned(), ..upstream("x", "https://ghcr.io") },
            "upstream.host",
        ),
    ] {
        let problem = refused(registry.upstreams(Who::Admin).create_upstream(create(odd)).await);
        assert_eq!(problem.code(), Code::InvalidArgument);
        assert_eq!(problem.field_violations()[0].field, field);
    }
    let problem = refused(
        registry.upstreams(Who::Admin).create_upstream(pb::CreateUpstreamRequest::default()).await,
    );
    assert_eq!(problem.field_violations()[0].field, "upstream");
    let meant =
        pb::Upstream { allow_plain_http: true, ..upstream("x", "http://registry.lan:5000") };
    assert_eq!(add(&registry, meant).await.host, "registry.lan:5000");
}

#[tokio::test]
async fn one_upstream_is_the_default() {
    let registry = Registry::start().await;
    add(&registry, pb::Upstream { is_default: true, ..upstream("hub", "https://docker.io") }).await;
    add(&registry, pb::Upstream { is_default: true, ..upstream("ghcr", "https://ghcr.io") }).await;
    assert!(!get(&registry, 1).await.is_default);
    let back = pb::Upstream { id: 1, is_default: true, ..Default::default() };
    let back = registry.upstreams(Who::Admin).update_upstream(update(back, &["is_default"])).await;
    assert!(back.unwrap().into_inner().is_default);
    assert!(!get(&registry, 2).await.is_default);
    assert_eq!(
        registry.event_types().await,
        [
            "upstream.created",
            "upstream.updated",
            "upstream.created",
            "upstream.updated",
            "upstream.updated",
        ]
    );
}

#[tokio::test]
async fn only_the_fields_of_the_mask_change() {
    let registry = Registry::start().await;
    let before = add(&registry, upstream("hub", "https://docker.io")).await;
    let new = pb::Upstream {
        id: 1,
        name: "ignored".to_owned(),
        url: "https://ghcr.io/".to_owned(),
        etag: before.etag.clone(),
        ..Default::default()
    };
    let after = registry.upstreams(Who::Admin).update_upstream(update(new.clone(), &["url"])).await;
    let after = after.unwrap().into_inner();
    assert_eq!(
        (after.name.as_str(), after.url.as_str(), after.host.as_str()),
        ("hub", "https://ghcr.io", "ghcr.io"),
        "the host goes with its URL"
    );
    let problem = refused(
        registry.upstreams(Who::Admin).update_upstream(update(new.clone(), &["url"])).await,
    );
    assert_eq!((problem.code(), problem.reason()), (Code::Aborted, reason::STALE_ETAG));
    let events = registry.events().await.len();
    let same = pb::Upstream { etag: String::new(), ..new };
    let same = registry.upstreams(Who::Admin).update_upstream(update(same, &["url"])).await;
    assert_eq!((same.unwrap().into_inner(), registry.events().await.len()), (after, events));
    for paths in [&[][..], &["id"]] {
        let one = pb::Upstream { id: 1, ..Default::default() };
        let problem =
            refused(registry.upstreams(Who::Admin).update_upstream(update(one, paths)).await);
        assert_eq!(problem.field_violations()[0].field, "update_mask");
    }
    let plain = pb::Upstream { id: 1, url: "http://ghcr.io".to_owned(), ..Default::default() };
    let problem =
        refused(registry.upstreams(Who::Admin).update_upstream(update(plain, &["url"])).await);
    assert_eq!(problem.field_violations()[0].field, "upstream.url");
}

#[tokio::test]
async fn an_upstream_goes_and_images_stay() {
    let registry = Registry::start().await;
    add(&registry, upstream("hub", "https://docker.io")).await;
    let request = pb::DeleteUpstreamRequest { id: 1 };
    let deleted =
        registry.upstreams(Who::Operator).delete_upstream(request).await.unwrap().into_inner();
    assert_eq!(deleted.name, "hub");
    assert_eq!(registry.image(1).await.registry, "docker.io");
    assert_eq!(registry.event_types().await, ["upstream.created", "upstream.deleted"]);
    let mut upstreams = registry.upstreams(Who::Admin);
    let one = pb::Upstream { id: 1, ..Default::default() };
    for problem in [
        refused(upstreams.get_upstream(pb::GetUpstreamRequest { id: 1 }).await),
        refused(upstreams.delete_upstream(pb::DeleteUpstreamRequest { id: 1 }).await),
        refused(upstreams.update_upstream(update(one, &["is_default"])).await),
        refused(upstreams.test_upstream(pb::TestUpstreamRequest { id: 1 }).await),
    ] {
        assert_eq!(
            (problem.code(), problem.reason()),
            (Code::NotFound, reason::UPSTREAM_NOT_FOUND)
        );
    }
}

#[tokio::test]
async fn upstreams_are_paged() {
    let registry = Registry::start().await;
    for number in 1..=3 {
        add(&registry, upstream(&number.to_string(), &format!("https://{number}.example.com")))
            .await;
    }
    let mut upstreams = registry.upstreams(Who::Viewer);
    let mut request = pb::ListUpstreamsRequest { page_size: 2, ..Default::default() };
    let page = upstreams.list_upstreams(request.clone()).await.unwrap().into_inner();
    assert_eq!((page.upstreams.len(), page.total_size), (2, 3));
    request.page_token = page.next_page_token;
    let last = upstreams.list_upstreams(request).await.unwrap().into_inner();
    assert_eq!((last.upstreams[0].id, last.next_page_token.as_str()), (3, ""));
    let request = pb::ListUpstreamsRequest { page_size: 2, skip: 2, ..Default::default() };
    let by_number = upstreams.list_upstreams(request).await.unwrap().into_inner();
    assert_eq!(by_number.upstreams, last.upstreams);
    let foreign = pb::ListUpstreamsRequest { page_token: "AAAA".to_owned(), ..Default::default() };
    assert_eq!(
        refused(upstreams.list_upstreams(foreign).await).reason(),
        reason::INVALID_PAGE_TOKEN
    );
}

#[tokio::test]
async fn a_test_tells_whether_it_is_a_registry() {
    let registry = Registry::start().await;
    let elsewhere = LoopbackRegistry::start().await;
    add(&registry, upstream("local", &elsewhere.url)).await;
    let test = async || {
        let request = pb::TestUpstreamRequest { id: 1 };
        registry.upstreams(Who::Operator).test_upstream(request).await.unwrap().into_inner()
    };
    let answer = test().await;
    assert!(answer.ok && answer.latency_ms >= 0, "{}", answer.detail);
    elsewhere.misbehave(Fault::Token(String::new()));
    let answer = test().await;
    assert!(answer.ok && answer.detail.contains("login"), "{}", answer.detail);
    for (fault, word) in [
        (Fault::Status(404, None), "does not speak"),
        (Fault::Status(502, None), "502"),
        (Fault::Status(401, None), "credentials"),
    ] {
        elsewhere.misbehave(fault);
        let answer = test().await;
        assert!(!answer.ok && answer.detail.contains(word), "{}", answer.detail);
    }
    let url = loopback::nobodys_url().await;
    let moved = pb::Upstream { id: 1, url, ..Default::default() };
    registry.upstreams(Who::Admin).update_upstream(update(moved, &["url"])).await.unwrap();
    let answer = test().await;
    assert!(!answer.ok && answer.detail.contains("connection"), "{}", answer.detail);
}
