//! Pushes of one tag are decided one after the other, in the order in which they came.

use std::sync::Arc;
use std::time::Duration;

use approval::Settings;
use proto::approval::v1 as pb;
use proto::approval::v1::push::State;
use proto::types::v1 as types;

use crate::fake::registry::{Answer, digest};
use crate::world::{World, at_once, hub_at};

/// Senders wait long, so that on a busy machine no push gives up asking for its digest: one that
/// waits for it lets others pass.
fn patient() -> Settings {
    Settings { inline: Duration::from_secs(60), ..Settings::default() }
}

fn order(rollouts: &[crate::fake::rollout::Created]) -> Vec<String> {
    rollouts.iter().map(|created| created.request.request_id.clone()).collect()
}

async fn stored_order(world: &World) -> Vec<String> {
    sqlx::query_scalar::<_, uuid::Uuid>("select id from approval.pushes order by observed_seq")
        .fetch_all(&world.owner)
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn many_pushes_of_one_tag_at_once_are_asked_for_in_their_order() {
    let world = Arc::new(World::start_with(patient()).await);
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let answers = at_once(20, |second| {
        let world = world.clone();
        async move {
            let second = i64::try_from(second).unwrap();
            world.deliver(&hub_at("redis", "7", second)).await.unwrap()
        }
    })
    .await;
    for answer in &answers {
        let id = &answer.pushes[0].id;
        world.wait_for_push(id, "the push to be done", |push| push.state() == State::Done).await;
    }
    assert_eq!(order(&world.rollout.created()), stored_order(&world).await);
}

#[tokio::test]
async fn two_replicas_keep_the_order_too() {
    let world = Arc::new(World::start_with(patient()).await);
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let other = pb::pushes_client::PushesClient::new(world.replica().await);
    at_once(16, |second| {
        let (world, mut other) = (world.clone(), other.clone());
        async move {
            let body = hub_at("redis", "7", i64::try_from(second).unwrap());
            if second % 2 == 0 {
                world.deliver(&body).await.unwrap();
            } else {
                let request = pb::SubmitDeliveryRequest {
                    body: body.to_string().into(),
                    peer_ip: "127.0.0.1".to_owned(),
                    ..Default::default()
                };
                other.submit_delivery(request).await.unwrap();
            }
        }
    })
    .await;
    let ids = stored_order(&world).await;
    for id in &ids {
        world.wait_for_push(id, "the push to be done", |push| push.state() == State::Done).await;
    }
    assert_eq!(order(&world.rollout.created()), ids);
}

#[tokio::test]
async fn an_older_push_that_was_admitted_goes_before_a_newer_one() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    world.rollout.server.kill();
    let send = async |second| {
        let body = hub_at("redis", "7", second).to_string();
        world.send(&token, &[], body, "").await.unwrap().pushes.remove(0)
    };
    let older = send(0).await;
    assert_eq!((older.state(), older.digest), (State::Waiting, digest('a')));
    world.registry.upstream("redis:7", Answer::Digest(digest('b')));
    world.rollout.server.revive();
    let newer = send(1).await;
    world.wait_for_push(&newer.id, "both to be done", |push| push.state() == State::Done).await;
    let digests: Vec<_> =
        world.rollout.created().iter().map(|created| created.release().digest.clone()).collect();
    assert_eq!(digests, [digest('a'), digest('b')]);
    assert_eq!(world.rollout.current("docker.io/library/redis").unwrap().digest, digest('b'));
}

#[tokio::test]
async fn a_push_that_waits_for_its_digest_holds_nobody_up() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::NotFound);
    let send = async |second| {
        let body = hub_at("redis", "7", second).to_string();
        world.send(&token, &[], body, "").await.unwrap().pushes.remove(0)
    };
    let older = send(0).await;
    assert_eq!(older.state(), State::Waiting);
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    let newer = send(1).await;
    assert_eq!(newer.state(), State::Done);
    let older =
        world.wait_for_push(&older.id, "it to be done", |push| push.state() == State::Done).await;
    assert_eq!(
        older.outcome(),
        pb::push::Outcome::Unchanged,
        "the registry's word counts for both"
    );
    let said = |push: &pb::Push| {
        push.reasons.iter().map(|why: &types::Reason| why.code.clone()).collect::<Vec<_>>()
    };
    assert!(said(&older).contains(&"DIGEST_RESOLVED".to_owned()));
}
