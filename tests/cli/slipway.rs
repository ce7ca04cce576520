//! The program, run as a person or a script runs it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::server::Server;

/// A token that must be seen nowhere.
pub const TOKEN: &str = "ghd_never-to-be-seen-0123456789abcdef";

/// A person's machine: a home with contexts, and nothing else in the environment.
#[derive(Debug)]
pub struct Machine {
    home: TempDir,
    token: String,
}

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    /// Its exit code.
    pub code: i32,
    /// What it answered.
    pub out: String,
    /// What it said beside the answer.
    pub err: String,
}

impl Machine {
    /// A machine without contexts.
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), token: TOKEN.to_owned() }
    }

    /// A machine with a context for a server, signed in.
    pub fn signed_in(server: &Server) -> Self {
        Self::signed_in_at(&server.url, TOKEN)
    }

    /// A machine with a context for a URL and a token.
    pub fn signed_in_at(url: &str, token: &str) -> Self {
        let machine = Self { token: token.to_owned(), ..Self::new() };
        let contexts = serde_json::json!({
            "current": "test",
            "contexts": {"test": {"url": url, "token": token}},
        });
        let path = machine.contexts();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contexts.to_string()).unwrap();
        machine
    }

    /// The file with the contexts.
    pub fn contexts(&self) -> PathBuf {
        self.home.path().join("config/slipway/contexts.json")
    }

    /// A file of the person's.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A run that is not started yet.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs a line to its end.
    pub fn run(&self, line: &str) -> Run {
        self.run_with(line, "")
    }

    /// Runs a line with this on its standard input.
    pub fn run_with(&self, line: &str, input: &str) -> Run {
        let mut child = self
            .command(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that reads nothing is gone before everything is written.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let run = Run {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        let is_told = run.out.contains(&self.token) || run.err.contains(&self.token);
        assert!(!is_told, "the token was told: {run:?}");
        run
    }
}

impl Run {
    /// The answer of a run that did what it should.
    #[track_caller]
    pub fn answer(&self) -> &str {
        assert_eq!(self.code, 0, "{self:#?}");
        &self.out
    }

    /// What a run said that ended with this code.
    #[track_caller]
    pub fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:#?}");
        &self.err
    }
}
