//! Devices that are not there say what keeps them from working.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Stdio};

use testbed::Slipway;
use tokio::task::block_in_place;

use crate::slipway::Machine;

/// Simulated devices, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn simulate(machine: &Machine, flags: &str) -> Running {
    let mut command = machine.command(&format!("simulate --fast {flags}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running(command.spawn().unwrap())
}

/// The first line that says this; the last lines where none does.
#[track_caller]
fn told(said: impl Read, part: &str) -> String {
    let lines = BufReader::new(said).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    for line in lines {
        if line.contains(part) {
            return line;
        }
        seen.push(line);
    }
    panic!("no `{part}` in {seen:#?}");
}

#[test]
fn without_a_key_the_next_step_is_told() {
    let machine = Machine::new();
    let data = machine.contexts().with_file_name("nothing-here");
    let run = machine.run(&format!("simulate --data-dir {}", data.display()));
    let said = run.failure(1);
    assert!(said.starts_with("error: no enrolment key is given"), "{said}");
    for part in [data.to_str().unwrap(), "--data-dir", "slipway enrolment-key create"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_link_that_is_not_there_is_told_at_once() {
    let machine = Machine::new();
    let key = machine.file("key", "ghk_any");
    let flags =
        format!("--devices 2 --link-url http://127.0.0.1:1 --enrolment-key-file {}", key.display());
    let mut running = simulate(&machine, &flags);
    let line = told(running.0.stderr.take().unwrap(), "warning: ");
    assert!(line.contains("the device link http://127.0.0.1:1 does not answer: "), "{line}");
    assert!(line.contains("start `slipway up`"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_is_told() {
    let slipway = Slipway::start().await;
    let machine = Machine::signed_in_at(slipway.api.url(), slipway.tokens.admin.expose());
    block_in_place(|| {
        let key = machine.run("enrolment-key create line-3 --fleet north").answer().to_owned();
        let key = machine.file("key", &key);
        machine.run("enrolment-key revoke line-3").answer();
        let flags = format!(
            "--devices 2 --link-url {} --enrolment-key-file {}",
            slipway.link,
            key.display()
        );
        let mut running = simulate(&machine, &flags);
        let line = told(running.0.stdout.take().unwrap(), "the enrolment key");
        assert!(line.starts_with("0 of 2 devices are connected to http://"), "{line}");
    });
}
