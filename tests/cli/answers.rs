//! What commands answer: tables for people, JSON for programs.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::server::Server;
use crate::slipway::Machine;

pub const A: &str = "0198f3a4-0000-7000-8000-000000000001";
pub const B: &str = "0198f2c0-0000-7000-8000-000000000002";

fn rollouts() -> Value {
    json!({
        "rollouts": [
            {
                "id": A, "repository": "ghcr.io/edge/gateway", "tag": "5.2.0",
                "status": "in_progress", "state": "running", "device_count": 1200,
                "tally": {"succeeded": 323}, "batches": [],
                "next": "batch 4 about 15:24 (262 to go, then soak 30 min)", "state_detail": null,
            },
            {
                "id": B, "repository": "docker.io/library/redis", "tag": "7.5-alpine",
                "status": "paused", "state": "paused", "state_reason": "CONSECUTIVE_FAILURES",
                "state_detail": "3 failures in a row", "device_count": 25,
                "tally": {"succeeded": 4, "failed": 3}, "next": "you: 3 failures in a row",
            },
        ],
        "pagination": {"total": 2, "limit": 20, "offset": 0},
    })
}

#[test]
fn a_list_is_a_table_with_the_long_column_last() {
    let server = Server::start().on("GET /api/v1/rollouts", rollouts());
    let run = Machine::signed_in(&server).run("rollout list");
    assert_snapshot!(run.answer(), @r"
    ROLLOUT   IMAGE                            DONE  STATE        NEXT
    0198f3a4  ghcr.io/edge/gateway:5.2.0  323/1,200  in progress  batch 4 about 15:24 (262 to go, then soak 30 min)
    0198f2c0  redis:7.5-alpine                 4/25  paused       you: 3 failures in a row
    ");
    assert_eq!(run.err, "");
}

#[test]
fn a_program_gets_the_document_or_the_members_it_asks_for() {
    let server = Server::start().on("GET /api/v1/rollouts", rollouts());
    let machine = Machine::signed_in(&server);
    let whole: Value = serde_json::from_str(machine.run("rollout list --json").answer()).unwrap();
    assert_eq!(whole, rollouts());
    assert_eq!(
        machine.run("rollout list --json=id,status").answer(),
        format!(
            "[{{\"id\":\"{A}\",\"status\":\"in_progress\"}},{{\"id\":\"{B}\",\"status\":\"paused\"}}]\n"
        )
    );
    let misspelt = machine.run("rollout list --json=id,stauts");
    assert!(misspelt.err.contains("nothing here has `stauts`"), "{misspelt:?}");
}

#[test]
fn a_list_follows_the_pages_and_says_where_it_is_cut() {
    let device = |name: &str| {
        json!({"id": A, "name": name, "fleet": "north", "online": true, "in_sync": true,
               "last_seen_at": "2026-11-21T11:59:20Z", "services": []})
    };
    let next =
        [("link", "</api/v1/devices?limit=3&page_token=t1>; rel=\"next\""), ("x-total-count", "3")];
    let total = [("x-total-count", "3")];
    let page = |devices: Value| json!({"devices": devices, "total": 3});
    let pages = || {
        Server::start()
            .answers("GET /api/v1/devices", 200, &next, page(json!([device("a"), device("b")])))
            .answers("GET /api/v1/devices", 200, &total, page(json!([device("c")])))
    };
    let server = pages();
    let run = Machine::signed_in(&server).run("device list --limit 3 --json=name");
    assert_eq!(run.answer(), "[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]\n");
    let lines: Vec<_> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, ["GET /api/v1/devices?limit=3", "GET /api/v1/devices?limit=3&page_token=t1"]);
    let server = pages();
    let run = Machine::signed_in(&server).run("device list --limit 2");
    assert_snapshot!(run.answer(), @r"
    ID        DEVICE  FLEET  STATE  SEEN      RUNS
    0198f3a4  a       north  good   40 s ago
    0198f3a4  b       north  good   40 s ago
    ");
    assert_eq!(run.err, "2 of 3 devices; --limit 3 shows all\n");
}

#[test]
fn text_from_devices_cannot_harm_the_terminal() {
    let device = json!({
        "id": A, "name": "evil\u{1b}[2J\nname", "fleet": "north", "online": false,
        "services": [{"name": "web", "image": "x", "phase": "failed", "message": "\u{9b}31mred"}],
        "target": {"generation": 1, "services": [
            {"name": "web", "image": "docker.io/library/nginx:1", "digest": null, "config": {}},
        ]},
    });
    let server = Server::start().on(&format!("GET /api/v1/devices/{A}"), device);
    let run = Machine::signed_in(&server).run(&format!("device show {A}"));
    assert!(run.answer().contains("evil\\u{1b}[2J\\nname"), "{run:?}");
    assert!(run.out.contains("\\u{9b}31mred"), "{run:?}");
    assert!(!run.out.contains(['\u{1b}', '\u{9b}']), "{run:?}");
}

#[test]
fn status_tells_what_runs_what_moves_and_who_is_needed() {
    let server = Server::start()
        .on(
            "GET /api/v1/health",
            json!({
                "status": "healthy", "version": "0.1.0",
                "services": {"access": "healthy", "rollout": "healthy"},
            }),
        )
        .on(
            "GET /api/v1/fleets",
            json!({"fleets": [
            {"name": "north", "device_count": 1200, "online_count": 1190, "in_sync_count": 1180,
             "template": []},
        ], "total": 1}),
        )
        .on("GET /api/v1/rollouts/active", rollouts())
        .on(
            "GET /api/v1/approval-requests",
            json!({"approval_requests": [
            {"id": B, "status": "pending", "state_detail": "pending", "scope": "tag",
             "repository": "docker.io/library/redis", "tag": "7.6-alpine", "held_pushes": 1},
        ], "total": 1}),
        )
        .on("GET /api/v1/receivers", json!({"receivers": [], "total": 0}))
        .on("GET /api/v1/pushes", json!({"pushes": [], "total": 0}));
    let run = Machine::signed_in(&server).run("status");
    let told = run.answer().replace(&server.url, "http://server");
    assert_snapshot!(told, @r"
    server     http://server (context `test`)
    processes  all well, version 0.1.0
    devices    1,200 in 1 fleet; 1,190 online, 1,180 as they should be

    Needs you
    WHAT                         WHY                       NEXT
    rollout of redis:7.5-alpine  you: 3 failures in a row  slipway rollout explain 0198f2c0-0000-7000
    review of redis:7.6-alpine   new tag, holds 1 push     slipway review show 0198f2c0-0000-7000

    Under way
    ROLLOUT   IMAGE                            DONE  STATE        NEXT
    0198f3a4  ghcr.io/edge/gateway:5.2.0  323/1,200  in progress  batch 4 about 15:24 (262 to go, then soak 30 min)
    0198f2c0  redis:7.5-alpine                 4/25  paused       you: 3 failures in a row

    Fleets
    FLEET  DEVICES  ONLINE  AS IT SHOULD  TEMPLATE
    north    1,200   1,190         1,180
    ");
}

#[test]
fn status_tells_who_answers_and_who_does_not_without_long_waiting() {
    let away = json!({"message": "`rollout` does not answer", "reason": "ROLLOUT_UNREACHABLE"});
    let server = Server::start()
        .on(
            "GET /api/v1/health",
            json!({
                "status": "degraded", "version": "0.1.0",
                "services": {
                    "access": "healthy", "approval": "healthy", "link": "unhealthy",
                    "registry": "healthy", "rollout": "unreachable",
                },
            }),
        )
        .mute_on("GET /api/v1/fleets")
        .answers("GET /api/v1/rollouts/active", 503, &[], away)
        .on("GET /api/v1/approval-requests", json!({"approval_requests": [], "total": 0}))
        .on("GET /api/v1/receivers", json!({"receivers": [], "total": 0}))
        .on(
            "GET /api/v1/pushes",
            json!({"pushes": [{"id": A, "repository": "docker.io/library/redis", "tag": "7.5",
                               "state": "waiting"}], "total": 1}),
        );
    let machine = Machine::signed_in(&server);
    let begun = std::time::Instant::now();
    let run = machine.run("status");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(run.code, 9, "{run:?}");
    assert_snapshot!(run.out.replace(&server.url, "http://server"), @r"
    server     http://server (context `test`)
    processes  link is unhealthy, rollout is unreachable; version 0.1.0

    PROCESS   STATE
    access    answers
    approval  answers
    link      unhealthy
    registry  answers
    rollout   does not answer

    Last pushes
    IMAGE      STATE    WHY
    redis:7.5  waiting
    ");
    assert_eq!(run.err, "not shown, for nobody answered: fleets, rollouts\n");
    let json = machine.run("status --json=fleets,receivers");
    assert_eq!((json.code, &*json.out), (9, "{\"fleets\":null,\"receivers\":[]}\n"));
}

#[test]
fn explain_tells_every_condition_and_the_line_to_type() {
    let server = Server::start().on(
        &format!("GET /api/v1/rollouts/{B}/explain"),
        json!({
            "rollout": rollouts()["rollouts"][1],
            "checks": [
                {"name": "the rollout runs", "result": "fail", "detail": "3 failures in a row"},
                {"name": "approved", "result": "pass", "detail": ""},
            ],
            "blocked_by": "the rollout runs: 3 failures in a row",
            "next_step": format!("slipway rollout resume {B}"),
        }),
    );
    let run = Machine::signed_in(&server).run(&format!("rollout explain {B}"));
    assert_snapshot!(run.answer(), @r"
    redis:7.5-alpine  paused: 3 failures in a row

    x the rollout runs  3 failures in a row
    v approved

    not met: the rollout runs: 3 failures in a row
    ");
    assert_eq!(run.err, format!("next: slipway rollout resume {B}\n"));
}
