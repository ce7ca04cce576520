//! Each row of the outcome tables, over the wire.

use std::time::Duration;

use proto::approval::v1 as pb;
use proto::approval::v1::push::{Outcome, State};
use proto::approval::v1::{Decision, ResponseMode};
use proto::reason;
use proto::registry::v1::ApprovalStatus;
use serde_json::json;

use crate::fake::registry::{Answer, UnknownTag, digest, platform};
use crate::fake::rollout::Script;
use crate::world::{World, codes, github, hub, hub_at, person};

#[tokio::test]
async fn an_internal_image_goes_on_unasked() {
    let world = World::start().await;
    world.demo_receiver().await;
    let answer = world.deliver(&hub("iotistic/agent", "v2.1.0")).await.unwrap();
    assert_eq!(answer.decision(), Decision::Allow);
    assert_eq!(answer.response_mode(), ResponseMode::Strict);
    let push = &answer.pushes[0];
    assert_eq!((push.state(), push.outcome()), (State::Done, Outcome::Rollout));
    assert_eq!(codes(push), ["INTERNAL_NAMESPACE", "PAYLOAD_TRUSTED", "ROLLOUT_CREATED"]);
    assert!(!push.pinned && !push.rollout_id.is_empty());
    assert_eq!(push.familiar_repository, "iotistic/agent");
    let created = &world.rollout.created()[0];
    assert_eq!(created.request.request_id, push.id);
    assert_eq!(created.release().push_id, push.id);
    assert_eq!((created.release().tag.as_str(), created.release().digest.as_str()), ("v2.1.0", ""));
    assert_eq!(created.person.as_ref().unwrap().name, "default");
    assert_eq!(
        world.event_types().await[1..],
        ["image.webhook_received", "image.webhook_approved"]
    );
}

#[tokio::test]
async fn an_approved_image_with_a_known_tag_goes_on() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7.5-alpine"]);
    let push = world.push(&hub("redis", "7.5-alpine")).await;
    assert_eq!((push.decision(), push.outcome()), (Decision::Allow, Outcome::Rollout));
    assert_eq!(push.repository, "docker.io/library/redis");
    assert_eq!((push.registry.as_str(), push.familiar_repository.as_str()), ("docker.io", "redis"));
    assert!(!push.tag_added);
}

#[tokio::test]
async fn an_unknown_tag_of_an_approved_image_is_added() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &[]);
    let push = world.push(&hub("redis", "7.6-alpine")).await;
    assert_eq!((push.decision(), push.outcome()), (Decision::Allow, Outcome::Rollout));
    assert!(push.tag_added && world.registry.has_tag("redis", "7.6-alpine"));
    assert_eq!(push.reasons[0].code, reason::TAG_ADDED);
}

#[tokio::test]
async fn an_unknown_tag_asks_or_is_denied_where_the_gate_says_so() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &[]);
    world.registry.unknown_tag(UnknownTag::Request);
    let held = world.push(&hub("redis", "7.6-alpine")).await;
    assert_eq!((held.state(), held.decision()), (State::Held, Decision::Hold));
    assert_eq!(held.reasons[0].code, reason::TAG_NOT_APPROVED);
    let review = world.review(&held.review_id).await;
    assert_eq!((review.scope(), review.tag.as_str()), (pb::review::Scope::Tag, "7.6-alpine"));

    world.registry.unknown_tag(UnknownTag::Deny);
    let denied = world.push(&hub("redis", "7.7-alpine")).await;
    assert_eq!((denied.state(), denied.decision()), (State::Denied, Decision::Deny));
    assert_eq!(denied.reasons[0].code, reason::TAG_NOT_LISTED);
    assert!(denied.review_id.is_empty());
}

#[tokio::test]
async fn an_unknown_image_is_held_and_a_person_is_asked() {
    let world = World::start().await;
    world.demo_receiver().await;
    let push = world.push(&hub("portainer/portainer-ce", "latest")).await;
    assert_eq!((push.state(), push.decision()), (State::Held, Decision::Hold));
    assert_eq!(push.reasons[0].code, reason::IMAGE_NOT_APPROVED);
    let review = world.review(&push.review_id).await;
    assert_eq!(review.state(), pb::review::State::Pending);
    assert_eq!(
        (review.namespace.as_str(), review.image_name.as_str()),
        ("portainer", "portainer-ce")
    );
    assert_eq!((review.occurrences, review.held_pushes), (1, 1));
    assert_eq!(review.requester.unwrap().name, "default");
    assert!(world.rollout.created().is_empty());
    let events = world.event_types().await;
    let told = ["image.webhook_received", "image.approval.requested", "image.webhook_held"];
    assert_eq!(events[1..], told);
    let row: (String, String, String) = sqlx::query_as(
        "select image_name, status, requested_by from approval.image_approval_requests \
         where image_name = 'portainer-ce'",
    )
    .fetch_one(&world.owner)
    .await
    .unwrap();
    assert_eq!(row, ("portainer-ce".into(), "pending".into(), "default".into()));
}

#[tokio::test]
async fn a_pending_image_holds_and_a_rejected_one_denies() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.set("redis", ApprovalStatus::Pending);
    let held = world.push(&hub("redis", "7")).await;
    assert_eq!((held.state(), held.reasons[0].code.as_str()), (State::Held, reason::IMAGE_PENDING));
    world.registry.set("redis", ApprovalStatus::Rejected);
    let denied = world.push(&hub("redis", "8")).await;
    assert_eq!(denied.state(), State::Denied);
    assert_eq!(denied.reasons[0].code, reason::IMAGE_REJECTED);
    assert_eq!(world.events("image.webhook_rejected").await.len(), 1);
}

#[tokio::test]
async fn a_deprecated_tag_is_denied() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &[]);
    world.registry.deprecate("redis", "6-alpine");
    let push = world.push(&hub("redis", "6-alpine")).await;
    assert_eq!((push.state(), push.decision()), (State::Denied, Decision::Deny));
    assert_eq!(push.reasons[0].code, reason::TAG_DEPRECATED);
    assert!(world.rollout.created().is_empty());
}

#[tokio::test]
async fn what_rollout_says_is_the_outcome() {
    let world = World::start().await;
    world.demo_receiver().await;
    for (name, script, outcome, code) in [
        ("a/none", Script::NoPolicy, Outcome::NoPolicy, reason::NO_POLICY),
        ("a/off", Script::PolicyDisabled, Outcome::NoPolicy, reason::POLICY_DISABLED),
        ("a/empty", Script::NoTarget, Outcome::NoTarget, reason::NO_TARGET),
        ("a/bad", Script::Quarantined, Outcome::Quarantined, reason::QUARANTINED),
    ] {
        world.registry.approve(name, &["1"]);
        world.rollout.script(&format!("docker.io/{name}"), script);
        let push = world.push(&hub(name, "1")).await;
        assert_eq!((push.state(), push.outcome()), (State::Done, outcome), "{name}");
        assert_eq!(push.decision(), Decision::Allow, "{name}");
        assert_eq!(push.reasons.last().unwrap().code, code, "{name}");
    }
}

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
async fn what_is_nothing_to_decide_is_ignored_with_its_reason() {
    let world = World::start().await;
    world.demo_receiver().await;
    let ping = [("X-GitHub-Event", "ping"), ("X-GitHub-Delivery", "1")];
    let answer = world.send("", &ping, "{}", "").await.unwrap();
    assert_eq!((answer.decision(), answer.pushes.len()), (Decision::Ignored, 0));
    assert!(answer.note.contains("not about a package"), "{}", answer.note);

    let chart = json!({
        "repository": {"repo_name": "acme/chart"},
        "push_data": {"tag": "1", "media_type": "application/vnd.cncf.helm.config.v1+json"},
    });
    let answer = world.deliver(&chart).await.unwrap();
    assert_eq!((answer.decision(), answer.pushes.len()), (Decision::Ignored, 0));

    let child = github("acme/agent", "", &digest('a')).to_string();
    let answer = world.send("", &[("X-GitHub-Event", "package")], child, "").await.unwrap();
    assert_eq!(answer.decision(), Decision::Ignored);
    let push = &answer.pushes[0];
    assert_eq!((push.state(), codes(push)), (State::Ignored, vec!["NO_TAG"]));
    assert_eq!((push.tag.as_str(), push.digest.as_str()), ("", digest('a').as_str()));
}

#[tokio::test]
async fn an_old_event_is_kept_and_decided_only_when_a_person_asks() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7"]);
    let push = world.push(&hub_at("redis", "7", -25 * 3_600)).await;
    assert_eq!((push.state(), codes(&push)), (State::Ignored, vec!["EVENT_TOO_OLD"]));
    let told = world.explain(&push.id).await;
    assert_eq!(told.next_step, format!("slipway push retry {}", push.id));
    let request = pb::RetryPushRequest { id: push.id.clone(), ..Default::default() };
    let retried = world.pushes().retry_push(request).await.unwrap().into_inner();
    assert_eq!((retried.outcome(), &retried.retry_of), (Outcome::Rollout, &push.id));
    assert_ne!(retried.id, push.id);
    let young = world.push(&hub_at("redis", "7", -23 * 3_600)).await;
    assert_eq!(young.state(), State::Done);
}

#[tokio::test]
async fn a_body_that_is_none_is_stored_and_refused() {
    let world = World::start().await;
    world.demo_receiver().await;
    for (body, told) in [
        ("{\"invalid\": json}", "JSON"),
        ("[]", "no fields"),
        ("{\"a\":1,\"a\":2}", "twice"),
        ("{\"repository\":{\"repo_name\":\"A b\"},\"push_data\":{\"tag\":\"1\"}}", "repo_name"),
    ] {
        let problem = world.send("", &[], body, "").await.expect_err(body);
        assert_eq!(problem.reason(), reason::MALFORMED_BODY);
        assert!(problem.message().contains(told), "{body}: {}", problem.message());
        assert!(problem.metadata().contains_key("delivery_id"));
        assert_eq!(problem.metadata()["replayed"], "false");
    }
    let kept: i64 =
        sqlx::query_scalar("select count(*) from approval.deliveries where decision = 'rejected'")
            .fetch_one(&world.owner)
            .await
            .unwrap();
    assert_eq!(kept, 4);
    assert_eq!(world.events("image.webhook_rejected").await.len(), 4);
}

#[tokio::test]
async fn a_receiver_speaks_only_for_what_it_is_bound_to() {
    let world = World::start().await;
    let receiver = pb::Receiver {
        name: "narrow".to_owned(),
        vendor: pb::Vendor::Generic.into(),
        allow_unauthenticated: true,
        registries: vec!["docker.io".to_owned()],
        repositories: vec!["acme/**".to_owned()],
        ..Default::default()
    };
    let token = world.receiver(receiver, "").await;
    for (body, headers) in [
        (hub("redis", "7"), [("x", "y")]),
        (github("acme/agent", "1", &digest('a')), [("X-GitHub-Event", "package")]),
    ] {
        let answer = world.send(&token, &headers, body.to_string(), "192.0.2.7").await.unwrap();
        assert_eq!(answer.decision(), Decision::Rejected);
        let push = &answer.pushes[0];
        assert_eq!((push.state(), codes(push)), (State::Denied, vec!["SOURCE_NOT_AUTHORISED"]));
    }
    let events = world.events("image.webhook_rejected").await;
    assert_eq!((events.len(), &events[0]["ip"]), (2, &json!("192.0.2.7")));
    assert_eq!(events[0]["actor"]["kind"], "receiver");
    assert!(world.registry.admitted().is_empty() && world.registry.resolved().is_empty());
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
