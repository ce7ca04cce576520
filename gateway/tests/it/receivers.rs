//! Receivers: made, listed, removed, and what they were sent.

use proto::approval::v1 as pb;
use serde_json::json;

use crate::samples::{ID, OTHER_ID, time};
use crate::world::World;

const CREATE: &str = "approval.v1.Receivers/CreateReceiver";

fn receiver() -> pb::Receiver {
    pb::Receiver {
        id: ID.to_owned(),
        name: "ghcr".to_owned(),
        vendor: pb::Vendor::Github.into(),
        has_secret: true,
        registries: vec!["ghcr.io".to_owned()],
        repositories: vec!["acme/**".to_owned()],
        response_mode: pb::ResponseMode::Ack.into(),
        create_time: time(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_new_receiver_shows_its_url_this_once() {
    let world = World::start().await;
    world.approval.answer(
        CREATE,
        pb::CreateReceiverResponse {
            receiver: Some(receiver()),
            url_token: "whr_secret".to_owned(),
        },
    );
    let body = json!({
        "name": "ghcr", "vendor": "github", "secret": "0f4c9e2d8b7a6151", "registries": ["ghcr.io"],
        "repositories": ["acme/**"], "response_mode": "ack", "payload_trust": false
    });
    let told = world.post("/api/v1/receivers").json(&body).send().await;
    insta::assert_json_snapshot!(told.expect(201));
    assert_eq!(told.header("location"), format!("/api/v1/receivers/{ID}"));
    let asked: pb::CreateReceiverRequest = world.approval.asked(CREATE);
    assert_eq!(asked.secret, "0f4c9e2d8b7a6151");
    let sent = asked.receiver.unwrap();
    assert_eq!((sent.vendor(), sent.response_mode()), (pb::Vendor::Github, pb::ResponseMode::Ack));
}

#[tokio::test]
async fn what_a_vendor_decides_cannot_be_set() {
    let world = World::start().await;
    let body = json!({"name": "x", "vendor": "github", "auth": "basic"});
    let told = world.post("/api/v1/receivers").json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "auth");
    assert!(told["message"].as_str().unwrap().contains("leave it out"), "{told}");
    let body = json!({"name": "x", "vendor": "harbor"});
    let told = world.post("/api/v1/receivers").json(&body).send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "vendor");
    assert!(world.approval.calls().is_empty());
}

#[tokio::test]
async fn receivers_are_listed_shown_and_removed_without_their_tokens() {
    let world = World::start().await;
    world.approval.answer(
        "approval.v1.Receivers/ListReceivers",
        pb::ListReceiversResponse {
            receivers: vec![receiver()],
            total_size: 1,
            ..Default::default()
        },
    );
    world.approval.answer("approval.v1.Receivers/GetReceiver", receiver());
    world.approval.answer("approval.v1.Receivers/DeleteReceiver", receiver());
    let list = world.get("/api/v1/receivers").send().await.expect(200);
    let path = format!("/api/v1/receivers/{ID}");
    let one = world.get(&path).send().await.expect(200);
    let removed = world.delete(&path).send().await.expect(200);
    assert_eq!((&list["receivers"][0], list["total"].as_i64()), (&one, Some(1)));
    assert_eq!(removed["receiver"], one);
    assert_eq!(one.get("url_token"), None);
}

#[tokio::test]
async fn what_a_receiver_was_sent_is_shown_as_it_was_kept() {
    let world = World::start().await;
    let list = "approval.v1.Receivers/ListDeliveries";
    world.approval.answer(
        list,
        pb::ListDeliveriesResponse {
            deliveries: vec![pb::Delivery {
                id: OTHER_ID.to_owned(),
                create_time: time(),
                peer_ip: "192.0.2.7".to_owned(),
                headers: vec![pb::Header {
                    name: "authorization".to_owned(),
                    value: b"***".to_vec(),
                }],
                body: b"{\"a\":1}".to_vec(),
                decision: pb::Decision::Hold.into(),
                push_ids: vec![ID.to_owned()],
                note: String::new(),
            }],
            total_size: 1,
            ..Default::default()
        },
    );
    let told = world.get(&format!("/api/v1/receivers/{ID}/deliveries?limit=5")).send().await;
    insta::assert_json_snapshot!(told.expect(200));
    let asked: pb::ListDeliveriesRequest = world.approval.asked(list);
    assert_eq!((asked.receiver_id.as_str(), asked.page_size), (ID, 5));
}
