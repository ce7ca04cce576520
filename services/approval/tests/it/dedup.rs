//! What comes twice is decided once, and what was held or denied is decided again.

use std::sync::Arc;
use std::time::Duration;

use proto::approval::v1 as pb;
use proto::approval::v1::Decision;
use proto::approval::v1::push::{Outcome, State};
use proto::reason;
use sqlx::Connection as _;

use crate::fake::registry::digest;
use crate::world::{World, at_once, codes, github, hub, hub_at};

async fn count(world: &World, table: &str) -> i64 {
    let query = format!("select count(*) from approval.{table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&world.owner).await.unwrap()
}

#[tokio::test]
async fn fifty_equal_deliveries_at_once_are_one_push_and_one_rollout() {
    let world = Arc::new(World::start().await);
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let answers = at_once(50, |_| {
        let world = world.clone();
        async move { world.deliver(&hub("redis", "7")).await.unwrap() }
    })
    .await;
    let first = &answers[0].pushes[0];
    for answer in &answers {
        assert_eq!((answer.decision(), answer.pushes.len()), (Decision::Allow, 1));
        let push = &answer.pushes[0];
        assert_eq!((&push.id, push.outcome()), (&first.id, Outcome::Rollout));
        assert_eq!(answer.delivery_id, answers[0].delivery_id);
    }
    assert_eq!(world.rollout.request_ids(), std::slice::from_ref(&first.id));
    assert_eq!(world.rollout.created().len(), 1, "the question was asked once");
    assert_eq!((count(&world, "deliveries").await, count(&world, "pushes").await), (1, 1));
    assert!(answers.iter().any(|answer| !answer.replayed));
}

#[tokio::test]
async fn what_was_allowed_is_answered_again_for_a_minute_and_then_decided_anew() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let first = world.deliver(&hub("redis", "7")).await.unwrap();
    assert!(!first.replayed);
    world.clock.advance(Duration::from_secs(59));
    let again = world.deliver(&hub("redis", "7")).await.unwrap();
    assert!(again.replayed);
    assert_eq!((&again.delivery_id, &again.pushes), (&first.delivery_id, &first.pushes));
    world.clock.advance(Duration::from_secs(1));
    let later = world.deliver(&hub("redis", "7")).await.unwrap();
    assert!(!later.replayed);
    assert_ne!(later.pushes[0].id, first.pushes[0].id, "it may well be a second push");
    assert_eq!(world.rollout.request_ids().len(), 2);
}

#[tokio::test]
async fn the_time_of_the_push_tells_two_pushes_apart_and_is_remembered_for_days() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let first = world.deliver(&hub_at("redis", "7", 0)).await.unwrap();
    let second = world.deliver(&hub_at("redis", "7", 1)).await.unwrap();
    assert_ne!(first.pushes[0].id, second.pushes[0].id);
    world.clock.advance(Duration::from_secs(8 * 86_400 - 1));
    let again = world.deliver(&hub_at("redis", "7", 0)).await.unwrap();
    assert!(again.replayed && again.pushes[0].id == first.pushes[0].id);
}

#[tokio::test]
async fn a_held_delivery_is_decided_again_as_the_push_it_is() {
    let world = World::start().await;
    world.demo_receiver().await;
    let first = world.push(&hub("acme/app", "1")).await;
    assert_eq!(first.state(), State::Held);
    world.clock.advance(Duration::from_secs(5));
    let again = world.deliver(&hub("acme/app", "1")).await.unwrap();
    assert!(!again.replayed);
    assert_eq!((&again.pushes[0].id, again.pushes[0].state()), (&first.id, State::Held));
    assert_eq!(again.pushes[0].review_id, first.review_id);
    let review = world.review(&first.review_id).await;
    assert_eq!((review.occurrences, review.held_pushes), (2, 1));
    assert!(review.last_seen_time.unwrap().seconds > review.create_time.unwrap().seconds);
    assert_eq!(world.events("image.webhook_held").await.len(), 1, "it is told once");

    world.registry.approve("acme/app", &["1"]);
    let allowed = world.deliver(&hub("acme/app", "1")).await.unwrap();
    assert_eq!((&allowed.pushes[0].id, allowed.decision()), (&first.id, Decision::Allow));
    let replayed = world.deliver(&hub("acme/app", "1")).await.unwrap();
    assert!(replayed.replayed);
    assert_eq!(world.rollout.request_ids(), [first.id]);
}

#[tokio::test]
async fn a_denied_delivery_is_decided_again() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &[]);
    world.registry.deprecate("redis", "6");
    let denied = world.push(&hub("redis", "6")).await;
    assert_eq!(denied.state(), State::Denied);
    world.registry.approve("redis", &["6"]);
    let allowed = world.deliver(&hub("redis", "6")).await.unwrap();
    assert_eq!((&allowed.pushes[0].id, allowed.decision()), (&denied.id, Decision::Allow));
    assert_eq!(codes(&allowed.pushes[0])[0], reason::IMAGE_APPROVED);
}

#[tokio::test]
async fn github_names_its_deliveries_and_the_same_name_with_other_events_is_refused() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("ghcr.io/acme/app", &["1", "2"]);
    let headers = [("X-GitHub-Event", "package"), ("X-GitHub-Delivery", "d-1")];
    let body = |tag| github("acme/app", tag, &digest('a')).to_string();
    let send = async |tag| world.send("", &headers, body(tag), "127.0.0.1").await;
    let first = send("1").await.unwrap();
    world.clock.advance(Duration::from_secs(86_400));
    let again = send("1").await.unwrap();
    assert!(again.replayed && again.delivery_id == first.delivery_id);
    let problem = send("2").await.expect_err("another event");
    assert_eq!(problem.reason(), reason::DELIVERY_ID_REUSED);
    assert_eq!(problem.http_status(), 409);
    let events = world.events("image.webhook_rejected").await;
    assert_eq!(events[0]["after"]["reason"], "DELIVERY_ID_REUSED");
    assert_eq!(count(&world, "pushes").await, 1);
    let other = [("X-GitHub-Event", "package"), ("X-GitHub-Delivery", "d-2")];
    let fresh = world.send("", &other, body("1"), "127.0.0.1").await.unwrap();
    assert_eq!(fresh.pushes[0].outcome(), Outcome::Unchanged, "the digest is known to run");
}

#[tokio::test]
async fn ignored_and_malformed_deliveries_get_their_answer_again() {
    let world = World::start().await;
    world.demo_receiver().await;
    let ping = [("X-GitHub-Event", "ping"), ("X-GitHub-Delivery", "d-1")];
    let first = world.send("", &ping, "{}", "").await.unwrap();
    let again = world.send("", &ping, "{}", "").await.unwrap();
    assert!(again.replayed && again.note == first.note && again.delivery_id == first.delivery_id);
    assert_eq!(again.decision(), Decision::Ignored);
    let first = world.send("", &[], "[]", "").await.expect_err("malformed");
    let again = world.send("", &[], "[]", "").await.expect_err("malformed");
    assert_eq!((again.message(), again.reason()), (first.message(), reason::MALFORMED_BODY));
    assert_eq!(again.metadata()["replayed"], "true");
    assert_eq!(again.metadata()["delivery_id"], first.metadata()["delivery_id"]);
    assert_eq!(count(&world, "deliveries").await, 2);
}

#[tokio::test]
async fn a_delivery_that_is_not_believed_leaves_no_key() {
    let world = World::start().await;
    let secret = "a secret of thirty characters!";
    let receiver = pb::Receiver {
        name: "signed".to_owned(),
        vendor: pb::Vendor::Github.into(),
        payload_trust: true,
        ..Default::default()
    };
    let token = world.receiver(receiver, secret).await;
    world.registry.approve("ghcr.io/acme/app", &["1"]);
    let body = github("acme/app", "1", &digest('a')).to_string();
    let unsigned = [("X-GitHub-Event", "package"), ("X-GitHub-Delivery", "d-1")];
    let problem = world.send(&token, &unsigned, body.clone(), "").await.expect_err("unsigned");
    assert_eq!((problem.reason(), problem.http_status()), (reason::BAD_SIGNATURE, 401));
    let signature = crate::receivers::sign(secret, body.as_bytes());
    let signed = [unsigned[0], unsigned[1], ("X-Hub-Signature-256", signature.as_str())];
    let answer = world.send(&token, &signed, body, "").await.unwrap();
    assert!(!answer.replayed);
    assert_eq!(answer.decision(), Decision::Allow);
}

#[tokio::test]
async fn a_twin_that_waits_too_long_for_the_first_one_is_told_to_come_again() {
    let world = World::start().await;
    world.demo_receiver().await;
    // Another replica is storing the same delivery and does not come to an end.
    let receiver: uuid::Uuid = sqlx::query_scalar("select id from approval.receivers")
        .fetch_one(&world.owner)
        .await
        .unwrap();
    let body = hub("redis", "7").to_string();
    let key = format!("body {}", crate::receivers::sha256(body.as_bytes()));
    let mut other = world.owner.acquire().await.unwrap();
    let mut tx = other.begin().await.unwrap();
    sqlx::query(
        "insert into approval.delivery_keys (receiver_id, key, delivery_id, events_hash, expires_at) \
         values ($1, $2, $1, 'x', now())",
    )
    .bind(receiver)
    .bind(key)
    .execute(&mut *tx)
    .await
    .unwrap();
    let problem = world.send("", &[], body.clone(), "").await.expect_err("the key is held");
    assert_eq!((problem.reason(), problem.http_status()), (reason::DELIVERY_BUSY, 503));
    assert_eq!(problem.retry_time(), Some(Duration::from_secs(1)));
    tx.rollback().await.unwrap();
    assert_eq!(world.send("", &[], body, "").await.unwrap().pushes.len(), 1);
}

#[tokio::test]
async fn a_request_id_makes_one_push_and_fits_one_request() {
    let world = Arc::new(World::start().await);
    world.registry.approve("redis", &["7", "8"]);
    let ask = |world: Arc<World>, reference: &'static str| async move {
        let request = pb::SubmitPushRequest {
            reference: reference.to_owned(),
            request_id: "0198f3a4-0000-7000-8000-000000000001".to_owned(),
            ..Default::default()
        };
        world.pushes().submit_push(request).await.map_err(runtime::Problem::from)
    };
    let pushes = at_once(8, |_| ask(world.clone(), "redis:7")).await;
    let first = pushes[0].as_ref().unwrap().get_ref().id.clone();
    assert!(pushes.iter().all(|push| push.as_ref().unwrap().get_ref().id == first));
    assert!(pushes.iter().all(|push| push.as_ref().unwrap().get_ref().state() == State::Done));
    let problem = ask(world.clone(), "redis:8").await.expect_err("another request");
    assert_eq!((problem.reason(), problem.http_status()), (reason::REQUEST_ID_REUSED, 422));
    assert_eq!(world.rollout.request_ids(), [first]);
}
