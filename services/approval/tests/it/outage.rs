//! Peers that are away: what was stored goes on by itself.

use std::time::Duration;

use proto::approval::v1::Decision;
use proto::approval::v1::push::{Outcome, State};
use proto::reason;

use crate::fake::registry::{Answer, digest};
use crate::world::{World, codes, hub, hub_at, person};

#[tokio::test]
async fn a_push_waits_for_registry_and_goes_on_when_it_is_back() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.server.kill();
    let answer = world.deliver(&hub("redis", "7")).await.unwrap();
    assert_eq!(answer.decision(), Decision::Hold);
    let push = &answer.pushes[0];
    assert_eq!((push.state(), codes(push)), (State::Waiting, vec![reason::PEER_UNREACHABLE]));
    let told = world.explain(&push.id).await;
    assert!(told.summary.contains("the process `registry` does not answer"), "{}", told.summary);
    assert_eq!(told.next_step, "slipway status");
    world.registry.server.revive();
    let done =
        world.wait_for_push(&push.id, "it to be done", |push| push.state() == State::Done).await;
    assert_eq!((done.decision(), done.outcome()), (Decision::Allow, Outcome::Rollout));
    assert_eq!(codes(&done), ["IMAGE_APPROVED", "PAYLOAD_TRUSTED", "ROLLOUT_CREATED"]);
}

#[tokio::test]
async fn a_push_that_may_run_waits_for_rollout_and_is_asked_for_once() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    world.rollout.server.kill();
    let answer = world.send(&token, &[], hub("redis", "7").to_string(), "").await.unwrap();
    assert_eq!(answer.decision(), Decision::Allow, "it is decided, not yet done");
    let push = &answer.pushes[0];
    assert_eq!((push.state(), push.decision()), (State::Waiting, Decision::Allow));
    assert_eq!(codes(push)[0], reason::PEER_UNREACHABLE);
    // The tag moves meanwhile; what was decided on is what is asked for.
    world.registry.upstream("redis:7", Answer::Digest(digest('b')));
    let again = world.send(&token, &[], hub("redis", "7").to_string(), "").await.unwrap();
    assert!(again.replayed && again.pushes[0].id == push.id);
    world.rollout.server.revive();
    let done =
        world.wait_for_push(&push.id, "it to be done", |push| push.state() == State::Done).await;
    assert_eq!((done.outcome(), done.digest), (Outcome::Rollout, digest('a')));
    assert_eq!(
        codes(&world.get(&push.id).await),
        ["IMAGE_APPROVED", "DIGEST_RESOLVED", "ROLLOUT_CREATED"]
    );
    assert_eq!(world.rollout.request_ids(), std::slice::from_ref(&push.id));
    world.rollout.assert_consistent();
    assert_eq!(world.events("image.webhook_approved").await.len(), 1);
}

#[tokio::test]
async fn the_first_answer_after_an_outage_sets_all_that_waits_going() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["1", "2", "3", "4"]);
    world.rollout.server.kill();
    let mut waiting = Vec::new();
    for tag in ["1", "2", "3"] {
        let push = world.push(&hub("redis", tag)).await;
        assert_eq!(push.state(), State::Waiting);
        waiting.push(push.id);
    }
    world.rollout.server.revive();
    let push = world.push(&hub("redis", "4")).await;
    assert_eq!(push.state(), State::Done);
    for id in &waiting {
        world
            .look_for("the push to be done although the clock stands still", async || {
                let push = world.get(id).await;
                if push.state() == State::Done { Ok(()) } else { Err(format!("{push:?}")) }
            })
            .await;
    }
}

#[tokio::test]
async fn what_cannot_be_stored_leaves_nothing_and_the_next_try_is_the_first() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    sqlx::query("alter table approval.deliveries rename to away")
        .execute(&world.owner)
        .await
        .unwrap();
    let problem = world.deliver(&hub("redis", "7")).await.expect_err("it cannot be stored");
    assert_eq!(problem.http_status(), 500);
    sqlx::query("alter table approval.away rename to deliveries")
        .execute(&world.owner)
        .await
        .unwrap();
    let answer = world.deliver(&hub("redis", "7")).await.unwrap();
    assert!(!answer.replayed);
    assert_eq!(answer.pushes[0].outcome(), Outcome::Rollout);
}

#[tokio::test]
async fn a_vote_counts_while_registry_is_away_and_the_rest_follows() {
    let world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("acme/app", "1")).await;
    world.registry.server.kill();
    let decided = world.approve(&push.review_id, &person("anna")).await.unwrap();
    let review = decided.review.unwrap();
    assert_eq!(review.state(), proto::approval::v1::review::State::Approved);
    assert_eq!(review.reviewed_by, "anna");
    assert_eq!(decided.redriven.len(), 1);
    assert_eq!(decided.redriven[0].state(), State::Waiting);
    let told = world.explain(&push.id).await;
    assert!(told.summary.contains("is approved"), "{}", told.summary);

    // A second push meanwhile follows the same decision instead of asking anew.
    world.clock.advance(Duration::from_secs(61));
    let second = world.push(&hub_at("acme/app", "1", 60)).await;
    assert_eq!(second.state(), State::Waiting);

    world.registry.server.revive();
    let done = |push: &proto::approval::v1::Push| push.state() == State::Done;
    let first = world.wait_for_push(&push.id, "the first to be done", done).await;
    let second = world.wait_for_push(&second.id, "the second to be done", done).await;
    assert_eq!(first.decision(), Decision::Allow);
    assert_eq!(second.decision(), Decision::Allow);
    let told = world.registry.approvals();
    assert!(told.iter().all(|told| told.request.request_id == push.review_id));
    assert_eq!(told[0].person.as_ref().unwrap().id, "anna");
    assert_eq!(told[0].request.tags[0].tag, "1");
    assert_eq!(world.list_reviews().await.len(), 1, "nobody was asked twice");
}
