//! Each row of the outcome tables, over the wire.

use proto::approval::v1 as pb;
use proto::approval::v1::push::{Outcome, State};
use proto::approval::v1::{Decision, ResponseMode};
use proto::reason;
use proto::registry::v1::ApprovalStatus;
use serde_json::json;

use crate::fake::registry::{UnknownTag, digest};
use crate::fake::rollout::Script;
use crate::world::{World, codes, github, hub, hub_at};

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
async fn a_name_with_a_host_is_the_repository_there() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("ghcr.io/acme/agent", &["1"]);
    let push = world.push(&hub("ghcr.io/acme/agent", "1")).await;
    assert_eq!((push.decision(), push.outcome()), (Decision::Allow, Outcome::Rollout));
    assert_eq!(
        (push.registry.as_str(), push.repository.as_str()),
        ("ghcr.io", "ghcr.io/acme/agent")
    );
    let push = world.push(&hub("quay.io/acme/agent", "1")).await;
    assert_eq!((push.state(), codes(&push)[0]), (State::Denied, reason::SOURCE_NOT_AUTHORISED));
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
