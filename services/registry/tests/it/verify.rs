//! Whether what is added exists at its registry.

use proto::reason;
use proto::registry::v1 as pb;
use runtime::Code;

use crate::harness::{Registry, Who, refused, tag};
use loopback::{Fault, LoopbackRegistry};

const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

async fn set(registry: &Registry, verify: pb::VerifyUpstream) {
    let settings = pb::GateSettings { verify_upstream: verify.into(), ..Default::default() };
    registry.set_gate(settings, &["verify_upstream"]).await;
}

fn image(repository: &str) -> pb::CreateImageRequest {
    pb::CreateImageRequest { repository: repository.to_owned(), ..Default::default() }
}

fn create(image_id: i64, tag: pb::Tag) -> pb::CreateTagRequest {
    pb::CreateTagRequest { image_id, tag: Some(tag) }
}

#[tokio::test]
async fn what_exists_upstream_is_verified() {
    let registry = Registry::start().await;
    let elsewhere = LoopbackRegistry::start().await;
    let digest = elsewhere.push_index("acme/app", "1.0", &["amd64", "arm64"]);
    registry.add_upstream(&elsewhere.url, "reg.example.com").await;
    for setting in [pb::VerifyUpstream::Warn, pb::VerifyUpstream::Require] {
        set(&registry, setting).await;
        let added = registry.create_image("reg.example.com/acme/app").await;
        assert!(added.verified && added.warnings.is_empty());
        let one = registry.create_tag(added.id, tag("1.0")).await;
        assert!(one.verified && one.warnings.is_empty());
        assert_eq!((one.digest.as_str(), one.platforms.len()), (digest.as_str(), 2));
        assert!(registry.image(added.id).await.verified);
        let delete = pb::DeleteImageRequest { id: added.id, ..Default::default() };
        registry.images(Who::Admin).delete_image(delete).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_verified_is_added_with_a_warning() {
    let registry = Registry::start().await;
    let elsewhere = LoopbackRegistry::start().await;
    elsewhere.push_image("acme/app", "1.0", "amd64", "");
    registry.add_upstream(&elsewhere.url, "reg.example.com").await;
    let missing = registry.create_image("reg.example.com/acme/other").await;
    assert!(!missing.verified && missing.warnings[0].contains("does not know `acme/other`"));
    let unlisted = registry.create_image("ghcr.io/acme/app").await;
    assert!(
        !unlisted.verified && unlisted.warnings[0].contains("no upstream lists the host `ghcr.io`")
    );
    let image = registry.create_image("reg.example.com/acme/app").await;
    let gone = registry.create_tag(image.id, tag("2.0")).await;
    assert!(!gone.verified && gone.warnings[0].contains("does not know `acme/app:2.0`"));
    let different =
        registry.create_tag(image.id, pb::Tag { digest: OTHER.to_owned(), ..tag("1.0") }).await;
    assert!(!different.verified && different.warnings[0].contains("with this digest"));
    assert_eq!(different.digest, OTHER, "what was said is kept");
    elsewhere.misbehave(Fault::Status(503, None));
    let down = registry.create_tag(image.id, tag("3.0")).await;
    assert!(!down.verified && down.warnings[0].contains("503"));
    assert!(registry.tags(image.id).await.iter().all(|tag| tag.warnings.is_empty()), "told once");
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused_where_the_gate_requires_it() {
    let registry = Registry::start().await;
    let elsewhere = LoopbackRegistry::start().await;
    elsewhere.push_image("acme/app", "1.0", "amd64", "");
    registry.add_upstream(&elsewhere.url, "reg.example.com").await;
    let known = registry.create_image("reg.example.com/acme/app").await;
    set(&registry, pb::VerifyUpstream::Require).await;
    let mut images = registry.images(Who::Admin);

    let problem = refused(images.create_image(image("reg.example.com/acme/other")).await);
    assert_eq!(
        (problem.code(), problem.reason()),
        (Code::FailedPrecondition, reason::UPSTREAM_NOT_FOUND)
    );
    let problem = refused(images.create_image(image("ghcr.io/acme/app")).await);
    assert_eq!(
        (problem.code(), problem.reason()),
        (Code::FailedPrecondition, reason::UPSTREAM_NOT_CONFIGURED)
    );
    let different = pb::Tag { digest: OTHER.to_owned(), ..tag("1.0") };
    for missing in [tag("2.0"), different] {
        let problem = refused(images.create_tag(create(known.id, missing)).await);
        assert_eq!(
            (problem.code(), problem.reason()),
            (Code::FailedPrecondition, reason::UPSTREAM_NOT_FOUND)
        );
    }
    for (fault, code, expected) in [
        (Fault::Status(503, None), Code::Unavailable, reason::UPSTREAM_UNREACHABLE),
        (Fault::Status(403, None), Code::PermissionDenied, reason::UPSTREAM_REFUSED),
        (Fault::Status(429, None), Code::ResourceExhausted, reason::UPSTREAM_RATE_LIMITED),
    ] {
        elsewhere.misbehave(fault);
        let problem = refused(images.create_image(image("reg.example.com/acme/more")).await);
        assert_eq!((problem.code(), problem.reason()), (code, expected));
        let problem = refused(images.create_tag(create(known.id, tag("1.0"))).await);
        assert_eq!((problem.code(), problem.reason()), (code, expected));
    }
    assert!(registry.tags(known.id).await.is_empty());
}

#[tokio::test]
async fn nothing_is_asked_when_the_gate_says_so() {
    let registry = Registry::start().await;
    let elsewhere = LoopbackRegistry::start().await;
    registry.add_upstream(&elsewhere.url, "reg.example.com").await;
    set(&registry, pb::VerifyUpstream::Off).await;
    let image = registry.create_image("reg.example.com/acme/app").await;
    let one = registry.create_tag(image.id, tag("1.0")).await;
    assert!(!image.verified && image.warnings.is_empty() && one.warnings.is_empty());
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn what_is_there_already_is_not_asked_for() {
    let registry = Registry::start().await;
    let elsewhere = LoopbackRegistry::start().await;
    registry.add_upstream(&elsewhere.url, "docker.io").await;
    let problem = refused(registry.images(Who::Admin).create_image(image("redis")).await);
    assert_eq!(problem.reason(), reason::IMAGE_EXISTS);
    let problem = refused(registry.images(Who::Admin).create_tag(create(1, tag("latest"))).await);
    assert_eq!(problem.reason(), reason::TAG_EXISTS);
    assert!(elsewhere.requests().is_empty());
}
