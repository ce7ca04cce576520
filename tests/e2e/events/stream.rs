//! `GET /api/v1/events`: live, and again from where a break was.

use serde_json::json;
use testbed::steps::{Rollout, add_policy, quick_policy};
use testbed::{EventStream, StreamEvent};

use super::is_envelope;
use crate::scene::{push, with_redis};

/// The types that a push of an unknown tag leads to, until its rollout is there.
const OF_A_PUSH: [&str; 4] = [
    "image.webhook_received",
    "image.webhook_approved",
    "image.tag.added",
    "image.rollout_created",
];

fn of_type<'a>(events: &'a [StreamEvent], kind: &str) -> Option<&'a StreamEvent> {
    events.iter().find(|event| event.kind == kind)
}

/// Reads until each of these types has come.
async fn read_all(stream: &mut EventStream, kinds: &[&str]) -> Vec<StreamEvent> {
    let mut events = Vec::new();
    while kinds.iter().any(|kind| of_type(&events, kind).is_none()) {
        events.push(stream.next().await);
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_told_live_from_webhook_to_rollout() {
    let slipway = with_redis().await;
    let mut stream = EventStream::open(&slipway.api, "", None).await;
    let answer = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    let events = read_all(&mut stream, &OF_A_PUSH).await;
    for event in &events {
        is_envelope(&event.data);
        assert_eq!(event.data["type"], event.kind.as_str());
    }
    assert!(events.is_sorted_by(|one, next| one.id < next.id), "{events:?}");

    let tag = of_type(&events, "image.tag.added").unwrap();
    assert_eq!(tag.data["after"]["tag"], "7.5-alpine", "{tag:?}");
    let received = of_type(&events, "image.webhook_received").unwrap();
    assert_eq!(received.data["actor"]["kind"], "receiver", "{received:?}");
    assert_eq!(received.data["actor"]["name"], "default", "{received:?}");
    let created = of_type(&events, "image.rollout_created").unwrap();
    assert_eq!(created.data["resource"]["id"], answer.text_at("/events/0/rollout_id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_after_the_last_event_that_was_seen() {
    let slipway = with_redis().await;
    let mut stream = EventStream::open(&slipway.api, "", None).await;
    push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    let seen = read_all(&mut stream, &OF_A_PUSH).await;
    drop(stream);
    push(&slipway.api, "nginx", "1.27").await.expect(200);

    let (first, rest) = seen.split_first().unwrap();
    let mut again = EventStream::open(&slipway.api, "", Some(first.id)).await;
    for event in rest {
        assert_eq!(&again.next().await, event, "nothing is lost and nothing comes twice");
    }
    let missed = again.until("image.tag.added").await;
    assert_eq!(missed[0].id, seen.last().unwrap().id + 1, "what came in between is told, too");
    assert!(missed.iter().all(|event| event.kind != "reset"), "{missed:?}");

    let query = format!("?after={}", first.id);
    let mut by_query = EventStream::open(&slipway.api, &query, None).await;
    assert_eq!(&by_query.next().await, &rest[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_only_what_it_is_asked_for() {
    let slipway = with_redis().await;
    let query = "?types=image.tag.*,image.rollout_created";
    let mut stream = EventStream::open(&slipway.api, query, None).await;
    push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    let events = read_all(&mut stream, &["image.tag.added", "image.rollout_created"]).await;
    assert_eq!(events.len(), 2, "{events:?}");
    // Also after a break.
    let mut again = EventStream::open(&slipway.api, query, Some(0)).await;
    assert_eq!([again.next().await, again.next().await].as_slice(), events);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_on_images_and_tags_is_told_with_its_change() {
    let slipway = with_redis().await;
    let api = &slipway.api;
    let me = api.get("/api/v1/me").await.expect(200);
    let mut stream = EventStream::open(api, "?types=image.registry.*,image.tag.*", None).await;
    let image = json!({"image_name": "memcached", "description": "cache"});
    api.post("/api/v1/images", &image).await.expect(201);
    api.put("/api/v1/images/10", &json!({"description": "a cache"})).await.expect(200);
    api.post("/api/v1/images/10/tags", &json!({"tag": "1.6"})).await.expect(201);
    api.put("/api/v1/images/10/tags/5", &json!({"is_deprecated": true})).await.expect(200);
    api.delete("/api/v1/images/10/tags/5").await.expect(200);
    api.delete("/api/v1/images/10").await.expect(200);
    for (kind, member, before, after) in [
        ("image.registry.added", "description", json!(null), json!("cache")),
        ("image.registry.approved", "approval_status", json!(null), json!("approved")),
        ("image.registry.updated", "description", json!("cache"), json!("a cache")),
        ("image.tag.added", "tag", json!(null), json!("1.6")),
        ("image.tag.updated", "is_deprecated", json!(false), json!(true)),
        ("image.tag.deleted", "tag", json!("1.6"), json!(null)),
        ("image.registry.deleted", "description", json!("a cache"), json!(null)),
    ] {
        let event = stream.next().await;
        assert_eq!(event.kind, kind, "{event:?}");
        is_envelope(&event.data);
        assert_eq!(event.data["before"][member], before, "{event:?}");
        assert_eq!(event.data["after"][member], after, "{event:?}");
        assert_eq!(event.data["actor"]["name"], me.text_at("/name"), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_is_told_too() {
    let slipway = with_redis().await;
    let mut stream = EventStream::open(&slipway.api, "?types=image.webhook_*", None).await;
    push(&slipway.api, "memcached", "1.6").await.expect(403);
    let tag = json!({"tag": "6-alpine", "is_deprecated": true});
    slipway.api.post("/api/v1/images/1/tags", &tag).await.expect(201);
    push(&slipway.api, "redis", "6-alpine").await.expect(403);
    let mut kinds = Vec::new();
    while kinds.len() < 4 {
        kinds.push(stream.next().await.kind);
    }
    let received = "image.webhook_received";
    assert_eq!(kinds, [received, "image.webhook_held", received, "image.webhook_rejected"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_told_batch_by_batch_to_its_end() {
    let slipway = with_redis().await;
    let fleet = slipway.fleet("south", 3, &[("web", "nginx:1.26")], "good").await;
    let rule = quick_policy("south", "nginx:*", "staged");
    add_policy(&slipway.api, &rule).await;
    let mut stream = EventStream::open(&slipway.api, "?types=image.rollout_*", None).await;
    let rollout = Rollout::of(&slipway.api, push(&slipway.api, "nginx", "1.27").await);
    let events = stream.until("image.rollout_completed").await;
    fleet.wait_until_running("docker.io/library/nginx:1.27", 3).await;
    for event in &events {
        is_envelope(&event.data);
        assert_eq!(event.data["resource"]["id"], rollout.id, "{event:?}");
    }
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    let of = |kind: &str| kinds.iter().filter(|found| **found == kind).count();
    let batches = rollout.detail().await["rollout"]["batches"].as_array().unwrap().len();
    assert!(batches > 1, "{kinds:?}");
    assert_eq!(of("image.rollout_batch_started"), batches, "{kinds:?}");
    assert_eq!(of("image.rollout_batch_completed"), batches, "{kinds:?}");
    assert_eq!(kinds[..2], ["image.rollout_created", "image.rollout_started"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_needs_a_token_and_an_id_that_is_one() {
    let slipway = with_redis().await;
    slipway.api.nobody().get("/api/v1/events").await.expect(401);
    let odd = slipway.api.open("/api/v1/events", &[("last-event-id", "x")]).await;
    assert_eq!(odd.status().as_u16(), 400);
}
