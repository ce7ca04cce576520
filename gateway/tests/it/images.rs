//! Images and tags, as document 1 prints them.

use proto::access::v1::Principal;
use proto::registry::v1 as pb;
use serde_json::json;

use crate::peer::Call;
use crate::samples::{actor, redis, tag};
use crate::world::World;

const CREATE_TAG: &str = "registry.v1.ImageRegistry/CreateTag";
const GET_IMAGE: &str = "registry.v1.ImageRegistry/GetImage";
const UPDATE_IMAGE: &str = "registry.v1.ImageRegistry/UpdateImage";

#[tokio::test]
async fn the_list_has_the_documents_shape() {
    let world = World::start().await;
    world.registry.answer(
        "registry.v1.ImageRegistry/ListImages",
        pb::ListImagesResponse { images: vec![redis()], total_size: 1, ..Default::default() },
    );
    let path = "/api/v1/images?status=approved&category=database&search=red";
    insta::assert_json_snapshot!(world.get(path).send().await.expect(200));
    let asked: pb::ListImagesRequest = world.registry.asked("registry.v1.ImageRegistry/ListImages");
    assert_eq!(asked.approval_status(), pb::ApprovalStatus::Approved);
    assert_eq!((asked.category.as_str(), asked.search.as_str()), ("database", "red"));
    assert_eq!(asked.page_size, 1_000);
    world.get("/api/v1/images?status=maybe").send().await.expect(400);
}

#[tokio::test]
async fn an_image_comes_with_its_tags() {
    let world = World::start().await;
    world.registry.answer("registry.v1.ImageRegistry/GetImage", redis());
    world.registry.answer(
        "registry.v1.ImageRegistry/ListTags",
        pb::ListTagsResponse {
            tags: vec![tag()],
            next_page_token: "more".to_owned(),
            total_size: 1_001,
        },
    );
    let told = world.get("/api/v1/images/1").send().await.expect(200);
    insta::assert_json_snapshot!(told);
    world.get("/api/v1/images/1?page_token=more").send().await.expect(200);
    let asked: pb::ListTagsRequest = world.registry.asked("registry.v1.ImageRegistry/ListTags");
    assert_eq!((asked.image_id, asked.page_token.as_str()), (1, "more"));
}

#[tokio::test]
async fn categories_are_counted() {
    let world = World::start().await;
    let category = |category: &str, count| pb::list_categories_response::Category {
        category: category.to_owned(),
        count,
    };
    world.registry.answer(
        "registry.v1.ImageRegistry/ListCategories",
        pb::ListCategoriesResponse {
            categories: vec![category("database", 5), category("runtime", 2)],
        },
    );
    let told = world.get("/api/v1/images/categories").send().await;
    assert_eq!(
        told.expect(200),
        json!({"categories": [
            {"category": "database", "count": 5}, {"category": "runtime", "count": 2}
        ]})
    );
    assert_eq!(told.header("x-total-count"), "2");
}

#[tokio::test]
async fn a_new_image_is_one_repository_however_it_is_written() {
    let world = World::start().await;
    let create = "registry.v1.ImageRegistry/CreateImage";
    world.registry.answer(create, redis());
    for (body, repository) in [
        (json!({"image_name": "redis"}), "docker.io/library/redis"),
        (json!({"image_name": "grafana/grafana"}), "docker.io/grafana/grafana"),
        (
            json!({"image_name": "portainer-ce", "namespace": "portainer", "registry": "docker.io"}),
            "docker.io/portainer/portainer-ce",
        ),
        (
            json!({"image_name": "agent", "namespace": "acme/edge", "registry": "ghcr.io"}),
            "ghcr.io/acme/edge/agent",
        ),
    ] {
        let told = world.post("/api/v1/images").json(&body).send().await;
        told.expect(201);
        assert_eq!((told.header("location"), told.header("etag")), ("/api/v1/images/1", "\"7\""));
        let asked: pb::CreateImageRequest = world.registry.asked(create);
        assert_eq!(asked.repository, repository);
    }
    let odd = json!({"image_name": "Red Is"});
    assert_eq!(
        world.post("/api/v1/images").json(&odd).send().await.expect(400)["reason"],
        "INVALID_REFERENCE"
    );
}

/// Lets the caller hold these permissions.
fn permit(world: &World, permissions: &[&str]) {
    world.access.answer(
        "access.v1.Tokens/WhoAmI",
        Principal {
            actor: actor(),
            permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        },
    );
}

fn called(world: &World) -> Vec<String> {
    let name = |call: &Call| call.method.rsplit('/').next().unwrap_or_default().to_owned();
    world.registry.calls().iter().map(name).collect()
}

fn pending() -> pb::Image {
    pb::Image { approval_status: pb::ApprovalStatus::Pending.into(), ..redis() }
}

#[tokio::test]
async fn a_change_names_only_what_it_has() {
    let world = World::start().await;
    permit(&world, &["images.write"]);
    world.registry.answer(GET_IMAGE, redis());
    world.registry.answer(UPDATE_IMAGE, redis());
    let body = json!({"description": "new", "category": null, "id": 1, "created_at": "x"});
    world.put("/api/v1/images/1").json(&body).send().await.expect(200);
    let asked: pb::UpdateImageRequest = world.registry.asked(UPDATE_IMAGE);
    assert_eq!(asked.update_mask.unwrap().paths, ["description", "category"]);
    let image = asked.image.unwrap();
    assert_eq!((image.id, image.description.as_str(), image.category.as_str()), (1, "new", ""));
    let told = world.put("/api/v1/images/1").json(&json!({})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "body");
}

#[tokio::test]
async fn an_approval_status_is_a_decision_of_its_own() {
    let world = World::start().await;
    world.registry.answer(GET_IMAGE, pending());
    for (status, method) in [("approved", "ApproveImage"), ("rejected", "RejectImage")] {
        world.registry.answer(&format!("registry.v1.ImageRegistry/{method}"), redis());
        permit(&world, &["images.approve"]);
        let body = json!({"approval_status": status, "reason": "as I say"});
        world.put("/api/v1/images/1").json(&body).send().await.expect(200);
        assert!(called(&world).contains(&method.to_owned()), "{status}");
        permit(&world, &["images.write"]);
        let told = world.put("/api/v1/images/1").json(&body).send().await.expect(403);
        assert_eq!(told["details"], json!({"permission": "images.approve", "role": "approver"}));
    }
    let asked: pb::RejectImageRequest =
        world.registry.asked("registry.v1.ImageRegistry/RejectImage");
    assert_eq!((asked.id, asked.reason.as_str(), asked.etag.as_str()), (1, "as I say", "7"));
}

#[tokio::test]
async fn a_change_of_two_kinds_is_done_whole_or_not_at_all() {
    let world = World::start().await;
    world.registry.answer(GET_IMAGE, pending());
    permit(&world, &["images.write"]);
    let body = json!({"description": "new", "approval_status": "approved"});
    world.put("/api/v1/images/1").json(&body).send().await.expect(403);
    assert_eq!(called(&world), ["GetImage"]);
}

#[tokio::test]
async fn what_is_removed_is_told_as_it_was() {
    let world = World::start().await;
    world.registry.answer("registry.v1.ImageRegistry/DeleteImage", redis());
    world.registry.answer("registry.v1.ImageRegistry/DeleteTag", tag());
    let told = world.delete("/api/v1/images/1").send().await.expect(200);
    assert_eq!(
        (&told["message"], &told["image"]["id"]),
        (&json!("Image deleted successfully"), &json!(1))
    );
    let told = world.delete("/api/v1/images/1/tags/5").send().await.expect(200);
    assert_eq!(
        (&told["message"], &told["tag"]["id"]),
        (&json!("Tag deleted successfully"), &json!(5))
    );
}

#[tokio::test]
async fn a_new_tag_has_its_place() {
    let world = World::start().await;
    world.registry.answer(CREATE_TAG, tag());
    let digest = format!("sha256:{}", "a".repeat(64));
    let body = json!({
        "tag": "7.5-alpine", "digest": digest, "size_bytes": 45_000_000, "architecture": "amd64",
        "os": "linux", "is_recommended": true
    });
    let told = world.post("/api/v1/images/1/tags").json(&body).send().await;
    insta::assert_json_snapshot!(told.expect(201));
    assert_eq!(told.header("location"), "/api/v1/images/1/tags/5");
    let asked: pb::CreateTagRequest = world.registry.asked(CREATE_TAG);
    let sent = asked.tag.unwrap();
    assert_eq!((asked.image_id, sent.digest, sent.size_bytes), (1, digest, 45_000_000));
    assert!(sent.is_recommended);
}

#[tokio::test]
async fn a_digest_that_is_cut_off_counts_as_not_given_and_is_told() {
    let world = World::start().await;
    world.registry.answer(CREATE_TAG, tag());
    for digest in ["sha256:abc123...", "sha256:abc123…"] {
        let body = json!({"tag": "7.5-alpine", "digest": digest, "is_recommended": false});
        let told = world.post("/api/v1/images/1/tags").json(&body).send().await.expect(201);
        assert!(told["warnings"][0].as_str().unwrap().contains(digest), "{told}");
        let asked: pb::CreateTagRequest = world.registry.asked(CREATE_TAG);
        assert_eq!(asked.tag.unwrap().digest, "");
    }
}

#[tokio::test]
async fn a_tag_changes_by_what_is_given() {
    let world = World::start().await;
    let update = "registry.v1.ImageRegistry/UpdateTag";
    world.registry.answer(update, tag());
    let body = json!({
        "is_recommended": true, "is_deprecated": false, "security_scan_status": "passed",
        "vulnerabilities_count": 0
    });
    world.put("/api/v1/images/1/tags/5").json(&body).send().await.expect(200);
    let asked: pb::UpdateTagRequest = world.registry.asked(update);
    assert_eq!(asked.update_mask.unwrap().paths.len(), 4);
    let sent = asked.tag.unwrap();
    assert_eq!(sent.security_scan_status(), pb::ScanStatus::Passed);
    assert_eq!((sent.image_id, sent.id, sent.is_recommended), (1, 5, true));
}
