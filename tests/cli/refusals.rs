//! What goes wrong: what, the next step, the reason, and the exit code that scripts act on.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::answers::A;
use crate::server::Server;
use crate::slipway::Machine;

fn review() -> Value {
    json!({"id": A, "status": "pending", "state_detail": "pending", "scope": "image",
           "repository": "docker.io/library/memcached", "evidence_hash": "abc"})
}

#[test]
fn a_refusal_tells_what_the_next_step_the_reason_and_the_request() {
    let server =
        Server::start().on(&format!("GET /api/v1/approval-requests/{A}"), review()).answers(
            &format!("POST /api/v1/approval-requests/{A}/approve"),
            403,
            &[],
            json!({
                "error": "Self review",
                "message": format!("review `{A}` asks for another person: you pushed this image"),
                "reason": "SELF_REVIEW", "request_id": "7c1e",
            }),
        );
    let run = Machine::signed_in(&server).run(&format!("review approve {A}"));
    assert_snapshot!(run.failure(4), @r"
    error: review `0198f3a4-0000-7000-8000-000000000001` asks for another person: you pushed this image
      hint: another person with the role approver can vote; `slipway review show 0198f3a4-0000-7000`
      reason: SELF_REVIEW  request: 7c1e
    ");
    let vote = server.only(&format!("POST /api/v1/approval-requests/{A}/approve"));
    assert_eq!(vote.body, json!({"evidence_hash": "abc"}), "the vote is bound to what was seen");
}

#[test]
fn a_name_that_is_not_there_gets_the_nearest() {
    let device = |name: &str| json!({"id": A, "name": name});
    let server = Server::start().on(
        "GET /api/v1/devices",
        json!({"devices": [device("north-001"), device("south-002")], "total": 2}),
    );
    let machine = Machine::signed_in(&server);
    assert_snapshot!(machine.run("device show nroth-001").failure(3), @r"
    error: there is no device `nroth-001`
      hint: did you mean `north-001`?
    ");
    let wrong_noun = machine.run("rolout list");
    assert!(wrong_noun.failure(2).contains("rollout"), "{wrong_noun:?}");
    let wrong_context = machine.run("status --context tset");
    assert!(wrong_context.failure(3).contains("did you mean `test`?"), "{wrong_context:?}");
}

#[test]
fn whoever_is_not_signed_in_gets_the_line_that_signs_in() {
    let server = Server::start().answers("GET /api/v1/me", 401, &[], json!({
        "error": "Token unknown", "message": "the token is not known", "reason": "TOKEN_UNKNOWN",
    }));
    assert_snapshot!(Machine::signed_in(&server).run("whoami").failure(4), @r"
    error: the token is not known
      hint: `slipway login --context test < FILE` signs in with the token in FILE
      reason: TOKEN_UNKNOWN
    ");
}

#[test]
fn what_the_gate_refuses_has_a_code_of_its_own() {
    let server = Server::start().answers(
        "POST /api/v1/rollouts",
        403,
        &[],
        json!({
            "error": "Image not approved", "reason": "IMAGE_NOT_APPROVED",
            "message": "Image 'memcached' is not in the approved registry",
            "details": {"review_id": A},
        }),
    );
    let run = Machine::signed_in(&server).run("rollout create memcached:1.6");
    assert_snapshot!(run.failure(6), @r"
    error: Image 'memcached' is not in the approved registry
      hint: `slipway review show 0198f3a4-0000-7000`
      reason: IMAGE_NOT_APPROVED
    ");
    let asked = server.only("POST /api/v1/rollouts").body;
    assert_eq!(asked, json!({"image": "docker.io/library/memcached:1.6"}));
}

#[test]
fn a_wrong_state_is_a_conflict() {
    let rollout = json!({"rollout": {"id": A, "status": "completed", "state": "succeeded"}});
    let server = Server::start().on(&format!("GET /api/v1/rollouts/{A}/explain"), rollout).answers(
        &format!("POST /api/v1/rollouts/{A}/pause"),
        409,
        &[],
        json!({
            "message": "the rollout has ended", "reason": "ROLLOUT_ENDED",
        }),
    );
    let run = Machine::signed_in(&server).run(&format!("rollout pause {A}"));
    assert!(run.failure(5).contains("`slipway rollout explain 0198f3a4-0000-7000`"), "{run:?}");
}

#[test]
fn a_server_that_is_away_is_named_with_its_context_and_at_once() {
    // A port that nobody listens on: it was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let machine = Machine::new();
    machine.run(&format!("context add edge http://127.0.0.1:{port}")).answer();
    let begun = Instant::now();
    let run = machine.run("image list");
    let told = run.failure(9).replace(&port.to_string(), "PORT");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(
        told.starts_with("error: http://127.0.0.1:PORT (context `edge`) does not answer: "),
        "{told}"
    );
    assert!(told.contains("hint: `slipway up` starts Slipway on this machine"), "{told}");
    let told = machine.run("image list -v");
    assert!(told.failure(9).contains("\n  cause: "), "{told:?}");
}

#[test]
fn what_concerns_the_whole_fleet_is_asked_for_and_off_a_terminal_not_done() {
    let server = Server::start();
    let run = Machine::signed_in(&server)
        .run("policy create all --images redis:* --strategy auto --whole-fleet");
    assert!(run.failure(2).contains("this policy takes the whole fleet"), "{run:?}");
    assert!(run.err.contains("(context `test`): this needs --yes"), "{run:?}");
    assert!(server.seen().is_empty(), "nothing was sent");
}

#[test]
fn an_answer_that_is_none_is_an_error_and_no_panic() {
    let server = Server::start().on("GET /api/v1/rollouts", json!({"something": "else"})).answers(
        "GET /api/v1/devices",
        502,
        &[],
        Value::Null,
    );
    let machine = Machine::signed_in(&server);
    assert!(machine.run("rollout list").failure(1).contains("not what this command knows"));
    assert!(machine.run("device list").failure(9).contains("answered 502 Bad Gateway"));
}
