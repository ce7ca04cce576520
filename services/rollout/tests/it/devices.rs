//! Devices and fleets, as operators handle them.

use std::collections::HashMap;

use proto::reason;
use proto::rollout::v1 as pb;
use runtime::Problem;

use crate::harness::{Device, NGINX, REDIS, Slipway, digest, service};

#[tokio::test]
async fn devices_are_listed_by_fleet_label_image_and_presence() {
    let slipway = Slipway::start().await;
    let online = slipway.device("online").await;
    let away = slipway.bare_device("away").await;
    let update = pb::UpdateDeviceRequest {
        device: Some(pb::Device {
            id: away.id.clone(),
            labels: HashMap::from([("site".to_owned(), "hall-7".to_owned())]),
            ..pb::Device::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["labels".to_owned()] }),
    };
    slipway.devices().update_device(update).await.unwrap();
    let list = async |filter: pb::ListDevicesRequest| -> Vec<String> {
        let answer = slipway.devices().list_devices(filter).await.unwrap().into_inner();
        answer.devices.into_iter().map(|device| device.name).collect()
    };
    let all = pb::ListDevicesRequest::default;
    assert_eq!(list(all()).await, ["away", "online"]);
    assert_eq!(list(pb::ListDevicesRequest { online: Some(true), ..all() }).await, ["online"]);
    assert_eq!(list(pb::ListDevicesRequest { online: Some(false), ..all() }).await, ["away"]);
    let labels = HashMap::from([("site".to_owned(), "hall-7".to_owned())]);
    assert_eq!(list(pb::ListDevicesRequest { labels, ..all() }).await, ["away"]);
    let repository = "redis".to_owned();
    assert_eq!(list(pb::ListDevicesRequest { repository, ..all() }).await, ["online"]);
    let fleet = "south".to_owned();
    assert!(list(pb::ListDevicesRequest { fleet, ..all() }).await.is_empty());
    drop(online);
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    let slipway = Slipway::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        slipway.bare_device(name).await;
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListDevicesRequest {
            page_size: 2,
            page_token,
            ..pb::ListDevicesRequest::default()
        };
        let answer = slipway.devices().list_devices(request).await.unwrap().into_inner();
        assert_eq!(answer.total_size, 5);
        names.extend(answer.devices.into_iter().map(|device| device.name));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_template_reaches_devices_that_run_nothing_yet() {
    let slipway = Slipway::start().await;
    let mut bare = slipway.bare_device("bare").await;
    bare.connect().await;
    let own = slipway.device("own").await;
    let request = pb::SetFleetTemplateRequest {
        fleet: "north".to_owned(),
        services: vec![service("cache", REDIS, "7", '1')],
    };
    let set = slipway.devices().set_template(request).await.unwrap().into_inner();
    assert_eq!(set.devices, 1);
    assert_eq!(bare.next_target().await.services.len(), 1);
    let request = pb::GetFleetRequest { name: "north".to_owned() };
    let fleet = slipway.devices().get_fleet(request).await.unwrap().into_inner();
    assert_eq!((fleet.device_count, fleet.template.len()), (2, 1));
    let request = pb::GetFleetRequest { name: "nowhere".to_owned() };
    let status = slipway.devices().get_fleet(request).await.expect_err("no such fleet");
    assert_eq!(Problem::from(status).reason(), reason::FLEET_NOT_FOUND);
    drop(own);
}

#[tokio::test]
async fn a_device_that_joins_after_a_rollout_runs_what_the_others_run() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut device = slipway.device("first").await;
    let template = async |tag: &str, digit| {
        let services = vec![service("cache", REDIS, tag, digit), service("web", NGINX, "1", 'a')];
        let request = pb::SetFleetTemplateRequest { fleet: "north".to_owned(), services };
        slipway.devices().set_template(request).await.unwrap();
    };
    let end = async |device: &mut Device, rollout: &str| {
        slipway.drive().await;
        device.next_target().await;
        device.report_running().await;
        slipway.pass(60).await;
        assert_eq!(slipway.get(rollout).await.state(), pb::rollout::State::Succeeded);
    };
    let joins = async |name: &str| {
        let mut late = slipway.bare_device(name).await;
        late.connect().await;
        let runs = [late.wanted("cache").digest.clone(), late.wanted("web").digest.clone()];
        let request = pb::DeleteDeviceRequest { id: late.id.clone() };
        slipway.devices().delete_device(request).await.unwrap();
        runs
    };
    template("7", '1').await;
    slipway.pass(1).await;
    let rollout = slipway.rollout("8", '2').await;
    end(&mut device, &rollout.id).await;
    assert_eq!(joins("late").await, [digest('2'), digest('a')]);

    // One that an operator sets while a rollout is on its way stays as it was set.
    let rollout = slipway.rollout("9", '3').await;
    slipway.pass(1).await;
    template("6", '6').await;
    end(&mut device, &rollout.id).await;
    assert_eq!(joins("later").await[0], digest('6'));
}

#[tokio::test]
async fn the_same_target_again_changes_nothing_and_a_bad_one_is_named() {
    let slipway = Slipway::start().await;
    let device = slipway.bare_device("one").await;
    let services = vec![service("cache", REDIS, "7", '1')];
    let first = slipway.set_target(&device.id, services.clone()).await;
    let again = slipway.set_target(&device.id, services).await;
    assert_eq!((first.generation, again.generation), (1, 1));

    let set = async |service: pb::Service| {
        let request = pb::SetDeviceTargetRequest {
            device_id: device.id.clone(),
            services: vec![service],
            etag: String::new(),
        };
        let status = slipway.devices().set_target(request).await.expect_err("refused");
        Problem::from(status).field_violations()[0].field.clone()
    };
    let good = service("cache", REDIS, "7", '1');
    assert_eq!(
        set(pb::Service { name: "No Name".to_owned(), ..good.clone() }).await,
        "services[0].name"
    );
    assert_eq!(
        set(pb::Service { image: "Not//an image".to_owned(), ..good.clone() }).await,
        "services[0].image"
    );
    let config = r#"{"privileged": true}"#.to_owned();
    assert_eq!(set(pb::Service { config, ..good }).await, "services[0].config.privileged");
}

#[tokio::test]
async fn a_removed_device_is_gone_with_its_stream() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(2).await;
    let rollout = slipway.rollout("8", '2').await;
    slipway.drive().await;
    for device in &devices {
        let request = pb::DeleteDeviceRequest { id: device.id.clone() };
        slipway.devices().delete_device(request).await.unwrap();
    }
    let status = devices[0].end().await.expect("it was ended");
    assert_eq!(Problem::from(status).reason(), reason::DEVICE_REVOKED);
    slipway.drive().await;
    let ended = slipway.get(&rollout.id).await;
    assert_eq!(ended.state(), pb::rollout::State::Succeeded, "nobody is left: {ended:?}");
    let request = pb::GetDeviceRequest { id: devices[0].id.clone() };
    let status = slipway.devices().get_device(request).await.expect_err("gone");
    assert_eq!(Problem::from(status).reason(), reason::DEVICE_NOT_FOUND);
}

#[tokio::test]
async fn a_device_that_is_held_or_sick_is_left_out() {
    let slipway = Slipway::start().await;
    slipway.policy(|policy| policy.strategy = pb::Strategy::Auto.into()).await;
    let mut devices = slipway.fleet(2).await;
    let sick = devices[1].seen("cache", pb::Phase::Running, false);
    devices[1].report(vec![sick]).await;
    let request =
        pb::PinDeviceRequest { id: devices[0].id.clone(), pinned: true, reason: "demo".to_owned() };
    slipway.devices().pin_device(request).await.unwrap();
    let rollout = slipway.rollout("8", '2').await;
    assert_eq!((rollout.device_count, rollout.excluded_count), (1, 1));
    slipway.drive().await;
    let assignments = slipway.assignments(&rollout.id).await;
    assert_eq!(assignments[0].reason, reason::PRE_UNHEALTHY);
    let ended = slipway.get(&rollout.id).await;
    assert_eq!(ended.state(), pb::rollout::State::Succeeded);
    assert_eq!(ended.state_reason, reason::NOTHING_TO_DO);
}
