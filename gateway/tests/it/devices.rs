//! The fleet, what it should run, and the whole at a glance.

use proto::approval::v1 as approval;
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use serde_json::json;

use crate::samples::{ID, OTHER_ID, device};
use crate::world::World;

const LIST: &str = "rollout.v1.Devices/ListDevices";
const TARGET: &str = "approval.v1.Targets/SetTarget";
const FLEETS: &str = "rollout.v1.Devices/ListFleets";

fn device_path(action: &str) -> String {
    format!("/api/v1/devices/{ID}{action}")
}

#[tokio::test]
async fn devices_are_listed_by_fleet_labels_and_image() {
    let world = World::start().await;
    let answer =
        pb::ListDevicesResponse { devices: vec![device()], total_size: 1, ..Default::default() };
    world.rollout.answer(LIST, answer);
    let path = "/api/v1/devices?fleet=north&labels=line=3,hall=7&image=redis&online=true";
    insta::assert_json_snapshot!(world.get(path).send().await.expect(200));
    let asked: pb::ListDevicesRequest = world.rollout.asked(LIST);
    assert_eq!((asked.fleet.as_str(), asked.repository.as_str()), ("north", "redis"));
    assert_eq!((asked.labels["line"].as_str(), asked.labels["hall"].as_str()), ("3", "7"));
    assert_eq!(asked.online, Some(true));
    let told = world.get("/api/v1/devices?labels=line").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "labels");
}

#[tokio::test]
async fn a_new_device_shows_its_token_once() {
    let world = World::start().await;
    let create = "rollout.v1.Devices/CreateDevice";
    let created =
        pb::CreateDeviceResponse { device: Some(device()), token: "dvt_secret".to_owned() };
    world.rollout.answer(create, created);
    let body = json!({"name": "north-001", "fleet": "north", "labels": {"line": "3"}});
    let told = world.post("/api/v1/devices").json(&body).header("idempotency-key", OTHER_ID);
    let told = told.send().await;
    let shown = told.expect(201);
    assert_eq!((&shown["id"], &shown["uuid"]), (&json!(ID), &json!(ID)));
    assert_eq!(shown["token"], "dvt_secret");
    assert_eq!(told.header("location"), device_path(""));
    let asked: pb::CreateDeviceRequest = world.rollout.asked(create);
    assert_eq!((asked.request_id.as_str(), asked.fleet.as_str()), (OTHER_ID, "north"));
    world.rollout.answer("rollout.v1.Devices/GetDevice", device());
    let shown = world.get(&device_path("")).send().await.expect(200);
    assert_eq!(shown.get("token"), None);
}

#[tokio::test]
async fn a_device_is_changed_pinned_revoked_and_removed() {
    let world = World::start().await;
    let update = "rollout.v1.Devices/UpdateDevice";
    world.rollout.answer(update, device());
    let patch = crate::client::Call::new(world.address, http::Method::PATCH, &device_path(""));
    let told = patch.json(&json!({"labels": null})).header("if-match", "\"2\"").send().await;
    told.expect(200);
    let asked: pb::UpdateDeviceRequest = world.rollout.asked(update);
    assert_eq!(asked.update_mask.unwrap().paths, ["labels"]);
    let sent = asked.device.unwrap();
    assert!(sent.labels.is_empty() && sent.etag == "2");

    for (action, rpc) in [("/pin", "PinDevice"), ("/revoke", "RevokeDevice")] {
        world.rollout.answer(&format!("rollout.v1.Devices/{rpc}"), device());
        world.post(&device_path(action)).send().await.expect(200);
    }
    let pinned: pb::PinDeviceRequest = world.rollout.asked("rollout.v1.Devices/PinDevice");
    assert!(pinned.pinned);
    world.rollout.answer("rollout.v1.Devices/DeleteDevice", device());
    let told = world.delete(&device_path("")).send().await.expect(200);
    assert_eq!(told["message"], "Device deleted successfully");
}

#[tokio::test]
async fn a_target_is_admitted_and_answers_what_was_pinned() {
    let world = World::start().await;
    world.approval.answer(
        TARGET,
        approval::SetTargetResponse {
            generation: 8,
            etag: "new".to_owned(),
            services: vec![approval::AdmittedService {
                name: "cache".to_owned(),
                image: "docker.io/library/redis:7-alpine".to_owned(),
                digest: "sha256:aa".to_owned(),
                pinned: true,
            }],
        },
    );
    let body = json!({"services": [
        {"name": "cache", "image": "redis:7-alpine", "config": {"restart": "always"}}
    ]});
    let call = || world.put(&device_path("/target")).json(&body);
    let told = call().header("if-match", "\"9f86d081\"").send().await;
    let shown = told.expect(200);
    assert_eq!((&shown["generation"], told.header("etag")), (&json!(8), "\"new\""));
    assert_eq!(
        (&shown["services"][0]["pinned"], &shown["services"][0]["digest"]),
        (&json!(true), &json!("sha256:aa"))
    );
    let asked: approval::SetTargetRequest = world.approval.asked(TARGET);
    assert_eq!((asked.device_id.as_str(), asked.etag.as_str()), (ID, "9f86d081"));
    assert_eq!(asked.services[0].config, "{\"restart\":\"always\"}");

    let refused =
        Problem::new(Code::PermissionDenied, reason::IMAGE_NOT_APPROVED, "it is not approved")
            .with("review_id", OTHER_ID);
    world.approval.refuse(TARGET, refused);
    let told = call().send().await.expect(403);
    assert_eq!(
        (&told["error"], &told["details"]["review_id"]),
        (&json!("Image not approved"), &json!(OTHER_ID))
    );
}

#[tokio::test]
async fn a_template_is_admitted_for_a_fleet() {
    let world = World::start().await;
    let template = "approval.v1.Targets/SetTemplate";
    world.approval.answer(
        template,
        approval::SetTemplateResponse {
            fleet: "north".to_owned(),
            services: Vec::new(),
            devices: 3,
        },
    );
    let body = json!({"services": []});
    let told = world.put("/api/v1/fleets/north/template").json(&body).send().await.expect(200);
    assert_eq!((&told["fleet"], &told["devices"]), (&json!("north"), &json!(3)));
    let asked: approval::SetTemplateRequest = world.approval.asked(template);
    assert_eq!(asked.fleet, "north");
}

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
        pb::CreateEnrolmentKeyResponse { key: Some(key()), secret: "dek_secret".to_owned() },
    );
    let body = json!({"name": "line-3", "fleet": "north", "quota": 50});
    let told = world.post("/api/v1/enrolment-keys").json(&body).send().await.expect(201);
    assert_eq!((&told["key"], &told["quota"]), (&json!("dek_secret"), &json!(50)));
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
