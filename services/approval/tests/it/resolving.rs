//! Where the digest of a push comes from.

use std::time::Duration;

use proto::approval::v1 as pb;
use proto::approval::v1::Decision;
use proto::approval::v1::push::{Outcome, State};
use proto::reason;

use crate::fake::registry::{Answer, digest, platform};
use crate::fake::rollout::Script;
use crate::world::{World, codes, github, hub, hub_at, person};

#[tokio::test]
async fn what_the_registry_says_is_what_runs() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    let answer = world.send(&token, &[], hub_at("redis", "7", 0).to_string(), "").await.unwrap();
    let push = &answer.pushes[0];
    assert_eq!((push.state(), push.outcome()), (State::Done, Outcome::Rollout));
    assert!(push.pinned);
    assert_eq!(
        (push.digest.as_str(), &push.platforms),
        (digest('a').as_str(), &vec![platform('9')])
    );
    assert_eq!(codes(push), ["IMAGE_APPROVED", "DIGEST_RESOLVED", "ROLLOUT_CREATED"]);
    assert_eq!(push.pusher, "anna");
    let asked = &world.registry.admitted()[0];
    assert_eq!((asked.reference.as_str(), asked.record), ("docker.io/library/redis:7", true));
    assert_eq!((&asked.digest, &asked.platforms), (&digest('a'), &vec![platform('9')]));
    assert_eq!(world.rollout.created()[0].release().digest, digest('a'));
    assert_eq!(world.registry.resolved(), ["docker.io/library/redis:7"]);

    world.clock.advance(Duration::from_secs(61));
    let again = world.send(&token, &[], hub_at("redis", "7", 60).to_string(), "").await.unwrap();
    assert_eq!(again.pushes[0].outcome(), Outcome::Unchanged, "the same digest is nothing new");
    assert_ne!(again.pushes[0].id, push.id);
}

#[tokio::test]
async fn an_event_that_says_another_digest_than_the_registry_is_stale() {
    let world = World::start().await;
    let receiver = pb::Receiver {
        name: "ghcr".to_owned(),
        vendor: pb::Vendor::Github.into(),
        allow_unauthenticated: true,
        ..Default::default()
    };
    let token = world.receiver(receiver, "").await;
    world.registry.approve("ghcr.io/acme/agent", &["1"]);
    world.registry.upstream("ghcr.io/acme/agent:1", Answer::Digest(digest('b')));
    let body = github("acme/agent", "1", &digest('a')).to_string();
    let headers = [("X-GitHub-Event", "package"), ("X-GitHub-Delivery", "1")];
    let push = world.send(&token, &headers, body, "").await.unwrap().pushes.remove(0);
    assert_eq!(codes(&push), ["IMAGE_APPROVED", "STALE_EVENT", "ROLLOUT_CREATED"]);
    assert_eq!((push.digest, push.pinned), (digest('b'), true));
}

#[tokio::test]
async fn a_trusted_senders_digest_pins_where_no_registry_can_be_asked() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("ghcr.io/acme/agent", &["1"]);
    let body = github("acme/agent", "1", &digest('a')).to_string();
    let headers = [("X-GitHub-Event", "package")];
    let push = world.send("", &headers, body, "127.0.0.1").await.unwrap().pushes.remove(0);
    assert_eq!((push.digest.as_str(), push.pinned), (digest('a').as_str(), true));
    assert_eq!(codes(&push)[1], "PAYLOAD_TRUSTED");
    assert!(push.platforms.is_empty());
}

#[tokio::test]
async fn a_senders_word_alone_lets_nothing_run() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    let answer = world.send(&token, &[], hub("redis", "7").to_string(), "127.0.0.1").await.unwrap();
    assert_eq!(answer.decision(), Decision::Hold);
    let push = &answer.pushes[0];
    assert_eq!((push.state(), push.decision()), (State::Waiting, Decision::Hold));
    assert_eq!(codes(push), ["UPSTREAM_NOT_CONFIGURED"]);
    assert!(push.retry_time.is_some());
    let told = world.explain(&push.id).await;
    assert_eq!(told.next_step, "slipway registry add --host docker.io");

    // The demo's receiver believes this machine, and nobody else.
    world.demo_receiver().await;
    let body = hub_at("redis", "7", 1).to_string();
    let answer = world.send("", &[], body, "192.0.2.7").await.unwrap();
    assert_eq!(answer.pushes[0].state(), State::Waiting);
    assert!(world.rollout.created().is_empty());

    // Once there is an upstream, what waits goes on by itself.
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    world.registry.tell("upstream.created", "docker.io/x", &person("ops"));
    let done = |push: &pb::Push| push.state() == State::Done;
    for id in [&push.id, &answer.pushes[0].id] {
        world.wait_for_push(id, "the push to go on", done).await;
    }
}

#[tokio::test]
async fn what_another_worker_has_just_tried_is_not_tried_again() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:other", Answer::NotFound);
    let body = hub("redis", "7").to_string();
    let push = world.send(&token, &[], body, "").await.unwrap().pushes.remove(0);

    // Whoever finds it due waits here for its lane, in which another replica tries it first.
    let mut lane = world.owner.begin().await.unwrap();
    let lock = "select pg_advisory_xact_lock(hashtextextended('lane ' || lane, 0)) \
                from approval.pushes where id = $1::uuid";
    sqlx::query(lock).bind(&push.id).execute(&mut *lane).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    world
        .look_for("a worker at the lane", async || {
            let waiting = "select exists (select from pg_locks join pg_database on pg_database.oid = database \
                           where datname = current_database() and locktype = 'advisory' and not granted)";
            let waiting: bool = sqlx::query_scalar(waiting).fetch_one(&world.owner).await.unwrap();
            if waiting { Ok(()) } else { Err("nobody waits".to_owned()) }
        })
        .await;
    let tried = "update approval.pushes set due_at = due_at + interval '77 s', version = version + 1 \
                 where id = $1::uuid";
    sqlx::query(tried).bind(&push.id).execute(&mut *lane).await.unwrap();
    lane.commit().await.unwrap();

    // One behind them in the same lane has its answer when they are through.
    let body = hub_at("redis", "7", 1).to_string();
    world.send(&token, &[], body, "").await.unwrap();
    let retry_time = |push: &pb::Push| push.retry_time.as_ref().unwrap().seconds;
    assert_eq!(retry_time(&world.get(&push.id).await), retry_time(&push) + 77);
}

#[tokio::test]
async fn a_tag_that_the_registry_does_not_know_yet_is_looked_for_again() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:other", Answer::NotFound);
    let body = hub("redis", "7").to_string();
    let push = world.send(&token, &[], body, "").await.unwrap().pushes.remove(0);
    assert_eq!((push.state(), push.decision()), (State::Waiting, Decision::Hold));
    assert_eq!(codes(&push), ["NOT_RESOLVABLE"]);
    let waits = |push: &pb::Push| {
        push.retry_time.as_ref().unwrap().seconds - push.update_time.as_ref().unwrap().seconds
    };
    assert_eq!(waits(&push), 1);
    for (passed, next) in [(1, 5), (5, 30), (30, 300), (300, 300)] {
        world.clock.advance(Duration::from_secs(passed));
        let now = world.clock.now().timestamp();
        let again = world
            .look_for("another try", async || {
                let push = world.get(&push.id).await;
                let tried = push.update_time.as_ref().unwrap().seconds == now;
                if tried && waits(&push) > 0 { Ok(push) } else { Err(format!("{push:?}")) }
            })
            .await;
        assert_eq!(waits(&again), next);
    }
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    world.clock.advance(Duration::from_secs(300));
    world.wait_for_push(&push.id, "the push to be done", |push| push.state() == State::Done).await;
}

#[tokio::test]
async fn a_registry_that_refuses_or_asks_to_wait_is_asked_later() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["1", "2", "3"]);
    let wait = Duration::from_secs(77);
    for (tag, answer, code) in [
        ("1", Answer::Refused, reason::UPSTREAM_REFUSED),
        ("2", Answer::RateLimited(wait), reason::UPSTREAM_RATE_LIMITED),
        ("3", Answer::Unreachable, reason::UPSTREAM_UNREACHABLE),
    ] {
        world.registry.upstream(&format!("redis:{tag}"), answer);
        let body = hub("redis", tag).to_string();
        let push = world.send(&token, &[], body, "").await.unwrap().pushes.remove(0);
        assert_eq!((push.state(), codes(&push)), (State::Waiting, vec![code]), "{tag}");
        if code == reason::UPSTREAM_RATE_LIMITED {
            let waits = push.retry_time.unwrap().seconds - push.update_time.unwrap().seconds;
            assert_eq!(waits, 77);
        }
        world.registry.upstream(&format!("redis:{tag}"), Answer::Digest(digest('a')));
        world.clock.advance(Duration::from_secs(299));
        world.wait_for_push(&push.id, "it to go on", |push| push.state() == State::Done).await;
    }
}

#[tokio::test]
async fn a_slow_registry_is_answered_with_a_push_that_goes_on() {
    let world = World::start().await;
    let token = world.hub_receiver().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Silence);
    let began = tokio::time::Instant::now();
    let body = hub("redis", "7").to_string();
    let push = world.send(&token, &[], body, "").await.unwrap().pushes.remove(0);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(matches!(push.state(), State::Received | State::Waiting), "{push:?}");
    world.registry.upstream("redis:7", Answer::Digest(digest('a')));
    world.wait_for_push(&push.id, "it to go on", |push| push.state() == State::Done).await;
}

#[tokio::test]
async fn a_policy_that_is_not_there_is_told_and_a_digest_asked_for_by_hand_counts() {
    let world = World::start().await;
    world.registry.approve("redis", &["7"]);
    world.registry.upstream("redis:7", Answer::Digest(digest('b')));
    let asked = format!("redis:7@{}", digest('a'));
    let push = world.submit(&asked, &person("ops")).await.unwrap();
    assert_eq!((push.outcome(), push.pinned, &push.digest), (Outcome::Rollout, true, &digest('a')));
    assert_eq!(codes(&push)[1], reason::STALE_EVENT);
    let gate = &world.registry.admitted()[0];
    assert_eq!(gate.reference, format!("docker.io/library/redis:7@{}", digest('a')));
    assert_eq!(gate.digest, "", "the tag does not have it, so nothing vouches for it");
    let created = &world.rollout.created()[0];
    assert!(created.request.by_hand && created.person.as_ref().unwrap().id == "ops");
    assert_eq!(push.actor.unwrap().id, "ops");

    world.rollout.script("docker.io/library/redis", Script::PolicyUnknown);
    let push = world.submit("redis:7", &person("ops")).await.unwrap();
    assert_eq!((push.state(), codes(&push)[0]), (State::Denied, reason::POLICY_NOT_FOUND));
    for wrong in ["redis", "A b", ""] {
        let problem = world.submit(wrong, &person("ops")).await.expect_err(wrong);
        assert_eq!(problem.reason(), reason::INVALID_REFERENCE, "{wrong}");
    }
}
