//! Settings of a process that are missing or wrong: one sentence, and exit code 64 before anything
//! is bound.

use tempfile::TempDir;
use testbed::{Database, Tokens};
use tokio::task::block_in_place;

use crate::slipway::Machine;

#[test]
fn settings_that_are_missing_are_named_with_flag_and_variable() {
    let machine = Machine::new();
    for (process, missing) in [
        (
            "registry",
            "--service-token-file (REGISTRY_SERVICE_TOKEN_FILE), --peers-file \
             (REGISTRY_PEERS_FILE), --database-url-file (REGISTRY_DATABASE_URL_FILE)",
        ),
        (
            "gateway",
            "--service-token-file (GATEWAY_SERVICE_TOKEN_FILE), --peers-file (GATEWAY_PEERS_FILE)",
        ),
    ] {
        let run = machine.run(&format!("serve {process}"));
        let told = format!(
            "error: `serve {process}` needs {missing}; `slipway migrate` makes these files, and \
             `slipway serve {process} --help` tells every setting\n"
        );
        assert_eq!(run.failure(64), told);
    }
}

#[test]
fn a_setting_that_cannot_be_is_named_with_flag_and_variable() {
    let run = Machine::new().run("serve access --listen here");
    assert_eq!(
        run.failure(64),
        "error: --listen (ACCESS_LISTEN) cannot be `here`: invalid socket address syntax; \
         `slipway serve access --help` tells every setting\n"
    );
}

#[test]
fn every_process_has_its_usual_ports() {
    let machine = Machine::new();
    for (process, port) in [
        ("gateway", 4002),
        ("registry", 4011),
        ("approval", 4012),
        ("rollout", 4013),
        ("access", 4014),
    ] {
        let help = machine.run(&format!("serve {process} --help"));
        for port in [port, port + 100] {
            let default = format!("[default: 127.0.0.1:{port}]");
            assert!(help.answer().contains(&default), "{process}: {default}: {help:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_another_process_is_told_at_the_start() {
    let database = Database::create().await;
    let tokens = Tokens::create(&database).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("peers", &tokens.peers_file());
    write("registry.token", tokens.of("registry").expose());
    write("rollout.token", tokens.of("rollout").expose());
    write("nobody.token", "slw_nobody");
    write("registry.url", &database.url_of("registry"));
    write("approval.url", &database.url_of("approval"));
    write("text.url", "no URL");
    block_in_place(|| {
        for (token, url, code, told) in [
            ("rollout.token", "registry.url", 64, "is the token of `rollout`; name the one of"),
            ("nobody.token", "registry.url", 64, "for no process; name the one of `registry`"),
            ("registry.token", "text.url", 1, "text.url` is none; write `postgres://"),
            ("registry.token", "approval.url", 1, "may not read the schema `registry`; name the"),
        ] {
            let said = checked(&folder, token, url, code);
            assert!(said.contains(told), "{token}, {url}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    });
}

/// What `serve registry --check` says about two files.
fn checked(folder: &TempDir, token: &str, url: &str, code: i32) -> String {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let line = format!(
        "serve registry --check --service-token-file {} --peers-file {} --database-url-file {}",
        path(token),
        path("peers"),
        path(url),
    );
    Machine::new().run(&line).failure(code).to_owned()
}
