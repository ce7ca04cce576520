//! Tokens, the audit log, registries elsewhere, health and figures: documents 4 and 5.

use gateway::Settings;
use proto::access::v1 as pb;
use proto::event::v1::Event;
use proto::registry::v1 as registry;
use proto::rollout::v1 as rollout;
use proto::types::v1::Resource;
use serde_json::json;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::samples::{actor, time};
use crate::world::{World, nobody};

const HEALTH: &str = "grpc.health.v1.Health/Check";

fn token() -> pb::Token {
    pb::Token {
        id: 1,
        name: "CI/CD Token".to_owned(),
        subject: actor(),
        role: pb::Role::Operator.into(),
        prefix: "ghd_abc123".to_owned(),
        create_time: time(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_new_token_shows_its_secret_once() {
    let world = World::start().await;
    let create = "access.v1.Tokens/CreateToken";
    world.access.answer(
        create,
        pb::CreateTokenResponse { token: Some(token()), secret: "ghd_abc123def".to_owned() },
    );
    let body = json!({"name": "CI/CD Token", "role": "user", "expires_at": "2026-12-31T23:59:59Z"});
    let told = world.post("/api/v1/tokens").json(&body).send().await;
    insta::assert_json_snapshot!(told.expect(201));
    let asked: pb::CreateTokenRequest = world.access.asked(create);
    assert_eq!((asked.name.as_str(), asked.role()), ("CI/CD Token", pb::Role::Operator));
    assert_eq!(asked.expire_time.unwrap().seconds, 1_798_761_599);

    let body = json!({"name": "x", "permissions": ["pull"]});
    let told = world.post("/api/v1/tokens").json(&body).send().await.expect(501);
    assert_eq!(told["error"]["details"]["violations"][0]["field"], "permissions");
}

#[tokio::test]
async fn a_revoked_token_is_told_as_it_is_now() {
    let world = World::start().await;
    let revoke = "access.v1.Tokens/RevokeToken";
    world.access.answer(revoke, pb::Token { revoke_time: time(), ..token() });
    let told = world.delete("/api/v1/tokens/1").send().await.expect(200);
    assert_eq!(
        (&told["message"], &told["token"]["revoked_at"]),
        (&json!("Token revoked"), &json!("2025-10-17T08:00:00Z"))
    );
}

#[tokio::test]
async fn a_caller_learns_who_it_is() {
    let world = World::start().await;
    world.access.answer(
        "access.v1.Tokens/WhoAmI",
        pb::Principal {
            actor: actor(),
            role: pb::Role::Viewer.into(),
            permissions: vec!["images.read".to_owned()],
            expire_time: None,
        },
    );
    let told = world.get("/api/v1/me").send().await.expect(200);
    assert_eq!(
        told,
        json!({
            "kind": "user", "id": "alice", "name": "alice", "role": "viewer",
            "permissions": ["images.read"], "expires_at": null
        })
    );
}

#[tokio::test]
async fn the_audit_log_has_the_documents_shape() {
    let world = World::start().await;
    let list = "access.v1.AuditLog/ListEntries";
    world.access.answer(
        list,
        pb::ListEntriesResponse {
            entries: vec![pb::Entry {
                sequence: 7,
                event: Some(Event {
                    r#type: "token.create".to_owned(),
                    create_time: time(),
                    actor: actor(),
                    resource: Some(Resource {
                        kind: "token".to_owned(),
                        id: "1".to_owned(),
                        name: "ci-push".to_owned(),
                    }),
                    envelope: "{\"type\":\"token.create\"}".to_owned(),
                    ..Event::default()
                }),
                source: "access".to_owned(),
                hash: vec![0xab, 0xcd],
                ip: "192.0.2.7".to_owned(),
                user_agent: "curl/8.5.0".to_owned(),
            }],
            total_size: 1,
            ..Default::default()
        },
    );
    let path = "/api/v1/audit?user=alice&action=token.*&from=2025-10-17T08:00:00Z&page=1&limit=10";
    insta::assert_json_snapshot!(world.get(path).send().await.expect(200));
    let asked: pb::ListEntriesRequest = world.access.asked(list);
    assert_eq!((asked.actor.as_str(), asked.r#type.as_str()), ("alice", "token.*"));
    assert_eq!((asked.start_time, asked.page_size), (time(), 10));
}

#[tokio::test]
async fn a_broken_chain_is_an_answer() {
    let world = World::start().await;
    world.access.answer(
        "access.v1.AuditLog/VerifyChain",
        pb::VerifyChainResponse {
            intact: false,
            checked_to: 8,
            checked_count: 8,
            broken_at: 7,
            problem: "entry 7 was changed".to_owned(),
        },
    );
    let told = world.get("/api/v1/audit/verify?from=1").send().await.expect(200);
    assert_eq!((&told["intact"], &told["broken_at"]), (&json!(false), &json!(7)));
}

#[tokio::test]
async fn registries_elsewhere_have_epoch_seconds_and_a_bare_list() {
    let world = World::start().await;
    let upstream = || registry::Upstream {
        id: 1,
        name: "docker-hub".to_owned(),
        url: "https://registry-1.docker.io".to_owned(),
        host: "docker.io".to_owned(),
        is_default: true,
        create_time: time(),
        update_time: time(),
        etag: "1".to_owned(),
        ..Default::default()
    };
    let create = "registry.v1.Upstreams/CreateUpstream";
    world.registry.answer(create, upstream());
    let answer = registry::ListUpstreamsResponse {
        upstreams: vec![upstream()],
        total_size: 1,
        ..Default::default()
    };
    world.registry.answer("registry.v1.Upstreams/ListUpstreams", answer);
    let body =
        json!({"name": "docker-hub", "url": "https://registry-1.docker.io", "default": true});
    let made = world.post("/api/v1/image-registries").json(&body).send().await.expect(201);
    insta::assert_json_snapshot!(made);
    let list = world.get("/api/v1/image-registries").send().await.expect(200);
    assert_eq!(list, json!([made]));
    let asked: registry::CreateUpstreamRequest = world.registry.asked(create);
    assert!(asked.upstream.unwrap().is_default);
}

fn serve(world: &World) {
    let answer = |status: ServingStatus| HealthCheckResponse { status: status.into() };
    for peer in [&world.registry, &world.approval, &world.rollout, &world.link, &world.access] {
        peer.answer(HEALTH, answer(ServingStatus::Serving));
    }
}

#[tokio::test]
async fn health_is_open_to_all_and_its_figures_to_those_who_may_read_them() {
    let world = World::start().await;
    serve(&world);
    let told = world.get("/api/v1/health").send().await.expect(200);
    assert_eq!(
        (&told["status"], &told["services"]["link"]),
        (&json!("healthy"), &json!("healthy"))
    );
    assert_eq!(told.get("metrics"), None);
    let images = registry::ListImagesResponse { total_size: 9, ..Default::default() };
    world.registry.answer("registry.v1.ImageRegistry/ListImages", images);
    let devices = rollout::ListDevicesResponse { total_size: 25, ..Default::default() };
    world.rollout.answer("rollout.v1.Devices/ListDevices", devices);
    let told = world.get("/api/v1/health").send().await.expect(200);
    assert_eq!(told["metrics"], json!({"images": 9, "devices": 25}));
}

#[tokio::test]
async fn health_tells_which_process_is_not_well() {
    let away = nobody().await;
    let world = World::start_with(Settings::default(), |peers| peers.rollout = away).await;
    serve(&world);
    let not_serving = HealthCheckResponse { status: ServingStatus::NotServing.into() };
    world.access.answer(HEALTH, not_serving);
    let told = world.get("/api/v1/health").send().await.expect(200);
    assert_eq!(told["status"], "degraded");
    let services = &told["services"];
    assert_eq!(
        (&services["rollout"], &services["access"]),
        (&json!("unreachable"), &json!("unhealthy"))
    );
}

#[tokio::test]
async fn health_is_503_when_nobody_answers() {
    let away = nobody().await;
    let world = World::start_with(Settings::default(), |peers| {
        for peer in [
            &mut peers.registry,
            &mut peers.approval,
            &mut peers.rollout,
            &mut peers.link,
            &mut peers.access,
        ] {
            *peer = away.clone();
        }
    })
    .await;
    assert_eq!(world.get("/api/v1/health").send().await.expect(503)["status"], "unhealthy");
}

#[tokio::test]
async fn figures_count_what_was_answered() {
    let world = World::start().await;
    let images = registry::ListImagesResponse { total_size: 9, ..Default::default() };
    world.registry.answer("registry.v1.ImageRegistry/ListImages", images);
    world.get("/nowhere").send().await.expect(404);
    world.get("/api/v1/images").send().await.expect(200);
    let told = world.get("/api/v1/metrics").send().await.expect(200);
    assert_eq!(told["requests"], json!({"total": 2, "success": 1, "errors": 1}));
    assert_eq!(told["registry"], json!({"images": 9}));
    assert_eq!(told["timestamp"], "2026-11-21T12:00:00Z");
}
