//! Two replicas of `rollout` on one database: nothing is done twice, nothing is lost.

use chrono::TimeDelta;
use proto::rollout::v1 as pb;
use proto::rollout::v1::rollout::State;
use runtime::Clock;
use runtime::secret::Secret;

use crate::harness::{Device, REDIS, Slipway, digest, service, wait_for};

#[tokio::test]
async fn a_target_written_by_one_replica_reaches_a_stream_of_the_other() {
    let slipway = Slipway::start().await;
    let other = slipway.another_replica(slipway.clock.clone()).await;
    let request = pb::CreateDeviceRequest {
        name: "one".to_owned(),
        fleet: "north".to_owned(),
        ..pb::CreateDeviceRequest::default()
    };
    let made = slipway.devices().create_device(request).await.unwrap().into_inner();
    let id = made.device.unwrap().id;
    let mut device = Device::new(&other.link, id, "one".to_owned(), &Secret::new(made.token));
    device.connect().await;
    slipway.set_target(&device.id, vec![service("cache", REDIS, "7", '1')]).await;
    assert_eq!(device.next_target().await.generation, 1);
}

#[tokio::test]
async fn a_stream_at_another_replica_ends_the_older_one() {
    let slipway = Slipway::start().await;
    let other = slipway.another_replica(slipway.clock.clone()).await;
    let request = pb::CreateDeviceRequest {
        name: "one".to_owned(),
        fleet: "north".to_owned(),
        ..pb::CreateDeviceRequest::default()
    };
    let made = slipway.devices().create_device(request).await.unwrap().into_inner();
    let (id, token) = (made.device.unwrap().id, Secret::new(made.token));
    let mut here = Device::new(&slipway.link, id.clone(), "here".to_owned(), &token);
    here.connect().await;
    let mut there = Device::new(&other.link, id.clone(), "there".to_owned(), &token);
    there.connect().await;
    assert!(here.end().await.is_some());
    slipway.set_target(&id, vec![service("cache", REDIS, "7", '1')]).await;
    there.next_target().await;
    let request = pb::GetDeviceRequest { id };
    let device = slipway.devices().get_device(request).await.unwrap().into_inner();
    assert!(device.online, "the end of the older stream changes nothing");
}

#[tokio::test]
async fn two_drivers_and_a_wrong_clock_do_nothing_twice_and_shorten_no_soak() {
    let slipway = Slipway::with(Clock::system()).await;
    let hour_off = Clock::skewed(TimeDelta::hours(1));
    let other = slipway.another_replica(hour_off).await;
    slipway
        .policy(|policy| {
            policy.batch_size = 2;
            policy.batch_delay = Some(prost_types::Duration { seconds: 2, nanos: 0 });
            policy.device_soak = Some(prost_types::Duration { seconds: 1, nanos: 0 });
            policy.max_in_flight =
                Some(pb::DeviceQuota { quota: Some(pb::device_quota::Quota::Percent(100.0)) });
        })
        .await;
    let mut devices = slipway.fleet(4).await;
    let rollout = slipway.rollout("8", '2').await;
    for number in 1..=2 {
        let mine: Vec<_> = slipway
            .assignments(&rollout.id)
            .await
            .into_iter()
            .filter(|assignment| assignment.batch_number == number)
            .map(|assignment| assignment.device.unwrap().id)
            .collect();
        for device in devices.iter_mut().filter(|device| mine.contains(&device.id)) {
            while device.wanted("cache").digest != digest('2') {
                device.next_target().await;
            }
            device.report_running().await;
        }
    }
    let ended = wait_for("the rollout to succeed", async || {
        let rollout = other.get(&rollout.id).await;
        if rollout.state() == State::Succeeded { Ok(rollout) } else { Err(format!("{rollout:?}")) }
    })
    .await;
    let seconds = |time: &Option<prost_types::Timestamp>| time.as_ref().unwrap().seconds;
    let soaked = seconds(&ended.batches[1].start_time) - seconds(&ended.batches[0].complete_time);
    assert!((1..60).contains(&soaked), "a soak of 2 s took {soaked} s");
    for device in &devices {
        assert_eq!(device.target.generation, 2, "each device was told once");
    }
    let mut owner = slipway.owner().await;
    let started: i64 = sqlx::query_scalar(
        "select count(*) from rollout.outbox where type = 'image.rollout_batch_started'",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!(started, 2, "each batch began once");
}

/// A replica that stands still past its lease and wakes up again writes nothing.
#[tokio::test]
async fn a_driver_that_lost_its_lease_cannot_write() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Manual.into()).await;
    let _devices = slipway.fleet(1).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    let mut owner = slipway.owner().await;
    let id = uuid::Uuid::parse_str(&rollout.id).unwrap();
    let held: i64 = sqlx::query_scalar(
        "update rollout.image_update_rollouts \
         set lease_until = now() - interval '1 second', fence = fence + 1 where id = $1 returning fence",
    )
    .bind(id)
    .fetch_one(&mut owner)
    .await
    .unwrap();
    // Somebody else takes the rollout up, because the lease ran out.
    slipway.command(&rollout.id, "start").await.unwrap();
    slipway.drive().await;
    let (fence, lease): (i64, Option<chrono::DateTime<chrono::Utc>>) = sqlx::query_as(
        "select fence, lease_until from rollout.image_update_rollouts where id = $1",
    )
    .bind(id)
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert!(fence > held && lease.is_none(), "the lease was taken over and given back");
    let written = sqlx::query(
        "update rollout.image_update_rollouts set version = version + 1 where id = $1 and fence = $2",
    )
    .bind(id)
    .bind(held)
    .execute(&mut owner)
    .await
    .unwrap();
    assert_eq!(written.rows_affected(), 0, "what the old holder would write is refused");
}
