//! Change only what you have seen, fetch only what you have not.

use proto::reason;
use proto::registry::v1 as pb;
use proto::rollout::v1 as rollout;
use runtime::{Code, Problem};
use serde_json::json;

use crate::samples::{ID, redis};
use crate::world::World;

const GATE: &str = "registry.v1.Gate/GetGate";

fn gate() -> pb::GateSettings {
    pb::GateSettings { etag: "4".to_owned(), ..Default::default() }
}

#[tokio::test]
async fn who_has_it_already_is_not_sent_it_again() {
    let world = World::start().await;
    world.registry.answer(GATE, gate());
    let told = world.get("/api/v1/gate").send().await;
    told.expect(200);
    assert_eq!(told.header("etag"), "\"4\"");
    for known in ["\"4\"", "W/\"4\"", "\"3\", \"4\"", "*"] {
        let told = world.get("/api/v1/gate").header("if-none-match", known).send().await;
        assert_eq!((told.status.as_u16(), told.body.len()), (304, 0), "{known}");
        assert_eq!(told.header("etag"), "\"4\"");
    }
    let told = world.get("/api/v1/gate").header("if-none-match", "\"3\"").send().await;
    told.expect(200);
}

#[tokio::test]
async fn a_list_has_the_etag_of_its_bytes() {
    let world = World::start().await;
    let list = "registry.v1.ImageRegistry/ListImages";
    world.registry.answer(list, pb::ListImagesResponse { total_size: 0, ..Default::default() });
    let told = world.get("/api/v1/images").send().await;
    let etag = told.header("etag").to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    let again = world.get("/api/v1/images").header("if-none-match", &etag).send().await;
    assert_eq!(again.status.as_u16(), 304);
    assert_eq!(again.header("x-total-count"), "0");
    let more =
        pb::ListImagesResponse { images: vec![redis()], total_size: 1, ..Default::default() };
    world.registry.answer(list, more);
    world.get("/api/v1/images").header("if-none-match", &etag).send().await.expect(200);
}

#[tokio::test]
async fn a_change_is_bound_to_what_was_seen() {
    let world = World::start().await;
    let update = "registry.v1.Gate/UpdateGate";
    world.registry.answer(update, gate());
    let call = || world.put("/api/v1/gate").json(&json!({"unknown_tag": "request"}));
    let told = call().header("if-match", "\"3\"").send().await;
    told.expect(200);
    assert_eq!(told.header("etag"), "\"4\"");
    let asked: pb::UpdateGateRequest = world.registry.asked(update);
    let sent = asked.gate.unwrap();
    assert_eq!((sent.etag.as_str(), sent.unknown_tag()), ("3", pb::UnknownTag::Request));
    assert_eq!(asked.update_mask.unwrap().paths, ["unknown_tag"]);

    let shown = told.expect(200)["etag"].as_str().unwrap().to_owned();
    call().header("if-match", &shown).send().await.expect(200);
    let asked: pb::UpdateGateRequest = world.registry.asked(update);
    assert_eq!((asked.gate.unwrap().etag, shown), ("4".to_owned(), "4".to_owned()));

    call().header("if-match", "*").send().await.expect(200);
    let asked: pb::UpdateGateRequest = world.registry.asked(update);
    assert_eq!(asked.gate.unwrap().etag, "");

    let stale = Problem::new(Code::Aborted, reason::STALE_ETAG, "it changed").with("etag", "4");
    world.registry.refuse(update, stale);
    let told = call().header("if-match", "\"3\"").send().await.expect(412);
    assert_eq!(told["details"]["etag"], "4");
    let told = call().header("if-match", "\"3\", \"4\"").send().await.expect(400);
    assert_eq!(told["violations"][0]["field"], "If-Match");
}

#[tokio::test]
async fn a_removal_is_bound_too_where_its_rpc_takes_no_etag() {
    let world = World::start().await;
    let policy =
        || rollout::Policy { id: ID.to_owned(), etag: "2".to_owned(), ..Default::default() };
    world.rollout.answer("rollout.v1.Policies/GetPolicy", policy());
    world.rollout.answer("rollout.v1.Policies/DeletePolicy", policy());
    let path = format!("/api/v1/policies/{ID}");
    let told = world.delete(&path).header("if-match", "\"1\"").send().await.expect(412);
    assert_eq!(told["reason"], "STALE_ETAG");
    assert_eq!(world.rollout.calls().len(), 1);
    world.delete(&path).header("if-match", "\"2\"").send().await.expect(200);
}
