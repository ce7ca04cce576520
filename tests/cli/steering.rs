//! What changes things: what is sent, what is told, and how it is undone.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::answers::A;
use crate::server::Server;
use crate::slipway::Machine;

fn rollout(active: u64) -> Value {
    json!({"rollout": {
        "id": A, "repository": "ghcr.io/edge/gateway", "tag": "5.2.0", "status": "in_progress",
        "state": "running", "device_count": 1200, "tally": {"succeeded": 300, "active": active},
        "batches": [
            {"number": 1, "size": 600, "state": "complete"},
            {"number": 2, "size": 600, "state": "waiting"},
        ],
    }})
}

#[test]
fn a_pause_says_what_still_moves_and_how_to_go_on() {
    let server = Server::start()
        .on(&format!("GET /api/v1/rollouts/{A}/explain"), rollout(41))
        .on(&format!("POST /api/v1/rollouts/{A}/pause"), json!({"status": "paused"}));
    let run = Machine::signed_in(&server).run(&format!("rollout pause {A} --reason noon"));
    assert_eq!(
        run.answer(),
        "Paused ghcr.io/edge/gateway:5.2.0; 41 devices finish what they began.\n"
    );
    assert_eq!(run.err, "undo: slipway rollout resume 0198f3a4-0000-7000\n");
    let sent = server.only(&format!("POST /api/v1/rollouts/{A}/pause"));
    assert_eq!(sent.body, json!({"reason": "noon"}));
}

#[test]
fn the_beginning_of_an_id_is_enough_and_the_next_batch_is_found() {
    let server = Server::start()
        .on("GET /api/v1/rollouts/0198f3a4/explain", rollout(0))
        .on(&format!("GET /api/v1/rollouts/{A}/explain"), rollout(0))
        .on(&format!("POST /api/v1/rollouts/{A}/promote"), json!({"status": "in_progress"}));
    let run = Machine::signed_in(&server).run("rollout advance 0198f3a4");
    assert_eq!(run.answer(), "Batch 2 of ghcr.io/edge/gateway:5.2.0 (600 devices) begins now.\n");
    let sent = server.only(&format!("POST /api/v1/rollouts/{A}/promote"));
    assert_eq!(sent.body, json!({"batch": 2}));
}

#[test]
fn taking_many_devices_back_is_asked_for_first() {
    let server = Server::start()
        .on(&format!("GET /api/v1/rollouts/{A}/explain"), rollout(0))
        .on(&format!("POST /api/v1/rollouts/{A}/cancel"), json!({"status": "cancelled"}));
    let machine = Machine::signed_in(&server);
    let run = machine.run(&format!("rollout cancel {A} --revert"));
    assert!(run.failure(2).contains("this takes ghcr.io/edge/gateway:5.2.0 back: 300 devices"));
    let run = machine.run(&format!("rollout cancel {A} --revert --yes"));
    assert_eq!(run.answer(), "Cancelled ghcr.io/edge/gateway:5.2.0; 300 devices go back.\n");
    let sent = server.only(&format!("POST /api/v1/rollouts/{A}/cancel"));
    assert_eq!(sent.body, json!({"mode": "revert"}));
}

#[test]
fn a_target_changes_one_service_and_keeps_the_others_by_digest() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let service = |name: &str, image: &str| json!({"name": name, "image": image, "digest": digest, "config": {}});
    let before = json!({"generation": 7, "etag": "e7", "services": [
        service("cache", "docker.io/library/redis:7-alpine"),
        service("web", "docker.io/library/nginx:1"),
    ]});
    let after = json!({"generation": 8, "etag": "e8", "services": [
        service("cache", "docker.io/library/redis:7-alpine"),
        service("web", "docker.io/library/nginx:2"),
    ]});
    let route = format!("/api/v1/devices/{A}/target");
    let server = Server::start()
        .answers(&format!("GET {route}"), 200, &[("etag", "\"e7\"")], before)
        .on(&format!("PUT {route}"), after);
    let run = Machine::signed_in(&server).run(&format!("device target {A} --set web=nginx:2"));
    assert!(run.answer().contains("should run 2 services now (generation 8)"), "{run:?}");
    assert_eq!(run.err, format!("undo: slipway device target {A} --set web=nginx:1\n"));
    let sent = server.only(&format!("PUT {route}"));
    assert_eq!(sent.headers["if-match"], "\"e7\"", "bound to what was seen");
    assert_eq!(
        sent.body,
        json!({"services": [
            {"name": "cache", "image": format!("docker.io/library/redis:7-alpine@{digest}")},
            {"name": "web", "image": "docker.io/library/nginx:2"},
        ]})
    );
}

#[test]
fn labels_are_set_and_taken_away_and_the_undo_brings_them_back() {
    let device = json!({"id": A, "name": "north-001", "fleet": "north",
                        "labels": {"line": "3", "old": "x"}});
    let route = format!("/api/v1/devices/{A}");
    let server = Server::start()
        .on(&format!("GET {route}"), device.clone())
        .on(&format!("PATCH {route}"), device);
    let run = Machine::signed_in(&server).run(&format!("device label {A} line=4 hall=7 old-"));
    assert_eq!(run.answer(), "north-001 has hall=7, line=4.\n");
    assert_eq!(run.err, format!("undo: slipway device label {A} line=3 hall- old=x\n"));
    let sent = server.only(&format!("PATCH {route}"));
    assert_eq!(sent.body, json!({"labels": {"hall": "7", "line": "4"}}));
}

#[test]
fn a_policy_is_applied_by_its_name_and_what_is_left_out_gets_its_default() {
    let known = json!({
        "id": A, "name": "redis-staged", "etag": "3", "revision": 3, "image_pattern": "redis:*",
        "update_strategy": "staged", "enabled": true, "device_selector": {"fleet": "north"},
        "batch_size": 3, "whole_fleet": false,
    });
    let mut changed = known.clone();
    changed["revision"] = json!(4);
    changed["batch_size"] = Value::Null;
    let server = Server::start()
        .on("GET /api/v1/policies", json!({"policies": [known], "total": 1}))
        .on(&format!("PUT /api/v1/policies/{A}"), changed);
    let document = json!({"name": "redis-staged", "image_pattern": "redis:*",
                          "update_strategy": "staged", "device_selector": {"fleet": "north"}});
    let run = Machine::signed_in(&server).run_with("policy apply -", &document.to_string());
    assert_snapshot!(run.answer(), @"Changed the policy `redis-staged` (revision 4): pushes of redis:* go to fleet north, 10 %, 50 %, 100 %.");
    let sent = server.only(&format!("PUT /api/v1/policies/{A}"));
    assert_eq!(sent.headers["if-match"], "\"3\"");
    assert_eq!(sent.body["batch_size"], Value::Null);
    assert_eq!(sent.body.get("id"), None);
}

#[test]
fn a_preview_finds_the_policy_that_a_push_would_follow() {
    let policy = |id: &str, name: &str, pattern: &str, enabled: bool| {
        json!({"id": id, "name": name, "image_pattern": pattern, "enabled": enabled,
               "update_strategy": "staged", "revision": 1, "etag": "1", "whole_fleet": true})
    };
    let server = Server::start()
        .on("GET /api/v1/policies", json!({"policies": [
            policy("1", "off", "redis:*", false),
            policy("2", "other", "nginx:*", true),
            policy("3", "mine", "redis:*", true),
        ], "total": 3}))
        .on("POST /api/v1/policies/preview", json!({
            "devices": 3, "excluded_count": 1,
            "batches": [
                {"number": 1, "size": 1, "devices": [{"id": A, "name": "north-001"}]},
                {"number": 2, "size": 2, "devices": [
                    {"id": A, "name": "north-002"}, {"id": A, "name": "north-003"},
                ]},
            ],
            "excluded": [{"device": {"id": A, "name": "south-001"}, "reason": "ALREADY_RUNNING"}],
        }));
    let run = Machine::signed_in(&server).run("rollout preview redis:7.5-alpine");
    assert_snapshot!(run.answer(), @r"
    redis:7.5-alpine would go to 3 devices in 2 batches

    BATCH  SIZE  DEVICES
        1     1  north-001
        2     2  north-002 .. north-003

    1 device left out
    DEVICE     WHY
    south-001  it runs this already
    ");
    assert_eq!(run.err, "policy: mine\n");
    let sent = server.only("POST /api/v1/policies/preview").body;
    assert_eq!(sent["policy"]["name"], "mine");
    assert_eq!(sent["policy"].get("etag"), None, "what only the server writes is not sent back");
}

#[test]
fn a_secret_that_is_shown_once_is_the_whole_answer() {
    let server = Server::start().answers(
        "POST /api/v1/enrolment-keys",
        201,
        &[],
        json!({
            "id": A, "name": "line-3", "fleet": "north", "key": "dek_abc", "used": 0,
        }),
    );
    let run =
        Machine::signed_in(&server).run("enrolment-key create line-3 --fleet north --quota 50");
    assert_eq!(run.answer(), "dek_abc\n");
    assert!(run.err.contains("It is not shown again."), "{run:?}");
    let sent = server.only("POST /api/v1/enrolment-keys").body;
    assert_eq!(sent, json!({"name": "line-3", "fleet": "north", "quota": 50}));
}
