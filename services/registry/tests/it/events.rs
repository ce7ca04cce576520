//! The feed, and what goes away with time.

use std::time::Duration;

use proto::registry::v1 as pb;

use crate::harness::{Registry, Who, tag};

#[tokio::test]
async fn events_carry_who_did_what_to_what() {
    let registry = Registry::start().await;
    registry.create_tag(1, tag("8")).await;
    let event = registry.events().await.pop().unwrap();
    assert_eq!(
        (&event["actor"]["kind"], &event["actor"]["name"]),
        (&"user".into(), &"root".into())
    );
    assert_eq!(
        (&event["resource"]["kind"], &event["resource"]["id"]),
        (&"tag".into(), &"5".into())
    );
    assert_eq!(event["time"], "2025-10-09T08:53:20.000000Z");
    assert!(event["request_id"].is_string() && event["ip"] == "127.0.0.1");
    assert_eq!(event["before"], serde_json::Value::Null);
}

#[tokio::test]
async fn old_events_go_once_they_were_read() {
    let registry = Registry::start().await;
    registry.create_image("memcached").await;
    assert_eq!(registry.event_types().await.len(), 2);
    registry.clock.advance(Duration::from_secs(30 * 86_400 + 1));
    registry.create_tag(1, tag("8")).await;
    registry.app.sweep_once().await.unwrap();
    assert_eq!(registry.event_types().await.len(), 3, "nobody has stored them");
    let mut owner = registry.owner().await;
    sqlx::query("insert into registry.outbox_readers (reader, sequence) values ('access', 3)")
        .execute(&mut owner)
        .await
        .unwrap();
    registry.app.sweep_once().await.unwrap();
    assert_eq!(registry.event_types().await, ["image.tag.added"]);
}

#[tokio::test]
async fn the_memory_of_reviews_ends_with_the_retention() {
    let registry = Registry::start().await;
    let approve = pb::ApproveImageRequest {
        repository: "memcached".to_owned(),
        request_id: "0198f3a4-0000-7000-8000-000000000001".to_owned(),
        ..Default::default()
    };
    registry.images(Who::Approval).approve_image(approve).await.unwrap();
    let mut owner = registry.owner().await;
    let mut remembered = async || {
        let count = "select count(*) from registry.image_decisions";
        sqlx::query_scalar::<_, i64>(count).fetch_one(&mut owner).await.unwrap()
    };
    registry.app.sweep_once().await.unwrap();
    assert_eq!(remembered().await, 1);
    registry.clock.advance(Duration::from_secs(30 * 86_400 + 1));
    registry.app.sweep_once().await.unwrap();
    assert_eq!(remembered().await, 0);
}
