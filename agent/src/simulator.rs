//! Thousands of devices in one process.
//!
//! Each is a real [`Device`](crate::Device) with its own link, journal and timers; only its engine
//! is simulated. A device costs one task and, unless connections are shared, one HTTP/2 connection.
//! What devices remember lies in one file, so that they are the same ones after a restart.

mod seat;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::Clock;
use runtime::secret::Secret;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::board::{Board, Seen};
use crate::chance::Chance;
use crate::engine::simulated::{Bench, Calls, Simulated};
use crate::link::{AddressError, Connector};
use crate::machine::Tally;
use crate::moment::Time;
use crate::platform::Platform;
use crate::profile::Profile;
use crate::storage::{InMemory, Log, Storage};
use crate::timing::Timing;
use seat::{Order, Seat};

/// What a simulator is started with.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Address of the device link, for instance `http://127.0.0.1:4020`.
    pub link_url: String,
    /// The devices.
    pub groups: Vec<SimulatedGroup>,
    /// The devices' own durations.
    pub timing: Timing,
    /// Their clock; a manual one moves their timers too.
    pub clock: Clock,
    /// The file in which they remember; none = they begin anew with each start.
    pub storage: Option<PathBuf>,
    /// How they reach the server.
    pub connections: Connections,
    /// Where chance begins: the same seed makes the same devices go wrong.
    pub seed: u64,
}

/// Devices that are alike.
#[derive(Debug, Clone)]
pub struct SimulatedGroup {
    /// The beginning of their names.
    pub name: String,
    /// How many they are.
    pub devices: usize,
    /// The key they enrol with; none = only those with a stored identity work.
    pub enrolment_key: Option<Secret>,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
    /// What they are.
    pub platform: Platform,
    /// How they behave.
    pub profile: Profile,
}

impl SimulatedGroup {
    /// Devices without labels on which nothing goes wrong.
    #[must_use]
    pub fn new(name: &str, devices: usize, enrolment_key: Secret) -> Self {
        Self {
            name: name.to_owned(),
            devices,
            enrolment_key: Some(enrolment_key),
            labels: BTreeMap::new(),
            platform: Platform::new("linux", "amd64"),
            profile: Profile::good(),
        }
    }
}

/// How simulated devices reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// Each by its own connection, as real ones do.
    Own,
    /// So many by one connection. The server must allow twice as many streams per connection.
    Shared(usize),
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address is none.
    #[error("{0}")]
    Address(AddressError),
    /// The file cannot be used.
    #[error("the devices' file `{path}` cannot be used: {cause}")]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Devices that run. They end when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    devices: Vec<SimulatedDevice>,
    changes: watch::Receiver<u64>,
    tasks: JoinSet<()>,
}

/// One device of a simulator. Clones are the same device.
#[derive(Debug, Clone)]
pub struct SimulatedDevice(Arc<Seat>);

/// All devices of a simulator together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many there are.
    pub devices: usize,
    /// How many have enrolled.
    pub enrolled: usize,
    /// How many have a session.
    pub linked: usize,
    /// How many are in the middle of an update.
    pub updating: usize,
    /// How updates went.
    pub tally: Tally,
    /// How many reports were answered.
    pub reports: u64,
    /// What keeps devices from working, and how many of them.
    pub problems: BTreeMap<String, usize>,
}

impl Simulator {
    /// Starts the devices. They enrol and connect by and by.
    ///
    /// # Errors
    ///
    /// When the address is none or the file cannot be used.
    pub fn start(config: SimulatorConfig) -> Result<Self, SimulatorError> {
        let log = open_log(config.storage.as_ref())?;
        let (sender, changes) = watch::channel(0);
        let sender = Arc::new(sender);
        let mut connectors = Connectors::new(&config);
        let timing = Arc::new(config.timing);
        let enrolling = Arc::new(Semaphore::new(64));
        let (mut devices, mut tasks) = (Vec::new(), JoinSet::new());
        for (group, index) in members(&config.groups) {
            let key = format!("{}-{:04}", group.name, index + 1);
            let mut chance = Chance::seeded(config.seed ^ seed_of(&key));
            let fate = group.profile.draw(&mut chance);
            let time = Time::new(config.clock.clone()).with_skew(fate.skew);
            let storage: Arc<dyn Storage> = match &log {
                Some(log) => Arc::new(log.slot(&key)),
                None => Arc::new(InMemory::default()),
            };
            let pace = group.profile.pace.clone();
            let bench =
                Bench::new(group.platform.clone(), pace, fate.faults.clone(), chance.fork());
            let seat = Arc::new(Seat {
                name: key,
                enrolment_key: group.enrolment_key.clone(),
                labels: group.labels.clone(),
                platform: group.platform.clone(),
                fate,
                engine: Arc::new(Simulated::open(bench, time.clone(), Arc::clone(&storage))),
                connector: connectors.next(&mut chance).map_err(SimulatorError::Address)?,
                storage,
                time,
                clock: config.clock.clone(),
                timing: Arc::clone(&timing),
                board: Board::new(Arc::clone(&sender)),
                enrolling: Arc::clone(&enrolling),
                orders: watch::channel(None).0,
                plugged: watch::channel(true).0,
            });
            tasks.spawn(Arc::clone(&seat).live(chance));
            devices.push(SimulatedDevice(seat));
        }
        Ok(Self { devices, changes, tasks })
    }

    /// The devices, in the order of their groups.
    #[must_use]
    pub fn devices(&self) -> &[SimulatedDevice] {
        &self.devices
    }

    /// All devices together.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { devices: self.devices.len(), ..Summary::default() };
        for device in &self.devices {
            summary.add(&device.seen());
        }
        summary
    }

    /// Waits until the devices are as wanted.
    ///
    /// # Errors
    ///
    /// What the devices are instead, when that takes longer than `limit`.
    pub async fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        mut is_so: impl FnMut(&[SimulatedDevice]) -> bool,
    ) -> Result<(), String> {
        let mut changes = self.changes.clone();
        let wait = async {
            while !is_so(&self.devices) {
                // The sender lives as long as the devices do.
                let _ = changes.changed().await;
            }
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(()) => Ok(()),
            Err(_) => Err(format!("waited for {what}; the devices: {:?}", self.summary())),
        }
    }

    /// Ends the devices, as a power cut would.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

impl SimulatedDevice {
    /// The device as it was seen last.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.0.board.seen()
    }

    /// How often its engine was called.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        self.0.engine.calls()
    }

    /// Takes its network away, or gives it back.
    pub fn set_plugged(&self, plugged: bool) {
        self.0.plugged.send_replace(plugged);
    }

    /// Ends its agent and starts it again; containers run on.
    pub fn restart(&self) {
        self.0.orders.send_replace(Some(Order::Restart));
    }

    /// Takes its power away and gives it back.
    pub fn reboot(&self) {
        self.0.orders.send_replace(Some(Order::Reboot));
    }
}

impl Summary {
    fn add(&mut self, seen: &Seen) {
        self.enrolled += usize::from(!seen.device_id.is_empty());
        self.linked += usize::from(seen.linked);
        self.updating += usize::from(seen.phase.is_some());
        self.tally.begun += seen.tally.begun;
        self.tally.committed += seen.tally.committed;
        self.tally.reverted += seen.tally.reverted;
        self.tally.failed += seen.tally.failed;
        self.tally.rejected += seen.tally.rejected;
        self.reports += u64::from(seen.reports);
        if !seen.problem.is_empty() {
            *self.problems.entry(seen.problem.clone()).or_default() += 1;
        }
    }
}

/// Connections, as many as asked for.
struct Connectors {
    address: String,
    timing: Timing,
    per_connection: Option<usize>,
    shared: Option<(Connector, usize)>,
}

impl Connectors {
    fn new(config: &SimulatorConfig) -> Self {
        let per_connection = match config.connections {
            Connections::Own => None,
            Connections::Shared(devices) => Some(devices.max(1)),
        };
        Self {
            address: config.link_url.clone(),
            timing: config.timing.clone(),
            per_connection,
            shared: None,
        }
    }

    fn next(&mut self, chance: &mut Chance) -> Result<Connector, AddressError> {
        let Some(most) = self.per_connection else {
            return Connector::own(&self.address, &self.timing.link, chance);
        };
        let (connector, used) = match self.shared.take() {
            Some((connector, used)) if used < most => (connector, used),
            Some(_) | None => (Connector::shared(&self.address, &self.timing.link, chance)?, 0),
        };
        self.shared = Some((connector.clone(), used + 1));
        Ok(connector)
    }
}

fn open_log(path: Option<&PathBuf>) -> Result<Option<Arc<Log>>, SimulatorError> {
    let Some(path) = path else { return Ok(None) };
    let log =
        Log::open(path).map_err(|cause| SimulatorError::Storage { path: path.clone(), cause })?;
    Ok(Some(log))
}

fn members(groups: &[SimulatedGroup]) -> impl Iterator<Item = (&SimulatedGroup, usize)> {
    groups.iter().flat_map(|group| (0..group.devices).map(move |index| (group, index)))
}

/// A number that stays the same for the same name.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
