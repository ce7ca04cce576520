//! Removing an image, which an update policy must not want any more.

use proto::reason;
use proto::registry::v1 as pb;
use proto::rollout::v1 as rollout;
use registry::Times;
use runtime::Code;

use crate::harness::{Registry, Who, refused};
use crate::peers::Rollout;

fn delete(id: i64) -> pb::DeleteImageRequest {
    pb::DeleteImageRequest { id, ..Default::default() }
}

#[tokio::test]
async fn an_image_goes_with_its_tags() {
    let registry = Registry::start().await;
    let image = registry.image(1).await;
    let deleted =
        registry.images(Who::Operator).delete_image(delete(1)).await.unwrap().into_inner();
    assert_eq!(deleted, image);
    let asked = registry.rollout.asked();
    assert_eq!(asked[0].0, "docker.io/library/redis");
    assert_eq!(asked[0].1.as_ref().map(|person| person.id.as_str()), Some("otto"));
    let problem =
        refused(registry.images(Who::Viewer).get_image(pb::GetImageRequest { id: 1 }).await);
    assert_eq!(problem.reason(), reason::IMAGE_NOT_FOUND);
    let mut owner = registry.owner().await;
    let left: i64 =
        sqlx::query_scalar("select count(*) from registry.image_tags where image_id = 1")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!(left, 0);
    let event = registry.events().await.pop().unwrap();
    assert_eq!(
        (&event["type"], &event["before"]["id"]),
        (&"image.registry.deleted".into(), &1.into())
    );
    let problem = refused(registry.images(Who::Operator).delete_image(delete(1)).await);
    assert_eq!(problem.reason(), reason::IMAGE_NOT_FOUND);
    assert_eq!(registry.create_image("redis").await.id, 10, "its number is not given again");
}

#[tokio::test]
async fn an_image_that_a_policy_uses_stays() {
    let registry = Registry::start().await;
    let policy = |id: &str, name: &str| rollout::Policy {
        id: id.to_owned(),
        name: name.to_owned(),
        image_pattern: "redis:*".to_owned(),
        ..Default::default()
    };
    registry.rollout.match_policies(vec![policy("a", "canary"), policy("b", "")]);
    let problem = refused(registry.images(Who::Admin).delete_image(delete(1)).await);
    assert_eq!(
        (problem.code(), problem.reason()),
        (Code::FailedPrecondition, reason::IMAGE_HAS_POLICIES)
    );
    assert_eq!(problem.metadata()["policies"], "canary, redis:*");
    assert_eq!(problem.metadata()["policy_ids"], "a,b");
    assert_eq!(registry.image(1).await.tag_count, 4);
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn an_image_stays_while_nobody_can_say_whether_it_is_used() {
    let registry = Registry::start_with(Times::default(), Rollout::down().await).await;
    let problem = refused(registry.images(Who::Admin).delete_image(delete(1)).await);
    assert_eq!(
        (problem.code(), problem.reason()),
        (Code::Unavailable, reason::ROLLOUT_UNREACHABLE)
    );
    assert!(problem.retry_time().is_some());
    assert_eq!(registry.image(1).await.id, 1);
}

#[tokio::test]
async fn an_image_that_has_changed_since_stays() {
    let registry = Registry::start().await;
    let request = pb::DeleteImageRequest { id: 1, etag: "77".to_owned() };
    let problem = refused(registry.images(Who::Admin).delete_image(request).await);
    assert_eq!(problem.reason(), reason::STALE_ETAG);
    let etag = registry.image(1).await.etag;
    let request = pb::DeleteImageRequest { id: 1, etag };
    registry.images(Who::Admin).delete_image(request).await.unwrap();
}
