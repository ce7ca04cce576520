//! What goes along with a call, and what does not.

use proto::registry::v1 as pb;
use runtime::auth::{CALLER_AGENT, CALLER_IP, ON_BEHALF_OF, RELAY};

use crate::world::{GATEWAY, World};

const GATE: &str = "registry.v1.Gate/GetGate";

#[tokio::test]
async fn a_call_is_the_callers_and_proves_who_relays_it() {
    let world = World::start().await;
    world.registry.answer(GATE, pb::GateSettings::default());
    let call = world.get("/api/v1/gate").token("ghd_alice").header("user-agent", "curl/8.5.0");
    call.send().await.expect(200);
    let seen = &world.registry.calls()[0];
    assert_eq!(seen.header("authorization"), "Bearer ghd_alice");
    assert_eq!(seen.header(RELAY), GATEWAY);
    assert_eq!(seen.header(CALLER_IP), "127.0.0.1");
    assert_eq!(seen.header(CALLER_AGENT), "curl/8.5.0");
}

#[tokio::test]
async fn what_a_caller_forges_goes_nowhere() {
    let world = World::start().await;
    world.registry.answer(GATE, pb::GateSettings::default());
    let mut call = world.get("/api/v1/gate").header("x-forwarded-for", "10.0.0.1");
    for name in [RELAY, CALLER_IP, CALLER_AGENT, ON_BEHALF_OF, "x-slipway-anything"] {
        call = call.header(name, "forged");
    }
    call.send().await.expect(200);
    let seen = &world.registry.calls()[0];
    assert!(seen.headers.values().all(|value| value != "forged"), "{:?}", seen.headers);
    assert_eq!((seen.header(RELAY), seen.header(CALLER_IP)), (GATEWAY, "127.0.0.1"));
    assert_eq!((seen.header("authorization"), seen.header(CALLER_AGENT)), ("", ""));
}

#[tokio::test]
async fn a_broken_credential_is_handed_on_and_never_left_out() {
    let world = World::start().await;
    world.registry.answer(GATE, pb::GateSettings::default());
    let call = world.get("/api/v1/gate");
    call.header("authorization", "Bearer caf\u{e9}").send().await;
    assert_eq!(world.registry.calls()[0].header("authorization"), "unreadable");
}

#[tokio::test]
async fn a_request_id_goes_through_or_is_made() {
    let world = World::start().await;
    world.registry.answer(GATE, pb::GateSettings::default());
    let named = world.get("/api/v1/gate").header("x-request-id", "order-7").send().await;
    assert_eq!(named.header("x-request-id"), "order-7");
    let odd = world.get("/api/v1/gate").header("x-request-id", "a b").send().await;
    let made = odd.header("x-request-id").to_owned();
    assert!(uuid::Uuid::try_parse(&made).is_ok(), "{made}");
    let ids: Vec<_> =
        world.registry.calls().iter().map(|call| call.header("x-request-id").to_owned()).collect();
    assert_eq!(ids, ["order-7", made.as_str()]);
}

#[tokio::test]
async fn a_trace_goes_through() {
    let world = World::start().await;
    world.registry.answer(GATE, pb::GateSettings::default());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    world.get("/api/v1/gate").header("traceparent", trace).send().await.expect(200);
    assert_eq!(world.registry.calls()[0].header("traceparent"), trace);
}
