//! The program as a person starts it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::server::Scripted;
use crate::targets::{digest, service, target, with};

fn agent(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_slipway-agent")).args(args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn without_an_engine_the_agent_says_that_it_cannot_run_containers() {
    let (code, told) = agent(&["--server", "http://127.0.0.1:1"]);
    assert_eq!(code, Some(64));
    assert_eq!(
        told,
        "slipway-agent: this agent cannot run containers; give --engine simulated to try the \
         device link without any\n"
    );
}

#[test]
fn what_cannot_be_used_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let simulated = ["--engine", "simulated", "--state-dir", state, "--server"];
    let told = |rest: &[&str]| agent(&[&simulated[..], rest].concat());

    let (code, text) = told(&["slipway:4020"]);
    assert_eq!(code, Some(64));
    assert!(text.starts_with("slipway-agent: --server `slipway:4020` is no address"), "{text}");

    let (code, text) = told(&["http://127.0.0.1:1"]);
    assert_eq!(code, Some(64));
    assert_eq!(text, "slipway-agent: the device is not enrolled; give --enrolment-key-file\n");

    let (code, text) = told(&["http://127.0.0.1:1", "--enrolment-key-file", "/no/such/file"]);
    assert_eq!(code, Some(64));
    assert!(text.contains("--enrolment-key-file `/no/such/file` cannot be read"), "{text}");
}

#[test]
fn a_second_agent_in_the_same_folder_ends_with_75() {
    let folder = tempfile::tempdir().unwrap();
    let _first = agent::storage::Directory::open(folder.path()).unwrap();
    let state = folder.path().to_str().unwrap();
    let args = ["--engine", "simulated", "--server", "http://127.0.0.1:1", "--state-dir", state];
    let (code, told) = agent(&args);
    assert_eq!(code, Some(75));
    assert!(told.contains("another agent uses the state folder"), "{told}");
}

/// An agent that runs; it is killed when it is dropped.
struct Running(Child);

impl Running {
    fn start(server: &Scripted, folder: &Path) -> Self {
        let key = folder.join("key");
        std::fs::write(&key, "key\n").unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_slipway-agent"))
            .args(["--engine", "simulated", "--timing", "demonstration", "--name", "one"])
            .args(["--server", &server.url(), "--label", "site=north"])
            .arg("--state-dir")
            .arg(folder.join("state"))
            .arg("--enrolment-key-file")
            .arg(key)
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_killed_is_the_same_device_and_pulls_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Scripted::start().await;
    server.send(with(target(1), vec![service("web", "1")]));
    let agent = Running::start(&server, folder.path());
    server.wait_for("version 1", |state| state.running("web", &digest("web", "1")) == 1).await;
    drop(agent);

    let reports = server.with(|state| state.reports.len());
    let _agent = Running::start(&server, folder.path());
    server.wait_for("a report", |state| state.reports.len() > reports).await;
    server.with(|state| {
        assert_eq!(state.taken, ["one"], "it enrolled once");
        let after = &state.reports[reports..];
        let row = &after[0].1.services[0];
        assert_eq!((row.digest.clone(), row.progress_percent), (digest("web", "1"), 0));
        let seqs: Vec<i64> = state.reports.iter().map(|(_, report)| report.seq).collect();
        assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
        assert_eq!(state.subscribed.last().unwrap().1.known_generation, 1);
    });
}
