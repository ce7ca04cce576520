//! The outbox under many writers: no event is lost, doubled or out of order.

use std::collections::HashMap;
use std::time::Duration;

use chrono::DateTime;
use postgres::testing::{self, TestDatabase};
use runtime::event::{Event, Resource};
use runtime::outbox::{Outbox, Stored};
use runtime::{Actor, database};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

const DDL: &str = include_str!("../../../../migrations/registry/0001_outbox.sql");

async fn start() -> (TestDatabase, PgPool, Outbox) {
    let template = testing::template(&format!("outbox {DDL}"), async |url: String| {
        let mut owner = PgConnection::connect(&url).await?;
        owner.execute("create schema registry").await?;
        owner.execute(DDL).await?;
        owner.close().await
    })
    .await
    .unwrap();
    let database = testing::create_database(&template).await.unwrap();
    let pool = database::pool("test", database.url().parse().unwrap(), 20);
    (database, pool, Outbox::new("registry"))
}

fn event(thing: usize, step: usize) -> Event {
    let what = Resource::new("thing", thing, "");
    Event::of(Actor::system("test"), "thing.changed", what, DateTime::UNIX_EPOCH)
        .after(json!({"step": step}))
}

/// A thing and which of its steps an event tells.
fn told(stored: &Stored) -> (String, u64) {
    let envelope: Value = serde_json::from_str(&stored.envelope).unwrap();
    let thing = envelope["resource"]["id"].as_str().unwrap().to_owned();
    (thing, envelope["after"]["step"].as_u64().unwrap())
}

/// Reads until `count` events are there, as a reader that stores its cursor does.
async fn read_all(outbox: &Outbox, pool: &PgPool, count: usize) -> Vec<Stored> {
    let mut all = Vec::new();
    while all.len() < count {
        let after = all.last().map_or(0, |last: &Stored| last.sequence);
        let (events, _) = outbox.read(pool, after, 97).await.unwrap();
        all.extend(events);
        tokio::task::yield_now().await;
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_and_late_commits_lose_nothing_and_keep_each_things_order() {
    const WRITERS: usize = 8;
    const STEPS: usize = 60;
    let (_database, pool, outbox) = start().await;
    sqlx::query("create table registry.things (id integer primary key)")
        .execute(&pool)
        .await
        .unwrap();
    for thing in 0..4 {
        sqlx::query("insert into registry.things values ($1)")
            .bind(thing)
            .execute(&pool)
            .await
            .unwrap();
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (outbox, pool) = (outbox.clone(), pool.clone());
            tokio::spawn(async move {
                for step in 0..STEPS {
                    let thing = (writer + step) % 4;
                    let mut tx = pool.begin().await.unwrap();
                    // The row lock is what orders the changes of one thing.
                    sqlx::query("select from registry.things where id = $1 for update")
                        .bind(i32::try_from(thing).unwrap())
                        .execute(&mut *tx)
                        .await
                        .unwrap();
                    outbox.append(&mut tx, &event(thing, step)).await.unwrap();
                    if step % 7 == 0 {
                        // Others commit meanwhile: this row becomes visible late.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    outbox.commit(tx).await.unwrap();
                }
            })
        })
        .collect();
    let count = WRITERS * STEPS;
    let (one, two) = tokio::join!(read_all(&outbox, &pool, count), read_all(&outbox, &pool, count));
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(one, two, "both readers see the same");
    let sequences: Vec<_> = one.iter().map(|stored| stored.sequence).collect();
    assert_eq!(sequences, (1..=i64::try_from(count).unwrap()).collect::<Vec<_>>(), "no gap");

    // The order of each thing's events is the order in which its row was locked.
    let by_position: Vec<(uuid::Uuid,)> =
        sqlx::query_as("select id from registry.outbox order by position")
            .fetch_all(&pool)
            .await
            .unwrap();
    let position: HashMap<_, _> =
        by_position.into_iter().enumerate().map(|(place, (id,))| (id, place)).collect();
    for thing in 0..4 {
        let places: Vec<_> = one
            .iter()
            .filter(|stored| told(stored).0 == thing.to_string())
            .map(|stored| position[&stored.id])
            .collect();
        assert!(places.is_sorted(), "thing {thing} is out of order");
    }
}

#[tokio::test]
async fn an_event_of_a_transaction_that_rolls_back_never_happened() {
    let (_database, pool, outbox) = start().await;
    let mut tx = pool.begin().await.unwrap();
    outbox.append(&mut tx, &event(1, 1)).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    outbox.append_all(&mut tx, &[event(1, 2), event(1, 3)]).await.unwrap();
    outbox.commit(tx).await.unwrap();
    let (events, last) = outbox.read(&pool, 0, 10).await.unwrap();
    let steps: Vec<_> = events.iter().map(|stored| (stored.sequence, told(stored).1)).collect();
    assert_eq!((steps, last), (vec![(1, 2), (2, 3)], 2));
}

#[tokio::test]
async fn only_what_every_reader_has_stored_is_removed() {
    let (_database, pool, outbox) = start().await;
    let mut tx = pool.begin().await.unwrap();
    outbox.append_all(&mut tx, &[event(1, 1), event(1, 2), event(1, 3)]).await.unwrap();
    outbox.commit(tx).await.unwrap();
    outbox.read(&pool, 0, 10).await.unwrap();
    let later = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(31);
    assert_eq!(outbox.sweep(&pool, later).await.unwrap(), 0, "nobody has read anything");
    outbox.acknowledge(&pool, "access", 3).await.unwrap();
    outbox.acknowledge(&pool, "approval", 2).await.unwrap();
    outbox.acknowledge(&pool, "approval", 1).await.unwrap();
    assert_eq!(outbox.sweep(&pool, later).await.unwrap(), 2, "a cursor never goes back");

    // The numbers go on where they were.
    let mut tx = pool.begin().await.unwrap();
    outbox.append(&mut tx, &event(1, 4)).await.unwrap();
    outbox.commit(tx).await.unwrap();
    let (events, _) = outbox.read(&pool, 3, 10).await.unwrap();
    assert_eq!(events[0].sequence, 4);
}
