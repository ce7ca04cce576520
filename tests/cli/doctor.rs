//! `slipway doctor`: what is wrong, and how to mend it.

use serde_json::{Value, json};

use crate::server::Server;
use crate::slipway::Machine;

fn server(rollout: &str) -> Server {
    let list = |member: &str, items: Value| json!({member: items, "total": 0});
    Server::start()
        .on("GET /api/v1/health", json!({
            "status": "degraded", "version": env!("CARGO_PKG_VERSION"),
            "services": {"access": "healthy", "rollout": rollout},
        }))
        .on("GET /api/v1/me", json!({
            "kind": "user", "id": "alice", "name": "alice", "role": "admin",
            "expires_at": "2026-11-22T12:00:00Z",
        }))
        .on("GET /api/v1/fleets", list("fleets", json!([
            {"name": "north", "device_count": 10, "online_count": 2, "in_sync_count": 2},
        ])))
        .on("GET /api/v1/rollouts/active", list("rollouts", json!([])))
        .on("GET /api/v1/pushes", list("pushes", json!([])))
        .on("GET /api/v1/receivers", list("receivers", json!([
            {"name": "hub", "refused_since": 14, "last_refusal": "the signature is wrong"},
        ])))
        .answers("GET /api/v1/enrolment-keys", 403, &[], json!({
            "message": "you may not", "reason": "PERMISSION_MISSING",
        }))
        .on("GET /api/v1/image-registries", json!([
            {"id": 1, "name": "hub", "url": "https://registry-1.docker.io", "host": "docker.io"},
        ]))
        .on("POST /api/v1/image-registries/1/test", json!({"ok": true, "detail": "", "latency_ms": 7}))
}

#[test]
fn each_finding_comes_with_its_fix_and_a_failure_ends_with_1() {
    let server = server("unreachable");
    let run = Machine::signed_in(&server).run("doctor");
    assert_eq!(run.code, 1, "{run:?}");
    for told in [
        "ok    access                healthy\n",
        "fail  rollout               unreachable\n      fix: look at the log of `rollout`",
        "warn  signed in             as alice (admin); the token ends in 24 h\n",
        "warn  devices               10 devices, 2 online\n      fix: slipway device list --offline\n",
        "warn  receivers             `hub` refused the last 14: the signature is wrong\n",
        "ok    enrolment keys        not looked at: your role may not read it\n",
        "ok    registry hub          answers in 7 ms\n",
    ] {
        assert!(run.out.contains(told), "{told}\n{}", run.out);
    }
    assert!(run.out.contains("\n1 failure, "), "{}", run.out);
}

#[test]
fn warnings_alone_do_not_fail_and_programs_get_all_findings() {
    let server = server("healthy");
    let run = Machine::signed_in(&server).run("doctor --offline --json");
    let findings: Vec<Value> = serde_json::from_str(run.answer()).unwrap();
    let result = |name: &str| {
        let finding = findings.iter().find(|finding| finding["name"] == name);
        finding.map(|finding| finding["result"].clone()).unwrap_or_default()
    };
    assert_eq!(result("rollout"), "ok");
    assert_eq!(result("devices"), "warn");
    assert_eq!(result("registry hub"), Value::Null, "--offline asks no registry");
}

#[test]
fn a_server_that_is_away_is_the_finding() {
    let machine = Machine::new();
    let run = machine.run("doctor --url http://127.0.0.1:1");
    assert_eq!(run.code, 1);
    assert!(
        run.out.contains("fail  server                http://127.0.0.1:1 does not answer"),
        "{run:?}"
    );
}
