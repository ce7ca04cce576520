//! The processes as such: they start, they are killed, they find each other again.

use testbed::{Processes, SERVICES, Slipway, eventually};

use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn every_process_serves_and_is_found_again_after_a_kill() {
    let mut slipway = Processes::start(PROGRAM).await;
    slipway.api.get("/api/v1/images").await.expect(200);

    for name in SERVICES.into_iter().chain(["gateway"]) {
        slipway.kill(name).await;
        slipway.restart(name, &[]).await;
    }
    eventually("all to be well again", async || {
        let answer = slipway.api.get("/api/v1/health").await;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    slipway.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_process_they_work_alike() {
    let slipway = Slipway::start().await;
    let answer = slipway.api.get("/api/v1/images").await.expect(200);
    assert_eq!(answer.text_at("/images/0/image_name"), "redis");
    slipway.api.nobody().get("/api/v1/images").await.expect(401);
}
