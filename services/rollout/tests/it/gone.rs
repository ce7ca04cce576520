//! Devices that are revoked while a rollout has to do with them.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::assignment::State as Try;
use proto::rollout::v1::rollout::State;

use sqlx::Connection as _;

use crate::harness::{Device, Slipway, digest, wait_for};

async fn revoke(slipway: &Slipway, device: &str) {
    let request = pb::RevokeDeviceRequest { id: device.to_owned() };
    slipway.devices().revoke_device(request).await.expect("a device");
}

/// The device's part in a rollout: where it stands, and why.
async fn part(slipway: &Slipway, rollout: &str, device: &Device) -> (Try, String) {
    let parts = slipway.assignments(rollout).await;
    let mine = parts
        .into_iter()
        .find(|part| part.device.as_ref().is_some_and(|known| known.id == device.id))
        .expect("its part");
    (mine.state(), mine.reason)
}

async fn all_at_once(slipway: &Slipway) {
    slipway
        .policy(|policy| {
            policy.strategy = pb::Strategy::Auto.into();
            policy.max_in_flight =
                Some(pb::DeviceQuota { quota: Some(pb::device_quota::Quota::Percent(100.0)) });
        })
        .await;
}

#[tokio::test]
async fn no_rollout_waits_for_a_device_that_is_revoked() {
    let slipway = Slipway::start().await;
    all_at_once(&slipway).await;
    let mut devices = slipway.fleet(2).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    devices[0].report_running().await;
    revoke(&slipway, &devices[1].id).await;
    let left_out = (Try::Skipped, reason::DEVICE_REVOKED.to_owned());
    assert_eq!(part(&slipway, &rollout.id, &devices[1]).await, left_out);
    slipway.pass(60).await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Succeeded);

    // What it had been sent is taken back, for the day on which it has a new token.
    let request = pb::GetDeviceRequest { id: devices[1].id.clone() };
    let device = slipway.devices().get_device(request).await.unwrap().into_inner();
    assert_eq!(device.target.unwrap().services[0].digest, digest('1'));
    assert!(device.revoked && !device.online);
}

#[tokio::test]
async fn a_revoked_device_that_was_updated_cannot_go_back_and_holds_nobody_up() {
    let slipway = Slipway::start().await;
    all_at_once(&slipway).await;
    let mut devices = slipway.fleet(2).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    devices[0].next_target().await;
    devices[0].report_running().await;
    devices[1].next_target().await;
    slipway.pass(60).await;
    assert_eq!(part(&slipway, &rollout.id, &devices[0]).await.0, Try::Succeeded);
    revoke(&slipway, &devices[0].id).await;

    slipway.command(&rollout.id, "cancel and revert").await.expect("it runs");
    slipway.drive().await;
    assert_eq!(slipway.get(&rollout.id).await.state(), State::Cancelled);
    let stays = (Try::RevertFailed, reason::DEVICE_REVOKED.to_owned());
    assert_eq!(part(&slipway, &rollout.id, &devices[0]).await, stays);
}

#[tokio::test]
async fn a_device_is_deleted_while_a_driver_holds_its_rollout() {
    let slipway = Slipway::start().await;
    all_at_once(&slipway).await;
    let devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;

    // What a driver locks, in its order: the rollout, then the try.
    let mut owner = slipway.owner().await;
    let mut driver = owner.begin().await.unwrap();
    let lock = "select 1 from rollout.image_update_rollouts where id = $1::uuid for update";
    sqlx::query(lock).bind(&rollout.id).execute(&mut *driver).await.unwrap();
    let request = pb::DeleteDeviceRequest { id: devices[0].id.clone() };
    let mut client = slipway.devices();
    let deletion = tokio::spawn(async move { client.delete_device(request).await });
    let mut eyes = slipway.owner().await;
    wait_for("the deletion to wait for the rollout", async || {
        let waits = "select exists (select from pg_stat_activity \
                     where datname = current_database() and wait_event_type = 'Lock')";
        let waits: bool = sqlx::query_scalar(waits).fetch_one(&mut eyes).await.unwrap();
        if waits { Ok(()) } else { Err("nobody waits".to_owned()) }
    })
    .await;
    let lock = "select 1 from rollout.assignments where rollout_id = $1::uuid for update";
    sqlx::query(lock).bind(&rollout.id).execute(&mut *driver).await.expect("no deadlock");
    driver.commit().await.unwrap();
    deletion.await.unwrap().expect("the device is deleted");
}

#[tokio::test]
async fn a_fleet_counts_devices_that_run_what_they_should_now() {
    let slipway = Slipway::start().await;
    let mut devices = slipway.fleet(2).await;
    let count = async || {
        let request = pb::GetFleetRequest { name: "north".to_owned() };
        let fleet = slipway.devices().get_fleet(request).await.unwrap().into_inner();
        (fleet.device_count, fleet.online_count, fleet.in_sync_count)
    };
    assert_eq!(count().await, (2, 2, 2));
    let other = vec![crate::harness::service("cache", crate::harness::REDIS, "9", '9')];
    slipway.set_target(&devices[0].id, other).await;
    assert_eq!(count().await, (2, 2, 1), "what it reported before was another target");
    devices[0].next_target().await;
    devices[0].report_running().await;
    assert_eq!(count().await, (2, 2, 2));
    revoke(&slipway, &devices[1].id).await;
    assert_eq!(count().await, (2, 1, 2));
}
