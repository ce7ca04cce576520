//! What devices should run from the start, admitted like a push.

use proto::approval::v1 as pb;
use proto::reason;
use proto::registry::v1::ApprovalStatus;
use runtime::Problem;
use runtime::client::on_behalf_of;

use crate::fake::registry::{Answer, digest};
use crate::world::{World, person};

const DEVICE: &str = "0198f3a4-0000-7000-8000-000000000001";

fn service(name: &str, image: &str, config: &str) -> pb::TargetService {
    pb::TargetService { name: name.to_owned(), image: image.to_owned(), config: config.to_owned() }
}

async fn set(
    world: &World,
    services: Vec<pb::TargetService>,
) -> Result<pb::SetTargetResponse, Problem> {
    let request =
        pb::SetTargetRequest { device_id: DEVICE.to_owned(), services, etag: "e6".to_owned() };
    let answer = world.targets().set_target(on_behalf_of(request, &person("ops"))).await;
    answer.map(tonic::Response::into_inner).map_err(Problem::from)
}

#[tokio::test]
async fn services_are_admitted_resolved_and_handed_on() {
    let world = World::start().await;
    world.registry.approve("redis", &["7-alpine"]);
    world.registry.approve("ghcr.io/acme/agent", &["1"]);
    world.registry.upstream("redis:7-alpine", Answer::Digest(digest('a')));
    let answer = set(
        &world,
        vec![
            service("cache", "redis:7-alpine", r#"{ "environment": {"B": "2", "A": "1"} }"#),
            service("agent", "ghcr.io/acme/agent:1", ""),
        ],
    )
    .await
    .unwrap();
    assert_eq!((answer.generation, answer.etag.as_str()), (7, "e7"));
    let shown: Vec<_> = answer
        .services
        .iter()
        .map(|service| (service.image.as_str(), service.digest.as_str(), service.pinned))
        .collect();
    let a = digest('a');
    assert_eq!(
        shown,
        [
            ("docker.io/library/redis:7-alpine", a.as_str(), true),
            ("ghcr.io/acme/agent:1", "", false)
        ]
    );
    let told = &world.rollout.targets()[0];
    assert_eq!((told.device_id.as_str(), told.etag.as_str()), (DEVICE, "e6"));
    assert_eq!(told.services[0].config, r#"{"environment":{"A":"1","B":"2"}}"#);
    assert_eq!(
        (told.services[0].release_id.as_str(), told.services[1].config.as_str()),
        ("", "{}")
    );
    assert!(
        uuid::Uuid::try_parse(&told.services[1].release_id).is_ok(),
        "what is not pinned is new"
    );
    assert!(
        world.registry.admitted().iter().all(|asked| !asked.record),
        "nothing is written there"
    );
}

#[tokio::test]
async fn a_template_goes_the_same_way() {
    let world = World::start().await;
    world.registry.approve("redis", &["7"]);
    let request = pb::SetTemplateRequest {
        fleet: "north".to_owned(),
        services: vec![service("cache", "redis:7", "")],
    };
    let answer = world.targets().set_template(request).await.unwrap().into_inner();
    assert_eq!((answer.fleet.as_str(), answer.devices), ("north", 3));
    assert_eq!(world.rollout.templates()[0].services[0].image, "docker.io/library/redis:7");
}

#[tokio::test]
async fn everything_that_is_wrong_is_named_with_its_place() {
    let world = World::start().await;
    let problem = set(
        &world,
        vec![
            service("Not A Name", "redis:7", ""),
            service("cache", "REDIS:7", r#"{"nonsense": 1}"#),
            service("plain", "redis", ""),
        ],
    )
    .await
    .expect_err("refused");
    let fields: Vec<_> =
        problem.field_violations().iter().map(|violation| violation.field.as_str()).collect();
    let expected = [
        "services[0].name",
        "services[1].config.nonsense",
        "services[1].image",
        "services[2].image",
    ];
    assert_eq!(fields, expected);
    let twice = set(&world, vec![service("a", "redis:7", ""), service("a", "redis:7", "")]).await;
    assert_eq!(twice.expect_err("twice").field_violations()[0].field, "services[1].name");
    assert!(world.registry.admitted().is_empty() && world.rollout.targets().is_empty());
}

#[tokio::test]
async fn what_may_not_run_is_refused_and_a_person_is_asked_where_one_must_be() {
    let world = World::start().await;
    world.registry.approve("redis", &[]);
    world.registry.deprecate("redis", "6");
    world.registry.set("acme/bad", ApprovalStatus::Rejected);
    for (image, code) in
        [("redis:6", reason::TAG_DEPRECATED), ("acme/bad:1", reason::IMAGE_REJECTED)]
    {
        let problem = set(&world, vec![service("a", image, "")]).await.expect_err(image);
        assert_eq!((problem.reason(), problem.http_status()), (code, 403));
        assert!(!problem.metadata().contains_key("review_id"));
    }
    let problem = set(&world, vec![service("a", "acme/new:1", "")]).await.expect_err("unknown");
    assert_eq!(problem.reason(), reason::IMAGE_NOT_APPROVED);
    assert_eq!(problem.field_violations()[0].field, "services[0].image");
    let review = world.review(&problem.metadata()["review_id"]).await;
    assert_eq!((review.requester.unwrap().id.as_str(), review.tag.as_str()), ("ops", "1"));
    let own = world.approve(&review.id, &person("ops")).await.expect_err("his own");
    assert_eq!(own.reason(), reason::SELF_REVIEW);
    world.approve(&review.id, &person("anna")).await.unwrap();
    assert!(set(&world, vec![service("a", "acme/new:1", "")]).await.is_ok());
}

#[tokio::test]
async fn a_registry_that_cannot_answer_refuses_the_target() {
    let world = World::start().await;
    world.registry.approve("redis", &["1", "2", "3"]);
    world.registry.upstream("redis:1", Answer::NotFound);
    world.registry.upstream("redis:2", Answer::Unreachable);
    world.registry.upstream("redis:3", Answer::Refused);
    for (tag, code, status) in [
        ("1", reason::TAG_NOT_FOUND, 404),
        ("2", reason::UPSTREAM_UNREACHABLE, 503),
        ("3", reason::UPSTREAM_REFUSED, 403),
    ] {
        let problem =
            set(&world, vec![service("a", &format!("redis:{tag}"), "")]).await.expect_err(tag);
        assert_eq!((problem.reason(), problem.http_status()), (code, status));
    }
    world.registry.server.kill();
    let problem = set(&world, vec![service("a", "redis:1", "")]).await.expect_err("away");
    assert_eq!((problem.reason(), problem.http_status()), (reason::REGISTRY_UNREACHABLE, 503));
}
