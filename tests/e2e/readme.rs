//! The README's commands, and what the README says they print.
//!
//! In a ```` ```console ```` block a line that begins with `$ ` is a command, and what follows is its
//! output; `…` stands for any text, and alone in a line for any lines.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::PROGRAM;
use crate::up::{Up, folder};

/// What the README calls the gateway.
const PRINTED: &str = "127.0.0.1:4002";

/// A command and what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Act {
    command: String,
    output: Vec<String>,
}

fn acts(page: &str) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    let mut is_console = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let (true, Some(command)) = (is_console, line.strip_prefix("$ ")) {
            acts.push(Act { command: command.to_owned(), output: Vec::new() });
        } else if is_console {
            let act = acts.last_mut().expect("a command comes before its output");
            act.output.push(line.to_owned());
        }
    }
    acts
}

/// Whether lines are as printed.
fn agree(printed: &[String], lines: &[&str]) -> bool {
    match printed {
        [] => lines.is_empty(),
        [any, rest @ ..] if any == "…" => {
            (0..=lines.len()).any(|skipped| agree(rest, &lines[skipped..]))
        }
        [first, rest @ ..] => {
            lines.first().is_some_and(|line| line_agrees(first, line)) && agree(rest, &lines[1..])
        }
    }
}

fn line_agrees(printed: &str, line: &str) -> bool {
    let mut parts = printed.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn printed_output_is_compared_line_by_line() {
    let agrees = |printed: &[&str], lines: &[&str]| {
        agree(&printed.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), lines)
    };
    assert!(agrees(&["a", "…", "c"], &["a", "b", "b", "c"]));
    assert!(agrees(&["… x=… y"], &["12 x=3 y"]));
    assert!(!agrees(&["a"], &["a", "b"]));
    assert!(!agrees(&["… x=… y"], &["12 x=3 z"]));
    assert!(!agrees(&["a…"], &["b"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acts_of_the_readme_print_what_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let acts = acts(&std::fs::read_to_string(page).unwrap());
    assert!(acts.len() >= 9, "{acts:?}");
    let folder = folder();
    let running = Up::start(&folder).await;
    running.wait_for_devices(25).await;
    let here = running.api.url().trim_start_matches("http://").to_owned();
    for act in acts {
        // The first command is what runs already; its screen is compared.
        let said = if act.command.ends_with(" up") {
            running.screen.clone()
        } else {
            run(&act.command.replace(PRINTED, &here), &folder).await
        };
        let said = said.replace(&here, PRINTED);
        let lines: Vec<_> = said.trim_end().lines().map(str::trim_end).collect();
        assert!(agree(&act.output, &lines), "$ {}\n{said}\nis not {:#?}", act.command, act.output);
    }
    running.interrupt(&folder).await;
}

async fn run(command: &str, folder: &tempfile::TempDir) -> String {
    let own = Path::new(PROGRAM).parent().unwrap().display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{command} 2>&1")])
        .env("PATH", format!("{own}:{path}"))
        .env("XDG_CONFIG_HOME", folder.path().join("config"))
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(120), shell.output()).await;
    let output = output.unwrap_or_else(|_| panic!("`{command}` does not end")).unwrap();
    String::from_utf8(output.stdout).unwrap()
}
