//! `slipway up` as a person starts, stops and breaks it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{Api, eventually};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::PROGRAM;

/// How long Ctrl-C may take.
const STOP: Duration = Duration::from_secs(5);
/// How long anything may live after `up` was killed.
const ORPHANS: Duration = Duration::from_secs(10);

/// A running `up`.
pub struct Up {
    child: Child,
    /// What it has printed.
    pub screen: String,
    /// The administrator, by REST.
    pub api: Api,
}

/// The command as a person types it, but for a folder and a port of its own.
fn up(folder: &TempDir, data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .env("XDG_CONFIG_HOME", folder.path().join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Up {
    /// Starts it and waits for its screen.
    pub async fn start(folder: &TempDir) -> Self {
        let data = folder.path().join("data");
        let mut child = up(folder, &data).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut screen = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            screen.push_str(&line);
            screen.push('\n');
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        let endpoints = std::fs::read_to_string(data.join("endpoints.json")).unwrap();
        let endpoints: Value = serde_json::from_str(&endpoints).unwrap();
        let token = runtime::secret::Secret::read(&data.join("admin-token")).unwrap();
        let api = Api::new(endpoints["gateway"].as_str().unwrap(), Some(token));
        Self { child, screen, api }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits until its devices run what they should.
    pub async fn wait_for_devices(&self, count: usize) {
        wait_for_devices(&self.api, count).await;
    }

    /// Ends it by Ctrl-C.
    pub async fn interrupt(mut self, folder: &TempDir) {
        self.signal(Signal::INT);
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        let status = ended.expect("Ctrl-C ends it in time").unwrap();
        assert!(status.success(), "{status}");
        assert_eq!(processes_of(folder), [] as [String; 0]);
    }
}

/// The command lines of processes that have to do with this folder.
fn processes_of(folder: &TempDir) -> Vec<String> {
    let own = folder.path().to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(own)).collect()
}

/// A folder that Postgres can reach.
pub fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("slipway-up-").tempdir_in("/tmp").unwrap();
    // Postgres runs as another user when this is root, and has to get through.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    folder
}

async fn wait_for_devices(api: &Api, count: usize) {
    eventually(&format!("{count} devices that run what they should"), async || {
        let answer = api.get("/api/v1/devices?online=true&limit=500").await.expect(200);
        let devices = answer.body["devices"].as_array().unwrap();
        let settled = devices.iter().filter(|device| device["in_sync"] == true).count();
        if settled == count { Ok(()) } else { Err(format!("{settled} do: {answer:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_with_something_to_see_and_keeps_it() {
    let folder = folder();
    let data = folder.path().join("data");
    let first = Up::start(&folder).await;
    for part in [
        first.api.url(),
        "admin-token",
        "/metrics  approval",
        "push ",
        "approve ",
        "watch ",
        "25 simulated",
    ] {
        assert!(first.screen.contains(part), "{part}: {}", first.screen);
    }
    let mode = std::fs::metadata(data.join("admin-token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let waiting = first.api.get("/api/v1/approval-requests").await.expect(200);
    assert_eq!(waiting.header("x-total-count"), "1", "{waiting:?}");
    first.wait_for_devices(25).await;
    first.api.delete("/api/v1/images/2").await.expect(200);

    enrols_by_the_demos_key(&data).await;

    let other = up(&folder, &data).output().await.unwrap();
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(!other.status.success(), "{said}");
    assert!(said.contains(&format!("in use by process {}", first.child.id().unwrap())), "{said}");
    first.interrupt(&folder).await;

    let second = Up::start(&folder).await;
    second.api.get("/api/v1/images/2").await.expect(404);
    second.wait_for_devices(25).await;
    second.interrupt(&folder).await;
}

/// Further devices need no key where `up` has left one.
async fn enrols_by_the_demos_key(data: &Path) {
    let mut command = Command::new(PROGRAM);
    command.args(["simulate", "--devices", "1", "--profile", "flaky", "--fast", "--data-dir"]);
    let mut child = command.arg(data).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let connected = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("1 of 1 device is connected") {
                return;
            }
        }
        panic!("it ended before its device was connected");
    };
    tokio::time::timeout(Duration::from_secs(60), connected).await.expect("it is connected");
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_is_started_again_and_a_killed_up_leaves_nothing() {
    let folder = folder();
    let mut running = Up::start(&folder).await;
    kill(&folder, "serve registry");
    eventually("the registry to answer again", async || {
        let answer = running.api.get("/api/v1/images").await;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    kill(&folder, "bin/postgres -D");
    eventually("the database to answer again", async || {
        let answer = running.api.get("/api/v1/images?limit=1").await;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;

    running.child.kill().await.unwrap();
    let gone = async {
        while !processes_of(&folder).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let gone = tokio::time::timeout(ORPHANS, gone).await;
    assert!(gone.is_ok(), "{:?} are left", processes_of(&folder));
}

/// Kills the process of a folder whose command line says this.
fn kill(folder: &TempDir, part: &str) {
    let own = folder.path().to_str().unwrap();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(own) && line.contains(part) {
            kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
            return;
        }
    }
    panic!("no process `{part}` of {own}");
}

#[tokio::test]
async fn what_is_in_the_way_is_told_in_one_sentence() {
    let folder = folder();
    let refused = async |mut command: Command| {
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{said}");
        errors[0].to_owned()
    };

    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["up", "--listen", &address, "--data-dir"]).arg(folder.path().join("port"));
    let said = refused(command).await;
    assert!(said.contains(&address) && said.contains("the port is taken"), "{said}");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = refused(up(&folder, &file)).await;
    assert!(said.contains("is a file") && said.contains("--data-dir"), "{said}");

    let newer = folder.path().join("newer");
    std::fs::create_dir(&newer).unwrap();
    std::fs::write(newer.join("version"), "1000").unwrap();
    let said = refused(up(&folder, &newer)).await;
    assert!(said.contains("newer version") && said.contains("start the newer program"), "{said}");

    let mut command = up(&folder, &folder.path().join("none"));
    command.env("SLIPWAY_POSTGRES_BIN", "/nonexistent");
    let said = refused(command).await;
    assert!(said.contains("/nonexistent") && said.contains("PostgreSQL"), "{said}");

    let mut command = Command::new(PROGRAM);
    command.args(["up", "--no-auth", "--listen", "0.0.0.0:0"]);
    let said = refused(command).await;
    assert!(said.contains("loopback only"), "{said}");
}

#[tokio::test]
async fn a_write_that_fails_is_told_and_leaves_nothing_running() {
    let folder = folder();
    let data = folder.path().join("data");
    let line = format!(
        "ulimit -f 8; exec {PROGRAM} up --listen 127.0.0.1:0 --data-dir {}",
        data.display()
    );
    let mut command = Command::new("sh");
    let output = command.args(["-c", &line]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("error: "), "{said}");
    assert!(said.contains("ulimit -f"), "{said}");
    assert_eq!(processes_of(&folder), [] as [String; 0]);
}
