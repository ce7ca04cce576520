//! A process that ends at any point: another one goes on where it was.

use std::time::Duration;

use proto::approval::v1 as pb;
use proto::approval::v1::push::{Outcome, State};

use crate::fake::registry::{Answer, digest};
use crate::world::{World, hub, hub_at, person};

/// Waits, with the clock standing still, until a push stands at a step in the database.
async fn at_step(world: &World, step: &str) -> uuid::Uuid {
    world
        .look_for("the push to be at a step", async || {
            let found = sqlx::query_scalar("select id from approval.pushes where step = $1")
                .bind(step)
                .fetch_optional(&world.owner)
                .await
                .unwrap();
            found.ok_or_else(|| step.to_owned())
        })
        .await
}

async fn goes_on(world: &World, push: &str) -> pb::Push {
    let done = |push: &pb::Push| push.state() == State::Done;
    let push = world.wait_for_push(push, "the push to go on", done).await;
    assert_eq!(push.outcome(), Outcome::Rollout);
    assert_eq!(world.rollout.request_ids(), std::slice::from_ref(&push.id));
    world.rollout.assert_consistent();
    assert_eq!(world.events("image.webhook_received").await.len(), 1);
    assert_eq!(world.events("image.webhook_approved").await.len(), 1);
    push
}

/// Sends a delivery whose sender will not see the answer.
async fn send_into_the_end(world: &World, token: &str) {
    let mut pushes = world.pushes();
    let request = pb::SubmitDeliveryRequest {
        receiver_token: token.to_owned(),
        body: hub("redis", "7").to_string().into(),
        ..Default::default()
    };
    tokio::spawn(async move { pushes.submit_delivery(request).await });
}

#[tokio::test]
async fn a_process_that_ends_after_it_stored_a_delivery() {
    let mut world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Silence);
    send_into_the_end(&world, &token).await;
    let push = at_step(&world, "resolve").await.to_string();
    world.restart().await;
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    assert_eq!(goes_on(&world, &push).await.digest, digest('a'));
}

#[tokio::test]
async fn a_process_that_ends_after_it_resolved_a_tag() {
    let mut world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    let _bell = world.registry.pause();
    send_into_the_end(&world, &token).await;
    let push = at_step(&world, "admit").await.to_string();
    world.restart().await;
    world.registry.resume();
    world.registry.upstream("redis:7", Answer::Digest(digest('b')));
    let push = goes_on(&world, &push).await;
    assert_eq!(push.digest, digest('a'), "what was written down is what is asked for");
}

#[tokio::test]
async fn a_process_that_ends_after_a_push_was_admitted() {
    let mut world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    world.rollout.server.kill();
    let body = hub("redis", "7").to_string();
    let push = world.send(&token, &[], body, "").await.unwrap().pushes.remove(0);
    at_step(&world, "create").await;
    world.restart().await;
    world.rollout.server.revive();
    assert_eq!(goes_on(&world, &push.id).await.digest, digest('a'));
}

#[tokio::test]
async fn a_process_that_ends_after_a_vote() {
    let mut world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("acme/app", "1")).await;
    world.registry.server.kill();
    world.approve(&push.review_id, &person("anna")).await.unwrap();
    world.restart().await;
    world.registry.server.revive();
    goes_on(&world, &push.id).await;
    assert_eq!(world.registry.approvals()[0].person.as_ref().unwrap().id, "anna");
    assert_eq!(world.events("image.approval.approved").await.len(), 1);
}

#[tokio::test]
async fn a_process_that_ends_after_the_image_was_approved() {
    let mut world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("acme/app", "1")).await;
    let other = world.push(&hub("acme/app", "2")).await;
    // The registry has heard, and the answer was lost: the decision stands, the rest is to do.
    world.registry.server.kill();
    world.approve(&push.review_id, &person("anna")).await.unwrap();
    world.stop().await;
    world.registry.approve("acme/app", &["1"]);
    world.registry.server.revive();
    world.restart().await;
    let done = |push: &pb::Push| push.state() == State::Done;
    for id in [&push.id, &other.id] {
        let push = world.wait_for_push(id, "both pushes to go on", done).await;
        assert_eq!(push.outcome(), Outcome::Rollout);
    }
    world.rollout.assert_consistent();
}

#[tokio::test]
async fn a_delivery_sent_again_finds_what_a_killed_process_had_stored() {
    let mut world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Silence);
    send_into_the_end(&world, &token).await;
    let push = at_step(&world, "resolve").await.to_string();
    world.restart().await;
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    world.clock.advance(Duration::from_secs(20));
    let answer = world.send(&token, &[], hub("redis", "7").to_string(), "").await.unwrap();
    assert_eq!(answer.pushes[0].id, push);
    goes_on(&world, &push).await;
}

#[tokio::test]
async fn what_has_settled_stays_as_it_is() {
    let mut world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let done = world.push(&hub("redis", "7")).await;
    let held = world.push(&hub("acme/app", "1")).await;
    world.restart().await;
    world.push(&hub_at("redis", "7", 5)).await;
    assert_eq!(world.get(&done.id).await, done);
    assert_eq!(world.get(&held.id).await, held);
    assert_eq!(world.rollout.created().len(), 2);
}
