//! The fleet at a glance, keys to enrol with, and what waits for a person.

use proto::approval::v1 as approval;
use proto::rollout::v1 as pb;
use serde_json::json;

use crate::samples::ID;
use crate::world::World;

const FLEETS: &str = "rollout.v1.Devices/ListFleets";

#[tokio::test]
async fn keys_to_enrol_with_are_made_and_ended() {
    let world = World::start().await;
    let create = "rollout.v1.Devices/CreateEnrolmentKey";
    let key = || pb::EnrolmentKey {
        id: ID.to_owned(),
        name: "line-3".to_owned(),
        fleet: "north".to_owned(),
        quota: 50,
        ..Default::default()
    };
    world.rollout.answer(
        create,
        pb::CreateEnrolmentKeyResponse { key: Some(key()), secret: "gde_secret".to_owned() },
    );
    let body = json!({"name": "line-3", "fleet": "north", "quota": 50});
    let told = world.post("/api/v1/enrolment-keys").json(&body).send().await.expect(201);
    assert_eq!((&told["key"], &told["quota"]), (&json!("gde_secret"), &json!(50)));
    world.rollout.answer("rollout.v1.Devices/RevokeEnrolmentKey", key());
    let told = world.delete(&format!("/api/v1/enrolment-keys/{ID}")).send().await.expect(200);
    assert_eq!(told["enrolment_key"].get("key"), None);
}

#[tokio::test]
async fn the_fleet_is_counted_and_what_waits_is_told() {
    let world = World::start().await;
    let fleet = |name: &str, devices, online| pb::Fleet {
        name: name.to_owned(),
        device_count: devices,
        online_count: online,
        in_sync_count: online,
        template: Vec::new(),
    };
    let fleets = vec![fleet("north", 9, 8), fleet("south", 16, 16)];
    world.rollout.answer(FLEETS, pb::ListFleetsResponse { fleets });
    let rollouts = "rollout.v1.Rollouts/ListRollouts";
    world
        .rollout
        .answer(rollouts, pb::ListRolloutsResponse { total_size: 2, ..Default::default() });
    let told = world.get("/api/v1/fleet").send().await.expect(200);
    assert_eq!(
        (&told["devices"], &told["online"], &told["in_sync"]),
        (&json!(25), &json!(24), &json!(24))
    );
    assert_eq!((&told["fleets"], &told["active_rollouts"]), (&json!(2), &json!(2)));
    assert_eq!(world.get("/api/v1/fleets").send().await.expect(200)["total"], 2);

    let reviews = approval::ListReviewsResponse { total_size: 1, ..Default::default() };
    world.approval.answer("approval.v1.Reviews/ListReviews", reviews);
    let pushes = approval::ListPushesResponse::default();
    world.approval.answer("approval.v1.Pushes/ListPushes", pushes);
    let told = world.get("/api/v1/attention").send().await.expect(200);
    assert_eq!(told["total"], 3);
    let kinds: Vec<_> =
        told["items"].as_array().unwrap().iter().map(|item| &item["kind"]).collect();
    assert_eq!(kinds, [&json!("approval_requests"), &json!("paused_rollouts")]);
    let asked: pb::ListRolloutsRequest = world.rollout.asked(rollouts);
    assert_eq!(asked.states, [i32::from(pb::rollout::State::Paused)]);
    for item in told["items"].as_array().unwrap() {
        world.get(item["path"].as_str().unwrap()).send().await.expect(200);
    }
}
