//! Beside the commands: the versions, the help, and what shells ask.

use serde_json::json;

use crate::answers::A;
use crate::server::Server;
use crate::slipway::Machine;

#[test]
fn completion_knows_commands_and_asks_the_server_for_names() {
    let server = Server::start().on(
        "GET /api/v1/devices",
        json!({"devices": [
        {"id": A, "name": "north-001", "fleet": "north"},
        {"id": A, "name": "south-002", "fleet": "south"},
    ], "total": 2}),
    );
    let machine = Machine::signed_in(&server);
    assert!(machine.run("completion bash").answer().contains("SLIPWAY_COMPLETE"));
    let complete = |line: &str, index: &str| {
        let mut command = machine.command(line);
        command.env("SLIPWAY_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index);
        command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(complete("-- slipway roll", "1").lines().any(|word| word == "rollout"));
    let names = complete("-- slipway device show north", "3");
    assert_eq!(names, "north-001", "those that fit what is typed");
}

#[test]
fn the_versions_of_both_sides_are_told_also_when_the_server_is_away() {
    let server = Server::start()
        .on("GET /api/v1/health", json!({"status": "healthy", "version": "9.9.9", "services": {}}));
    let told = Machine::signed_in(&server).run("version --json");
    let ours = env!("CARGO_PKG_VERSION");
    assert_eq!(told.answer(), format!("{{\"client\":\"{ours}\",\"server\":\"9.9.9\"}}\n"));
    let away = Machine::new().run("version --url http://127.0.0.1:1");
    assert!(away.answer().contains("no answer from http://127.0.0.1:1"), "{away:?}");
}

#[test]
fn flags_for_calling_a_server_are_not_shown_where_none_is_called() {
    let machine = Machine::new();
    let help = machine.run("serve gateway --help");
    assert!(!help.answer().contains("SLIPWAY_CONTEXT"), "{help:?}");
    let help = machine.run("rollout list --help");
    assert!(help.answer().contains("--context"), "{help:?}");
    let before_the_noun = machine.run("--url http://127.0.0.1:1 rollout list");
    before_the_noun.failure(9);
}
