//! Slipway as processes of the operating system, which can be killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use agent::profile::Profile;
use runtime::client::{self, Identity, Outbound};
use runtime::secret::Secret;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::tokens::PROCESSES;
use crate::{Api, Database, Fleet, SERVICES, Tokens, eventually};

/// A running Slipway whose processes are the real ones. They end with this value.
#[derive(Debug)]
pub struct Processes {
    /// The administrator, by REST.
    pub api: Api,
    /// Where devices call.
    pub link: String,
    /// The database.
    pub database: Database,
    /// What processes make themselves known with.
    pub tokens: Tokens,
    program: PathBuf,
    folder: TempDir,
    ports: BTreeMap<&'static str, SocketAddr>,
    running: BTreeMap<&'static str, Process>,
}

/// One process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// It ends when this does. Waiting for a child would drop its own.
    _stdin: Option<ChildStdin>,
}

impl Processes {
    /// Starts all of them from this program, and waits until they serve.
    pub async fn start(program: &str) -> Self {
        Self::start_with(program, &[]).await
    }

    /// Starts all of them, some with environment: process, name, value.
    ///
    /// # Panics
    ///
    /// When they do not serve.
    pub async fn start_with(program: &str, environment: &[(&str, &str, &str)]) -> Self {
        Self::start_on(Database::create().await, program, environment).await
    }

    /// Starts all of them on this database.
    ///
    /// # Panics
    ///
    /// When they do not serve.
    pub async fn start_on(
        database: Database,
        program: &str,
        environment: &[(&str, &str, &str)],
    ) -> Self {
        let tokens = Tokens::create(&database).await;
        let ports: BTreeMap<_, _> =
            PROCESSES.into_iter().chain(["link"]).map(|name| (name, free_port())).collect();
        let mut processes = Self {
            api: Api::new(&url(ports["gateway"]), Some(tokens.admin.clone())),
            link: url(ports["link"]),
            database,
            tokens,
            program: program.into(),
            folder: tempfile::tempdir().unwrap(),
            ports,
            running: BTreeMap::new(),
        };
        processes.write_files();
        for name in PROCESSES {
            let own = environment.iter().filter(|(process, _, _)| *process == name);
            let own: Vec<_> = own.map(|(_, name, value)| (*name, *value)).collect();
            processes.spawn(name, &own);
        }
        for name in PROCESSES {
            processes.wait_until_serving(name).await;
        }
        processes
    }

    /// Starts a process that has ended, with this environment, and waits until it serves.
    pub async fn restart(&mut self, name: &'static str, environment: &[(&str, &str)]) {
        self.spawn(name, environment);
        self.wait_until_serving(name).await;
    }

    /// Starts a second process of a service on the same database, with this environment. Its name has
    /// a `-2` at the end; only who calls it by that name knows of it.
    pub async fn start_replica(&mut self, name: &'static str, environment: &[(&str, &str)]) {
        for name in [name, "link-2"] {
            self.ports.insert(name, free_port());
        }
        self.restart(name, environment).await;
    }

    /// Ends a process as a power cut would and starts it again with this environment.
    pub async fn bounce(&mut self, name: &'static str, environment: &[(&str, &str)]) {
        self.kill(name).await;
        self.restart(name, environment).await;
    }

    /// Ends a process as a power cut would.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub async fn kill(&mut self, name: &str) {
        let mut process = self.running.remove(name).unwrap();
        process.child.kill().await.unwrap();
    }

    /// Waits until a process has ended by itself, such as at its crash point.
    pub async fn ended(&mut self, name: &str) {
        let process = self.running.get_mut(name).unwrap();
        tokio::time::timeout(crate::PATIENCE, process.child.wait())
            .await
            .unwrap_or_else(|_| panic!("`{name}` was to end"))
            .unwrap();
        self.running.remove(name);
    }

    /// Stops a process where it stands: its sockets are open and nobody answers.
    pub fn freeze(&self, name: &str) {
        self.signal(name, Signal::STOP);
    }

    /// Lets a process go on.
    pub fn thaw(&self, name: &str) {
        self.signal(name, Signal::CONT);
    }

    fn signal(&self, name: &str, signal: Signal) {
        rustix::process::kill_process(Pid::from_raw(self.id(name)).unwrap(), signal).unwrap();
    }

    /// The number by which the system knows a process.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[must_use]
    pub fn id(&self, name: &str) -> i32 {
        let id = self.running[name].child.id();
        id.and_then(|id| i32::try_from(id).ok()).expect("the process runs")
    }

    /// Devices that run what is asked for, on which nothing goes wrong but what the profile says.
    pub async fn fleet(
        &self,
        name: &str,
        devices: usize,
        images: &[(&str, &str)],
        profile: &str,
    ) -> Fleet {
        let profile: Profile = profile.parse().unwrap();
        Fleet::start(&self.api, &self.link, name, devices, images, profile).await
    }

    /// A gRPC channel to a process, as the administrator.
    #[must_use]
    pub fn channel(&self, process: &str) -> Outbound {
        let address = url(self.ports[process]).parse().unwrap();
        client::connect(&address, Identity::of(&self.tokens.admin))
    }

    /// Runs `slipway check` until it finds nothing wrong: what is under way may still come to its
    /// end, such as an event that is on its way to the log.
    pub async fn check(&self) {
        check(&self.program, &self.database, Some(&self.logs())).await;
    }

    /// What a process has logged.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    fn write_files(&self) {
        let folder = self.folder.path();
        std::fs::create_dir(self.logs()).unwrap();
        std::fs::write(folder.join("peers"), self.tokens.peers_file()).unwrap();
        for name in PROCESSES {
            self.tokens.of(name).write(&folder.join(format!("{name}.token"))).unwrap();
        }
        for name in SERVICES {
            let secret = Secret::new(self.database.url_of(name));
            secret.write(&folder.join(format!("{name}.url"))).unwrap();
        }
    }

    fn spawn(&mut self, name: &'static str, environment: &[(&str, &str)]) {
        let log = File::options().create(true).append(true).open(self.log_file(name)).unwrap();
        let prefix = name.trim_end_matches("-2").to_uppercase();
        let mut child = Command::new(&self.program)
            .args(self.arguments(name))
            .env(format!("{prefix}_METRICS_LISTEN"), "127.0.0.1:0")
            .envs(environment.iter().copied())
            // Ends with the test, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        self.running.insert(name, Process { child, _stdin: stdin });
    }

    fn arguments(&self, name: &str) -> Vec<OsString> {
        let folder = self.folder.path();
        let (listen, link) = match name.strip_suffix("-2") {
            Some(_) => (self.ports[name], "link-2"),
            None => (self.ports[name], "link"),
        };
        let name = name.trim_end_matches("-2");
        let mut line: Vec<OsString> = vec!["serve".into(), name.into(), "--supervised".into()];
        let mut flag = |flag: &str, value: OsString| line.extend([flag.into(), value]);
        flag("--listen", listen.to_string().into());
        flag("--drain-seconds", "2".into());
        flag("--service-token-file", folder.join(format!("{name}.token")).into());
        flag("--peers-file", folder.join("peers").into());
        if SERVICES.contains(&name) {
            flag("--database-url-file", folder.join(format!("{name}.url")).into());
        }
        let known: &[&str] = match name {
            "registry" => &["access", "rollout"],
            "approval" => &["access", "registry", "rollout"],
            "rollout" => &["access"],
            "access" => &["registry", "approval", "rollout"],
            _ => &["access", "registry", "approval", "rollout", "link"],
        };
        for peer in known {
            flag(&format!("--{peer}-url"), url(self.ports[peer]).into());
        }
        match name {
            "approval" => flag("--sealing-key-file", folder.join("sealing-key").into()),
            "rollout" => {
                flag("--link-listen", self.ports[link].to_string().into());
                flag("--report-interval-seconds", "30".into());
            }
            _ => {}
        }
        line
    }

    async fn wait_until_serving(&mut self, name: &str) {
        let address = self.ports[name];
        eventually(&format!("`{name}` to serve"), async || {
            if let Some(status) = self.running.get_mut(name).unwrap().child.try_wait().unwrap() {
                panic!("`{name}` ended ({status}): {}", self.log(name));
            }
            serves(name, address).await
        })
        .await;
    }
}

/// Runs `slipway check` on a database until it finds nothing wrong.
pub async fn check(program: &Path, database: &Database, logs: Option<&Path>) {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("reader.url");
    Secret::new(database.reader_url()).write(&url).unwrap();
    eventually("`slipway check` to find nothing wrong", async || {
        let mut command = Command::new(program);
        command.arg("check").arg("--database-url-file").arg(&url);
        if let Some(logs) = logs {
            command.arg("--logs").arg(logs);
        }
        let output = command.output().await.unwrap();
        if output.status.success() {
            return Ok(());
        }
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Err(format!("{}\n{}{}", output.status, said(&output.stdout), said(&output.stderr)))
    })
    .await;
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A port that nothing else is given: below those that the system hands out by itself, and one after
/// the other, so that a process finds its own again when it is started anew.
#[must_use]
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 50).unwrap_or_default() * 200;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

async fn serves(name: &str, address: SocketAddr) -> Result<(), String> {
    if name == "gateway" {
        let connected = tokio::net::TcpStream::connect(address).await;
        return connected.map(|_| ()).map_err(|error| error.to_string());
    }
    let uri = url(address).parse().unwrap();
    let mut health = HealthClient::new(client::channel(&uri));
    let asked = HealthCheckRequest { service: String::new() };
    let answer = health.check(asked).await.map_err(|status| status.to_string())?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
