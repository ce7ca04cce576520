//! What is not taken at all.

use http::Method;
use serde_json::json;
use testbed::steps::{WEBHOOK, add_receiver};
use testbed::{Answer, Slipway};

use crate::scene::{docker_hub, pushes};

async fn send(slipway: &Slipway, body: impl Into<String>) -> Answer {
    let headers = [("content-type", "application/json")];
    slipway.api.nobody().send(Method::POST, WEBHOOK, &headers, body.into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_400_and_says_why() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    for (body, told) in [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "no fields"),
        ("{}", "no fields"),
        (r#"{"repository": {"repo_name": "redis"}}"#, "no fields"),
        (r#"{"repository": {"repo_name": "redis"}, "push_data": {}}"#, "push_data.tag"),
        (r#"{"repository": {}, "push_data": {"tag": "7"}}"#, "repo_name"),
        (r#"{"repository": {"repo_name": "Red is"}, "push_data": {"tag": "7"}}"#, "repo_name"),
        (r#"{"repository": {"repo_name": "redis"}, "push_data": {"tag": "a b"}}"#, "push_data.tag"),
        (r#"{"repository": {"repo_name": "a"}, "push_data": {"tag": "1", "tag": "2"}}"#, "twice"),
    ] {
        let refused = send(&slipway, body).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert_eq!(refused.text_at("/reason"), "MALFORMED_BODY", "{body}: {refused:?}");
        assert!(refused.text_at("/message").contains(told), "{body}: {refused:?}");
    }
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    send(&slipway, deep).await.expect(400);
    assert_eq!(pushes(&slipway.api).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_413() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let refused = send(&slipway, " ".repeat((1 << 20) + 1)).await.expect(413);
    assert_eq!(refused.text_at("/reason"), "BODY_TOO_LARGE");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_nobody_has_is_404() {
    let slipway = Slipway::start().await;
    let body = docker_hub("redis", "7");
    let refused = slipway.api.nobody().post(WEBHOOK, &body).await.expect(404);
    assert_eq!(refused.text_at("/reason"), "RECEIVER_NOT_FOUND");
    let path = "/api/v1/webhooks/receivers/whr_of_nobody";
    let refused = slipway.api.nobody().post(path, &body).await.expect(404);
    assert!(!refused.text.contains("whr_of_nobody"), "tokens are not repeated: {refused:?}");
    let get = slipway.api.nobody().get(WEBHOOK).await;
    assert_eq!(get.status, 405, "{get:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_speaks_only_for_its_hosts_and_repositories() {
    for (mode, status) in [("strict", 403), ("ack", 200)] {
        let slipway = Slipway::start().await;
        let receiver = json!({
            "name": "narrow", "vendor": "generic", "allow_unauthenticated": true,
            "registries": ["docker.io"], "repositories": ["acme/**"], "response_mode": mode
        });
        let made = slipway.api.post("/api/v1/receivers", &receiver).await.expect(201);
        let path = format!("/api/v1/webhooks/receivers/{}", made.text_at("/url_token"));
        let ghcr = json!({
            "action": "published",
            "package": {
                "name": "app", "package_type": "CONTAINER", "owner": {"login": "acme"},
                "package_version": {"container_metadata": {"tag": {"name": "1"}}}
            }
        });
        for body in [docker_hub("redis", "7"), docker_hub("iotistic/agent", "1"), ghcr] {
            let answer = slipway.api.nobody().post(&path, &body).await.expect(status);
            assert_eq!(answer.text_at("/decision"), "rejected", "{answer:?}");
            let reason = &answer.body["events"][0]["reasons"][0]["code"];
            assert_eq!(reason, "SOURCE_NOT_AUTHORISED");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_could_be_signed_and_is_not_has_to_be_asked_for() {
    let slipway = Slipway::start().await;
    for vendor in ["generic", "github"] {
        let body = json!({"name": "open", "vendor": vendor});
        let refused = slipway.api.post("/api/v1/receivers", &body).await.expect(400);
        assert!(refused.text.contains("allow_unauthenticated"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_are_429_and_say_when_to_come_again() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let sent: Vec<_> = (0..300)
        .map(|number| {
            let api = slipway.api.nobody();
            let body = docker_hub("redis", &format!("x{number}"));
            tokio::spawn(async move { api.post(WEBHOOK, &body).await })
        })
        .collect();
    let mut refused = 0;
    for answer in sent {
        let answer = answer.await.unwrap();
        match answer.status {
            200 | 202 => {}
            429 => {
                refused += 1;
                assert_eq!(answer.text_at("/reason"), "TOO_MANY_DELIVERIES");
                assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1, "{answer:?}");
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert_eq!(pushes(&slipway.api).await, 300 - refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_the_webhook_needs_a_token() {
    let slipway = Slipway::start().await;
    let nobody = slipway.api.nobody();
    let (image, tag) = (json!({"image_name": "memcached"}), json!({"tag": "8"}));
    let (about, mark) = (json!({"description": "x"}), json!({"is_recommended": true}));
    for (method, path, body) in [
        (Method::GET, "/api/v1/images", None),
        (Method::GET, "/api/v1/images/1", None),
        (Method::GET, "/api/v1/images/categories", None),
        (Method::POST, "/api/v1/images", Some(image)),
        (Method::PUT, "/api/v1/images/1", Some(about)),
        (Method::DELETE, "/api/v1/images/1", None),
        (Method::POST, "/api/v1/images/1/tags", Some(tag)),
        (Method::PUT, "/api/v1/images/1/tags/1", Some(mark)),
        (Method::DELETE, "/api/v1/images/1/tags/1", None),
        (Method::GET, "/api/v1/rollouts", None),
        (Method::POST, "/api/v1/rollouts/0198f3a4-0000-7000-8000-000000000000/pause", None),
    ] {
        let headers = [("content-type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let refused = nobody.send(method.clone(), path, &headers, body).await;
        assert_eq!(refused.status, 401, "{method} {path}: {refused:?}");
        let challenge = refused.header("www-authenticate");
        assert!(challenge.starts_with("Bearer"), "{method} {path}: {challenge}");
    }
    let image = slipway.api.get("/api/v1/images/1").await.expect(200);
    assert_eq!((&image.body["tag_count"], &image.body["etag"]), (&json!(4), &json!("1")));
}
