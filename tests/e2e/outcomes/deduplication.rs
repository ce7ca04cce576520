//! What comes twice is done once.

use serde_json::json;
use testbed::steps::{WEBHOOK, add_receiver, push_done, somebody};
use testbed::{Answer, Slipway};

use crate::scene::{docker_hub, push, pushes, rollouts, with_redis};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_webhook_twice_is_answered_twice_and_done_once() {
    let slipway = with_redis().await;
    let first = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    let again = push(&slipway.api, "redis", "7.5-alpine").await.expect(200);
    assert_eq!(first.header("idempotent-replay"), "");
    assert_eq!(again.header("idempotent-replay"), "true");
    assert_eq!(again.body, first.body);
    assert_eq!((pushes(&slipway.api).await, rollouts(&slipway.api).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_equal_webhooks_at_once_make_one_rollout() {
    let slipway = with_redis().await;
    let sent = (0..50).map(|_| {
        let api = slipway.api.clone();
        tokio::spawn(async move { push(&api, "redis", "7.5-alpine").await })
    });
    let sent: Vec<_> = sent.collect();
    let mut answers: Vec<Answer> = Vec::new();
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    let of = |member: &str| {
        let mut values: Vec<_> =
            answers.iter().map(|answer| answer.text_at(member).to_owned()).collect();
        values.sort();
        values.dedup();
        values
    };
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(of("/events/0/outcome"), ["rollout"]);
    for member in ["/delivery_id", "/events/0/push_id", "/events/0/rollout_id"] {
        assert_eq!(of(member).len(), 1, "{member}: {answers:?}");
    }
    assert_eq!((pushes(&slipway.api).await, rollouts(&slipway.api).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_equal_webhooks_of_an_unknown_image_ask_one_question() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let sent = (0..50).map(|_| {
        let api = slipway.api.clone();
        tokio::spawn(async move { push(&api, "memcached", "1.6").await })
    });
    for answer in sent.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        // One that comes while the first is being decided may be told that it is stored.
        assert!([403, 202].contains(&answer.status), "{answer:?}");
    }
    let asked = slipway.api.get("/api/v1/approval-requests").await.expect(200);
    assert_eq!((&asked.body["total"], pushes(&slipway.api).await), (&json!(1), 1));
    assert_eq!(asked.body["approval_requests"][0]["held_pushes"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_webhook_is_decided_again_and_succeeds_after_approval() {
    let slipway = with_redis().await;
    let api = &slipway.api;
    let held = push(api, "memcached", "1.6").await.expect(403);
    let again = push(api, "memcached", "1.6").await.expect(403);
    assert_eq!(again.header("idempotent-replay"), "");
    let push_id = held.text_at("/events/0/push_id");
    assert_eq!(again.text_at("/events/0/push_id"), push_id);
    let review = held.text_at("/events/0/review_id");
    assert_eq!(again.text_at("/events/0/review_id"), review);
    let asked = api.get(&format!("/api/v1/approval-requests/{review}")).await.expect(200);
    assert_eq!((&asked.body["occurrences"], &asked.body["held_pushes"]), (&json!(2), &json!(1)));

    let approver = somebody(api, "anna", "approver").await;
    let path = format!("/api/v1/approval-requests/{review}/approve");
    let approved = approver.post(&path, &json!({})).await.expect(200);
    assert_eq!(approved.text_at("/status"), "approved", "{approved:?}");
    let done = push_done(api, push_id).await;
    assert_eq!(done["outcome"], "no_policy");
    let later = push(api, "memcached", "1.6").await.expect(200);
    assert_eq!(later.text_at("/events/0/push_id"), push_id);
    let images = api.get("/api/v1/images?search=memcached").await.expect(200);
    assert_eq!(images.text_at("/images/0/approval_status"), "approved");
    assert_eq!(images.text_at("/images/0/approved_by"), "anna");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_webhook_is_decided_again() {
    let slipway = with_redis().await;
    let api = &slipway.api;
    let tag = json!({"tag": "6-alpine", "is_deprecated": true});
    api.post("/api/v1/images/1/tags", &tag).await.expect(201);
    let denied = push(api, "redis", "6-alpine").await.expect(403);
    api.put("/api/v1/images/1/tags/5", &json!({"is_deprecated": false})).await.expect(200);
    let allowed = push(api, "redis", "6-alpine").await.expect(200);
    assert_eq!(allowed.text_at("/events/0/push_id"), denied.text_at("/events/0/push_id"));
    assert_eq!(rollouts(api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused_again_in_the_same_words() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let body = json!({"repository": {"repo_name": "redis"}});
    let first = slipway.api.nobody().post(WEBHOOK, &body).await.expect(400);
    let again = slipway.api.nobody().post(WEBHOOK, &body).await.expect(400);
    assert_eq!(again.header("idempotent-replay"), "true");
    assert_eq!(again.text_at("/message"), first.text_at("/message"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_push_tells_it_from_the_next() {
    let slipway = with_redis().await;
    let now = runtime::Clock::system().now().timestamp();
    for (pushed_at, replayed) in [(now, ""), (now, "true"), (now - 1, "")] {
        let mut body = docker_hub("redis", "7.5-alpine");
        body["push_data"]["pushed_at"] = json!(pushed_at);
        let answer = slipway.api.nobody().post(WEBHOOK, &body).await.expect(200);
        assert_eq!(answer.header("idempotent-replay"), replayed);
    }
    assert_eq!(pushes(&slipway.api).await, 2);
}
