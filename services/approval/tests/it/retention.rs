//! How long things are kept.

use std::time::Duration;

use proto::approval::v1 as pb;

use crate::world::{World, hub, person};

const DAY: Duration = Duration::from_secs(86_400);

async fn count(world: &World, table: &str) -> i64 {
    let query = format!("select count(*) from approval.{table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&world.owner).await.unwrap()
}

/// Lets time pass until the sweep has left as many rows as wanted.
async fn left(world: &World, table: &str, wanted: i64) {
    world
        .look_for("the sweep", async || {
            world.clock.advance(Duration::from_secs(3_600));
            match count(world, table).await {
                found if found == wanted => Ok(()),
                found => Err(format!("{found} in {table}")),
            }
        })
        .await;
}

#[tokio::test]
async fn each_kind_is_removed_in_its_time_and_what_waits_stays() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let done = world.push(&hub("redis", "7")).await;
    let held = world.push(&hub("acme/app", "1")).await;
    let decided = world.push(&hub("acme/other", "1")).await;
    world.reject(&decided.review_id, &person("anna"), "no").await.unwrap();
    assert_eq!(count(&world, "delivery_keys").await, 3);

    left(&world, "delivery_keys", 0).await;
    let kept = "deliveries where body is not null";
    assert_eq!(count(&world, kept).await, 3);
    world.clock.advance(DAY * 7);
    left(&world, kept, 0).await;
    assert_eq!(count(&world, "deliveries").await, 3);
    world.clock.advance(DAY * 23);
    left(&world, "deliveries", 0).await;
    assert_eq!(world.get(&done.id).await.id, done.id);

    world.clock.advance(DAY * 335);
    left(&world, "pushes", 0).await;
    left(&world, "review_votes", 0).await;
    let gone = world.pushes().get_push(pb::GetPushRequest { id: held.id }).await;
    assert_eq!(gone.unwrap_err().code(), tonic::Code::NotFound, "its review had ended, too");
}

#[tokio::test]
async fn a_push_that_waits_is_never_removed() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7", "8"]);
    world.rollout.server.kill();
    let waits = world.push(&hub("redis", "7")).await;
    world.rollout.server.revive();
    world.clock.advance(DAY * 400);
    world
        .wait_for_push(&waits.id, "it to be done after all", |push| {
            push.state() == pb::push::State::Done
        })
        .await;
}
