//! `docs/API.md` is written from the routes and the protos, so it says what they say.
//!
//! After a change: `UPDATE_DOCS=1 cargo test -p slipway --test e2e api_page`.

mod example;
mod grpc;
mod rest;

use std::path::Path;

use testbed::Slipway;

const HEAD: &str = include_str!("api_page/head.md");

fn page() -> String {
    let document = serde_json::to_value(gateway::document()).unwrap();
    format!("{HEAD}\n{}\n{}", rest::written(&document), grpc::written())
}

#[test]
fn the_page_says_what_routes_and_protos_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/API.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(kept.lines()).find(|(now, kept)| now != kept);
    assert!(
        page == kept,
        "docs/API.md is not what the routes and protos say, first at {differs:?}; \
         run `UPDATE_DOCS=1 cargo test -p slipway --test e2e api_page` and look at the difference"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_of_the_page_answers() {
    let slipway = Slipway::start().await;
    let document = serde_json::to_value(gateway::document()).unwrap();
    let mut asked = 0;
    for path in rest::plain_reads(&document) {
        // A live stream does not end.
        if path != "/api/v1/events" {
            slipway.api.get(&path).await.expect(200);
            asked += 1;
        }
    }
    assert!(asked > 15, "{asked}");
}
