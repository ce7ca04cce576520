//! The gate's settings.

use proto::reason;
use proto::registry::v1 as pb;
use runtime::Code;

use crate::harness::{Registry, Who, mask, refused};

fn namespace(host: &str, namespace: &str) -> pb::InternalNamespace {
    pb::InternalNamespace { host: host.to_owned(), namespace: namespace.to_owned() }
}

fn update(gate: pb::GateSettings, paths: &[&str]) -> pb::UpdateGateRequest {
    pb::UpdateGateRequest { gate: Some(gate), update_mask: Some(mask(paths)) }
}

#[tokio::test]
async fn the_gate_begins_as_the_documents_say() {
    let registry = Registry::start().await;
    let gate =
        registry.gate(Who::Viewer).get_gate(pb::GetGateRequest {}).await.unwrap().into_inner();
    assert_eq!(gate.unknown_tag(), pb::UnknownTag::AutoAdd);
    assert_eq!(gate.verify_upstream(), pb::VerifyUpstream::Warn);
    assert_eq!(gate.repin(), pb::Repin::Auto);
    assert_eq!(
        gate.internal_namespaces,
        [namespace("docker.io", "iotistic"), namespace("ghcr.io", "dsamborschi")]
    );
}

#[tokio::test]
async fn only_the_rules_of_the_mask_change() {
    let registry = Registry::start().await;
    let new = pb::GateSettings {
        unknown_tag: pb::UnknownTag::Request.into(),
        verify_upstream: pb::VerifyUpstream::Require.into(),
        internal_namespaces: vec![
            namespace("registry-1.docker.io", "acme"),
            namespace("docker.io", "acme"),
        ],
        ..Default::default()
    };
    let request = update(new, &["unknown_tag", "internal_namespaces"]);
    let after = registry.gate(Who::Operator).update_gate(request).await.unwrap().into_inner();
    assert_eq!(after.unknown_tag(), pb::UnknownTag::Request);
    assert_eq!(after.verify_upstream(), pb::VerifyUpstream::Warn);
    assert_eq!(after.internal_namespaces, [namespace("docker.io", "acme")], "one spelling, once");
    let read =
        registry.gate(Who::Viewer).get_gate(pb::GetGateRequest {}).await.unwrap().into_inner();
    assert_eq!(read, after);
    let event = registry.events().await.pop().unwrap();
    assert_eq!((&event["type"], &event["actor"]["id"]), (&"gate.updated".into(), &"otto".into()));
    assert_eq!(
        (&event["before"]["unknown_tag"], &event["after"]["unknown_tag"]),
        (&"auto_add".into(), &"request".into())
    );

    let request = update(after.clone(), &["unknown_tag", "repin"]);
    let same = registry.gate(Who::Operator).update_gate(request).await.unwrap().into_inner();
    assert_eq!((same, registry.events().await.len()), (after, 1), "a repeat changes nothing");
}

#[tokio::test]
async fn the_gate_refuses_what_it_does_not_know() {
    let registry = Registry::start().await;
    let settings = pb::GateSettings::default();
    let many = vec![namespace("docker.io", "a"); 101];
    for (gate, paths, field) in [
        (settings.clone(), &[][..], "update_mask"),
        (settings.clone(), &["etag"], "update_mask"),
        (settings.clone(), &["unknown_tag"], "gate.unknown_tag"),
        (settings.clone(), &["verify_upstream"], "gate.verify_upstream"),
        (
            pb::GateSettings { verify_upstream: 9, ..settings.clone() },
            &["verify_upstream"],
            "gate.verify_upstream",
        ),
        (settings.clone(), &["repin"], "gate.repin"),
        (pb::GateSettings { repin: 2, ..settings.clone() }, &["repin"], "gate.repin"),
        (
            pb::GateSettings {
                internal_namespaces: vec![namespace("docker.io", "")],
                ..settings.clone()
            },
            &["internal_namespaces"],
            "gate.internal_namespaces",
        ),
        (
            pb::GateSettings { internal_namespaces: many, ..settings },
            &["internal_namespaces"],
            "gate.internal_namespaces",
        ),
    ] {
        let problem = refused(registry.gate(Who::Admin).update_gate(update(gate, paths)).await);
        assert_eq!(problem.code(), Code::InvalidArgument, "{paths:?}");
        assert_eq!(problem.field_violations()[0].field, field);
    }
    let missing = pb::UpdateGateRequest { gate: None, update_mask: Some(mask(&["repin"])) };
    let problem = refused(registry.gate(Who::Admin).update_gate(missing).await);
    assert_eq!(problem.field_violations()[0].field, "gate");
    assert!(registry.events().await.is_empty());
}

#[tokio::test]
async fn a_gate_that_has_changed_since_is_not_changed() {
    let registry = Registry::start().await;
    let seen =
        registry.gate(Who::Admin).get_gate(pb::GetGateRequest {}).await.unwrap().into_inner();
    let first = pb::GateSettings { unknown_tag: pb::UnknownTag::Deny.into(), ..seen.clone() };
    registry.gate(Who::Admin).update_gate(update(first, &["unknown_tag"])).await.unwrap();
    let second = pb::GateSettings { unknown_tag: pb::UnknownTag::Request.into(), ..seen };
    let problem =
        refused(registry.gate(Who::Admin).update_gate(update(second, &["unknown_tag"])).await);
    assert_eq!((problem.code(), problem.reason()), (Code::Aborted, reason::STALE_ETAG));
}
