//! Document 1: add, update, delete tags; and its examples one after the other.

use serde_json::{Value, json};
use testbed::Api;

use super::{each, has_shape, slipway};

/// Adds the tag of the printed example.
async fn add_tag(api: &Api) -> Value {
    let body = json!({"tag": "7.5-alpine", "is_recommended": false, "architecture": "amd64"});
    api.post("/api/v1/images/1/tags", &body).await.expect(201).body
}

/// The tags of redis that are recommended.
async fn recommended(api: &Api) -> Vec<String> {
    let answer = api.get("/api/v1/images/1").await.expect(200);
    let tags = answer.body["tags"].as_array().unwrap().iter();
    let marked = tags.filter(|tag| tag["is_recommended"] == true);
    marked.map(|tag| tag["tag"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn add_tag_to_image() {
    let slipway = slipway().await;
    let body = json!({
        "tag": "7.5-alpine", "digest": "sha256:abc123...", "size_bytes": 45_000_000,
        "architecture": "amd64", "os": "linux", "is_recommended": false
    });
    let added = slipway.api.post("/api/v1/images/1/tags", &body).await.expect(201);
    for name in ["tag", "size_bytes", "architecture", "os", "is_recommended"] {
        assert_eq!(added.body[name], body[name], "{name}");
    }
    assert_eq!((&added.body["id"], &added.body["image_id"]), (&json!(5), &json!(1)));
    let warnings = added.body["warnings"].to_string();
    assert!(added.body["digest"].is_null() && warnings.contains("cut off"), "{added:?}");
    assert_eq!(recommended(&slipway.api).await, ["7-alpine"]);

    let whole = format!("sha256:{}", "abc123".repeat(11).split_at(64).0);
    let body = json!({"tag": "7.6-alpine", "digest": whole});
    let added = slipway.api.post("/api/v1/images/1/tags", &body).await.expect(201);
    assert_eq!((&added.body["id"], &added.body["digest"]), (&json!(6), &json!(whole)));
}

#[tokio::test(flavor = "multi_thread")]
async fn add_tag_with_the_members_of_the_example_only() {
    let slipway = slipway().await;
    let added = add_tag(&slipway.api).await;
    has_shape(
        &added,
        &json!({
            "id": 5, "tag": "7.5-alpine", "is_recommended": false, "is_deprecated": false,
            "architecture": "amd64", "os": "linux", "created_at": "…", "updated_at": "…"
        }),
    );
    assert_eq!((&added["id"], &added["os"]), (&json!(5), &json!("linux")));
    let image = slipway.api.get("/api/v1/images/1").await.expect(200);
    assert_eq!(image.body["tag_count"], 5, "as the document prints it");

    let again = slipway.api.post("/api/v1/images/1/tags", &json!({"tag": "7.5-alpine"})).await;
    assert_eq!(again.expect(409).body["details"]["tag_id"], 5);
    slipway.api.post("/api/v1/images/77/tags", &json!({"tag": "1"})).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recommended_tag_takes_the_mark_from_the_others() {
    let slipway = slipway().await;
    let body = json!({"tag": "7.5-alpine", "is_recommended": true});
    slipway.api.post("/api/v1/images/1/tags", &body).await.expect(201);
    assert_eq!(recommended(&slipway.api).await, ["7.5-alpine"]);
    let mark = json!({"is_recommended": true});
    slipway.api.put("/api/v1/images/1/tags/2", &mark).await.expect(200);
    assert_eq!(recommended(&slipway.api).await, ["7.2-alpine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn update_tag() {
    let slipway = slipway().await;
    add_tag(&slipway.api).await;
    let mark = json!({"is_recommended": true});
    let updated = slipway.api.put("/api/v1/images/1/tags/5", &mark).await.expect(200);
    assert_eq!(
        (updated.text_at("/tag"), &updated.body["is_recommended"]),
        ("7.5-alpine", &json!(true))
    );
    assert_eq!(recommended(&slipway.api).await, ["7.5-alpine"]);

    let body = json!({
        "is_recommended": true, "is_deprecated": false, "security_scan_status": "passed",
        "vulnerabilities_count": 0
    });
    let updated = slipway.api.put("/api/v1/images/1/tags/5", &body).await.expect(200);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&updated.body[name], value, "{name}");
    }
    slipway.api.put("/api/v1/images/1/tags/77", &mark).await.expect(404);
    slipway.api.put("/api/v1/images/2/tags/5", &mark).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_tag() {
    let slipway = slipway().await;
    let deleted = slipway.api.delete("/api/v1/images/1/tags/3").await.expect(200);
    has_shape(&deleted.body, &json!({"message": "Tag deleted successfully", "tag": {}}));
    assert_eq!(deleted.text_at("/message"), "Tag deleted successfully");
    assert_eq!(deleted.text_at("/tag/tag"), "7.4-alpine");
    let image = slipway.api.get("/api/v1/images/1").await.expect(200);
    assert_eq!(each(&image.body["tags"], "tag"), ["7-alpine", "7.2-alpine", "latest"]);
    slipway.api.delete("/api/v1/images/1/tags/3").await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other_the_examples_meet_the_ids_they_print() {
    let slipway = slipway().await;
    let api = &slipway.api;
    let image = json!({
        "image_name": "portainer-ce", "namespace": "portainer",
        "description": "Container management UI", "category": "management"
    });
    api.post("/api/v1/images", &image).await.expect(201);
    let description = "In-memory data structure store, used as database, cache, and message broker";
    api.put("/api/v1/images/1", &json!({"description": description})).await.expect(200);
    add_tag(api).await;
    let list = api.get("/api/v1/images").await.expect(200);
    assert_eq!(
        (&list.body["total"], &list.body["images"][0]["tag_count"]),
        (&json!(10), &json!(5))
    );

    api.delete("/api/v1/images/10").await.expect(200);
    api.put("/api/v1/images/1/tags/5", &json!({"is_recommended": true})).await.expect(200);
    assert_eq!(recommended(api).await, ["7.5-alpine"]);
    api.delete("/api/v1/images/1/tags/3").await.expect(200);
    let image = api.get("/api/v1/images/1").await.expect(200);
    assert_eq!(
        each(&image.body["tags"], "tag"),
        ["7-alpine", "7.2-alpine", "latest", "7.5-alpine"]
    );
}
