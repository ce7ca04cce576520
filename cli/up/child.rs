//! A child process: its log, its life, its end.
//!
//! A child's standard input is held open; when it ends, the child ends. What the child says goes to
//! its log file, and warnings to the terminal too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdin, Command};

use super::log_file::LogFile;

/// What to start.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What it is called.
    pub name: &'static str,
    /// Arguments of this same program.
    pub arguments: Vec<OsString>,
    /// Environment beside this process's own.
    pub environment: Vec<(&'static str, String)>,
}

/// A running child.
#[derive(Debug)]
pub struct Child {
    spec: Spec,
    log: PathBuf,
    process: tokio::process::Child,
    /// Held open as long as the child shall live.
    stdin: Option<ChildStdin>,
    restarts: u32,
}

/// How long to wait before a child that keeps dying is started again, at the most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Child {
    /// Starts it.
    pub fn start(spec: Spec, logs: &Path, stdin: Stdio) -> Result<Self> {
        let log = logs.join(format!("{}.log", spec.name));
        let mut process = spawn(&spec, stdin)?;
        let stdin = process.stdin.take();
        follow(spec.name, &log, process.stderr.take())?;
        Ok(Self { spec, log, process, stdin, restarts: 0 })
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it ends, and says how.
    pub async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => said(status),
            Err(error) => error.to_string(),
        }
    }

    /// How it ended, when it has.
    pub fn try_ended(&mut self) -> Option<String> {
        self.process.try_wait().ok().flatten().map(said)
    }

    /// Starts it again after a pause that grows with every time.
    pub async fn restart(&mut self) -> Result<()> {
        self.restarts += 1;
        let pause = Duration::from_millis(200).saturating_mul(1 << self.restarts.min(10));
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        let fresh = spawn(&self.spec, Stdio::piped())?;
        self.process = fresh;
        self.stdin = self.process.stdin.take();
        follow(self.spec.name, &self.log, self.process.stderr.take())
    }

    /// Asks it to end by a signal.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, signal);
        }
    }

    /// Ends it: softly by the end of its standard input, after `patience` hard.
    pub async fn stop(&mut self, patience: Duration) {
        drop(self.stdin.take());
        if tokio::time::timeout(patience, self.process.wait()).await.is_err() {
            eprintln!("{} did not end in time and is killed", self.spec.name);
            let _ = self.process.kill().await;
        }
    }
}

fn said(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn spawn(spec: &Spec, stdin: Stdio) -> Result<tokio::process::Child> {
    let program = std::env::current_exe().context("this program's own file is not known")?;
    Command::new(program)
        .args(&spec.arguments)
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C in the terminal is for `up` alone, which then ends its children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("`{}` cannot be started", spec.name))
}

/// Writes what a child says to its log, and warnings to the terminal.
fn follow(name: &'static str, path: &Path, said: Option<ChildStderr>) -> Result<()> {
    let mut log = LogFile::open(path)
        .with_context(|| format!("`{}` cannot be written; is there room?", path.display()))?;
    let Some(said) = said else { return Ok(()) };
    tokio::spawn(async move {
        let mut lines = BufReader::new(said).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.line(&line);
            if is_warning(&line) {
                eprintln!("{name}: {line}");
            }
        }
    });
    Ok(())
}

/// Whether a log line is a warning or worse, or an error of the start.
fn is_warning(line: &str) -> bool {
    let level = line.split_whitespace().nth(1);
    matches!(level, Some("WARN" | "ERROR")) || line.starts_with("error:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_from_what_is_said_in_passing() {
        assert!(is_warning("2026-11-21T08:00:00.000Z  WARN the database does not answer"));
        assert!(is_warning("error: --listen 127.0.0.1:1: the port is taken"));
        assert!(!is_warning("2026-11-21T08:00:00.000Z  INFO a WARN in the middle"));
        assert!(!is_warning(""));
    }
}
