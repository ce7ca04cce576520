//! The processes of Slipway as children, and the simulated devices beside them.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::child::{Child, Spec};
use super::data_dir::DataDir;
use super::demo;
use super::endpoints::{Endpoints, url};
use crate::migrate;

/// How long the processes may take to serve.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process may finish what is under way.
const DRAIN_SECONDS: &str = "2";
/// Keeps the allocator of small processes small.
const ALLOCATOR: (&str, &str) =
    ("_RJEM_MALLOC_CONF", "narenas:2,dirty_decay_ms:2000,muzzy_decay_ms:0");

/// All children but Postgres.
pub struct Processes {
    children: Vec<Child>,
}

impl Processes {
    /// Starts every process.
    pub fn start(data: &DataDir, endpoints: &Endpoints, no_auth: bool) -> Result<Self> {
        let logs = data.folder("logs")?;
        let children = commands(data, endpoints, no_auth)
            .into_iter()
            .map(|spec| Child::start(spec, &logs, Stdio::piped()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { children })
    }

    /// Waits until every process serves.
    pub async fn wait_until_ready(&mut self, endpoints: &Endpoints) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        for (name, address) in endpoints.all() {
            while !serves(name, address).await {
                self.check_alive()?;
                if Instant::now() > end {
                    bail!("`{name}` does not serve on {address} after {} s", PATIENCE.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// A process that ends while it starts has said why in its log, and on the terminal.
    fn check_alive(&mut self) -> Result<()> {
        for child in &mut self.children {
            if let Some(how) = child.try_ended() {
                bail!("`{}` did not start ({how}); see {}", child.name(), child.log().display());
            }
        }
        Ok(())
    }

    /// Starts the simulated devices.
    pub fn simulate(
        &mut self,
        data: &DataDir,
        endpoints: &Endpoints,
        devices: usize,
    ) -> Result<()> {
        if devices == 0 {
            return Ok(());
        }
        let mut arguments: Vec<OsString> = vec![
            "simulate".into(),
            "--link-url".into(),
            url(endpoints.link).into(),
            "--state-file".into(),
            data.folder("devices")?.join("simulated").into(),
            "--fast".into(),
            "--supervised".into(),
        ];
        for (fleet, count) in demo::fleets(devices) {
            let key = demo::enrolment_key_file(data, fleet);
            let mut group = OsString::from(format!("{fleet}={count}:"));
            group.push(key);
            arguments.extend(["--group".into(), group]);
        }
        arguments.extend(["--profile".into(), demo::profile().into()]);
        let spec = Spec { name: "simulate", arguments, environment: environment() };
        self.children.push(Child::start(spec, &data.folder("logs")?, Stdio::piped())?);
        Ok(())
    }

    /// Starts whatever dies again, and says so.
    pub async fn keep_running(&mut self) -> Result<()> {
        loop {
            let (index, how) = first_ended(&mut self.children).await;
            let child = &mut self.children[index];
            eprintln!("{} ended ({how}); starting it again", child.name());
            child.restart().await?;
        }
    }

    /// Ends all of them side by side.
    pub async fn stop(&mut self, patience: Duration) {
        let mut ends = Vec::new();
        for child in &mut self.children {
            ends.push(child.stop(patience));
        }
        futures_util::future::join_all(ends).await;
    }
}

async fn first_ended(children: &mut [Child]) -> (usize, String) {
    let ends = children
        .iter_mut()
        .enumerate()
        .map(|(index, child)| Box::pin(async move { (index, child.ended().await) }));
    let (ended, _, _) = futures_util::future::select_all(ends).await;
    ended
}

fn environment() -> Vec<(&'static str, String)> {
    // Whoever set something for the allocator knows better.
    if std::env::var_os(ALLOCATOR.0).is_some() {
        return Vec::new();
    }
    vec![(ALLOCATOR.0, ALLOCATOR.1.to_owned())]
}

/// The command lines of the processes.
fn commands(data: &DataDir, endpoints: &Endpoints, no_auth: bool) -> Vec<Spec> {
    let [gateway, registry, approval, rollout, access] = endpoints.metrics;
    let serve = |name: &'static str, listen: SocketAddr, metrics: SocketAddr| {
        Line::new(name, listen, metrics, data, no_auth)
    };
    let sealing_key = data.secrets().join("sealing-key");
    vec![
        serve("access", endpoints.access, access)
            .database(&data.roles())
            .peer("--registry-url", endpoints.registry)
            .peer("--approval-url", endpoints.approval)
            .peer("--rollout-url", endpoints.rollout)
            .spec(),
        serve("registry", endpoints.registry, registry)
            .database(&data.roles())
            .peer("--access-url", endpoints.access)
            .peer("--rollout-url", endpoints.rollout)
            .spec(),
        serve("rollout", endpoints.rollout, rollout)
            .database(&data.roles())
            .peer("--access-url", endpoints.access)
            .with("--link-listen", endpoints.link.to_string())
            .with("--report-interval-seconds", "30")
            .spec(),
        serve("approval", endpoints.approval, approval)
            .database(&data.roles())
            .peer("--access-url", endpoints.access)
            .peer("--registry-url", endpoints.registry)
            .peer("--rollout-url", endpoints.rollout)
            .with("--sealing-key-file", sealing_key)
            .spec(),
        serve("gateway", endpoints.gateway, gateway)
            .peer("--access-url", endpoints.access)
            .peer("--registry-url", endpoints.registry)
            .peer("--approval-url", endpoints.approval)
            .peer("--rollout-url", endpoints.rollout)
            .peer("--link-url", endpoints.link)
            .spec(),
    ]
}

/// A command line that grows.
struct Line {
    name: &'static str,
    arguments: Vec<OsString>,
}

impl Line {
    fn new(
        name: &'static str,
        listen: SocketAddr,
        metrics: SocketAddr,
        data: &DataDir,
        no_auth: bool,
    ) -> Self {
        let line =
            Self { name, arguments: vec!["serve".into(), name.into(), "--supervised".into()] }
                .with("--listen", listen.to_string())
                .with("--metrics-listen", metrics.to_string())
                .with("--drain-seconds", DRAIN_SECONDS)
                .with("--service-token-file", data.secrets().join(format!("{name}.token")))
                .with("--peers-file", data.secrets().join("peers"));
        if no_auth { line.flag("--no-auth") } else { line }
    }

    fn with(mut self, flag: &str, value: impl Into<OsString>) -> Self {
        self.arguments.extend([flag.into(), value.into()]);
        self
    }

    fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.into());
        self
    }

    fn peer(self, flag: &str, address: SocketAddr) -> Self {
        self.with(flag, url(address))
    }

    fn database(self, roles: &Path) -> Self {
        let file = migrate::url_file(roles, self.name);
        self.with("--database-url-file", file)
    }

    fn spec(self) -> Spec {
        Spec { name: self.name, arguments: self.arguments, environment: environment() }
    }
}

/// Whether a process says of itself that it serves.
async fn serves(name: &str, address: SocketAddr) -> bool {
    if name == "gateway" {
        return tokio::net::TcpStream::connect(address).await.is_ok();
    }
    let Ok(uri) = url(address).parse() else { return false };
    let mut health = HealthClient::new(runtime::client::channel(&uri));
    let asked = health.check(HealthCheckRequest { service: String::new() });
    match tokio::time::timeout(Duration::from_secs(1), asked).await {
        Ok(Ok(answer)) => answer.into_inner().status() == ServingStatus::Serving,
        Ok(Err(_)) | Err(_) => false,
    }
}
