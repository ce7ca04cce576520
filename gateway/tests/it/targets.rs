//! What devices should run: what goes round, and what is refused.

use proto::approval::v1 as pb;
use proto::reason;
use proto::rollout::v1 as rollout;
use runtime::{Code, Problem};
use serde_json::json;

use crate::samples::{ID, OTHER_ID, device, target};
use crate::world::World;

const SET: &str = "approval.v1.Targets/SetTarget";
const TEMPLATE: &str = "approval.v1.Targets/SetTemplate";

fn path() -> String {
    format!("/api/v1/devices/{ID}/target")
}

#[tokio::test]
async fn a_target_that_is_shown_can_be_sent_back() {
    let world = World::start().await;
    world.rollout.answer("rollout.v1.Devices/GetDevice", device());
    let set = pb::SetTargetResponse { generation: 8, etag: "e8".to_owned(), ..Default::default() };
    world.approval.answer(SET, set);
    let told = world.get(&path()).send().await;
    let shown = told.expect(200);
    assert_eq!((&shown["generation"], told.header("etag")), (&json!(7), "\"9f86d081\""));
    world.put(&path()).json(&shown).send().await.expect(200);
    let asked: pb::SetTargetRequest = world.approval.asked(SET);
    let wanted = &target().services[0];
    let sent = &asked.services[0];
    assert_eq!(sent.image, format!("{}@{}", wanted.image, wanted.digest));
    assert_eq!(sent.config, wanted.config);
    assert!(world.rollout.calls().iter().all(|call| call.method.ends_with("GetDevice")));
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
async fn a_device_without_a_target_shows_an_empty_one() {
    let world = World::start().await;
    let target = Some(rollout::TargetState { etag: "e0".to_owned(), ..Default::default() });
    let fresh = rollout::Device { target, ..device() };
    world.rollout.answer("rollout.v1.Devices/GetDevice", fresh);
    let told = world.get(&path()).send().await.expect(200);
    assert_eq!(told, json!({"generation": 0, "etag": "e0", "services": []}));
}
