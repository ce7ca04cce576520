//! The document and the routes are one.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::client::Call;
use crate::samples::ID;
use crate::world::World;

/// What this version promises; a route that goes away, or comes without being listed, is told here.
const OPERATIONS: &[&str] = &[
    "GET /api/v1/approval-requests",
    "POST /api/v1/approval-requests/bulk",
    "GET /api/v1/approval-requests/{id}",
    "GET /api/v1/approval-requests/{id}/impact",
    "POST /api/v1/approval-requests/{id}/approve",
    "POST /api/v1/approval-requests/{id}/reject",
    "GET /api/v1/attention",
    "GET /api/v1/audit",
    "GET /api/v1/audit/verify",
    "POST /api/v1/device/enroll",
    "GET /api/v1/device/{uuid}/state",
    "PATCH /api/v1/device/{uuid}/state",
    "GET /api/v1/devices",
    "POST /api/v1/devices",
    "DELETE /api/v1/devices/{id}",
    "GET /api/v1/devices/{id}",
    "PATCH /api/v1/devices/{id}",
    "GET /api/v1/devices/{id}/explain",
    "POST /api/v1/devices/{id}/pin",
    "POST /api/v1/devices/{id}/revoke",
    "GET /api/v1/devices/{id}/target",
    "PUT /api/v1/devices/{id}/target",
    "GET /api/v1/devices/{id}/timeline",
    "POST /api/v1/devices/{id}/token",
    "GET /api/v1/enrolment-keys",
    "POST /api/v1/enrolment-keys",
    "DELETE /api/v1/enrolment-keys/{id}",
    "GET /api/v1/events",
    "GET /api/v1/fleet",
    "GET /api/v1/fleets",
    "GET /api/v1/fleets/{name}",
    "GET /api/v1/fleets/{name}/template",
    "PUT /api/v1/fleets/{name}/template",
    "GET /api/v1/gate",
    "PUT /api/v1/gate",
    "GET /api/v1/health",
    "GET /api/v1/image-registries",
    "POST /api/v1/image-registries",
    "DELETE /api/v1/image-registries/{id}",
    "GET /api/v1/image-registries/{id}",
    "PUT /api/v1/image-registries/{id}",
    "POST /api/v1/image-registries/{id}/test",
    "GET /api/v1/images",
    "POST /api/v1/images",
    "GET /api/v1/images/categories",
    "DELETE /api/v1/images/{id}",
    "GET /api/v1/images/{id}",
    "PUT /api/v1/images/{id}",
    "POST /api/v1/images/{id}/tags",
    "DELETE /api/v1/images/{image_id}/tags/{tag_id}",
    "PUT /api/v1/images/{image_id}/tags/{tag_id}",
    "GET /api/v1/me",
    "GET /api/v1/metrics",
    "GET /api/v1/policies",
    "POST /api/v1/policies",
    "POST /api/v1/policies/preview",
    "DELETE /api/v1/policies/{id}",
    "GET /api/v1/policies/{id}",
    "PUT /api/v1/policies/{id}",
    "GET /api/v1/pushes",
    "GET /api/v1/pushes/{id}",
    "GET /api/v1/pushes/{id}/explain",
    "POST /api/v1/pushes/{id}/retry",
    "GET /api/v1/receivers",
    "POST /api/v1/receivers",
    "DELETE /api/v1/receivers/{id}",
    "GET /api/v1/receivers/{id}",
    "GET /api/v1/receivers/{id}/deliveries",
    "GET /api/v1/rollouts",
    "POST /api/v1/rollouts",
    "GET /api/v1/rollouts/active",
    "GET /api/v1/rollouts/{id}",
    "POST /api/v1/rollouts/{id}/cancel",
    "GET /api/v1/rollouts/{id}/cells",
    "GET /api/v1/rollouts/{id}/devices",
    "GET /api/v1/rollouts/{id}/events",
    "GET /api/v1/rollouts/{id}/explain",
    "POST /api/v1/rollouts/{id}/pause",
    "POST /api/v1/rollouts/{id}/promote",
    "POST /api/v1/rollouts/{id}/resume",
    "POST /api/v1/rollouts/{id}/retry",
    "POST /api/v1/rollouts/{id}/rollback",
    "POST /api/v1/rollouts/{id}/start",
    "GET /api/v1/tokens",
    "POST /api/v1/tokens",
    "DELETE /api/v1/tokens/{id}",
    "POST /api/v1/webhooks/docker-registry",
    "POST /api/v1/webhooks/receivers/{token}",
];

fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut found = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse() else { continue };
            if operation.is_object() {
                found.push((method, path.clone(), operation.clone()));
            }
        }
    }
    found
}

fn document() -> Value {
    serde_json::to_value(gateway::document()).unwrap()
}

#[test]
fn the_operations_are_those_that_are_promised() {
    let document = document();
    let found: BTreeSet<_> =
        operations(&document).iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let promised: BTreeSet<_> = OPERATIONS.iter().map(|text| (*text).to_owned()).collect();
    let missing: Vec<_> = promised.difference(&found).collect();
    let unlisted: Vec<_> = found.difference(&promised).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "missing {missing:#?}, unlisted {unlisted:#?}"
    );
}

#[tokio::test]
async fn every_operation_of_the_document_is_reachable() {
    let world = World::start().await;
    for (method, path, _) in operations(&document()) {
        let numbered = ["/images", "/tokens", "/image-registries"];
        let id = if numbered.iter().any(|part| path.contains(part)) { "1" } else { ID };
        let filled = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
        let filled = filled.collect::<Vec<_>>().join("/");
        let call = Call::new(world.address, method.clone(), &filled).json(&json!({}));
        let told = call.send().await;
        let body = String::from_utf8_lossy(&told.body).into_owned();
        assert!(!body.contains("ROUTE_NOT_FOUND"), "{method} {path}: {body}");
        assert!(told.status != 405 && told.status != 500, "{method} {path}: {body}");
        assert!(!body.contains("\"field\":\"path\""), "{method} {path}: {body}");
    }
}

#[test]
fn every_operation_says_what_it_is_and_what_comes_back() {
    let document = document();
    let mut ids = BTreeSet::new();
    let tags: Vec<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone()).collect();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let text = |member: &str| operation[member].as_str().unwrap_or_default().to_owned();
        assert!(!text("summary").is_empty() && !text("description").is_empty(), "{place}");
        assert!(!text("summary").ends_with('.'), "{place}");
        assert!(ids.insert(text("operationId")), "{place}: its id is taken");
        assert!(tags.contains(&operation["tags"][0]), "{place}: {}", operation["tags"]);
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("default"), "{place}");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
        for part in path.split('/').filter(|part| part.starts_with('{')) {
            let name = part.trim_matches(['{', '}']);
            let parameters = operation["parameters"].as_array().unwrap();
            let named = |parameter: &&Value| parameter["name"] == name && parameter["in"] == "path";
            assert_eq!(parameters.iter().filter(named).count(), 1, "{place}: {name}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(text) if name == "$ref" => found.push(text),
                        other => references(other, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("it stays inside");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served_without_the_net() {
    let world = World::start().await;
    let told = world.get("/api/v1/openapi.json").send().await.expect(200);
    assert_eq!(told, document());
    assert_eq!(told["openapi"].as_str().unwrap().split('.').next(), Some("3"));
    assert_eq!(told["security"], json!([{"bearer": []}]));

    let moved = world.get("/docs").send().await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (303, "/docs/"));
    let page = world.get("/docs/").send().await;
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"));
    for far in ["src=\"http", "href=\"http"] {
        assert!(!text.contains(far), "{text}");
    }
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe-eval"));
    let setup = world.get("/docs/swagger-initializer.js").send().await;
    assert!(String::from_utf8_lossy(&setup.body).contains("/api/v1/openapi.json"));
    let root = world.get("/").send().await;
    assert_eq!((root.status.as_u16(), root.header("location")), (307, "/docs/"));
}
