//! What commands say is what happens: in the words of the command line, with the next step.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::answers::{A, B};
use crate::server::Server;
use crate::slipway::Machine;
use crate::terminal;

#[test]
fn a_promoted_batch_begins_when_the_one_before_is_complete() {
    let route = format!("GET /api/v1/rollouts/{A}/explain");
    let rollout = |status: &str| {
        json!({"rollout": {
            "id": A, "repository": "docker.io/library/redis", "tag": "7.5", "status": status,
            "state": "running", "device_count": 3, "tally": {"active": 1},
            "batches": [{"number": 1, "size": 2, "state": "running"},
                        {"number": 2, "size": 1, "state": "waiting"}],
        }})
    };
    for (status, when) in [
        ("in_progress", "begins as soon as batch 1 is complete"),
        ("paused", "begins when the rollout is resumed and batch 1 is complete"),
    ] {
        let server = Server::start()
            .on(&route, rollout(status))
            .on(&format!("POST /api/v1/rollouts/{A}/promote"), json!({"status": status}));
        let run = Machine::signed_in(&server).run(&format!("rollout promote {A}"));
        assert_eq!(run.answer(), format!("Batch 2 of redis:7.5 (1 device) {when}.\n"));
    }
}

fn review(status: &str) -> Value {
    json!({"id": A, "status": status, "state_detail": status, "scope": "image",
           "repository": "docker.io/library/memcached", "reviewed_by": "alice"})
}

#[test]
fn a_rejected_reviews_pushes_do_not_go_on() {
    let mut rejected = review("rejected");
    rejected["redriven"] = json!([{"push_id": B, "state": "received", "outcome": null}]);
    let server = Server::start()
        .on(&format!("GET /api/v1/approval-requests/{A}"), review("pending"))
        .on(&format!("POST /api/v1/approval-requests/{A}/reject"), rejected);
    let run = Machine::signed_in(&server).run(&format!("review reject {A} --reason old"));
    assert_eq!(run.answer(), "Rejected memcached; its push is denied.\n");
}

#[test]
fn a_review_that_is_decided_is_told_with_what_still_can_be_changed() {
    let server =
        Server::start().on(&format!("GET /api/v1/approval-requests/{A}"), review("approved"));
    let run = Machine::signed_in(&server).run(&format!("review approve {A}"));
    insta::assert_snapshot!(run.failure(5), @r"
    error: the review of memcached is approved by alice already; nothing is left to decide
      hint: `slipway image approve memcached` and `slipway image reject memcached` change it
      reason: REVIEW_DECIDED
    ");
}

#[test]
fn a_push_tells_what_came_of_it_and_why() {
    let push = |tag: &str, outcome: &str, rollout: Value, last: &str| {
        json!({"id": A, "repository": "docker.io/library/redis", "tag": tag, "state": "done",
               "outcome": outcome, "decision": "allow", "rollout_id": rollout,
               "reasons": [{"code": "IMAGE_APPROVED", "message": "the image is approved"},
                           {"code": "LAST", "message": last}]})
    };
    let server = Server::start().on(
        "GET /api/v1/pushes",
        json!({"pushes": [
            push("7.4", "rollout", json!(B), "rollout `x` brings it"),
            push("7.5", "no_policy", Value::Null, "no enabled policy matches `redis:7.5`"),
        ], "total": 2}),
    );
    let run = Machine::signed_in(&server).run("push list");
    insta::assert_snapshot!(run.answer(), @r"
    PUSH      IMAGE      CAME  STATE             WHY
    0198f3a4  redis:7.4        became a rollout  slipway rollout show 0198f2c0-0000-7000
    0198f3a4  redis:7.5        nothing to do     no enabled policy matches `redis:7.5`
    ");
}

#[test]
fn a_new_rollout_is_not_said_to_stand_still() {
    let made = json!({"id": A, "repository": "docker.io/library/redis", "tag": "7.5",
                      "status": "pending", "state": "pending", "device_count": 1});
    let server = Server::start().answers("POST /api/v1/rollouts", 201, &[], made);
    let run = Machine::signed_in(&server).run("rollout create redis:7.5");
    assert_eq!(run.answer(), "Made a rollout of redis:7.5 for 1 device.\n");
    assert!(run.err.contains("slipway rollout start 0198f3a4-0000-7000"), "{run:?}");
}

#[test]
fn what_lacks_a_database_names_the_flags_that_say_where_it_is() {
    let machine = Machine::new();
    for command in ["psql", "check"] {
        let run = machine.run(&format!("{command} --data-dir /nonexistent"));
        let said = run.failure(1);
        for part in ["/nonexistent/roles/reader.url", "--data-dir", "--database-url-file"] {
            assert!(said.contains(part), "{command}: {part}: {said}");
        }
    }
    // Port 1 refuses; the cause is told once.
    let url = machine.file("url", "postgres://slipway_reader:x@127.0.0.1:1/slipway");
    let run = machine.run(&format!("check --database-url-file {}", url.display()));
    let said = run.failure(1);
    assert!(said.contains("the database does not answer; start `slipway up`"), "{said}");
    assert!(said.matches("refused").count() < 2, "{said}");
}

#[test]
fn what_the_server_says_of_members_is_hinted_at_in_flags() {
    let server = Server::start()
        .answers(
            "POST /api/v1/receivers",
            400,
            &[],
            json!({"message": "`secret`: is missing; give one, or say `allow_unauthenticated`",
                   "reason": "INVALID_ARGUMENT"}),
        )
        .on("GET /api/v1/gate", json!({"unknown_tag": "request", "verify_upstream": "off"}))
        .on("PUT /api/v1/gate", json!({}));
    let machine = Machine::signed_in(&server);
    let run = machine.run("receiver add hub --vendor generic");
    let said = run.failure(2);
    assert!(said.contains("hint: --secret-file FILE gives a secret; --allow-unauth"), "{said}");
    // Both spellings are taken; the one that is shown is the flag's.
    let run = machine.run("gate set --unknown-tag auto_add --yes");
    assert!(run.answer().starts_with("Changed the gate: auto-add: "), "{run:?}");
    assert_eq!(server.only("PUT /api/v1/gate").body, json!({"unknown_tag": "auto_add"}));
}

#[test]
fn rejecting_an_image_is_asked_for_at_a_terminal() {
    let server = Server::start();
    let machine = Machine::signed_in(&server);
    let (mut person, screen) = terminal::open();
    let mut command = machine.command("image reject redis");
    command.stdin(screen.try_clone().unwrap()).stderr(screen).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    person.write_all(b"n\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(server.seen().is_empty(), "nothing was sent");
}
