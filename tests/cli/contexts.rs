//! Contexts: kept for their owner only, and their tokens told to nobody but their server.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::server::Server;
use crate::slipway::{Machine, TOKEN};

fn me() -> Value {
    json!({"kind": "user", "id": "alice", "name": "alice", "role": "admin",
           "permissions": ["images.read"], "expires_at": null})
}

fn saved(machine: &Machine) -> Value {
    serde_json::from_slice(&std::fs::read(machine.contexts()).unwrap()).unwrap()
}

fn mode(machine: &Machine) -> u32 {
    std::fs::metadata(machine.contexts()).unwrap().permissions().mode() & 0o777
}

#[test]
fn signing_in_keeps_the_token_for_the_owner_only() {
    let server = Server::start().on("GET /api/v1/me", me());
    let machine = Machine::new();
    machine.run(&format!("context add edge {}", server.url)).answer();
    assert_eq!(mode(&machine), 0o600);
    let run = machine.run_with("login", &format!("{TOKEN}\n"));
    assert_eq!(
        run.answer(),
        format!("Signed in to {} (context `edge`) as alice (admin).\n", server.url)
    );
    assert_eq!(run.err, "undo: slipway logout --context edge\n");
    assert_eq!(mode(&machine), 0o600);
    assert_eq!(saved(&machine)["contexts"]["edge"]["token"], TOKEN);
    assert_eq!(server.only("GET /api/v1/me").headers["authorization"], format!("Bearer {TOKEN}"));
    machine.run("logout").answer();
    assert_eq!(saved(&machine)["contexts"]["edge"].get("token"), None);
}

#[test]
fn a_token_that_the_server_refuses_is_not_kept() {
    let server = Server::start().answers("GET /api/v1/me", 401, &[], json!({"message": "no"}));
    let machine = Machine::new();
    machine.run(&format!("context add edge {}", server.url)).answer();
    machine.run_with("login -v", TOKEN).failure(4);
    assert_eq!(saved(&machine)["contexts"]["edge"].get("token"), None);
}

#[test]
fn no_command_prints_a_token_that_it_was_given() {
    let server = Server::start().on("GET /api/v1/me", me());
    let machine = Machine::signed_in(&server);
    // Every run looks for the token in what was printed.
    let listed = machine.run("context list --json");
    assert!(listed.answer().contains("\"signed_in\":true"), "{listed:?}");
    machine.run("context list").answer();
    machine.run("whoami --json").answer();
    machine.run("image list -v").failure(3);
}

#[test]
fn a_token_is_no_argument_of_any_command() {
    let machine = Machine::new();
    for line in ["login --help", "context add --help", "status --help", "token create --help"] {
        let help = machine.run(line);
        assert!(!help.answer().contains("--token"), "{line}: {help:?}");
    }
    machine.run("login something").failure(2);
}

#[test]
fn a_contexts_token_goes_to_no_other_server() {
    let own = Server::start().on("GET /api/v1/me", me());
    let other = Server::start().on("GET /api/v1/me", me());
    let machine = Machine::signed_in(&own);
    machine.run(&format!("whoami --url {}", other.url)).answer();
    assert_eq!(other.only("GET /api/v1/me").headers.get("authorization"), None);
    // A server that sends the caller elsewhere is not followed.
    let elsewhere = format!("{}/api/v1/me", other.url);
    let sly = Server::start().answers(
        "GET /api/v1/me",
        307,
        &[("location", elsewhere.as_str())],
        Value::Null,
    );
    Machine::signed_in(&sly).run("whoami").failure(1);
    assert_eq!(other.seen().len(), 1);
    // A context that changes its URL forgets its token.
    machine.run(&format!("context add test {}", other.url)).answer();
    assert_eq!(saved(&machine)["contexts"]["test"].get("token"), None);
}

#[test]
fn the_environment_is_stronger_than_the_context_in_use() {
    let (one, two) = (Server::start(), Server::start().on("GET /api/v1/me", me()));
    let machine = Machine::signed_in(&one);
    machine.run(&format!("context add other {}", two.url)).answer();
    let mut command = machine.command("whoami --json=id");
    let output =
        command.env("SLIPWAY_CONTEXT", "other").env("SLIPWAY_TOKEN", TOKEN).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"id\":\"alice\"}\n");
    assert_eq!(two.only("GET /api/v1/me").headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(one.seen().is_empty());
}
