//! What devices should run from the start.

use proto::approval::v1 as pb;
use proto::reason;
use proto::rollout::v1 as rollout;
use runtime::{Code, Problem};
use serde_json::json;

use crate::fleet_samples::{DIGEST, device};
use crate::samples::{ID, OTHER_ID};
use crate::world::World;

const SET: &str = "approval.v1.Targets/SetTarget";
const TEMPLATE: &str = "approval.v1.Targets/SetTemplate";

fn path() -> String {
    format!("/api/v1/devices/{ID}/target")
}

fn admitted() -> Vec<pb::AdmittedService> {
    vec![pb::AdmittedService {
        name: "cache".to_owned(),
        image: "docker.io/library/redis:7-alpine".to_owned(),
        digest: DIGEST.to_owned(),
        pinned: true,
    }]
}

fn set() -> pb::SetTargetResponse {
    pb::SetTargetResponse { generation: 8, etag: "e8".to_owned(), services: admitted() }
}

#[tokio::test]
async fn a_target_goes_through_approval_and_comes_back_pinned() {
    let world = World::start().await;
    world.approval.answer(SET, set());
    let body = json!({"services": [
        {"name": "cache", "image": "redis:7-alpine", "config": {"environment": {"A": "1"}}}
    ]});
    let told = world.put(&path()).json(&body).header("if-match", "\"9f86d081\"").send().await;
    let shown = told.expect(200);
    assert_eq!((&shown["generation"], &shown["etag"]), (&json!(8), &json!("e8")));
    assert_eq!(
        shown["services"],
        json!([{"name": "cache", "image": "docker.io/library/redis:7-alpine", "digest": DIGEST,
                "pinned": true}])
    );
    assert_eq!(told.header("etag"), "\"e8\"");
    let asked: pb::SetTargetRequest = world.approval.asked(SET);
    assert_eq!((asked.device_id.as_str(), asked.etag.as_str()), (ID, "9f86d081"));
    let sent = &asked.services[0];
    assert_eq!((sent.name.as_str(), sent.image.as_str()), ("cache", "redis:7-alpine"));
    assert_eq!(sent.config, "{\"environment\":{\"A\":\"1\"}}");
    assert!(world.rollout.calls().is_empty(), "only approval sets targets");
}

#[tokio::test]
async fn a_target_that_is_shown_can_be_sent_back() {
    let world = World::start().await;
    world.rollout.answer("rollout.v1.Devices/GetDevice", device());
    world.approval.answer(SET, set());
    let told = world.get(&path()).send().await;
    let shown = told.expect(200);
    assert_eq!((&shown["generation"], told.header("etag")), (&json!(7), "\"9f86d081\""));
    world.put(&path()).json(&shown).send().await.expect(200);
    let asked: pb::SetTargetRequest = world.approval.asked(SET);
    let image = format!("docker.io/library/redis:7.5-alpine@{DIGEST}");
    assert_eq!(asked.services[0].image, image);
}

#[tokio::test]
async fn an_image_that_may_not_run_is_refused_with_its_review() {
    let world = World::start().await;
    let message = "Image 'memcached' is not in the approved registry";
    let problem = Problem::new(Code::PermissionDenied, reason::IMAGE_NOT_APPROVED, message)
        .with("review_id", OTHER_ID)
        .at("services[0].image");
    world.approval.refuse(SET, problem.clone());
    world.approval.refuse(TEMPLATE, problem);
    let body = json!({"services": [{"name": "cache", "image": "memcached:1"}]});
    for path in [path(), "/api/v1/fleets/north/template".to_owned()] {
        let told = world.put(&path).json(&body).send().await.expect(403);
        assert_eq!(told["error"], "Image not approved");
        assert_eq!(told["details"]["review_id"], OTHER_ID);
        assert_eq!(told["violations"][0]["field"], "services[0].image");
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_named_by_its_place() {
    let world = World::start().await;
    let problem = Problem::invalid("services[0].config.privileged", "is not taken");
    world.approval.refuse(SET, problem);
    let body =
        json!({"services": [{"name": "c", "image": "redis:7", "config": {"privileged": true}}]});
    let told = world.put(&path()).json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "services[0].config.privileged");
    let body = json!({"services": [{"name": "c", "image": "redis:7", "imgae": "x"}]});
    let told = world.put(&path()).json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "services[0].imgae");
}

#[tokio::test]
async fn a_template_tells_how_many_devices_took_it() {
    let world = World::start().await;
    world.approval.answer(
        TEMPLATE,
        pb::SetTemplateResponse { fleet: "north".to_owned(), services: admitted(), devices: 3 },
    );
    let body = json!({"services": [{"name": "cache", "image": "redis:7-alpine"}]});
    let told = world.put("/api/v1/fleets/north/template").json(&body).send().await.expect(200);
    assert_eq!((&told["fleet"], &told["devices"]), (&json!("north"), &json!(3)));
    let asked: pb::SetTemplateRequest = world.approval.asked(TEMPLATE);
    assert_eq!((asked.fleet.as_str(), asked.services[0].config.as_str()), ("north", ""));
}

#[tokio::test]
async fn a_device_without_a_target_shows_an_empty_one() {
    let world = World::start().await;
    let target = Some(rollout::TargetState { etag: "e0".to_owned(), ..Default::default() });
    let fresh = rollout::Device { target, ..device() };
    world.rollout.answer("rollout.v1.Devices/GetDevice", fresh);
    let told = world.get(&path()).send().await.expect(200);
    assert_eq!(told, json!({"generation": 0, "etag": "e0", "services": []}));
}
