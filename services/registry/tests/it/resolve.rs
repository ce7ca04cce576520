//! What a tag is at its registry, and every way in which a registry may not say it.

use std::time::Duration;

use proto::reason;
use proto::registry::v1 as pb;
use runtime::{Code, Problem};
use serde_json::json;

use crate::harness::{Registry, Who, mask, refused};
use loopback::{Fault, INDEX, LoopbackRegistry, MANIFEST, digest_of};

const HOST: &str = "reg.example.com";

/// A `registry` that resolves the tags of [`HOST`] at a small registry with one image.
struct Pair {
    registry: Registry,
    elsewhere: LoopbackRegistry,
    digest: String,
}

impl Pair {
    async fn start() -> Self {
        Self::of(Registry::start().await).await
    }

    async fn impatient() -> Self {
        Self::of(Registry::start_impatient(Duration::from_millis(300)).await).await
    }

    async fn of(registry: Registry) -> Self {
        let elsewhere = LoopbackRegistry::start().await;
        registry.add_upstream(&elsewhere.url, HOST).await;
        let digest = elsewhere.push_index("acme/app", "1.0", &["amd64", "arm64"]);
        Self { registry, elsewhere, digest }
    }

    async fn ask(&self, reference: &str, fresh: bool) -> Result<pb::ResolveTagResponse, Problem> {
        let request = pb::ResolveTagRequest { reference: reference.to_owned(), fresh };
        let answer = self.registry.upstreams(Who::Approval).resolve_tag(request).await;
        answer.map(tonic::Response::into_inner).map_err(Problem::from)
    }

    async fn resolve(&self, version: &str) -> Result<pb::ResolveTagResponse, Problem> {
        self.ask(&format!("{HOST}/acme/app{version}"), true).await
    }

    async fn move_upstream(&self, url: &str) {
        let upstream = pb::Upstream { id: 1, url: url.to_owned(), ..Default::default() };
        let update_mask = Some(mask(&["url"]));
        let request = pb::UpdateUpstreamRequest { upstream: Some(upstream), update_mask };
        self.registry.upstreams(Who::Admin).update_upstream(request).await.unwrap();
    }

    /// The problem under a fault.
    async fn fail(&self, fault: Fault) -> (Code, String) {
        self.elsewhere.misbehave(fault);
        let problem = self.resolve(":1.0").await.expect_err("the registry misbehaves");
        (problem.code(), problem.reason().to_owned())
    }
}

fn unreachable() -> (Code, String) {
    (Code::Unavailable, reason::UPSTREAM_UNREACHABLE.to_owned())
}

#[tokio::test]
async fn a_tag_is_resolved_to_its_index_and_platforms() {
    let pair = Pair::start().await;
    let answer = pair.resolve(":1.0").await.unwrap();
    assert_eq!((answer.digest.as_str(), answer.media_type.as_str()), (pair.digest.as_str(), INDEX));
    assert_eq!(answer.reference, format!("{HOST}/acme/app:1.0"));
    let shown: Vec<_> =
        answer.platforms.iter().map(|one| (one.os.as_str(), one.architecture.as_str())).collect();
    assert_eq!(shown, [("linux", "amd64"), ("linux", "arm64")], "an attestation is no platform");
}

#[tokio::test]
async fn a_single_image_has_the_platform_of_its_configuration() {
    let pair = Pair::start().await;
    let digest = pair.elsewhere.push_image("acme/app", "2.0", "riscv64", "");
    let answer = pair.resolve(":2.0").await.unwrap();
    assert_eq!((answer.digest.as_str(), answer.media_type.as_str()), (digest.as_str(), MANIFEST));
    assert_eq!(answer.platforms[0].architecture, "riscv64");
    assert_eq!(answer.platforms[0].digest, digest);
}

#[tokio::test]
async fn a_digest_is_resolved_to_itself_and_a_tag_beside_it_is_asked() {
    let pair = Pair::start().await;
    let answer = pair.resolve(&format!("@{}", pair.digest)).await.unwrap();
    assert_eq!((&answer.digest, answer.platforms.len()), (&pair.digest, 2));
    assert_eq!(answer.reference, format!("{HOST}/acme/app"));
    let newer = pair.elsewhere.push_index("acme/app", "1.0", &["amd64"]);
    let answer = pair.resolve(&format!(":1.0@{}", pair.digest)).await.unwrap();
    assert_eq!(answer.digest, newer, "what the tag is now, whatever the digest beside it");
    assert_eq!(answer.reference, format!("{HOST}/acme/app:1.0"));
    pair.elsewhere.push_index("acme/app", "latest", &["amd64"]);
    assert_eq!(pair.resolve("").await.unwrap().reference, format!("{HOST}/acme/app:latest"));
}

#[tokio::test]
async fn a_host_that_nobody_lists_is_not_asked() {
    let pair = Pair::start().await;
    let problem = pair.ask("redis:7", true).await.unwrap_err();
    assert_eq!(
        (problem.code(), problem.reason()),
        (Code::FailedPrecondition, reason::UPSTREAM_NOT_CONFIGURED)
    );
    assert_eq!(problem.metadata()["host"], "docker.io");
    let malformed = refused(
        pair.registry
            .upstreams(Who::Approval)
            .resolve_tag(pb::ResolveTagRequest { reference: "A b".to_owned(), fresh: false })
            .await,
    );
    assert_eq!(malformed.reason(), reason::INVALID_REFERENCE);
}

#[tokio::test]
async fn what_the_registry_does_not_know_is_not_found() {
    let pair = Pair::start().await;
    let unknown = digest_of(b"unknown");
    for version in [":2.0".to_owned(), format!("@{unknown}")] {
        let problem = pair.resolve(&version).await.unwrap_err();
        assert_eq!((problem.code(), problem.reason()), (Code::NotFound, reason::TAG_NOT_FOUND));
        assert!(problem.message().contains(&format!("acme/app{version}")), "{problem}");
    }
}

#[tokio::test]
async fn a_registry_that_refuses_or_asks_to_wait_is_told_so() {
    let pair = Pair::start().await;
    for fault in [Fault::Status(401, None), Fault::Status(403, None), Fault::Password] {
        let refused = (Code::PermissionDenied, reason::UPSTREAM_REFUSED.to_owned());
        assert_eq!(pair.fail(fault).await, refused);
    }
    for (header, seconds) in [
        (Some("17"), 17),
        (None, 60),
        (Some("Wed, 21 Oct 2026 07:28:00 GMT"), 60),
        (Some("9999999"), 21_600),
    ] {
        let header = header.map(|value| ("retry-after", value.to_owned()));
        pair.elsewhere.misbehave(Fault::Status(429, header));
        let problem = pair.resolve(":1.0").await.unwrap_err();
        assert_eq!(
            (problem.code(), problem.reason()),
            (Code::ResourceExhausted, reason::UPSTREAM_RATE_LIMITED)
        );
        assert_eq!(problem.retry_time(), Some(Duration::from_secs(seconds)));
    }
}

#[tokio::test]
async fn a_broken_answer_is_none() {
    let pair = Pair::start().await;
    for fault in [
        Fault::Status(500, None),
        Fault::Status(503, None),
        Fault::Status(400, None),
        Fault::HalfBody,
        Fault::WrongBody,
        Fault::BadDigestHeader,
        Fault::HugeBody,
    ] {
        assert_eq!(pair.fail(fault.clone()).await, unreachable(), "{fault:?}");
    }
    pair.elsewhere.behave();
    pair.resolve(":1.0").await.expect("nothing of it was remembered");
    pair.elsewhere.push("acme/app", "odd", INDEX, &json!({"manifests": 7}));
    assert_eq!(pair.resolve(":odd").await.unwrap_err().reason(), reason::UPSTREAM_UNREACHABLE);
}

#[tokio::test]
async fn a_registry_that_is_silent_or_gone_is_unreachable() {
    let pair = Pair::impatient().await;
    assert_eq!(pair.fail(Fault::Silence).await, unreachable());
    let speaks_no_tls = pair.elsewhere.url.replace("http://", "https://");
    for url in [loopback::nobodys_url().await, speaks_no_tls] {
        pair.move_upstream(&url).await;
        let problem = pair.resolve(":1.0").await.unwrap_err();
        assert_eq!(problem.reason(), reason::UPSTREAM_UNREACHABLE, "{url}");
        assert!(problem.retry_time().is_some());
    }
}

#[tokio::test]
async fn without_the_digest_in_a_header_the_bytes_are_hashed() {
    let pair = Pair::start().await;
    for fault in [Fault::NoDigestHeader, Fault::NoHead] {
        pair.elsewhere.misbehave(fault);
        let answer = pair.resolve(":1.0").await.unwrap();
        assert_eq!((&answer.digest, answer.platforms.len()), (&pair.digest, 2));
        let answer = pair.resolve(&format!("@{}", pair.digest)).await.unwrap();
        assert_eq!(answer.digest, pair.digest);
    }
}

#[tokio::test]
async fn a_registry_may_send_us_on_to_itself_only() {
    let pair = Pair::start().await;
    let other = LoopbackRegistry::start().await;
    other.push_index("acme/app", "1.0", &["amd64"]);
    let elsewhere = format!("{}/v2/acme/app/manifests/1.0", other.url);
    let fault = Fault::Status(307, Some(("location", elsewhere)));
    assert_eq!(pair.fail(fault).await, unreachable());
    assert!(other.requests().is_empty(), "nobody was asked there");
}

#[tokio::test]
async fn a_configuration_that_lies_elsewhere_only_leaves_the_platform_unknown() {
    let pair = Pair::start().await;
    let other = LoopbackRegistry::start().await;
    let digest = pair.elsewhere.push_image("acme/app", "2.0", "amd64", "");
    pair.elsewhere.misbehave(Fault::BlobsAt(format!("{}/blob", other.url)));
    let answer = pair.resolve(":2.0").await.unwrap();
    assert_eq!((answer.digest.as_str(), answer.platforms.len()), (digest.as_str(), 0));
    assert!(other.requests().is_empty());
    pair.elsewhere.behave();
    assert_eq!(
        pair.resolve(":2.0").await.unwrap().platforms.len(),
        1,
        "asked again with more luck"
    );
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_where_one_is_wanted() {
    let pair = Pair::start().await;
    pair.elsewhere.misbehave(Fault::Token(String::new()));
    let answer = pair.resolve(":1.0").await.unwrap();
    assert_eq!((&answer.digest, answer.platforms.len()), (&pair.digest, 2));
    let tokens = pair
        .elsewhere
        .requests()
        .iter()
        .filter(|request| request.starts_with("GET /token"))
        .count();
    assert_eq!(tokens, 1, "one token serves the whole question");
}

#[tokio::test]
async fn a_token_is_not_fetched_from_anywhere() {
    let pair = Pair::start().await;
    for realm in ["http://auth.example.com/token", "file:///etc/passwd", "nonsense"] {
        assert_eq!(pair.fail(Fault::Token(realm.to_owned())).await, unreachable(), "{realm}");
    }
    let other = LoopbackRegistry::start().await;
    for (fault, expected) in [
        (Fault::Status(401, None), (Code::PermissionDenied, reason::UPSTREAM_REFUSED.to_owned())),
        (Fault::Status(404, None), unreachable()),
        (Fault::Status(200, None), unreachable()),
    ] {
        other.misbehave(fault);
        assert_eq!(pair.fail(Fault::Token(format!("{}/token", other.url))).await, expected);
    }
}

#[tokio::test]
async fn an_answer_is_given_again_for_five_seconds_unless_a_fresh_one_is_wanted() {
    let pair = Pair::start().await;
    let reference = format!("{HOST}/acme/app:1.0");
    let first = pair.ask(&reference, false).await.unwrap();
    assert_eq!(first.digest, pair.digest);
    let newer = pair.elsewhere.push_index("acme/app", "1.0", &["amd64"]);
    pair.registry.clock.advance(Duration::from_millis(4_999));
    assert_eq!(pair.ask(&reference, false).await.unwrap(), first);
    assert_eq!(pair.elsewhere.count("HEAD"), 1);
    pair.registry.clock.advance(Duration::from_millis(1));
    assert_eq!(pair.ask(&reference, false).await.unwrap().digest, newer);
    let newest = pair.elsewhere.push_index("acme/app", "1.0", &["arm64"]);
    assert_eq!(pair.ask(&reference, true).await.unwrap().digest, newest);
    assert_eq!(pair.ask(&reference, false).await.unwrap().digest, newest, "it serves others, too");
    assert_eq!(pair.elsewhere.count("HEAD"), 3);
}

#[tokio::test]
async fn what_a_digest_holds_is_fetched_once() {
    let pair = Pair::start().await;
    for _ in 0..3 {
        assert_eq!(pair.resolve(":1.0").await.unwrap().platforms.len(), 2);
    }
    assert_eq!((pair.elsewhere.count("HEAD"), pair.elsewhere.count("GET")), (3, 1));
}

#[tokio::test]
async fn a_failure_is_not_given_again() {
    let pair = Pair::start().await;
    pair.elsewhere.misbehave(Fault::Status(503, None));
    let reference = format!("{HOST}/acme/app:1.0");
    assert!(pair.ask(&reference, false).await.is_err());
    pair.elsewhere.behave();
    assert_eq!(pair.ask(&reference, false).await.unwrap().digest, pair.digest);
}

#[tokio::test]
async fn an_upstream_that_moved_is_asked_at_its_new_place() {
    let pair = Pair::start().await;
    let reference = format!("{HOST}/acme/app:1.0");
    pair.ask(&reference, false).await.unwrap();
    let moved = LoopbackRegistry::start().await;
    let digest = moved.push_index("acme/app", "1.0", &["s390x"]);
    pair.move_upstream(&moved.url).await;
    assert_eq!(pair.ask(&reference, false).await.unwrap().digest, digest);
}
