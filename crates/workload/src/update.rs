//! `x-slipway`: how a service is updated and when it counts as healthy.

use std::time::Duration;

use crate::healthcheck::{count, time};
use crate::node::Node;
use crate::port::number;
use crate::units::at_least_a_second;

/// How a service is updated and when it counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// In which order old and new are swapped.
    pub strategy: Strategy,
    /// What the agent itself tries, beside the engine's healthcheck.
    pub probes: Vec<Probe>,
    /// How many restarts while verifying are borne.
    pub restart_limit: u32,
}

impl Default for Update {
    fn default() -> Self {
        Self { strategy: Strategy::StopStart, probes: Vec::new(), restart_limit: 2 }
    }
}

/// In which order old and new are swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The old one ends first.
    StopStart,
    /// The new one is healthy first, where nothing stands against it.
    StartStop,
}

/// Something that the agent tries regularly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it tries.
    pub target: ProbeTarget,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many failures in a row count.
    pub failures: u32,
}

/// What a probe tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// A GET of this path at a published port; 200 to 399 is well.
    Http {
        /// The device's port.
        port: u16,
        /// The path, with its query.
        path: String,
    },
    /// A connection to a published port.
    Tcp {
        /// The device's port.
        port: u16,
    },
    /// A program within the container; exit code 0 is well.
    Exec(Vec<String>),
}

impl Update {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let default = Self::default();
        let strategies = [("stop-start", Strategy::StopStart), ("start-stop", Strategy::StartStop)];
        let mut fields = node.fields()?;
        let strategy =
            fields.get("strategy").map_or(Some(default.strategy), |field| field.word(&strategies));
        let probes =
            fields.get("probes").map_or(Some(default.probes), |field| field.items(Probe::read));
        let restart_limit = fields.get("restart_limit").map_or(Some(default.restart_limit), |f| {
            f.integer(0..=1000).and_then(|limit| u32::try_from(limit).ok())
        });
        fields.finish();
        Some(Self { strategy: strategy?, probes: probes?, restart_limit: restart_limit? })
    }
}

impl Probe {
    fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let targets = [
            fields.get("http").map(|field| read_http(&field)),
            fields.get("tcp").map(|field| read_tcp(&field)),
            fields.get("exec").map(|field| read_exec(&field)),
        ];
        let interval = time(&mut fields, "interval", 10, at_least_a_second);
        let timeout = time(&mut fields, "timeout", 3, at_least_a_second);
        let failures = count(&mut fields, "failures", 3);
        fields.finish();
        let mut given = targets.into_iter().flatten();
        let target = match (given.next(), given.next()) {
            (Some(target), None) => target,
            (Some(_), Some(_)) => node.refuse("a probe tries one thing; make one probe of each"),
            (None, _) => node.refuse("the probe tries nothing; give `http`, `tcp` or `exec`"),
        };
        Some(Self { target: target?, interval: interval?, timeout: timeout?, failures: failures? })
    }

    /// Returns the device's port that the probe needs.
    pub fn port(&self) -> Option<u16> {
        match &self.target {
            ProbeTarget::Http { port, .. } | ProbeTarget::Tcp { port } => Some(*port),
            ProbeTarget::Exec(_) => None,
        }
    }
}

fn read_http(node: &Node<'_>) -> Option<ProbeTarget> {
    let mut fields = node.fields()?;
    let port = fields.require("port").and_then(|field| number(&field));
    let path = fields.get("path").map_or(Some("/".to_owned()), |field| http_path(&field));
    fields.finish();
    Some(ProbeTarget::Http { port: port?, path: path? })
}

fn http_path(node: &Node<'_>) -> Option<String> {
    let path = node.text()?;
    if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Some(path.to_owned());
    }
    node.refuse("this is not a path of a URL; begin with `/` and encode blanks and other marks")
}

fn read_tcp(node: &Node<'_>) -> Option<ProbeTarget> {
    let mut fields = node.fields()?;
    let port = fields.require("port").and_then(|field| number(&field));
    fields.finish();
    Some(ProbeTarget::Tcp { port: port? })
}

fn read_exec(node: &Node<'_>) -> Option<ProbeTarget> {
    match node.texts()? {
        command if command.is_empty() => node.refuse("the list is empty; name a program"),
        command => Some(ProbeTarget::Exec(command)),
    }
}
