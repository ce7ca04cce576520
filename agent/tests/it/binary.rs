//! The program as a person starts it.

use std::process::Command;

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
