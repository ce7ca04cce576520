//! Receivers of each vendor, by their own addresses.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use testbed::steps::{WEBHOOK, add_receiver};
use testbed::{Answer, Api, LoopbackRegistry, Slipway};

use crate::scene::{device, docker_hub, policy, pushes};

const SECRET: &str = "It's a Secret to Everybody";
const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// Makes a receiver and returns the path of its address.
async fn receiver(slipway: &Slipway, body: &Value) -> String {
    let made = slipway.api.post("/api/v1/receivers", body).await.expect(201);
    let path = format!("/api/v1/webhooks/receivers/{}", made.text_at("/url_token"));
    assert_eq!(made.text_at("/url"), format!("{}{path}", slipway.api.url()));
    path
}

/// What GitHub sends about a package of GHCR.
fn package(name: &str, tag: &str) -> Value {
    let (owner, package) = name.split_once('/').unwrap();
    json!({
        "action": "published",
        "package": {
            "name": package, "namespace": owner, "package_type": "CONTAINER",
            "owner": {"login": owner},
            "package_version": {
                "version": DIGEST, "package_url": format!("ghcr.io/{name}:{tag}"),
                "container_metadata": {"tag": {"name": tag, "digest": DIGEST}}
            }
        },
        "sender": {"login": "anna"}
    })
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Sends an event as GitHub does; signed, where a signature is given.
async fn github(api: &Api, path: &str, id: &str, body: &str, signature: Option<&str>) -> Answer {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("user-agent", "GitHub-Hookshot/044aadd"),
        ("x-github-event", "package"),
        ("x-github-delivery", id),
    ];
    headers.extend(signature.map(|signature| ("x-hub-signature-256", signature)));
    api.nobody().send(Method::POST, path, &headers, body.to_owned()).await
}

async fn github_receiver(slipway: &Slipway) -> String {
    let body = json!({
        "name": "ghcr", "vendor": "github", "secret": SECRET, "registries": ["ghcr.io"],
        "repositories": ["**"], "payload_trust": true
    });
    receiver(slipway, &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn github_signs_its_webhooks_and_its_digest_is_pinned() {
    let slipway = Slipway::start().await;
    let path = github_receiver(&slipway).await;
    policy(&slipway.api, "ghcr.io/dsamborschi/*:*").await;
    device(&slipway.api, &["ghcr.io/dsamborschi/agent:1"]).await;
    let body = package("Dsamborschi/Agent", "2").to_string();
    let signed = signature(SECRET, &body);
    let answer = github(&slipway.api, &path, "d-1", &body, Some(&signed)).await.expect(200);
    let event = &answer.body["events"][0];
    for (member, value) in [
        ("image", json!("ghcr.io/dsamborschi/agent:2")),
        ("repository", json!("ghcr.io/dsamborschi/agent")),
        ("registry", json!("ghcr.io")),
        ("digest", json!(DIGEST)),
        ("pinned", json!(true)),
        ("outcome", json!("rollout")),
    ] {
        assert_eq!(event[member], value, "{member}: {answer:?}");
    }
    assert_eq!(event["reasons"][0]["code"], "INTERNAL_NAMESPACE");
    assert_eq!(event["actor"]["name"], "ghcr");

    let again = github(&slipway.api, &path, "d-1", &body, Some(&signed)).await.expect(200);
    assert_eq!(again.header("idempotent-replay"), "true");
    let other = package("Dsamborschi/Agent", "3").to_string();
    let signed = signature(SECRET, &other);
    let reused = github(&slipway.api, &path, "d-1", &other, Some(&signed)).await.expect(409);
    assert_eq!(reused.text_at("/reason"), "DELIVERY_ID_REUSED");
    assert_eq!(pushes(&slipway.api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_not_signed_with_the_secret_is_refused_and_leaves_nothing() {
    let slipway = Slipway::start().await;
    let path = github_receiver(&slipway).await;
    let body = package("dsamborschi/agent", "2").to_string();
    let changed = body.replace("agent", "other");
    let (good, bad) = (signature(SECRET, &body), signature("another secret", &body));
    for (what, body, signed) in [
        ("no signature", &body, None),
        ("another secret", &body, Some(bad.as_str())),
        ("another body", &changed, Some(good.as_str())),
        ("no digits", &body, Some("sha256=")),
    ] {
        let refused = github(&slipway.api, &path, "d-1", body, signed).await;
        assert_eq!(refused.status, 401, "{what}: {refused:?}");
        assert_eq!(refused.text_at("/reason"), "BAD_SIGNATURE", "{what}");
        assert!(!refused.text.contains(SECRET) && !refused.header("www-authenticate").is_empty());
    }
    assert_eq!(pushes(&slipway.api).await, 0);
    github(&slipway.api, &path, "d-1", &body, Some(&good)).await.expect(200);

    let list = slipway.api.get("/api/v1/receivers").await.expect(200);
    assert!(!list.text.contains(SECRET) && !list.text.contains(path.rsplit('/').next().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_push_of_a_tag_is_ignored() {
    let slipway = Slipway::start().await;
    let path = github_receiver(&slipway).await;
    let send = async |event: &str, id: &str, body: Value| {
        let body = body.to_string();
        let signed = signature(SECRET, &body);
        let headers = [
            ("x-github-event", event),
            ("x-github-delivery", id),
            ("x-hub-signature-256", signed.as_str()),
        ];
        slipway.api.nobody().send(Method::POST, &path, &headers, body).await
    };
    let mut deleted = package("dsamborschi/agent", "2");
    deleted["action"] = json!("deleted");
    let mut npm = package("dsamborschi/agent", "2");
    npm["package"]["package_type"] = json!("npm");
    for (event, id, body) in [
        ("ping", "d-1", json!({"zen": "Keep it logically awesome."})),
        ("package", "d-2", deleted),
        ("package", "d-3", npm),
    ] {
        let answer = send(event, id, body).await.expect(200);
        assert_eq!((answer.text_at("/decision"), &answer.body["events"]), ("ignored", &json!([])));
        assert!(!answer.text_at("/message").is_empty(), "{answer:?}");
    }
    // A child of an index has no tag.
    let mut child = package("dsamborschi/agent", "");
    child["package"]["package_version"]["container_metadata"]["tag"]["name"] = json!("");
    let answer = send("package", "d-4", child).await.expect(200);
    assert_eq!(answer.text_at("/events/0/state"), "ignored");
    assert_eq!(answer.text_at("/events/0/reasons/0/code"), "NO_TAG");
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_hub_has_an_address_that_only_it_knows_and_the_registry_is_asked() {
    let slipway = Slipway::start().await;
    let registry = LoopbackRegistry::start().await;
    let digest = registry.push_image("library/redis", "7.5-alpine", "amd64", "one");
    let upstream = json!({"name": "docker-hub", "url": registry.url, "host": "docker.io"});
    slipway.api.post("/api/v1/image-registries", &upstream).await.expect(201);
    let body = json!({"name": "hub", "vendor": "dockerhub", "allow_unauthenticated": true});
    let path = receiver(&slipway, &body).await;
    let answer = slipway.api.nobody().post(&path, &docker_hub("redis", "7.5-alpine")).await;
    let answer = answer.expect(200);
    assert_eq!(answer.text_at("/events/0/digest"), digest);
    assert_eq!(answer.body["events"][0]["pinned"], true);
    assert_eq!(answer.text_at("/events/0/actor/name"), "hub");

    let refused = slipway.api.nobody().post(&path, &package("acme/app", "1")).await.expect(400);
    assert_eq!(refused.text_at("/reason"), "MALFORMED_BODY");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_takes_the_bodies_of_docker_hub_and_of_github() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let hub = slipway.api.nobody().post(WEBHOOK, &docker_hub("iotistic/agent", "1")).await;
    assert_eq!(hub.expect(200).text_at("/events/0/repository"), "docker.io/iotistic/agent");
    let body = package("dsamborschi/agent", "1").to_string();
    let ghcr = github(&slipway.api, WEBHOOK, "d-1", &body, None).await.expect(200);
    assert_eq!(ghcr.text_at("/events/0/repository"), "ghcr.io/dsamborschi/agent");
    assert_eq!(ghcr.text_at("/events/0/reasons/0/code"), "INTERNAL_NAMESPACE");
}
