//! Questions to a person: who may answer, what an answer does, and what becomes of no answer.

use std::sync::Arc;
use std::time::Duration;

use proto::approval::v1 as pb;
use proto::approval::v1::push::{Outcome, State};
use proto::approval::v1::review;
use proto::reason;
use runtime::Problem;
use runtime::client::on_behalf_of;

use crate::fake::registry::{Answer, UnknownTag, digest};
use crate::world::{World, at_once, codes, hub, hub_at, person};

#[tokio::test]
async fn approving_makes_image_and_tag_and_sets_the_held_push_going() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.upstream("acme/app:1", Answer::Digest(digest('a')));
    let body = hub("acme/app", "1").to_string();
    let push = world.send(&token, &[], body, "").await.unwrap().pushes.remove(0);
    assert_eq!((push.state(), push.digest.as_str()), (State::Held, digest('a').as_str()));
    let told = world.explain(&push.id).await;
    assert_eq!(told.next_step, format!("slipway review approve {}", push.review_id));

    let asked = world.review(&push.review_id).await;
    assert_eq!((&asked.digest, asked.platforms.len()), (&digest('a'), 1));
    let request = pb::ApproveReviewRequest {
        id: push.review_id.clone(),
        notes: "looked at".to_owned(),
        digest: digest('a'),
        evidence_hash: asked.evidence_hash,
    };
    let decided = world.reviews().approve_review(on_behalf_of(request, &person("anna"))).await;
    let decided = decided.unwrap().into_inner();
    let review = decided.review.unwrap();
    assert_eq!((review.state(), review.held_pushes), (review::State::Approved, 0));
    assert_eq!((review.reviewed_by.as_str(), review.notes.as_str()), ("anna", "looked at"));
    assert!(review.votes[0].approve && review.votes[0].actor.as_ref().unwrap().id == "anna");
    assert_eq!(decided.redriven.len(), 1);
    assert_eq!(decided.redriven[0].outcome(), Outcome::Rollout);

    let told = &world.registry.approvals()[0];
    assert_eq!(told.request.repository, "docker.io/acme/app");
    assert_eq!(told.request.request_id, push.review_id);
    assert_eq!(
        (told.request.tags[0].tag.as_str(), &told.request.tags[0].digest),
        ("1", &digest('a'))
    );
    assert_eq!(told.person.as_ref().unwrap().id, "anna");
    let kinds = world.event_types().await;
    let at = |kind: &str| kinds.iter().position(|known| known == kind).unwrap();
    assert!(at("image.approval.voted") < at("image.approval.approved"));
    assert!(at("image.approval.approved") < at("image.webhook_approved"));
    assert_eq!(world.events("image.approval.approved").await[0]["on_behalf_of"]["id"], "anna");
}

#[tokio::test]
async fn rejecting_denies_what_is_held_and_what_comes_later() {
    let world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("acme/app", "1")).await;
    let problem = world.reject(&push.review_id, &person("anna"), " ").await.expect_err("no reason");
    assert_eq!(problem.field_violations()[0].field, "reason");
    let decided = world.reject(&push.review_id, &person("anna"), "unknown vendor").await.unwrap();
    let review = decided.review.unwrap();
    assert_eq!(
        (review.state(), review.rejection_reason.as_str()),
        (review::State::Rejected, "unknown vendor")
    );
    let denied = &decided.redriven[0];
    assert_eq!((denied.state(), codes(denied)[0]), (State::Denied, reason::REVIEW_REJECTED));
    assert!(denied.reasons[0].message.contains("unknown vendor"));
    let told = &world.registry.rejections()[0];
    assert_eq!(
        (told.request.reason.as_str(), &told.request.request_id),
        ("unknown vendor", &push.review_id)
    );

    world.clock.advance(Duration::from_secs(61));
    let next = world.push(&hub("acme/app", "1")).await;
    assert_eq!((next.state(), codes(&next)[0]), (State::Denied, reason::IMAGE_REJECTED));
    assert_eq!(world.list_reviews().await.len(), 1, "nobody is asked again");
    assert!(world.rollout.created().is_empty());
}

#[tokio::test]
async fn nobody_decides_about_what_they_asked_for() {
    let world = World::start().await;
    world.demo_receiver().await;
    let push = world.submit("acme/app:1", &person("anna")).await.unwrap();
    assert_eq!(push.state(), State::Held);
    let problem = world.approve(&push.review_id, &person("anna")).await.expect_err("her own");
    assert_eq!((problem.reason(), problem.http_status()), (reason::SELF_REVIEW, 403));
    assert!(world.reject(&push.review_id, &person("anna"), "x").await.is_err());
    let decided = world.approve(&push.review_id, &person("bert")).await.unwrap();
    assert_eq!(decided.redriven[0].outcome(), Outcome::Rollout);

    // A push of hers that joins a question of somebody else's makes it hers, too.
    let first = world.push(&hub("acme/other", "1")).await;
    let joined = world.submit("acme/other:1", &person("anna")).await.unwrap();
    assert_eq!(joined.review_id, first.review_id);
    let problem = world.approve(&first.review_id, &person("anna")).await.expect_err("hers, too");
    assert_eq!(problem.reason(), reason::SELF_REVIEW);
}

#[tokio::test]
async fn a_vote_is_about_what_its_voter_has_seen() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.upstream("acme/app:1", Answer::Digest(digest('a')));
    let send = async |second| {
        let body = hub_at("acme/app", "1", second).to_string();
        world.send(&token, &[], body, "").await.unwrap().pushes.remove(0)
    };
    let first = send(0).await;
    let seen = world.review(&first.review_id).await;
    for (digest, evidence_hash) in [(digest('b'), String::new()), (String::new(), "00".to_owned())]
    {
        let request = pb::ApproveReviewRequest {
            id: first.review_id.clone(),
            digest,
            evidence_hash,
            ..Default::default()
        };
        let refused = world.reviews().approve_review(on_behalf_of(request, &person("anna"))).await;
        let problem = Problem::from(refused.unwrap_err());
        assert_eq!((problem.reason(), problem.http_status()), (reason::EVIDENCE_CHANGED, 409));
        assert_eq!(problem.metadata()["evidence_hash"], seen.evidence_hash);
    }

    // The tag moves: a new question takes the old one's place and what it held.
    world.registry.upstream("acme/app:1", Answer::Digest(digest('b')));
    let second = send(1).await;
    assert_ne!(second.review_id, first.review_id);
    let old = world.review(&first.review_id).await;
    assert_eq!((old.state(), &old.superseded_by), (review::State::Superseded, &second.review_id));
    assert_eq!((old.held_pushes, world.review(&second.review_id).await.held_pushes), (0, 2));
    assert_eq!(world.events("image.approval.superseded").await.len(), 1);
    let problem = world.approve(&first.review_id, &person("anna")).await.expect_err("superseded");
    assert_eq!(problem.metadata()["state"], "superseded");

    // Both pushes are about what the tag is now: the newest brings it, the older one has nothing new.
    let decided = world.approve(&second.review_id, &person("anna")).await.unwrap();
    let outcomes: Vec<_> = decided.redriven.iter().map(pb::Push::outcome).collect();
    assert_eq!(outcomes, [Outcome::Unchanged, Outcome::Rollout]);
    assert_eq!(world.rollout.request_ids(), [second.id]);
    assert_eq!(world.rollout.created()[0].release().digest, digest('b'));
}

#[tokio::test]
async fn two_votes_at_once_decide_once() {
    let world = Arc::new(World::start().await);
    world.demo_receiver().await;
    for round in 0..5 {
        let push = world.push(&hub(&format!("acme/app{round}"), "1")).await;
        let votes = at_once(2, |voter| {
            let (world, id) = (world.clone(), push.review_id.clone());
            async move {
                match voter {
                    0 => world.approve(&id, &person("anna")).await,
                    _ => world.reject(&id, &person("bert"), "no").await,
                }
            }
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = votes.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1));
        let review = won.into_iter().next().unwrap().unwrap().review.unwrap();
        let problem = lost.into_iter().next().unwrap().unwrap_err();
        assert_eq!((problem.reason(), problem.http_status()), (reason::REVIEW_DECIDED, 409));
        assert_eq!(problem.metadata()["reviewed_by"], review.reviewed_by);
        let state = if review.state() == review::State::Approved { "approved" } else { "rejected" };
        assert_eq!(problem.metadata()["state"], state);
        assert_eq!(world.review(&push.review_id).await.votes.len(), 1);
    }
    assert_eq!(world.events("image.approval.voted").await.len(), 5);
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_with_a_no() {
    let world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("acme/app", "1")).await;
    world.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    assert_eq!(world.review(&push.review_id).await.state(), review::State::Pending);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.review(&push.review_id).await.state(), review::State::Expired);
    let problem = world.approve(&push.review_id, &person("anna")).await.expect_err("too late");
    assert_eq!(problem.metadata()["state"], "expired");
    let denied = world
        .look_for("what it held to be denied", async || {
            let push = world.get(&push.id).await;
            if push.state() == State::Denied { Ok(push) } else { Err(format!("{push:?}")) }
        })
        .await;
    assert_eq!(codes(&denied)[0], reason::REVIEW_EXPIRED);
    assert_eq!(world.events("image.approval.expired").await.len(), 1);
    let word: String = sqlx::query_scalar("select status from approval.image_approval_requests")
        .fetch_one(&world.owner)
        .await
        .unwrap();
    assert_eq!(word, "rejected", "one of the three words");

    // The next delivery asks anew.
    world.clock.advance(Duration::from_secs(1));
    let next = world.push(&hub("acme/app", "1")).await;
    assert_ne!(next.review_id, push.review_id);
    assert_eq!(world.review(&next.review_id).await.state(), review::State::Pending);
}

#[tokio::test]
async fn approving_an_image_answers_all_questions_about_it() {
    let world = World::start().await;
    world.demo_receiver().await;
    let one = world.push(&hub("acme/app", "1")).await;
    let two = world.push(&hub("acme/app", "2")).await;
    assert_ne!(one.review_id, two.review_id);
    world.approve(&one.review_id, &person("anna")).await.unwrap();
    let done = |push: &pb::Push| push.state() == State::Done;
    let two = world.wait_for_push(&two.id, "the other push to go on, too", done).await;
    assert!(two.tag_added, "its tag went through the gate");
    let other = world.review(&two.review_id).await;
    assert_eq!((other.state(), other.reviewed_by.as_str()), (review::State::Approved, "anna"));
    assert_eq!(world.registry.approvals().len(), 1);
}

#[tokio::test]
async fn a_tag_is_decided_without_its_image_and_a_no_is_remembered_for_its_digest() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &[]);
    world.registry.unknown_tag(UnknownTag::Request);
    world.registry.upstream("redis:8", Answer::Digest(digest('a')));
    let send = async |second| {
        let body = hub_at("redis", "8", second).to_string();
        world.send(&token, &[], body, "").await.unwrap().pushes.remove(0)
    };
    let first = send(0).await;
    assert_eq!(world.review(&first.review_id).await.scope(), review::Scope::Tag);
    world.reject(&first.review_id, &person("anna"), "not yet").await.unwrap();
    assert!(world.registry.rejections().is_empty(), "the image stays approved");
    let again = send(1).await;
    assert_eq!((again.state(), codes(&again)[0]), (State::Denied, reason::REVIEW_REJECTED));
    assert_eq!(again.review_id, first.review_id);

    world.registry.upstream("redis:8", Answer::Digest(digest('b')));
    let moved = send(2).await;
    assert_eq!(moved.state(), State::Held, "another digest is another question");
    let decided = world.approve(&moved.review_id, &person("anna")).await.unwrap();
    assert_eq!(decided.redriven[0].outcome(), Outcome::Rollout);
    assert!(world.registry.has_tag("redis", "8"));
}

#[tokio::test]
async fn a_digest_alone_can_be_approved() {
    let world = World::start().await;
    world.registry.approve("redis", &["7"]);
    let asked = format!("redis@{}", digest('a'));
    let push = world.submit(&asked, &person("anna")).await.unwrap();
    assert_eq!((push.state(), codes(&push)[0]), (State::Held, reason::DIGEST_NOT_LISTED));
    let decided = world.approve(&push.review_id, &person("bert")).await.unwrap();
    let done = &decided.redriven[0];
    assert_eq!((done.outcome(), done.pinned, &done.digest), (Outcome::Rollout, true, &digest('a')));
}

#[tokio::test]
async fn many_are_decided_each_on_its_own() {
    let world = World::start().await;
    world.demo_receiver().await;
    let mut ids = Vec::new();
    for name in ["acme/a", "acme/b", "acme/c"] {
        ids.push(world.push(&hub(name, "1")).await.review_id);
    }
    world.reject(&ids[1], &person("anna"), "no").await.unwrap();
    ids.push("0198f3a4-0000-7000-8000-000000000001".to_owned());
    ids.push("nonsense".to_owned());
    let decide = async |dry_run| {
        let request = pb::BatchDecideReviewsRequest {
            ids: ids.clone(),
            approve: true,
            dry_run,
            ..Default::default()
        };
        let answer =
            world.reviews().batch_decide_reviews(on_behalf_of(request, &person("bert"))).await;
        answer.unwrap().into_inner().results
    };
    let told = |results: Vec<pb::batch_decide_reviews_response::Result>| {
        let code = |result: pb::batch_decide_reviews_response::Result| match result.error {
            Some(error) => error.code,
            None => result.state().as_str_name().to_owned(),
        };
        results.into_iter().map(code).collect::<Vec<_>>()
    };
    let expected = [
        "STATE_APPROVED",
        "REVIEW_DECIDED",
        "STATE_APPROVED",
        "REVIEW_NOT_FOUND",
        "INVALID_ARGUMENT",
    ];
    assert_eq!(told(decide(true).await), expected);
    assert_eq!(world.review(&ids[0]).await.state(), review::State::Pending, "it was a rehearsal");
    assert_eq!(told(decide(false).await), expected);
    for id in [&ids[0], &ids[2]] {
        let held = |review: &pb::Review| review.held_pushes == 0;
        world.wait_for_review(id, "what it held to go on", held).await;
    }
    let too_many = pb::BatchDecideReviewsRequest {
        ids: vec![ids[0].clone(); 501],
        approve: true,
        ..Default::default()
    };
    let refused = world.reviews().batch_decide_reviews(too_many).await;
    assert_eq!(Problem::from(refused.unwrap_err()).field_violations()[0].field, "ids");
}

#[tokio::test]
async fn reviews_and_pushes_are_listed_newest_first_in_pages() {
    let world = World::start().await;
    world.demo_receiver().await;
    for name in ["acme/a", "acme/b", "acme/c"] {
        world.push(&hub(name, "1")).await;
        world.clock.advance(Duration::from_secs(1));
    }
    let mut request = pb::ListReviewsRequest { page_size: 2, ..Default::default() };
    let page = world.reviews().list_reviews(request.clone()).await.unwrap().into_inner();
    let names = |page: &pb::ListReviewsResponse| {
        page.reviews.iter().map(|review| review.image_name.clone()).collect::<Vec<_>>()
    };
    assert_eq!((names(&page), page.total_size), (vec!["c".to_owned(), "b".to_owned()], 3));
    request.page_token = page.next_page_token;
    let rest = world.reviews().list_reviews(request.clone()).await.unwrap().into_inner();
    assert_eq!((names(&rest), rest.next_page_token.as_str()), (vec!["a".to_owned()], ""));
    request.state = review::State::Pending.into();
    let refused = world.reviews().list_reviews(request).await;
    assert_eq!(Problem::from(refused.unwrap_err()).reason(), reason::INVALID_PAGE_TOKEN);

    let list =
        async |request| world.pushes().list_pushes(request).await.map(tonic::Response::into_inner);
    let only = pb::ListPushesRequest { repository: "acme/b".to_owned(), ..Default::default() };
    let pushes = list(only).await.unwrap();
    assert_eq!((pushes.pushes.len(), pushes.total_size), (1, 1));
    let none = pb::ListPushesRequest { state: State::Done.into(), ..Default::default() };
    assert_eq!(list(none).await.unwrap().total_size, 0);
    let held =
        pb::ListPushesRequest { state: State::Held.into(), page_size: 2, ..Default::default() };
    let pushes = list(held).await.unwrap();
    assert_eq!((pushes.pushes.len(), pushes.total_size), (2, 3));
    let bad = pb::ListPushesRequest { repository: "A b".to_owned(), ..Default::default() };
    assert_eq!(Problem::from(list(bad).await.unwrap_err()).reason(), reason::INVALID_REFERENCE);
}
