//! The outcomes of document 2 as a registry sees them.

use proto::approval::v1 as pb;
use proto::approval::v1::push::{Outcome, State};
use proto::approval::v1::{Decision, ResponseMode};
use proto::reason;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::samples::{OTHER_ID, push, reason as why};
use crate::world::{GATEWAY, World};

const SUBMIT: &str = "approval.v1.Pushes/SubmitDelivery";
const DEFAULT: &str = "/api/v1/webhooks/docker-registry";

/// One row of the table: what is pushed, what becomes of it, what the sender is told.
struct Row {
    image: (&'static str, &'static str),
    state: State,
    decision: Decision,
    outcome: Outcome,
    why: (&'static str, &'static str),
    status: u16,
    told: Value,
}

fn table() -> Vec<Row> {
    let allowed = |image, why| Row {
        image,
        state: State::Done,
        decision: Decision::Allow,
        outcome: Outcome::Rollout,
        why: (why, "it may run"),
        status: 200,
        told: json!({"message": "Rollout created", "decision": "allow"}),
    };
    let refused = |image, state, decision, why, status, told| Row {
        image,
        state,
        decision,
        outcome: Outcome::Unspecified,
        why,
        status,
        told,
    };
    let unknown = "Image 'portainer/portainer-ce' is not in the approved registry";
    let unapproved = "This image must be approved before deployment";
    let unlisted = "This tag is not in the approved tags list";
    let deprecated = "Tag '6-alpine' for image 'redis' is marked as deprecated";
    let act = "Admin must approve this image before deployment";
    vec![
        allowed(("iotistic/agent", "v2.1.0"), reason::INTERNAL_NAMESPACE),
        allowed(("redis", "7.5-alpine"), reason::IMAGE_APPROVED),
        allowed(("redis", "7.6-alpine"), reason::TAG_ADDED),
        Row {
            outcome: Outcome::NoPolicy,
            told: json!({"message": "No matching policy", "decision": "allow"}),
            ..allowed(("nginx", "1"), reason::NO_POLICY)
        },
        Row {
            outcome: Outcome::NoTarget,
            told: json!({"message": "No matching devices", "decision": "allow"}),
            ..allowed(("nginx", "1"), reason::NO_TARGET)
        },
        refused(
            ("portainer/portainer-ce", "latest"),
            State::Held,
            Decision::Hold,
            (reason::IMAGE_NOT_APPROVED, unknown),
            403,
            json!({"error": "Image not approved", "message": unknown, "action_required": act}),
        ),
        refused(
            ("redis", "7"),
            State::Held,
            Decision::Hold,
            (reason::IMAGE_PENDING, unapproved),
            403,
            json!({"error": "Image not approved", "message": unapproved, "action_required": act}),
        ),
        refused(
            ("redis", "7"),
            State::Denied,
            Decision::Deny,
            (reason::IMAGE_REJECTED, unapproved),
            403,
            json!({"error": "Image not approved", "message": unapproved}),
        ),
        refused(
            ("redis", "6-alpine"),
            State::Denied,
            Decision::Deny,
            (reason::TAG_DEPRECATED, deprecated),
            403,
            json!({"error": "Tag deprecated", "message": deprecated}),
        ),
        refused(
            ("redis", "8"),
            State::Denied,
            Decision::Deny,
            (reason::TAG_NOT_LISTED, unlisted),
            404,
            json!({"error": "Tag not found", "message": unlisted}),
        ),
        refused(
            ("redis", "8"),
            State::Waiting,
            Decision::Hold,
            (reason::UPSTREAM_UNREACHABLE, "the registry does not answer"),
            202,
            json!({"decision": "hold"}),
        ),
    ]
}

fn answer(row: &Row) -> pb::SubmitDeliveryResponse {
    let (name, tag) = row.image;
    let mut push = push(row.state);
    push.familiar_repository = name.to_owned();
    push.tag = tag.to_owned();
    push.decision = row.decision.into();
    push.outcome = row.outcome.into();
    push.reasons = vec![why(row.why.0, row.why.1)];
    pb::SubmitDeliveryResponse {
        delivery_id: OTHER_ID.to_owned(),
        decision: row.decision.into(),
        pushes: vec![push],
        response_mode: ResponseMode::Strict.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn each_row_of_the_outcome_table_is_told_as_the_document_prints_it() {
    let world = World::start().await;
    for row in table() {
        world.approval.answer(SUBMIT, answer(&row));
        let body = json!({
            "repository": {"repo_name": row.image.0}, "push_data": {"tag": row.image.1}
        });
        let told = world.post(DEFAULT).json(&body).send().await.expect(row.status);
        for (member, expected) in row.told.as_object().unwrap() {
            assert_eq!(&told[member], expected, "{} of {told}", row.why.0);
        }
        for member in ["error", "action_required"] {
            let printed = row.told.get(member).is_some();
            assert_eq!(told.get(member).is_some(), printed, "{member} of {told}");
        }
        assert_eq!(told["delivery_id"], OTHER_ID);
        let event = &told["events"][0];
        assert_eq!(event["image"], format!("{}:{}", row.image.0, row.image.1));
        assert_eq!(event["reasons"][0]["code"], row.why.0);
    }
}

#[tokio::test]
async fn a_sender_that_switches_off_after_refusals_gets_none() {
    let world = World::start().await;
    for row in table() {
        let mut answer = answer(&row);
        answer.response_mode = ResponseMode::Ack.into();
        world.approval.answer(SUBMIT, answer);
        let told = world.post("/api/v1/webhooks/receivers/whr_x").body("{}").send().await;
        let expected = match row.state {
            State::Held | State::Waiting => 202,
            State::Done | State::Denied => 200,
            other => panic!("the table has no {other:?}"),
        };
        let body = told.expect(expected);
        assert_eq!(body.get("error"), row.told.get("error"), "the words stay");
    }
}

#[tokio::test]
async fn the_whole_answer_has_the_members_that_are_promised() {
    let world = World::start().await;
    let row = &table()[1];
    let mut answered = answer(row);
    answered.pushes[0].rollout_id = OTHER_ID.to_owned();
    world.approval.answer(SUBMIT, answered);
    let told = world.post(DEFAULT).body("{}").send().await.expect(200);
    insta::assert_json_snapshot!(told);
}

#[tokio::test]
async fn the_request_is_handed_on_as_it_came_in_the_gateways_own_name() {
    let world = World::start().await;
    world.approval.answer(SUBMIT, answer(&table()[0]));
    let body = "{\"a\" : 1,\n \"a\":2}  ";
    let sent = world
        .post("/api/v1/webhooks/receivers/whr_secret")
        .token("ghd_of-a-stranger")
        .header("x-hub-signature-256", "sha256=00")
        .header("x-github-event", "package")
        .body(body);
    sent.send().await.expect(200);
    let asked: pb::SubmitDeliveryRequest = world.approval.asked(SUBMIT);
    assert_eq!(asked.receiver_token, "whr_secret");
    assert_eq!(asked.body, body.as_bytes());
    assert_eq!(asked.peer_ip, "127.0.0.1");
    let header = |name: &str| {
        let found = asked.headers.iter().find(|header| header.name == name);
        found.map(|header| String::from_utf8(header.value.to_vec()).unwrap())
    };
    assert_eq!(header("x-hub-signature-256").unwrap(), "sha256=00");
    assert_eq!(header("x-github-event").unwrap(), "package");
    let call = &world.approval.calls()[0];
    assert_eq!(call.header("authorization"), format!("Bearer {GATEWAY}"));
}

#[tokio::test]
async fn the_default_address_has_no_token() {
    let world = World::start().await;
    world.approval.answer(SUBMIT, answer(&table()[0]));
    world.post(DEFAULT).body("{}").send().await.expect(200);
    let asked: pb::SubmitDeliveryRequest = world.approval.asked(SUBMIT);
    assert_eq!(asked.receiver_token, "");
}

#[tokio::test]
async fn an_answer_that_was_given_before_says_so() {
    let world = World::start().await;
    let mut again = answer(&table()[0]);
    again.replayed = true;
    world.approval.answer(SUBMIT, again);
    let told = world.post(DEFAULT).body("{}").send().await;
    assert_eq!((told.status.as_u16(), told.header("idempotent-replay")), (200, "true"));

    let malformed = Problem::new(Code::InvalidArgument, reason::MALFORMED_BODY, "it is no JSON")
        .with("replayed", "true");
    world.approval.refuse(SUBMIT, malformed);
    let told = world.post(DEFAULT).body("{").send().await;
    assert_eq!((told.status.as_u16(), told.header("idempotent-replay")), (400, "true"));
}

#[tokio::test]
async fn nothing_to_decide_is_200_and_says_why() {
    let world = World::start().await;
    world.approval.answer(
        SUBMIT,
        pb::SubmitDeliveryResponse {
            delivery_id: OTHER_ID.to_owned(),
            decision: Decision::Ignored.into(),
            note: "the event is not about a package".to_owned(),
            ..Default::default()
        },
    );
    let told = world.post(DEFAULT).body("{}").send().await.expect(200);
    assert_eq!(told["message"], "the event is not about a package");
    assert_eq!((&told["decision"], &told["events"]), (&json!("ignored"), &json!([])));
}

#[tokio::test]
async fn what_is_not_taken_at_all_has_its_status() {
    let world = World::start().await;
    let wait = std::time::Duration::from_secs(3);
    for (problem, status, retry_after) in [
        (Problem::new(Code::Unauthenticated, reason::BAD_SIGNATURE, "x"), 401, ""),
        (Problem::new(Code::NotFound, reason::RECEIVER_NOT_FOUND, "x"), 404, ""),
        (Problem::new(Code::InvalidArgument, reason::BODY_TOO_LARGE, "x"), 413, ""),
        (Problem::new(Code::AlreadyExists, reason::DELIVERY_ID_REUSED, "x"), 409, ""),
        (
            Problem::new(Code::ResourceExhausted, reason::TOO_MANY_DELIVERIES, "x")
                .retry_after(wait),
            429,
            "3",
        ),
        (Problem::unavailable(reason::DATABASE_UNREACHABLE, "x"), 503, "1"),
    ] {
        let code = problem.reason().to_owned();
        world.approval.refuse(SUBMIT, problem);
        let told = world.post("/api/v1/webhooks/receivers/whr_x").body("{}").send().await;
        assert_eq!(told.expect(status)["reason"], code);
        assert_eq!(told.header("retry-after"), retry_after, "{code}");
        assert_eq!(told.headers.contains_key("www-authenticate"), status == 401);
    }
}
