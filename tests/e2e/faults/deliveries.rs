//! Webhooks that come twice, that come many times at once, that nobody hears the answer of.

use futures_util::future::join_all;
use testbed::eventually;

use super::{North, only, tell, tell_until_taken, told};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_equal_webhooks_at_once_and_one_more_make_one_rollout() {
    let north = North::start().await;
    let api = &north.slipway.api;
    let answers = join_all((0..50).map(|_| told(api))).await;
    let first = answers[0].as_ref().unwrap();
    for answer in &answers {
        let answer = answer.as_ref().unwrap().clone().expect(200);
        assert_eq!(answer.text_at("/events/0/push_id"), first.text_at("/events/0/push_id"));
        assert_eq!(answer.text_at("/events/0/rollout_id"), first.text_at("/events/0/rollout_id"));
    }
    let push = north.settles().await;

    let again = told(api).await.unwrap().expect(200);
    assert_eq!(again.header("idempotent-replay"), "true");
    assert_eq!(again.text_at("/events/0/push_id"), push["id"]);
    north.settles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_in_the_middle_of_a_webhook_is_told_again() {
    let mut north = North::start().await;
    let api = north.slipway.api.clone();
    north.slipway.freeze("registry");
    let first = tell(&api);
    // The listing goes past the registry, which cannot say what it thinks of the push.
    eventually("the delivery to be stored", async || {
        let found = api.get("/api/v1/pushes").await.body["total"].as_i64();
        if found == Some(1) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    north.slipway.kill("gateway").await;
    assert!(first.await.unwrap().is_none(), "nobody was there to answer");
    north.slipway.thaw("registry");
    north.slipway.restart("gateway", &[]).await;
    let answer = tell_until_taken(&api).await;
    let push = only(&api, "pushes").await;
    assert_eq!(answer.text_at("/events/0/push_id"), push["id"]);
    north.settles().await;
}
