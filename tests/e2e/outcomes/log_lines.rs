//! The lines that document 2 tells operators to look for.

use serde_json::json;
use testbed::Processes;
use testbed::steps::add_receiver;

use crate::PROGRAM;
use crate::scene::push;

/// The lines of the log that are about webhooks, each from its phrase on.
fn lines(log: &str) -> Vec<&str> {
    log.lines().filter_map(|line| Some(&line[line.find("[Webhook]")?..])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_logged_as_printed() {
    let slipway = Processes::start(PROGRAM).await;
    let api = &slipway.api;
    add_receiver(api).await;
    api.post("/api/v1/images/1/tags", &json!({"tag": "7.5-alpine"})).await.expect(201);
    push(api, "redis", "7.5-alpine").await.expect(200);
    push(api, "unknown-image", "latest").await.expect(403);
    push(api, "redis", "7.6-alpine").await.expect(200);
    let log = slipway.log("approval");
    let found = lines(&log);
    for printed in [
        "[Webhook] Checking approval status for public image: redis",
        "[Webhook] Image approved for deployment: redis:7.5-alpine",
        "[Webhook] Image not found in approved registry: unknown-image",
        "[Webhook] Tag not found in approved list: 7.6-alpine",
        "[Webhook] Auto-added tag 7.6-alpine to approved image redis",
    ] {
        assert!(found.iter().any(|line| line.starts_with(printed)), "{printed}: {log}");
    }
    assert!(
        log.lines().filter(|line| line.contains("[Webhook]")).all(|line| line.contains("INFO"))
    );
}
