//! Parts of lists and the ways to the others.

use proto::access::v1 as access;
use proto::registry::v1 as pb;

use crate::samples::{actor, redis, time};
use crate::world::World;

const IMAGES: &str = "registry.v1.ImageRegistry/ListImages";

#[tokio::test]
async fn a_list_by_token_leads_on_and_keeps_its_filters() {
    let world = World::start().await;
    world.registry.answer(
        IMAGES,
        pb::ListImagesResponse {
            images: vec![redis()],
            next_page_token: "tok".to_owned(),
            total_size: 3,
        },
    );
    let told = world.get("/api/v1/images?category=data%20base&limit=1").send().await;
    assert_eq!(told.expect(200)["next_page_token"], "tok");
    assert_eq!(told.header("x-total-count"), "3");
    assert_eq!(
        told.header("link"),
        "<https://slipway.example/api/v1/images?category=data%20base&limit=1&page_token=tok>; rel=\"next\""
    );
    world.get("/api/v1/images?limit=1&page_token=tok").send().await.expect(200);
    let asked: pb::ListImagesRequest = world.registry.asked(IMAGES);
    assert_eq!((asked.page_size, asked.page_token.as_str()), (1, "tok"));
}

#[tokio::test]
async fn a_list_by_offset_leads_both_ways() {
    let world = World::start().await;
    world.registry.answer(
        IMAGES,
        pb::ListImagesResponse {
            images: vec![redis()],
            next_page_token: "tok".to_owned(),
            total_size: 9,
        },
    );
    let told = world.get("/api/v1/images?limit=2&offset=4").send().await;
    let asked: pb::ListImagesRequest = world.registry.asked(IMAGES);
    assert_eq!((asked.page_size, asked.skip), (2, 4));
    let link = told.header("link");
    assert!(link.contains("offset=2>; rel=\"prev\"") && link.contains("offset=6>; rel=\"next\""));
}

#[tokio::test]
async fn the_last_part_leads_nowhere() {
    let world = World::start().await;
    world.registry.answer(IMAGES, pb::ListImagesResponse::default());
    let told = world.get("/api/v1/images").send().await;
    assert!(!told.headers.contains_key("link"));
    assert_eq!(told.expect(200).get("next_page_token"), None);
}

#[tokio::test]
async fn a_list_that_is_counted_in_pages_knows_its_ends() {
    let world = World::start().await;
    let upstreams = "registry.v1.Upstreams/ListUpstreams";
    let answer = pb::ListUpstreamsResponse { total_size: 25, ..Default::default() };
    world.registry.answer(upstreams, answer);
    let told = world.get("/api/v1/image-registries?pageNum=2").send().await;
    assert!(told.expect(200).is_array());
    let asked: pb::ListUpstreamsRequest = world.registry.asked(upstreams);
    assert_eq!((asked.page_size, asked.skip), (10, 10));
    for part in
        ["pageNum=1>; rel=\"first\"", "pageNum=1>; rel=\"prev\"", "pageNum=3>; rel=\"last\""]
    {
        assert!(told.header("link").contains(part), "{part}");
    }
}

#[tokio::test]
async fn pages_of_tokens_are_read_through_what_stands_before_them() {
    let world = World::start().await;
    let token =
        |id| access::Token { id, subject: actor(), create_time: time(), ..Default::default() };
    world.access.answer(
        "access.v1.Tokens/ListTokens",
        access::ListTokensResponse {
            tokens: (1..=5).map(token).collect(),
            next_page_token: String::new(),
            total_size: 5,
        },
    );
    let told = world.get("/api/v1/tokens?page=2&limit=2").send().await.expect(200);
    let ids: Vec<_> = told["data"].as_array().unwrap().iter().map(|token| &token["id"]).collect();
    assert_eq!(ids.len(), 3, "the peer of this test takes no page size");
    assert_eq!(*ids[0], 3);
    assert_eq!(
        told["pagination"],
        serde_json::json!({"page": 2, "limit": 2, "total": 5, "pages": 3})
    );
}

#[tokio::test]
async fn sizes_and_places_have_their_ranges() {
    let world = World::start().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("offset=1&page_token=t", "offset"),
        ("limit=1&limit=2", "limit"),
    ] {
        let told = world.get(&format!("/api/v1/images?{query}")).send().await.expect(400);
        assert_eq!(told["violations"][0]["field"], field, "{query}");
    }
    world.get("/api/v1/tokens?page=0").send().await.expect(400);
    assert!(world.registry.calls().is_empty());
}
