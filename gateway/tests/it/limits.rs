//! What a stranger can make the gateway hold, and for how long.

use std::time::Duration;

use axum::body::Body;
use gateway::Settings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

const MEBIBYTE: usize = 1 << 20;

async fn hasty() -> World {
    let settings = Settings { read_timeout: Duration::from_millis(200), ..Settings::default() };
    World::start_with(settings, |_| {}).await
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_whether_it_is_announced_or_not() {
    let world = World::start().await;
    for path in ["/api/v1/webhooks/docker-registry", "/api/v1/images"] {
        let call = || world.post(path).header("content-type", "application/json");
        let announced = call().body(vec![b' '; MEBIBYTE + 1]).send().await;
        assert_eq!(announced.expect(413)["reason"], "BODY_TOO_LARGE");
        let pieces = (0..=16).map(|_| Ok::<_, std::io::Error>(vec![b' '; MEBIBYTE / 16]));
        let streamed = Body::from_stream(futures_util::stream::iter(pieces));
        let told = call().body(streamed).send().await;
        assert_eq!(told.expect(413)["reason"], "BODY_TOO_LARGE");
    }
    assert!(world.approval.calls().is_empty() && world.registry.calls().is_empty());
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_handed_on() {
    let world = World::start().await;
    let told = world.post("/api/v1/webhooks/docker-registry").body(vec![b' '; MEBIBYTE]);
    told.send().await.expect(501);
    let asked: proto::approval::v1::SubmitDeliveryRequest =
        world.approval.asked("approval.v1.Pushes/SubmitDelivery");
    assert_eq!(asked.body.len(), MEBIBYTE);
}

#[tokio::test]
async fn a_body_nested_too_deep_is_no_json() {
    let world = World::start().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let body = format!(
            "{{\"services\": [{{\"name\": \"a\", \"image\": \"b\", \"config\": {deep}}}]}}"
        );
        let call = world.put("/api/v1/gate").header("content-type", "application/json");
        let told = call.body(format!("{{\"internal_namespaces\": {body}}}")).send().await;
        assert_eq!(told.status.as_u16(), 400);
    }
    assert!(world.registry.calls().is_empty());
}

#[tokio::test]
async fn what_is_not_json_is_refused_before_it_is_read() {
    let world = World::start().await;
    let told = world.post("/api/v1/images").body("image_name=redis").send().await.expect(415);
    assert_eq!(told["reason"], "UNSUPPORTED_MEDIA_TYPE");
    let call = world.post("/api/v1/images").header("content-type", "text/plain");
    call.body("{}").send().await.expect(415);
    let told = world.post("/api/v1/images").json(&Value::Null).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "body");
    let call = world.post("/api/v1/images").header("content-type", "application/json");
    let told = call.body("{\"image_name\": ").send().await.expect(400);
    assert_eq!(told["reason"], "MALFORMED_BODY");
}

#[tokio::test]
async fn headers_over_their_limit_are_431() {
    let world = World::start().await;
    let told = world.get("/api/v1/images").header("x-long", &"x".repeat(17 << 10)).send().await;
    assert_eq!(told.expect(431)["reason"], "HEADERS_TOO_LARGE");
    let told = world.get(&format!("/api/v1/images?search={}", "x".repeat(17 << 10))).send().await;
    assert_eq!(told.expect(431)["reason"], "HEADERS_TOO_LARGE");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = hasty().await;
    let never =
        Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let told = world.post("/api/v1/webhooks/docker-registry").body(never).send().await;
    assert_eq!(told.expect(408)["reason"], "REQUEST_TIMEOUT");
}

#[tokio::test]
async fn who_connects_and_says_too_little_is_cut_off() {
    let world = hasty().await;
    for said in ["", "GET", "GET /api/v1/images HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
        // A reset is an end, too.
        let _ = end.await.expect("the connection ends");
    }
}

#[tokio::test]
async fn a_body_that_changes_something_may_be_left_out_where_nothing_is_needed() {
    let world = World::start().await;
    let decision = proto::approval::v1::ReviewDecision {
        review: Some(crate::samples::review()),
        ..Default::default()
    };
    world.approval.answer("approval.v1.Reviews/ApproveReview", decision);
    let path = format!("/api/v1/approval-requests/{}/approve", crate::samples::OTHER_ID);
    world.post(&path).send().await.expect(200);
    world.post(&path).json(&json!({})).send().await.expect(200);
    world.post(&path).body("notes=x").send().await.expect(415);
}
