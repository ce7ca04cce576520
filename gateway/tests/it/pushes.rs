//! Pushes, listed, shown, explained and decided anew.

use proto::approval::v1 as pb;
use proto::approval::v1::push::State;
use proto::reason;
use runtime::{Code, Problem};
use serde_json::json;

use crate::samples::{ID, OTHER_ID, push, reason as why};
use crate::world::World;

const LIST: &str = "approval.v1.Pushes/ListPushes";
const RETRY: &str = "approval.v1.Pushes/RetryPush";

#[tokio::test]
async fn a_list_is_filtered_by_receiver_state_and_image() {
    let world = World::start().await;
    world.approval.answer(
        LIST,
        pb::ListPushesResponse {
            pushes: vec![push(State::Held)],
            next_page_token: String::new(),
            total_size: 1,
        },
    );
    let path = format!("/api/v1/pushes?receiver={OTHER_ID}&state=held&image=redis");
    let told = world.get(&path).send().await;
    insta::assert_json_snapshot!(told.expect(200));
    assert_eq!(told.header("x-total-count"), "1");
    let asked: pb::ListPushesRequest = world.approval.asked(LIST);
    assert_eq!((asked.receiver_id.as_str(), asked.state()), (OTHER_ID, State::Held));
    assert_eq!((asked.repository.as_str(), asked.page_size), ("redis", 50));
    world.get("/api/v1/pushes?state=open").send().await.expect(400);
}

#[tokio::test]
async fn a_filter_that_does_not_fit_is_named_as_it_was_written() {
    let world = World::start().await;
    world.approval.refuse(LIST, Problem::invalid("repository", "is no repository; write `redis`"));
    let told = world.get("/api/v1/pushes?image=A%20b").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "image");
}

#[tokio::test]
async fn a_push_is_shown_and_explained() {
    let world = World::start().await;
    world.approval.answer("approval.v1.Pushes/GetPush", push(State::Done));
    let told = world.get(&format!("/api/v1/pushes/{ID}")).send().await.expect(200);
    assert_eq!((&told["id"], &told["state"]), (&json!(ID), &json!("done")));
    let mut waiting = push(State::Waiting);
    waiting.reasons = vec![why(reason::PEER_UNREACHABLE, "`rollout` does not answer")];
    world.approval.answer(
        "approval.v1.Pushes/ExplainPush",
        pb::ExplainPushResponse {
            push: Some(waiting),
            summary: "it waits".to_owned(),
            next_step: "slipway status".to_owned(),
        },
    );
    let told = world.get(&format!("/api/v1/pushes/{ID}/explain")).send().await.expect(200);
    assert_eq!(
        (&told["summary"], &told["next_step"]),
        (&json!("it waits"), &json!("slipway status"))
    );
    assert_eq!(told["push"]["reasons"][0]["code"], "PEER_UNREACHABLE");
}

#[tokio::test]
async fn a_retry_is_a_push_of_its_own_and_its_key_names_it() {
    let world = World::start().await;
    world.approval.answer(RETRY, push(State::Received));
    let path = format!("/api/v1/pushes/{OTHER_ID}/retry");
    let told = world.post(&path).header("idempotency-key", ID).send().await;
    told.expect(201);
    assert_eq!(told.header("location"), format!("/api/v1/pushes/{ID}"));
    let asked: pb::RetryPushRequest = world.approval.asked(RETRY);
    assert_eq!((asked.id.as_str(), asked.request_id.as_str()), (OTHER_ID, ID));

    let ask = async |key: &str, token: &str| {
        let call = world.post(&path).header("idempotency-key", key).token(token);
        call.send().await.expect(201);
        world.approval.asked::<pb::RetryPushRequest>(RETRY).request_id
    };
    let first = ask("order-1", "ghd_alice").await;
    assert_eq!(ask("order-1", "ghd_alice").await, first);
    assert_ne!(ask("order-2", "ghd_alice").await, first);
    assert_ne!(ask("order-1", "ghd_bob").await, first);

    let reused = Problem::new(Code::FailedPrecondition, reason::REQUEST_ID_REUSED, "another body");
    world.approval.refuse(RETRY, reused);
    world.post(&path).header("idempotency-key", ID).send().await.expect(422);
    let long = "k".repeat(256);
    let told = world.post(&path).header("idempotency-key", &long).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "Idempotency-Key");
}
