//! What happens to images elsewhere, and what follows here.

use proto::approval::v1 as pb;
use proto::approval::v1::push::State;
use proto::approval::v1::review;
use proto::reason;
use proto::registry::v1::ApprovalStatus;

use crate::fake::registry::UnknownTag;
use crate::world::{World, codes, hub, person};

async fn only_review(world: &World) -> pb::Review {
    world
        .wait_for("a review to be opened", async || {
            let mut reviews = world.list_reviews().await;
            if reviews.len() == 1 { Ok(reviews.remove(0)) } else { Err(format!("{reviews:?}")) }
        })
        .await
}

async fn revoked(world: &World) -> (String, String) {
    world
        .wait_for("`rollout` to be told", async || {
            let told = world.rollout.revoked().pop();
            told.map(|told| (told.repository, told.tag)).ok_or_else(String::new)
        })
        .await
}

#[tokio::test]
async fn an_image_that_waits_for_approval_opens_a_review_of_whoever_added_it() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.set("acme/app", ApprovalStatus::Pending);
    world.registry.tell("image.registry.added", "docker.io/acme/app", &person("anna"));
    let review = only_review(&world).await;
    assert_eq!((review.requester.as_ref().unwrap().id.as_str(), review.tag.as_str()), ("anna", ""));
    assert_eq!(review.scope(), review::Scope::Image);
    assert!(world.rollout.revoked().is_empty());

    // Told twice, it is asked once; a push of the image joins it.
    world.registry.tell("image.registry.updated", "docker.io/acme/app", &person("anna"));
    let push = world.push(&hub("acme/app", "1")).await;
    assert_eq!((push.state(), &push.review_id), (State::Held, &review.id));
    let problem = world.approve(&review.id, &person("anna")).await.expect_err("her own");
    assert_eq!(problem.reason(), reason::SELF_REVIEW);
    let decided = world.approve(&review.id, &person("bert")).await.unwrap();
    assert_eq!(decided.redriven[0].state(), State::Done);
    assert_eq!(world.registry.approvals()[0].request.tags[0].tag, "1");
    assert_eq!(world.list_reviews().await.len(), 1);
}

#[tokio::test]
async fn an_image_approved_elsewhere_closes_its_reviews_and_sets_pushes_going() {
    let world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("portainer/portainer-ce", "latest")).await;
    world.registry.approve("portainer/portainer-ce", &[]);
    let name = "docker.io/portainer/portainer-ce";
    world.registry.tell("image.registry.added", name, &person("admin"));
    world.registry.tell("image.registry.approved", name, &person("admin"));
    let done = |push: &pb::Push| push.state() == State::Done;
    let push = world.wait_for_push(&push.id, "the held push to go on", done).await;
    assert!(push.tag_added);
    let review = world.review(&push.review_id).await;
    assert_eq!((review.state(), review.reviewed_by.as_str()), (review::State::Approved, "admin"));
    assert!(world.registry.approvals().is_empty(), "the registry knows it already");
}

#[tokio::test]
async fn an_image_rejected_elsewhere_denies_its_pushes_and_takes_its_approval_back() {
    let world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("acme/app", "1")).await;
    world.registry.set("acme/app", ApprovalStatus::Rejected);
    world.registry.tell("image.registry.rejected", "docker.io/acme/app", &person("admin"));
    let denied = |push: &pb::Push| push.state() == State::Denied;
    let push = world.wait_for_push(&push.id, "the held push to be denied", denied).await;
    assert_eq!(codes(&push)[0], reason::IMAGE_REJECTED);
    assert_eq!(world.review(&push.review_id).await.state(), review::State::Rejected);
    assert_eq!(revoked(&world).await, ("docker.io/acme/app".to_owned(), String::new()));
    let events = world.events("image.approval.revoked").await;
    assert_eq!((events.len(), events[0]["actor"]["id"].as_str()), (1, Some("admin")));
}

#[tokio::test]
async fn a_lost_approval_is_told_to_rollout_as_soon_as_it_answers() {
    let world = World::start().await;
    world.rollout.server.kill();
    world.registry.set("acme/app", ApprovalStatus::Pending);
    world.registry.tell("image.registry.updated", "docker.io/acme/app", &person("admin"));
    only_review(&world).await;
    world.rollout.server.revive();
    assert_eq!(revoked(&world).await, ("docker.io/acme/app".to_owned(), String::new()));
}

#[tokio::test]
async fn an_approval_that_comes_back_before_rollout_has_heard_is_not_taken_back() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.rollout.server.kill();
    world.registry.set("acme/app", ApprovalStatus::Rejected);
    world.registry.tell("image.registry.rejected", "docker.io/acme/app", &person("admin"));
    let noted = async || -> i64 {
        let query = "select count(*) from approval.approval_news where lost <> ''";
        sqlx::query_scalar(query).fetch_one(&world.owner).await.unwrap()
    };
    let wanted = async |count| {
        world
            .look_for("the note", async || match noted().await {
                found if found == count => Ok(()),
                found => Err(found.to_string()),
            })
            .await;
    };
    wanted(1).await;
    world.registry.approve("acme/app", &[]);
    world.registry.tell("image.registry.approved", "docker.io/acme/app", &person("admin"));
    wanted(0).await;
    world.rollout.server.revive();
    let push = world.push(&hub("acme/app", "1")).await;
    world
        .wait_for_push(&push.id, "a later push to go on", |push| push.state() == State::Done)
        .await;
    assert!(world.rollout.revoked().is_empty());
}

#[tokio::test]
async fn what_is_approved_again_may_go_on_as_far_as_the_gate_lets_it() {
    let world = World::start().await;
    let redis = "docker.io/library/redis";
    world.registry.approve("redis", &["7", "8"]);
    world.registry.deprecate("redis", "7");
    world.rollout.stop(redis, "7", "");
    world.rollout.stop(redis, "8", "");
    world.rollout.stop("docker.io/library/nginx", "1", "");
    world.registry.tell("image.registry.approved", redis, &person("admin"));
    world
        .look_for("one release to be given back", async || match &*world.rollout.restored() {
            [only] if only == "8" => Ok(()),
            others => Err(format!("{others:?}")),
        })
        .await;

    world.registry.approve("redis", &["7", "8"]);
    world.registry.tell("image.tag.updated", &format!("{redis}:7"), &person("admin"));
    world
        .look_for("the tag to be given back", async || match &*world.rollout.restored() {
            [.., seven, eight] if seven == "7" && eight == "8" => Ok(()),
            others => Err(format!("{others:?}")),
        })
        .await;
}

#[tokio::test]
async fn a_removed_image_takes_its_questions_with_it_and_what_they_held_is_asked_anew() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.set("acme/app", ApprovalStatus::Pending);
    world.registry.tell("image.registry.added", "docker.io/acme/app", &person("anna"));
    let asked = only_review(&world).await;
    let push = world.push(&hub("acme/app", "1")).await;
    world.registry.remove("acme/app");
    world.registry.tell("image.registry.deleted", "docker.io/acme/app", &person("anna"));
    let gone = |review: &pb::Review| review.state() == review::State::Cancelled;
    world.wait_for_review(&asked.id, "the question to fall away", gone).await;
    let again = |push: &pb::Push| push.state() == State::Held && push.review_id != asked.id;
    let push = world.wait_for_push(&push.id, "the push to be held anew", again).await;
    assert_eq!(codes(&push)[0], reason::IMAGE_NOT_APPROVED);
    assert_eq!(revoked(&world).await.0, "docker.io/acme/app");
}

#[tokio::test]
async fn a_tag_deprecated_or_listed_elsewhere_has_its_effect() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &[]);
    world.registry.unknown_tag(UnknownTag::Request);
    let listed = world.push(&hub("redis", "8")).await;
    let deprecated = world.push(&hub("redis", "6")).await;
    world.registry.approve("redis", &["8"]);
    world.registry.tell("image.tag.added", "docker.io/library/redis:8", &person("admin"));
    let done = |push: &pb::Push| push.state() == State::Done;
    let listed = world.wait_for_push(&listed.id, "the listed tag to go on", done).await;
    assert_eq!(world.review(&listed.review_id).await.state(), review::State::Approved);

    world.registry.deprecate("redis", "6");
    world.registry.tell("image.tag.updated", "docker.io/library/redis:6", &person("admin"));
    let denied = |push: &pb::Push| push.state() == State::Denied;
    world.wait_for_push(&deprecated.id, "the deprecated tag to be denied", denied).await;
    assert_eq!(revoked(&world).await, ("docker.io/library/redis".to_owned(), "6".to_owned()));
}

#[tokio::test]
async fn what_was_acted_on_is_not_acted_on_again_after_a_restart() {
    let mut world = World::start().await;
    world.registry.set("acme/app", ApprovalStatus::Pending);
    world.registry.tell("image.registry.added", "docker.io/acme/app", &person("anna"));
    let asked = only_review(&world).await;
    world.reject(&asked.id, &person("bert"), "no").await.unwrap();
    revoked(&world).await;
    world.registry.server.kill();
    world.registry.server.revive();
    world.restart().await;
    world.registry.set("acme/next", ApprovalStatus::Pending);
    world.registry.tell("image.registry.added", "docker.io/acme/next", &person("anna"));
    let reviews = world
        .wait_for("the next event to be acted on", async || {
            let reviews = world.list_reviews().await;
            if reviews.len() == 2 { Ok(reviews) } else { Err(format!("{reviews:?}")) }
        })
        .await;
    assert_eq!(reviews[0].image_name, "next");
    assert_eq!(world.rollout.revoked().len(), 1);
}
