//! Document 1: list, get, categories, add, update, delete images.

use serde_json::{Value, json};
use testbed::Api;

use super::{each, has_shape, slipway};

const FIRST_IMAGES: [&str; 9] =
    ["redis", "postgres", "nginx", "node", "python", "mysql", "mongo", "influxdb", "grafana"];

/// The first image of the printed list.
fn printed_image() -> Value {
    json!({
        "id": 1, "image_name": "redis", "registry": "docker.io", "namespace": "library",
        "description": "Redis in-memory data structure store", "category": "database",
        "is_official": true, "approval_status": "approved"
    })
}

/// Adds the image of the printed example.
async fn add_portainer(api: &Api) -> Value {
    let body = json!({
        "image_name": "portainer-ce", "registry": "docker.io", "namespace": "portainer",
        "description": "Lightweight container management UI", "category": "management",
        "is_official": false
    });
    api.post("/api/v1/images", &body).await.expect(201).body
}

/// The members of `expected` have these values.
#[track_caller]
fn holds(answer: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[name], value, "{name} of {answer:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_all_images() {
    let slipway = slipway().await;
    let answer = slipway.api.get("/api/v1/images").await.expect(200);
    let mut printed = printed_image();
    let more = json!({"approved_at": "2025-10-17T…", "created_at": "2025-10-17T…", "tag_count": 5});
    printed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    has_shape(&answer.body, &json!({"images": [printed], "total": 10}));
    holds(&answer.body["images"][0], &printed_image());
    assert_eq!(each(&answer.body["images"], "image_name"), FIRST_IMAGES);
    assert_eq!(
        (&answer.body["total"], &answer.body["images"][0]["tag_count"]),
        (&json!(9), &json!(4))
    );
    let grafana = &answer.body["images"][8];
    assert_eq!(
        (&grafana["namespace"], &grafana["category"]),
        (&json!("grafana"), &json!("monitoring"))
    );
    assert!(
        answer.body["images"].as_array().unwrap().iter().all(|image| image["is_official"] == true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn list_images_by_category_search_and_status() {
    let slipway = slipway().await;
    add_portainer(&slipway.api).await;
    slipway.api.put("/api/v1/images/10", &json!({"approval_status": "rejected"})).await.expect(200);
    let databases: &[&str] = &["redis", "postgres", "mysql", "mongo", "influxdb"];
    for (query, found) in [
        ("category=database", databases),
        ("category=web", &["nginx"]),
        ("category=Database", &[]),
        ("search=redis", &["redis"]),
        ("search=REDIS", &["redis"]),
        ("search=key-value", &[]),
        ("search=structure%20store", &["redis"]),
        ("status=approved", &FIRST_IMAGES),
        ("status=rejected", &["portainer-ce"]),
        ("status=pending", &[]),
        ("status=approved&category=database&search=sql", &["postgres", "mysql"]),
    ] {
        let answer = slipway.api.get(&format!("/api/v1/images?{query}")).await.expect(200);
        assert_eq!(each(&answer.body["images"], "image_name"), found, "{query}");
        assert_eq!(answer.body["total"], found.len(), "{query}");
    }
    slipway.api.get("/api/v1/images?status=unheard-of").await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_image_details() {
    let slipway = slipway().await;
    let answer = slipway.api.get("/api/v1/images/1").await.expect(200);
    has_shape(
        &answer.body,
        &json!({
            "id": 1, "image_name": "redis", "registry": "docker.io", "description": "…",
            "category": "database", "approval_status": "approved",
            "tags": [{
                "id": 1, "tag": "7.5-alpine", "is_recommended": true, "is_deprecated": false,
                "architecture": "amd64", "os": "linux"
            }]
        }),
    );
    holds(&answer.body, &printed_image());
    let tags = &answer.body["tags"];
    assert_eq!(each(tags, "tag"), ["7-alpine", "7.2-alpine", "7.4-alpine", "latest"]);
    for (at, tag) in tags.as_array().unwrap().iter().enumerate() {
        holds(
            tag,
            &json!({
                "id": at + 1, "is_recommended": at == 0, "is_deprecated": false,
                "architecture": "amd64", "os": "linux", "security_scan_status": "unscanned",
                "vulnerabilities_count": 0
            }),
        );
    }
    let unknown = slipway.api.get("/api/v1/images/77").await.expect(404);
    assert_eq!(unknown.text_at("/error"), "Image not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_categories() {
    let slipway = slipway().await;
    let answer = slipway.api.get("/api/v1/images/categories").await.expect(200);
    let count = |category: &str, count: u8| json!({"category": category, "count": count});
    let categories = answer.body["categories"].as_array().unwrap();
    assert_eq!(categories[..2], [count("database", 5), count("runtime", 2)]);
    assert!(categories.contains(&count("web", 1)), "{answer:?}");
    assert!(categories.contains(&count("monitoring", 1)), "{answer:?}");
    assert_eq!(categories.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn add_new_image() {
    let slipway = slipway().await;
    let added = add_portainer(&slipway.api).await;
    holds(
        &added,
        &json!({
            "id": 10, "image_name": "portainer-ce", "registry": "docker.io",
            "namespace": "portainer", "description": "Lightweight container management UI",
            "category": "management", "is_official": false, "approval_status": "approved"
        }),
    );
    has_shape(&added, &json!({"approved_by": "…", "approved_at": "…", "created_at": "…"}));
    let list = slipway.api.get("/api/v1/images").await.expect(200);
    assert_eq!(list.body["total"], 10, "as the document prints it");

    let again = json!({"image_name": "portainer/portainer-ce"});
    let again = slipway.api.post("/api/v1/images", &again).await.expect(409);
    assert_eq!(again.body["details"]["image_id"], 10, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn add_new_image_with_the_members_of_the_example_only() {
    let slipway = slipway().await;
    let body = json!({
        "image_name": "portainer-ce", "namespace": "portainer",
        "description": "Container management UI", "category": "management"
    });
    let added = slipway.api.post("/api/v1/images", &body).await.expect(201);
    assert_eq!(added.header("location"), "/api/v1/images/10");
    let defaults = json!({"id": 10, "registry": "docker.io", "is_official": false});
    holds(&added.body, &defaults);
    holds(&added.body, &body);

    let bare = slipway.api.post("/api/v1/images", &json!({"image_name": "memcached"})).await;
    holds(
        &bare.expect(201).body,
        &json!({"id": 11, "registry": "docker.io", "namespace": "library"}),
    );
    slipway.api.post("/api/v1/images", &json!({"category": "web"})).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn update_image() {
    let slipway = slipway().await;
    let body = json!({
        "description": "Updated description", "category": "database", "approval_status": "approved"
    });
    let updated = slipway.api.put("/api/v1/images/1", &body).await.expect(200);
    holds(&updated.body, &body);
    holds(&updated.body, &json!({"id": 1, "image_name": "redis"}));

    let description = "In-memory data structure store, used as database, cache, and message broker";
    let body = json!({"description": description});
    let updated = slipway.api.put("/api/v1/images/1", &body).await.expect(200);
    holds(&updated.body, &json!({"description": description, "category": "database"}));
    let shown = slipway.api.get("/api/v1/images/1").await.expect(200);
    holds(&shown.body, &body);
    slipway.api.put("/api/v1/images/77", &body).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn update_image_approves_what_was_not() {
    let slipway = slipway().await;
    for status in ["pending", "rejected", "approved"] {
        let body = json!({"approval_status": status});
        let updated = slipway.api.put("/api/v1/images/2", &body).await.expect(200);
        holds(&updated.body, &body);
        assert_eq!(updated.body["approved_by"].is_string(), status == "approved", "{updated:?}");
        assert_eq!(updated.body["approved_at"].is_string(), status == "approved", "{updated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_image() {
    let slipway = slipway().await;
    add_portainer(&slipway.api).await;
    let deleted = slipway.api.delete("/api/v1/images/10").await.expect(200);
    has_shape(&deleted.body, &json!({"message": "Image deleted successfully", "image": {}}));
    assert_eq!(deleted.text_at("/message"), "Image deleted successfully");
    holds(&deleted.body["image"], &json!({"id": 10, "image_name": "portainer-ce"}));
    slipway.api.get("/api/v1/images/10").await.expect(404);
    slipway.api.delete("/api/v1/images/10").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_image_is_refused_while_an_active_policy_matches() {
    let slipway = slipway().await;
    let id = crate::scene::policy(&slipway.api, "redis:*").await;
    let refused = slipway.api.delete("/api/v1/images/1").await.expect(409);
    assert!(refused.text_at("/message").contains("redis:*"), "{refused:?}");
    slipway.api.delete("/api/v1/images/2").await.expect(200);

    let path = format!("/api/v1/policies/{id}");
    slipway.api.put(&path, &json!({"enabled": false})).await.expect(200);
    slipway.api.delete("/api/v1/images/1").await.expect(200);
}
