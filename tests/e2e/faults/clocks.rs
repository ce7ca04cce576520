//! Processes whose clocks are wrong.

use proto::rollout::v1::RolloutCommand;
use proto::rollout::v1::rollouts_client::RolloutsClient;
use serde_json::json;
use sqlx::PgConnection;
use testbed::steps::Rollout;
use testbed::{Database, eventually};

use super::{North, only, tell_until_taken};

/// The environment of a process whose clock is wrong.
const SKEW: &str = "SLIPWAY_CLOCK_SKEW_SECONDS";

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_an_hour_ahead_cuts_no_soak_short() {
    let slow = json!({"batch_size": 2, "batch_delay_minutes": 30});
    let wrong = [("approval", SKEW, "-3600"), ("registry", SKEW, "3600")];
    let mut north = North::start_on(Database::create().await, &wrong, "staged", slow).await;
    north.slipway.start_replica("rollout-2", &[(SKEW, "3600")]).await;
    let api = north.slipway.api.clone();
    tell_until_taken(&api).await;
    let id = only(&api, "rollouts").await["id"].as_str().unwrap().to_owned();
    let rollout = Rollout::new(&api, &id);
    rollout.wait_for_batch(1, "soaking").await;

    // Only the one that is ahead is left to look at it, and it is made to.
    north.slipway.freeze("rollout");
    let mut ahead = RolloutsClient::new(north.slipway.channel("rollout-2"));
    let command = RolloutCommand { id, ..RolloutCommand::default() };
    ahead.pause_rollout(command.clone()).await.unwrap();
    ahead.resume_rollout(command).await.unwrap();
    let mut owner = north.slipway.database.owner().await;
    eventually("the replica to have looked", async || looked(&mut owner).await).await;
    north.slipway.thaw("rollout");

    let soaking = rollout.wait_for("running").await;
    assert_eq!(soaking["batches"][1]["state"], "waiting", "{soaking}");
    rollout.command("promote", &json!({"batch": 2})).await.expect(200);
    north.settles().await;
}

/// Whoever has looked at a rollout that soaks says when it is to be looked at next.
async fn looked(owner: &mut PgConnection) -> Result<(), String> {
    let waits: bool = sqlx::query_scalar(
        "select coalesce(wake_at > now() + interval '20 minutes', false) and lease_until is null \
         from rollout.image_update_rollouts",
    )
    .fetch_one(owner)
    .await
    .unwrap();
    if waits { Ok(()) } else { Err("it is still to be looked at".to_owned()) }
}
