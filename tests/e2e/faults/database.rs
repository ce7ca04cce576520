//! The database goes away and comes back.

use serde_json::json;
use testbed::Database;

use super::{North, tell, tell_until_taken};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_started_anew_in_the_middle_loses_nothing_that_was_told() {
    let batches = json!({"batch_size": 1});
    let database = Database::with_own_server().await;
    let mut north = North::start_on(database, &[], "staged", batches).await;
    let api = north.slipway.api.clone();
    let first = tell(&api);
    tokio::task::block_in_place(|| north.slipway.database.restart_server());
    let _ = first.await.unwrap();
    tell_until_taken(&api).await;
    tokio::task::block_in_place(|| north.slipway.database.restart_server());
    north.settles().await;
}
