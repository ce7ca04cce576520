//! What a configuration means.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::node::{Fields, Node};
use crate::violation::Violations;
use crate::{
    Capability, Condition, Device, Gpu, Healthcheck, HostPath, Logging, NetworkMode, Port, Restart,
    SCHEMA, Secret, ServiceName, Ulimit, Update, Violation, Volume, conflict, dependency, network,
    process, refused, ulimit, units, volume,
};

/// The least memory that engines accept as a limit.
const MIN_MEMORY: u64 = 6 << 20;

/// What a configuration means.
///
/// `None` and empty lists leave to the image what the image may say. Every container also runs with
/// `no-new-privileges`, which nothing turns off.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The arguments; `None` = the image's.
    pub command: Option<Vec<String>>,
    /// The program; `None` = the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The folder it starts in; `None` = the image's.
    pub working_dir: Option<HostPath>,
    /// `user[:group]`; `None` = the image's.
    pub user: Option<String>,
    /// The signal that ends it; `None` = the image's.
    pub stop_signal: Option<String>,
    /// Variables beside the image's.
    pub environment: BTreeMap<String, String>,
    /// Labels beside the agent's.
    pub labels: BTreeMap<String, String>,
    /// Addresses by host name.
    pub extra_hosts: BTreeMap<String, IpAddr>,
    /// Resource limits by name.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Bytes of `/dev/shm`; `None` = the engine's.
    pub shm_size: Option<u64>,
    /// Its host name; `None` = the service's name.
    pub hostname: Option<String>,
    /// True = a small init reaps processes and passes signals on.
    pub init: bool,
    /// True = it cannot write to its own file system.
    pub read_only: bool,
    /// Folders in memory.
    pub tmpfs: Vec<HostPath>,
    /// How long it may take to end.
    pub stop_grace_period: Duration,
    /// When it is started again.
    pub restart: Restart,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Mounts.
    pub volumes: Vec<Volume>,
    /// Its network.
    pub network_mode: NetworkMode,
    /// The services it needs.
    pub depends_on: BTreeMap<ServiceName, Condition>,
    /// The engine's check; `None` = the image's.
    pub healthcheck: Option<Healthcheck>,
    /// Bytes of memory; `None` = no limit.
    pub mem_limit: Option<u64>,
    /// Billionths of a processor; `None` = no limit.
    pub nano_cpus: Option<u64>,
    /// How many processes it may have.
    pub pids_limit: u32,
    /// Capabilities taken away.
    pub cap_drop: Vec<Capability>,
    /// Capabilities added; only where the device's policy allows it.
    pub cap_add: Vec<Capability>,
    /// Device files; only where the device's policy allows it.
    pub devices: Vec<Device>,
    /// GPUs; only where the device's policy allows it.
    pub gpus: Vec<Gpu>,
    /// How much output is kept.
    pub logging: Logging,
    /// The device's secrets that it gets.
    pub secrets: Vec<Secret>,
    /// `x-slipway`: how it is updated.
    pub update: Update,
}

impl Container {
    /// Reads a configuration: first each field alone, then, when each is fine, all together.
    pub(crate) fn check(value: &Value) -> Result<Self, Vec<Violation>> {
        let violations = Violations::default();
        let container = Self::read(&Node::root(value, &violations));
        let container = violations.unless_any(container)?;
        let conflicts = conflict::within(&container);
        if conflicts.is_empty() { Ok(container) } else { Err(conflicts) }
    }

    /// Reads all fields. A bad one is noted and then counts as absent.
    fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        optional(&mut fields, "schema", |field| match field.integer(1..=i64::MAX)? {
            SCHEMA => Some(()),
            other => field.refuse(format!("schema {other} is not known here; use {SCHEMA}")),
        });
        let container = Self {
            command: optional(&mut fields, "command", Node::texts),
            entrypoint: optional(&mut fields, "entrypoint", Node::texts),
            working_dir: optional(&mut fields, "working_dir", |f| f.parsed(HostPath::parse)),
            user: optional(&mut fields, "user", process::user),
            stop_signal: optional(&mut fields, "stop_signal", process::signal),
            environment: or_default(&mut fields, "environment", process::environment),
            labels: or_default(&mut fields, "labels", process::labels),
            extra_hosts: or_default(&mut fields, "extra_hosts", network::extra_hosts),
            ulimits: or_default(&mut fields, "ulimits", ulimit::ulimits),
            shm_size: optional(&mut fields, "shm_size", |f| units::size(f, 1)),
            hostname: optional(&mut fields, "hostname", network::hostname),
            init: optional(&mut fields, "init", Node::flag).unwrap_or(true),
            read_only: or_default(&mut fields, "read_only", Node::flag),
            tmpfs: or_default(&mut fields, "tmpfs", |f| f.items(volume::mount_point)),
            stop_grace_period: optional(&mut fields, "stop_grace_period", units::duration)
                .unwrap_or(Duration::from_secs(10)),
            restart: or_default(&mut fields, "restart", Restart::read),
            ports: or_default(&mut fields, "ports", |f| f.items(Port::read)),
            volumes: or_default(&mut fields, "volumes", |f| f.items(Volume::read)),
            network_mode: or_default(&mut fields, "network_mode", NetworkMode::read),
            depends_on: or_default(&mut fields, "depends_on", dependency::depends_on),
            healthcheck: optional(&mut fields, "healthcheck", Healthcheck::read),
            mem_limit: optional(&mut fields, "mem_limit", |f| units::size(f, MIN_MEMORY)),
            nano_cpus: optional(&mut fields, "cpus", nano_cpus),
            pids_limit: optional(&mut fields, "pids_limit", pids_limit).unwrap_or(512),
            cap_drop: or_default(&mut fields, "cap_drop", |f| f.items(Capability::read)),
            cap_add: or_default(&mut fields, "cap_add", |f| f.items(Capability::read)),
            devices: or_default(&mut fields, "devices", |f| f.items(Device::read)),
            gpus: or_default(&mut fields, "gpus", |f| f.items(Gpu::read)),
            logging: or_default(&mut fields, "logging", Logging::read),
            secrets: or_default(&mut fields, "secrets", |f| f.items(Secret::read)),
            update: or_default(&mut fields, "x-slipway", Update::read),
        };
        fields.finish_with(refused::always);
        Some(container)
    }
}

/// Reads a field that has no default.
fn optional<'a, T>(
    fields: &mut Fields<'_, 'a>,
    name: &'static str,
    read: impl FnOnce(&Node<'a>) -> Option<T>,
) -> Option<T> {
    fields.get(name).and_then(|field| read(&field))
}

/// Reads a field whose default is that of its type.
fn or_default<'a, T: Default>(
    fields: &mut Fields<'_, 'a>,
    name: &'static str,
    read: impl FnOnce(&Node<'a>) -> Option<T>,
) -> T {
    optional(fields, name, read).unwrap_or_default()
}

fn nano_cpus(node: &Node<'_>) -> Option<u64> {
    const MOST: f64 = 1024.0;
    let cpus = node.number()?;
    if !(0.01..=MOST).contains(&cpus) {
        return node.refuse(format!("{cpus} processors cannot be given; use 0.01 to {MOST}"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounds are checked"
    )]
    let nanos = (cpus * 1e9).round() as u64;
    Some(nanos)
}

fn pids_limit(node: &Node<'_>) -> Option<u32> {
    const MOST: i64 = 4_194_304;
    node.integer(1..=MOST).and_then(|limit| u32::try_from(limit).ok())
}
