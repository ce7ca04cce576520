//! How what goes wrong is told.

use std::time::Duration;

use gateway::Settings;
use proto::reason;
use runtime::{Code, Problem};
use serde_json::json;
use tonic::Status;

use crate::world::{World, nobody};

const GATE: &str = "registry.v1.Gate/GetGate";
const TOKENS: &str = "access.v1.Tokens/ListTokens";

#[tokio::test]
async fn every_code_has_its_status_in_both_shapes() {
    let world = World::start().await;
    for (code, reason, status, word) in [
        (Code::InvalidArgument, reason::INVALID_ARGUMENT, 400, "INVALID_REQUEST"),
        (Code::Unauthenticated, reason::TOKEN_UNKNOWN, 401, "UNAUTHORIZED"),
        (Code::PermissionDenied, reason::PERMISSION_MISSING, 403, "FORBIDDEN"),
        (Code::NotFound, reason::IMAGE_NOT_FOUND, 404, "IMAGE_NOT_FOUND"),
        (Code::AlreadyExists, reason::IMAGE_EXISTS, 409, "CONFLICT"),
        (Code::FailedPrecondition, reason::IMAGE_HAS_POLICIES, 409, "CONFLICT"),
        (Code::FailedPrecondition, reason::REQUEST_ID_REUSED, 422, "REQUEST_ID_REUSED"),
        (Code::Aborted, reason::STALE_ETAG, 412, "STALE_ETAG"),
        (Code::ResourceExhausted, reason::TOO_MANY_STREAMS, 429, "RATE_LIMITED"),
        (Code::Internal, reason::INTERNAL, 500, "INTERNAL_ERROR"),
        (Code::Unimplemented, reason::NOT_BUILT, 501, "NOT_BUILT"),
        (Code::Unavailable, reason::DATABASE_UNREACHABLE, 503, "DATABASE_UNREACHABLE"),
        (Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, 504, "DEADLINE_EXCEEDED"),
    ] {
        let problem = Problem::new(code, reason, "what went wrong; what to do next");
        world.registry.refuse(GATE, problem.clone());
        let told = world.get("/api/v1/gate").send().await;
        let body = told.expect(status);
        assert_eq!(body["reason"], reason);
        assert_eq!(body["message"], "what went wrong; what to do next");
        assert_eq!(body["request_id"], told.header("x-request-id"));
        let error = body["error"].as_str().unwrap();
        assert!(!error.is_empty() && !error.contains('_'), "{error}");

        world.access.refuse(TOKENS, problem);
        let told = world.get("/api/v1/tokens").send().await;
        let body = told.expect(status)["error"].clone();
        assert_eq!((&body["code"], &body["details"]["reason"]), (&json!(word), &json!(reason)));
        assert_eq!(body["details"]["request_id"], told.header("x-request-id"));
        assert_eq!(told.header("content-type"), "application/json");
        let waits = [429, 503].contains(&status);
        assert_eq!(told.headers.contains_key("retry-after"), waits, "{reason}");
        assert_eq!(told.headers.contains_key("www-authenticate"), status == 401);
    }
}

#[tokio::test]
async fn what_varies_stands_beside_the_sentence() {
    let world = World::start().await;
    let problem = Problem::new(Code::AlreadyExists, reason::IMAGE_EXISTS, "it is there")
        .with("image_id", 7)
        .with("image", "redis");
    world.registry.refuse("registry.v1.ImageRegistry/CreateImage", problem);
    let told = world.post("/api/v1/images").json(&json!({"image_name": "redis"})).send().await;
    assert_eq!(told.expect(409)["details"], json!({"image_id": 7, "image": "redis"}));
}

#[tokio::test]
async fn a_field_is_named_as_the_caller_wrote_it() {
    let world = World::start().await;
    let problem = Problem::invalid("policy.batches[0].soak", "is negative; give 0 or more");
    world.rollout.refuse("rollout.v1.Policies/CreatePolicy", problem);
    let body = json!({"image_pattern": "redis:*", "update_strategy": "staged"});
    let told = world.post("/api/v1/policies").json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "batches[0].soak_seconds");
    assert_eq!(told["message"], "`batches[0].soak_seconds`: is negative; give 0 or more");
}

#[tokio::test]
async fn a_process_that_is_away_is_named_and_worth_another_try() {
    let away = nobody().await;
    let world = World::start_with(Settings::default(), |peers| {
        peers.registry = away.clone();
        peers.approval = away;
    })
    .await;
    let told = world.get("/api/v1/gate").send().await;
    let body = told.expect(503);
    assert_eq!(
        (&body["reason"], told.header("retry-after")),
        (&json!("REGISTRY_UNREACHABLE"), "1")
    );
    assert!(body["message"].as_str().unwrap().contains("`registry`"), "{body}");
    let told = world.post("/api/v1/webhooks/docker-registry").body("{}").send().await;
    assert_eq!(told.expect(503)["reason"], "APPROVAL_UNREACHABLE");
    assert_eq!(told.header("retry-after"), "1");
}

#[tokio::test]
async fn a_read_is_tried_again_and_a_change_is_not() {
    let world = World::start().await;
    let away = || Problem::unavailable(reason::DATABASE_UNREACHABLE, "the database is away");
    world.registry.refuse(GATE, away());
    world.get("/api/v1/gate").send().await.expect(503);
    assert_eq!(world.registry.calls().len(), 3);
    let delete = "registry.v1.ImageRegistry/DeleteImage";
    world.registry.refuse(delete, away());
    world.delete("/api/v1/images/1").send().await.expect(503);
    let deletes = world.registry.calls().iter().filter(|call| call.method == delete).count();
    assert_eq!(deletes, 1);
}

#[tokio::test]
async fn what_the_transport_says_stays_inside() {
    let world = World::start().await;
    world.registry.refuse_with(GATE, Status::unknown("h2 error: 10.0.0.3 reset"));
    let told = world.get("/api/v1/gate").send().await.expect(503);
    assert!(!told.to_string().contains("10.0.0.3"), "{told}");
    world.registry.refuse_with(GATE, Status::internal(""));
    let told = world.get("/api/v1/gate").send().await.expect(500);
    assert_ne!(told["message"], "");
}

#[tokio::test]
async fn what_no_route_takes_is_told_in_the_shape_of_its_family() {
    let world = World::start().await;
    let told = world.get("/api/v1/imagse").send().await.expect(404);
    assert_eq!(
        (&told["error"], &told["reason"]),
        (&json!("Route not found"), &json!("ROUTE_NOT_FOUND"))
    );
    let told = world.get("/api/v1/tokens/1/x").send().await.expect(404);
    assert_eq!(told["error"]["details"]["reason"], "ROUTE_NOT_FOUND");
    let told = world.get("/api/v1/images/").send().await.expect(404);
    assert!(told["message"].as_str().unwrap().contains("no slash"), "{told}");

    let told = world.put("/api/v1/images").send().await;
    assert_eq!(told.expect(405)["reason"], "METHOD_NOT_ALLOWED");
    assert_eq!(told.header("allow"), "GET,HEAD,POST");
    let told = world.put("/api/v1/tokens").send().await;
    assert_eq!(told.expect(405)["error"]["details"]["reason"], "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_path_parameter_that_does_not_fit_is_400() {
    let world = World::start().await;
    for (path, name, value) in [
        ("/api/v1/images/redis", "id", "redis"),
        ("/api/v1/images/99999999999999999999", "id", "99999999999999999999"),
    ] {
        let told = world.get(path).send().await.expect(400);
        assert_eq!(told["violations"][0]["field"], name);
        let message = format!(
            "`{name}`: is `{value}`, which is no id; give the number that the list of them shows"
        );
        assert_eq!(told["message"], message);
    }
    let told = world.delete("/api/v1/images/1/tags/latest").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "tag_id");
    let told = world.get("/api/v1/policies/%ff").send().await.expect(400);
    assert_eq!(told["message"], "`path`: cannot be read; percent-encode it as UTF-8");
}

#[tokio::test]
async fn a_parameter_or_member_that_is_not_known_is_refused_by_name() {
    let world = World::start().await;
    let told = world.get("/api/v1/images?statsu=approved").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "statsu");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("did you mean `status`?"), "{message}");
    assert_eq!(message.matches("statsu").count(), 1, "{message}");
    let body = json!({"image_pattern": "a:*", "update_strategy": "auto", "device_selektor": {}});
    let told = world.post("/api/v1/policies").json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "device_selektor");
    let body = json!({
        "image_pattern": "a:*", "update_strategy": "auto", "device_selector": {"flete": "north"}
    });
    let told = world.post("/api/v1/policies").json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "device_selector.flete");
    assert!(world.registry.calls().is_empty() && world.rollout.calls().is_empty());
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_safe() {
    let world = World::start().await;
    for told in [world.get("/nowhere").send().await, world.get("/api/v1/health").send().await] {
        assert_eq!(told.header("x-content-type-options"), "nosniff");
        assert_eq!(told.header("cache-control"), "private, no-cache");
        assert!(told.header("content-security-policy").contains("default-src 'none'"));
        assert!(!told.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn a_page_of_another_site_can_change_nothing() {
    let world = World::start().await;
    let delete = "registry.v1.ImageRegistry/DeleteImage";
    let ask = |origin: &str| world.delete("/api/v1/images/1").header("origin", origin).send();
    for origin in ["https://evil.example", "null", "https://slipway.example.evil.example"] {
        assert_eq!(ask(origin).await.expect(403)["reason"], "CROSS_ORIGIN");
    }
    assert!(world.registry.calls().is_empty());
    world.registry.answer(delete, crate::samples::redis());
    ask("https://slipway.example").await.expect(200);
}

#[tokio::test]
async fn a_process_that_is_too_slow_is_504() {
    let world = World::start().await;
    let problem = Problem::new(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, "too slow")
        .retry_after(Duration::from_millis(1_500));
    world.registry.refuse(GATE, problem);
    let told = world.get("/api/v1/gate").send().await;
    assert_eq!(told.expect(504)["reason"], "DEADLINE_EXCEEDED");
    assert_eq!(told.header("retry-after"), "2");
}
