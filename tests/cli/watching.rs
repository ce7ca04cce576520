//! Watching a rollout: lines for logs, a tree for people, and an end with a code.

use std::io::Read as _;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::answers::A;
use crate::server::Server;
use crate::slipway::Machine;
use crate::terminal;

fn picture(status: &str, state: &str, first: Value, second: Value) -> Value {
    let succeeded =
        [&first, &second].map(|tally| tally["succeeded"].as_u64().unwrap_or(0)).iter().sum::<u64>();
    let failed =
        [&first, &second].map(|tally| tally["failed"].as_u64().unwrap_or(0)).iter().sum::<u64>();
    let reverted =
        [&first, &second].map(|tally| tally["reverted"].as_u64().unwrap_or(0)).iter().sum::<u64>();
    let is_first_done = first["active"].as_u64().unwrap_or(0) == 0;
    let batch = |number: u64, state: &str, size: u64, tally: Value| json!({"number": number, "size": size, "state": state, "tally": tally, "gated": false});
    json!({"rollout": {
        "id": A, "repository": "docker.io/library/redis", "tag": "7.5-alpine",
        "status": status, "state": state, "device_count": 10, "next": null,
        "state_detail": (state == "rolled_back").then_some("2 of 10 failed, 1 allowed"),
        "tally": {"succeeded": succeeded, "failed": failed, "reverted": reverted},
        "batches": [
            batch(1, if is_first_done { "complete" } else { "running" }, 4, first),
            batch(2, if is_first_done { "running" } else { "waiting" }, 6, second),
        ],
    }, "checks": []})
}

fn failing() -> Value {
    json!({"devices": [{
        "device_id": A, "device_name": "north-003", "status": "failed", "state": "failed",
        "batch_number": 2, "attempt": 1, "reason": "HEALTH_CHECK_FAILED", "message": null,
    }], "total": 1})
}

fn goes_well() -> Server {
    let route = format!("GET /api/v1/rollouts/{A}/explain");
    let running = |first, second| picture("in_progress", "running", first, second);
    Server::start()
        .rings_for(A)
        .on(&route, running(json!({"active": 4}), json!({"queued": 6})))
        .on(&route, running(json!({"succeeded": 4}), json!({"active": 4, "queued": 2})))
        .on(&route, running(json!({"succeeded": 4}), json!({"succeeded": 5, "failed": 1})))
        .on(
            &route,
            picture(
                "completed",
                "succeeded",
                json!({"succeeded": 4}),
                json!({"succeeded": 5, "failed": 1}),
            ),
        )
        .on(&format!("GET /api/v1/rollouts/{A}/devices"), failing())
}

#[test]
fn off_a_terminal_every_change_is_a_line_and_every_failing_device_is_told() {
    let server = goes_well();
    let run = Machine::signed_in(&server).run(&format!("rollout watch {A}"));
    assert_snapshot!(run.answer(), @r"
    12:00:00 rollout=0198f3a4-0000-7000-8000-000000000001 image=redis:7.5-alpine devices=10
    12:00:00 batch=1 ok=0 failed=0 moving=4 waiting=0 next=soak
    12:00:00 batch=2 ok=0 failed=0 moving=4 waiting=2 next=end
    12:00:00 device=north-003 batch=2 attempt=1 failed: health check failed
    12:00:00 batch=2 ok=5 failed=1 moving=0 waiting=0 next=end
    12:00:00 batch=2 ok=5 failed=1 moving=0 waiting=0 next=none state=completed
    redis:7.5-alpine is on 9 devices.
    ");
    assert!(!run.out.contains('\u{1b}'), "{run:?}");
}

#[test]
fn a_rollout_that_went_back_ends_the_watch_with_its_own_code() {
    let route = format!("GET /api/v1/rollouts/{A}/explain");
    let server = Server::start()
        .rings_for(A)
        .on(
            &route,
            picture("in_progress", "rolling_back", json!({"reverting": 4}), json!({"queued": 6})),
        )
        .on(
            &route,
            picture("rolled_back", "rolled_back", json!({"reverted": 4}), json!({"cancelled": 6})),
        );
    let run = Machine::signed_in(&server).run(&format!("rollout watch {A}"));
    assert_eq!(run.code, 8, "{run:?}");
    assert!(run.out.contains("restored=0"), "{run:?}");
    assert!(
        run.out.ends_with("redis:7.5-alpine was rolled back: 2 of 10 failed, 1 allowed.\n"),
        "{run:?}"
    );
}

/// A rollout that goes back: two devices went back because they failed, the others with it.
fn goes_back() -> Server {
    let route = format!("GET /api/v1/rollouts/{A}/explain");
    let part = |name: &str, status: &str, reason: Value, message: Value| {
        json!({"device_id": name, "device_name": name, "status": status, "batch_number": 1,
               "attempt": 1, "reason": reason, "message": message})
    };
    let taken_back = part("north-001", "rolled_back", Value::Null, Value::Null);
    let failed =
        part("north-002", "rolled_back", json!("HEALTH_CHECK_FAILED"), json!("port 80 is closed"));
    let goes = part("north-003", "reverting", json!("START_FAILED"), Value::Null);
    let went = part("north-003", "rolled_back", json!("START_FAILED"), Value::Null);
    let parts = |parts: &[&Value]| json!({"devices": parts, "total": parts.len()});
    let of = |status: &str, limit: u32| {
        format!("GET /api/v1/rollouts/{A}/devices?status={status}&batch=1&limit={limit}")
    };
    let tally = |reverting: u64| json!({"failed": 2, "reverting": reverting, "reverted": 2});
    let waits = json!({"cancelled": 6});
    Server::start()
        .rings_for(A)
        .on(&route, picture("in_progress", "rolling_back", tally(1), waits.clone()))
        .on(&route, picture("rolled_back", "rolled_back", tally(0), waits))
        .on(&of("failed", 100), parts(&[]))
        .on(&of("reverting", 500), parts(&[&goes]))
        .on(&of("reverting", 500), parts(&[]))
        .on(&of("rolled_back", 500), parts(&[&taken_back, &failed]))
        .on(&of("rolled_back", 500), parts(&[&taken_back, &failed, &went]))
}

#[test]
fn devices_that_failed_are_named_though_they_go_back_or_went() {
    let server = goes_back();
    let run = Machine::signed_in(&server).run(&format!("rollout watch {A}"));
    assert_eq!(run.code, 8, "{run:?}");
    assert_snapshot!(run.out, @r"
    12:00:00 rollout=0198f3a4-0000-7000-8000-000000000001 image=redis:7.5-alpine devices=10
    12:00:00 device=north-003 batch=1 attempt=1 failed: start failed
    12:00:00 device=north-002 batch=1 attempt=1 failed: port 80 is closed
    12:00:00 restored=2 moving=0 failed=2 untouched=0 next=rolled-back state=rolling-back
    12:00:00 restored=2 moving=0 failed=2 untouched=0 next=none state=rolled-back
    redis:7.5-alpine was rolled back: 2 of 10 failed, 1 allowed.
    ");
}

#[test]
fn a_rollout_that_went_back_shows_which_devices_failed_and_why() {
    let route = format!("GET /api/v1/rollouts/{A}");
    let tally = json!({"failed": 2, "reverted": 2});
    let server = goes_back()
        .on(&route, picture("rolled_back", "rolled_back", tally, json!({"cancelled": 6})));
    let machine = Machine::signed_in(&server);
    // The first answers of the script are those of a rollout on its way back.
    let run = machine.run(&format!("rollout show {A}"));
    let parts = run.answer().split("\n\n").last().unwrap();
    assert_snapshot!(parts, @r"
    DEVICE     BATCH  TRY  STATE       WHY
    north-003      1    1  going back  start failed
    north-002      1    1  taken back  port 80 is closed
    ");
}

#[test]
fn a_watch_that_is_out_of_patience_says_what_it_waited_for() {
    let route = format!("GET /api/v1/rollouts/{A}/explain");
    let server = Server::start()
        .on(&route, picture("in_progress", "running", json!({"active": 4}), json!({"queued": 6})));
    let run = Machine::signed_in(&server).run(&format!("rollout watch {A} --timeout 1s"));
    assert_snapshot!(run.failure(7), @r"
    error: waited 1 s for redis:7.5-alpine to end; it is in progress
      hint: `slipway rollout explain 0198f3a4-0000-7000`
    ");
}

#[test]
fn a_program_that_watches_gets_a_document_for_every_change() {
    let server = goes_well();
    let run = Machine::signed_in(&server).run(&format!("rollout watch {A} --json=status,tally"));
    let lines: Vec<Value> =
        run.answer().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{run:?}");
    assert_eq!(lines[3]["status"], "completed");
}

#[test]
fn on_a_terminal_the_tree_is_drawn_in_place() {
    let server = goes_well();
    let machine = Machine::signed_in(&server);
    let (mut person, screen) = terminal::open();
    let mut command = machine.command(&format!("rollout watch {A}"));
    command.env("TERM", "xterm").stdout(screen).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // The last writer's end closes the terminal; this process must not hold one.
    drop(command);
    let mut screen = Vec::new();
    // A terminal whose other end is closed reads as an error.
    let _ = person.read_to_end(&mut screen);
    assert!(child.wait().unwrap().success());
    let screen = String::from_utf8(screen).unwrap();
    let frames: Vec<_> = screen.split("\u{1b}[J").collect();
    assert_eq!(frames.len(), 4, "each change is a frame over the one before: {screen}");
    assert!(frames[0].contains("`- 2    6 \u{1b}[2mwaits for batch 1"), "{screen}");
    assert!(frames[1].contains("[\u{1b}[32m==========\u{1b}[0m]"), "batch 1 is done: {screen}");
    assert!(frames[2].contains(" north-003 health check failed"), "{screen}");
    assert!(frames[3].ends_with("redis:7.5-alpine is on 9 devices.\r\n"), "{screen}");
}
