//! The fleet.

use http::Method;
use proto::access::v1 as access;
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use serde_json::{Value, json};

use crate::client::Call;
use crate::fleet_samples::{DIGEST, device, service};
use crate::samples::{ID, OTHER_ID};
use crate::world::{GATEWAY, World};

const GET: &str = "rollout.v1.Devices/GetDevice";
const LIST: &str = "rollout.v1.Devices/ListDevices";
const CREATE: &str = "rollout.v1.Devices/CreateDevice";
const UPDATE: &str = "rollout.v1.Devices/UpdateDevice";
const DELETE: &str = "rollout.v1.Devices/DeleteDevice";
const PIN: &str = "rollout.v1.Devices/PinDevice";
const AUDIT: &str = "access.v1.AuditLog/ListEntries";

fn path(rest: &str) -> String {
    format!("/api/v1/devices/{ID}{rest}")
}

fn patch(world: &World, path: &str) -> Call {
    Call::new(world.address, Method::PATCH, path)
}

#[tokio::test]
async fn devices_are_listed_by_what_they_are() {
    let world = World::start().await;
    let answer = pb::ListDevicesResponse {
        devices: vec![device()],
        next_page_token: "tok".to_owned(),
        total_size: 25,
    };
    world.rollout.answer(LIST, answer);
    let query = "fleet=north&labels=line%3D3,hall=7&image=redis&online=true&limit=10";
    let told = world.get(&format!("/api/v1/devices?{query}")).send().await;
    let body = told.expect(200);
    assert_eq!((&body["total"], &body["next_page_token"]), (&json!(25), &json!("tok")));
    assert_eq!(told.header("x-total-count"), "25");
    assert!(told.header("link").contains("page_token=tok>; rel=\"next\""));
    assert_eq!(body["devices"][0]["labels"], json!({"line": "3"}));
    let asked: pb::ListDevicesRequest = world.rollout.asked(LIST);
    assert_eq!((asked.fleet.as_str(), asked.repository.as_str()), ("north", "redis"));
    assert_eq!((asked.labels["line"].as_str(), asked.labels["hall"].as_str()), ("3", "7"));
    assert_eq!((asked.online, asked.page_size), (Some(true), 10));
}

#[tokio::test]
async fn a_filter_that_is_none_shows_nothing_instead_of_everything() {
    let world = World::start().await;
    for (query, field) in [
        ("labels=line", "labels"),
        ("labels=line=3,line=4", "labels"),
        ("flet=north", "flet"),
        ("online=yes", "online"),
    ] {
        let told = world.get(&format!("/api/v1/devices?{query}")).send().await.expect(400);
        assert_eq!(told["violations"][0]["field"], field, "{told}");
    }
    assert!(world.rollout.calls().is_empty());
    world.rollout.refuse(LIST, Problem::invalid("repository", "is no repository; write `redis`"));
    let told = world.get("/api/v1/devices?image=A%20b").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "image");
}

#[tokio::test]
async fn a_device_shows_what_it_should_run_and_what_it_runs() {
    let world = World::start().await;
    world.rollout.answer(GET, device());
    let told = world.get(&path("")).send().await;
    let body = told.expect(200);
    assert_eq!(told.header("etag"), "\"1\"");
    assert_eq!((&body["name"], &body["in_sync"]), (&json!("north-001"), &json!(true)));
    let wanted = &body["target"]["services"][0];
    assert_eq!((&wanted["digest"], &wanted["pinned"]), (&json!(DIGEST), &json!(true)));
    assert_eq!(wanted["config"], json!({"restart": "unless-stopped"}));
    assert_eq!(wanted["rollout"]["attempt"], 2);
    let runs = &body["services"][0];
    assert_eq!((&runs["phase"], &runs["healthy"]), (&json!("running"), &json!(true)));
    assert_eq!((&runs["reason"], &runs["rollout_id"]), (&Value::Null, &Value::Null));
    assert_eq!((&body["platform"], &body["pin_reason"]), (&Value::Null, &Value::Null));
    world
        .rollout
        .refuse(GET, Problem::new(Code::NotFound, reason::DEVICE_NOT_FOUND, "there is no device"));
    assert_eq!(world.get(&path("")).send().await.expect(404)["error"], "Device not found");
}

#[tokio::test]
async fn an_added_device_has_a_token_that_is_shown_once() {
    let world = World::start().await;
    let answer =
        pb::CreateDeviceResponse { device: Some(device()), token: "gdd_secret".to_owned() };
    world.rollout.answer(CREATE, answer);
    let body = json!({"name": "north-001", "fleet": "north", "labels": {"line": "3"}});
    let call = world.post("/api/v1/devices").json(&body).header("idempotency-key", OTHER_ID);
    let told = call.send().await;
    let shown = told.expect(201);
    assert_eq!((&shown["id"], &shown["uuid"]), (&json!(ID), &json!(ID)));
    assert_eq!((&shown["token"], &shown["fleet"]), (&json!("gdd_secret"), &json!("north")));
    assert_eq!(told.header("location"), path(""));
    let asked: pb::CreateDeviceRequest = world.rollout.asked(CREATE);
    assert_eq!((asked.name.as_str(), asked.request_id.as_str()), ("north-001", OTHER_ID));
    assert_eq!(asked.labels["line"], "3");
    let told = world.post("/api/v1/devices").json(&json!({})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "fleet");
}

#[tokio::test]
async fn a_change_names_what_it_changes_and_what_was_seen() {
    let world = World::start().await;
    world.rollout.answer(UPDATE, device());
    let body = json!({"labels": {"line": "4"}});
    let told = patch(&world, &path("")).json(&body).header("if-match", "\"1\"").send().await;
    told.expect(200);
    let asked: pb::UpdateDeviceRequest = world.rollout.asked(UPDATE);
    let sent = asked.device.unwrap();
    assert_eq!(
        (sent.id.as_str(), sent.etag.as_str(), sent.labels["line"].as_str()),
        (ID, "1", "4")
    );
    assert_eq!(asked.update_mask.unwrap().paths, ["labels"]);

    patch(&world, &path("")).json(&json!({"labels": null})).send().await.expect(200);
    let asked: pb::UpdateDeviceRequest = world.rollout.asked(UPDATE);
    assert!(asked.device.unwrap().labels.is_empty());
    patch(&world, &path("")).json(&json!({})).send().await.expect(400);
    let told = patch(&world, &path("")).json(&json!({"lables": {}})).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "lables");
    world.rollout.refuse(UPDATE, Problem::invalid("device.labels", "are more than 64"));
    let told = patch(&world, &path("")).json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "labels");
}

#[tokio::test]
async fn what_is_shown_can_be_sent_back() {
    let world = World::start().await;
    world.rollout.answer(GET, device());
    world.rollout.answer(UPDATE, device());
    let shown = world.get(&path("")).send().await.expect(200);
    assert_eq!(patch(&world, &path("")).json(&shown).send().await.expect(200), shown);
    let asked: pb::UpdateDeviceRequest = world.rollout.asked(UPDATE);
    assert_eq!(asked.update_mask.unwrap().paths, ["name", "fleet", "labels"]);
}

#[tokio::test]
async fn a_removal_is_bound_to_what_was_seen() {
    let world = World::start().await;
    world.rollout.answer(GET, device());
    world.rollout.answer(DELETE, device());
    world.delete(&path("")).header("if-match", "\"9\"").send().await.expect(412);
    assert!(world.rollout.calls().iter().all(|call| call.method != DELETE));
    let told = world.delete(&path("")).header("if-match", "\"1\"").send().await.expect(200);
    assert_eq!(told["message"], "Device deleted successfully");
    assert_eq!(told["device"]["id"], ID);
}

#[tokio::test]
async fn credentials_end_and_are_made_anew() {
    let world = World::start().await;
    let revoked = pb::Device { revoked: true, ..device() };
    world.rollout.answer("rollout.v1.Devices/RevokeDevice", revoked);
    let told = world.post(&path("/revoke")).send().await.expect(200);
    assert_eq!(told["device"]["revoked"], true);
    let rotate = "rollout.v1.Devices/RotateDeviceToken";
    let answer = pb::CreateDeviceResponse { device: Some(device()), token: "gdd_new".to_owned() };
    world.rollout.answer(rotate, answer);
    let told = world.post(&path("/token")).send().await.expect(200);
    assert_eq!((&told["token"], &told["uuid"]), (&json!("gdd_new"), &json!(ID)));
    assert_eq!(world.rollout.asked::<pb::RotateDeviceTokenRequest>(rotate).id, ID);
}

#[tokio::test]
async fn a_device_is_pinned_and_released() {
    let world = World::start().await;
    world.rollout.answer(PIN, device());
    for (body, pinned, why, message) in [
        (None, true, "", "Device pinned"),
        (Some(json!({"reason": "under test"})), true, "under test", "Device pinned"),
        (Some(json!({"pinned": false})), false, "", "Device released"),
    ] {
        let call = world.post(&path("/pin"));
        let call = match &body {
            Some(body) => call.json(body),
            None => call,
        };
        assert_eq!(call.send().await.expect(200)["message"], message);
        let asked: pb::PinDeviceRequest = world.rollout.asked(PIN);
        assert_eq!((asked.id.as_str(), asked.pinned, asked.reason.as_str()), (ID, pinned, why));
    }
}

#[tokio::test]
async fn a_timeline_is_the_devices_own_and_for_whoever_may_see_it() {
    let world = World::start().await;
    world.rollout.answer(GET, device());
    world.access.answer(AUDIT, access::ListEntriesResponse::default());
    let told = world.get(&path("/timeline?limit=5")).token("ghd_alice").send().await.expect(200);
    assert_eq!((&told["events"], &told["total"]), (&json!([]), &json!(0)));
    let asked: access::ListEntriesRequest = world.access.asked(AUDIT);
    assert_eq!((asked.resource.as_str(), asked.r#type.as_str()), (ID, "device.*"));
    assert_eq!(asked.page_size, 5);
    assert_eq!(world.access.calls()[0].header("authorization"), format!("Bearer {GATEWAY}"));
    world
        .rollout
        .refuse(GET, Problem::new(Code::NotFound, reason::DEVICE_NOT_FOUND, "there is no device"));
    world.get(&path("/timeline")).send().await.expect(404);
    assert_eq!(world.access.calls().len(), 1);
}

#[tokio::test]
async fn an_explanation_names_what_is_in_the_way() {
    let world = World::start().await;
    world.rollout.answer(GET, device());
    let told = world.get(&path("/explain")).send().await.expect(200);
    assert_eq!(told["blocked_by"], Value::Null);
    assert_eq!(told["checks"].as_array().unwrap().len(), 5);
    world.rollout.answer(GET, pb::Device { online: false, ..device() });
    let told = world.get(&path("/explain")).send().await.expect(200);
    assert!(told["blocked_by"].as_str().unwrap().starts_with("connected: "), "{told}");
}

#[tokio::test]
async fn fleets_are_shown_with_counts_and_template() {
    let world = World::start().await;
    let fleet = || pb::Fleet {
        name: "north".to_owned(),
        device_count: 9,
        online_count: 8,
        in_sync_count: 7,
        template: vec![service()],
    };
    world
        .rollout
        .answer("rollout.v1.Devices/ListFleets", pb::ListFleetsResponse { fleets: vec![fleet()] });
    let told = world.get("/api/v1/fleets").send().await;
    let body = told.expect(200);
    assert_eq!((&body["total"], told.header("x-total-count")), (&json!(1), "1"));
    let get = "rollout.v1.Devices/GetFleet";
    world.rollout.answer(get, fleet());
    let shown = world.get("/api/v1/fleets/north").send().await.expect(200);
    assert_eq!(shown, body["fleets"][0]);
    assert_eq!((&shown["device_count"], &shown["online_count"]), (&json!(9), &json!(8)));
    let template = world.get("/api/v1/fleets/north/template").send().await.expect(200);
    assert_eq!(template, json!({"fleet": "north", "services": shown["template"]}));
    assert_eq!(world.rollout.asked::<pb::GetFleetRequest>(get).name, "north");
    world
        .rollout
        .refuse(get, Problem::new(Code::NotFound, reason::FLEET_NOT_FOUND, "there is no fleet"));
    let told = world.get("/api/v1/fleets/south").send().await.expect(404);
    assert_eq!(told["error"], "Fleet not found");
}
