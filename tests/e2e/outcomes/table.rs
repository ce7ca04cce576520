//! The table: each row through HTTP, with both ways of answering.

use serde_json::{Value, json};
use testbed::steps::{WEBHOOK, add_policy};
use testbed::{Answer, Api, Slipway};

use crate::scene::{device, docker_hub, policy, rollouts};

const ACT: Option<&str> = Some("Admin must approve this image before deployment");
const ACT_ON_TAG: Option<&str> = Some("Admin must approve this tag before deployment");
const PENDING: &str = "This image must be approved before deployment";
const UNLISTED: &str = "This tag is not in the approved tags list";

/// One row: what is pushed, and what the sender is told.
struct Row {
    image: (&'static str, &'static str),
    /// By a receiver that answers with refusals, and by one that does not.
    status: (u16, u16),
    /// `decision`, `state` and `outcome`, empty = not there.
    became: (&'static str, &'static str, &'static str),
    reason: &'static str,
    error: Option<&'static str>,
    message: String,
    action: Option<&'static str>,
}

fn done(image: (&'static str, &'static str), outcome: &'static str, reason: &'static str) -> Row {
    let message = match outcome {
        "rollout" => "Rollout created",
        "no_policy" => "No matching policy",
        "no_target" => "No matching devices",
        other => panic!("the table has no {other}"),
    };
    Row {
        image,
        status: (200, 200),
        became: ("allow", "done", outcome),
        reason,
        error: None,
        message: message.to_owned(),
        action: None,
    }
}

fn held(image: (&'static str, &'static str), reason: &'static str, message: &str) -> Row {
    let about_tag = reason == "TAG_NOT_APPROVED";
    Row {
        image,
        status: (403, 202),
        became: ("hold", "held", ""),
        reason,
        error: Some(if about_tag { "Tag not approved" } else { "Image not approved" }),
        message: message.to_owned(),
        action: if about_tag { ACT_ON_TAG } else { ACT },
    }
}

fn denied(
    image: (&'static str, &'static str),
    status: u16,
    reason: &'static str,
    error: &'static str,
    message: &str,
) -> Row {
    Row {
        image,
        status: (status, 200),
        became: ("deny", "denied", ""),
        reason,
        error: Some(error),
        message: message.to_owned(),
        action: None,
    }
}

fn table() -> Vec<Row> {
    let unknown = |image| format!("Image '{image}' is not in the approved registry");
    vec![
        done(("iotistic/agent", "v2.1.0"), "rollout", "INTERNAL_NAMESPACE"),
        done(("redis", "7.4-alpine"), "rollout", "IMAGE_APPROVED"),
        done(("redis", "7.6-alpine"), "rollout", "TAG_ADDED"),
        done(("nginx", "1.27"), "no_policy", "TAG_ADDED"),
        done(("mysql", "8"), "no_policy", "TAG_ADDED"),
        done(("mongo", "7"), "no_target", "TAG_ADDED"),
        held(("memcached", "latest"), "IMAGE_NOT_APPROVED", &unknown("memcached")),
        // The namespace counts, and a name that only begins like an internal one is none.
        held(("evil/redis", "7-alpine"), "IMAGE_NOT_APPROVED", &unknown("evil/redis")),
        held(("iotistic-evil/agent", "v1"), "IMAGE_NOT_APPROVED", &unknown("iotistic-evil/agent")),
        held(("library/iotistic", "v1"), "IMAGE_NOT_APPROVED", &unknown("iotistic")),
        held(("postgres", "16"), "IMAGE_PENDING", PENDING),
        held(("node", "22"), "TAG_NOT_APPROVED", UNLISTED),
        denied(("python", "3"), 403, "IMAGE_REJECTED", "Image not approved", PENDING),
        denied(("influxdb", "2"), 404, "TAG_NOT_LISTED", "Tag not found", UNLISTED),
        denied(
            ("redis", "6-alpine"),
            403,
            "TAG_DEPRECATED",
            "Tag deprecated",
            "Tag '6-alpine' for image 'redis' is marked as deprecated",
        ),
    ]
}

/// Brings about what the rows are about, with a default receiver that answers in this mode.
async fn stage(mode: &str) -> Slipway {
    let slipway = Slipway::start().await;
    let api = &slipway.api;
    let receiver = json!({
        "name": "default", "vendor": "generic", "allow_unauthenticated": true,
        "registries": ["docker.io"], "payload_trust": true, "is_default": true,
        "response_mode": mode
    });
    api.post("/api/v1/receivers", &receiver).await.expect(201);
    for pattern in ["redis:*", "iotistic/*:*", "mongo:*"] {
        policy(api, pattern).await;
    }
    let disabled = json!({"image_pattern": "mysql:*", "update_strategy": "auto", "enabled": false});
    add_policy(api, &disabled).await;
    device(api, &["redis:7-alpine", "iotistic/agent:v2.0.0", "mysql:5"]).await;
    let old = json!({"tag": "6-alpine", "is_deprecated": true});
    api.post("/api/v1/images/1/tags", &old).await.expect(201);
    for (image, change) in [
        (2, json!({"approval_status": "pending"})),
        (4, json!({"unknown_tag": "request"})),
        (5, json!({"approval_status": "rejected"})),
        (8, json!({"unknown_tag": "deny"})),
    ] {
        api.put(&format!("/api/v1/images/{image}"), &change).await.expect(200);
    }
    slipway
}

async fn send(api: &Api, row: &Row) -> Answer {
    api.nobody().post(WEBHOOK, &docker_hub(row.image.0, row.image.1)).await
}

/// The answer is the row's, but for the status.
#[track_caller]
fn tells(answer: &Answer, row: &Row) {
    let (body, (name, tag)) = (&answer.body, row.image);
    let text = |member: &str| body.get(member).map(|value| value.as_str().unwrap());
    assert_eq!(text("error"), row.error, "{name}: {body}");
    assert_eq!(text("message"), Some(row.message.as_str()), "{name}: {body}");
    assert_eq!(text("action_required"), row.action, "{name}: {body}");
    assert_eq!(text("decision"), Some(row.became.0), "{name}: {body}");
    assert!(text("delivery_id").is_some_and(|id| id.len() == 36), "{name}: {body}");
    assert_eq!(body["events"].as_array().unwrap().len(), 1, "{name}: {body}");

    let event = &body["events"][0];
    let text = |member: &str| event.get(member).and_then(Value::as_str).unwrap_or_default();
    let became = (text("decision"), text("state"), text("outcome"));
    assert_eq!(became, row.became, "{name}: {body}");
    assert_eq!(event["reasons"][0]["code"], row.reason, "{name}: {body}");
    let (image, tag_member) = (text("image"), text("tag"));
    assert!(image.ends_with(&format!(":{tag}")) && tag_member == tag, "{name}: {body}");
    assert_eq!(text("registry"), "docker.io", "{name}: {body}");
    assert_eq!((&event["pinned"], &event["digest"]), (&json!(false), &json!(null)), "{name}");
    assert_eq!((text("push_id").len(), &event["actor"]["name"]), (36, &json!("default")), "{name}");
    assert_eq!(event.get("review_id").is_some(), row.became.1 == "held", "{name}: {body}");
    assert_eq!(event.get("rollout_id").is_some(), row.became.2 == "rollout", "{name}: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_answered_as_printed() {
    let slipway = stage("strict").await;
    for row in table() {
        let answer = send(&slipway.api, &row).await;
        assert_eq!(answer.status, row.status.0, "{}: {answer:?}", row.image.0);
        tells(&answer, &row);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_gives_up_after_refusals_gets_none() {
    let slipway = stage("ack").await;
    for row in table() {
        let answer = send(&slipway.api, &row).await;
        assert_eq!(answer.status, row.status.1, "{}: {answer:?}", row.image.0);
        tells(&answer, &row);
    }
}

/// The names in a list of documents, by its member.
async fn names(api: &Api, path: &str, list: &str, member: &str) -> Vec<String> {
    let answer = api.get(path).await.expect(200);
    let elements = answer.body[list].as_array().unwrap().iter();
    let mut names: Vec<_> =
        elements.map(|element| element[member].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_writes_what_the_table_says_and_nothing_else() {
    let slipway = stage("strict").await;
    let api = &slipway.api;
    let tags_of = async |id: i64| names(api, &format!("/api/v1/images/{id}"), "tags", "tag").await;
    let reviews = "/api/v1/approval-requests?status=pending";
    let asked = async || names(api, reviews, "approval_requests", "repository").await;
    assert_eq!(asked().await, ["docker.io/library/postgres"], "it was made to wait");
    for row in table() {
        let before = (rollouts(api).await, asked().await.len());
        send(api, &row).await;
        let after = (rollouts(api).await, asked().await.len());
        let rolls_out = i64::from(row.became.2 == "rollout");
        // The review of an image that waits is open already.
        let asks = usize::from(row.became.1 == "held" && row.reason != "IMAGE_PENDING");
        assert_eq!(after, (before.0 + rolls_out, before.1 + asks), "{:?}", row.image);
    }
    let redis = ["6-alpine", "7-alpine", "7.2-alpine", "7.4-alpine", "7.6-alpine", "latest"];
    assert_eq!(tags_of(1).await, redis);
    assert_eq!(tags_of(3).await, ["1.27"], "a new tag is kept, whatever the policies say");
    for refused in [2, 4, 5, 8] {
        assert_eq!(tags_of(refused).await, [] as [String; 0], "{refused}");
    }
    let images = api.get("/api/v1/images").await.expect(200);
    assert_eq!(images.body["total"], 9, "no webhook adds an image");
    let requested = [
        "docker.io/evil/redis",
        "docker.io/iotistic-evil/agent",
        "docker.io/library/iotistic",
        "docker.io/library/memcached",
        "docker.io/library/node",
        "docker.io/library/postgres",
    ];
    assert_eq!(asked().await, requested);
}
