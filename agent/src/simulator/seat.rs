//! One simulated device's place: what outlives its restarts, and who restarts it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use runtime::secret::Secret;
use runtime::{Clock, Problem, id};
use tokio::sync::{Semaphore, watch};
use workload::DevicePolicy;

use crate::board::Board;
use crate::chance::Chance;
use crate::device::{Device, DeviceConfig};
use crate::engine::Engine;
use crate::engine::simulated::Simulated;
use crate::enrolment::Enrolment;
use crate::identity::Identity;
use crate::link::{Connector, Link, Reconnect};
use crate::moment::Time;
use crate::platform::Platform;
use crate::profile::{Fate, Reboots};
use crate::storage::{Storage, load_identity, save_identity};
use crate::target::AttemptKey;
use crate::timing::Timing;
use crate::transaction::Phase;

/// A place.
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) enrolment_key: Option<Secret>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) platform: Platform,
    pub(super) fate: Fate,
    pub(super) engine: Arc<Simulated>,
    pub(super) connector: Connector,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) time: Time,
    pub(super) clock: Clock,
    pub(super) timing: Arc<Timing>,
    pub(super) board: Board,
    pub(super) enrolling: Arc<Semaphore>,
    pub(super) orders: watch::Sender<Option<Order>>,
    pub(super) plugged: watch::Sender<bool>,
}

/// What can be done to a device from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Its agent ends and starts again.
    Restart,
    /// Its power goes and comes back.
    Reboot,
    /// Its power goes.
    Silence,
}

impl Seat {
    /// Has the device work, through all its restarts.
    pub(super) async fn live(self: Arc<Self>, mut chance: Chance) {
        let Some(identity) = Box::pin(self.identity(&mut chance)).await else { return };
        let (mut orders, mut rebooted) = (self.orders.subscribe(), None);
        let mut boot_id = self.new_boot_id();
        loop {
            let device = match self.open(&identity, &boot_id, &mut chance) {
                Ok(device) => device,
                Err(problem) => return self.board.show(|seen| seen.problem = problem),
            };
            let link = device.link();
            let mut work = std::pin::pin!(device.run());
            let order = tokio::select! {
                order = ordered(&mut orders) => order,
                order = self.misfortune(&mut rebooted) => order,
                never = &mut work => match never {},
                never = self.network(&link, chance.fork()) => match never {},
            };
            match order {
                Order::Restart => {}
                Order::Reboot => {
                    self.engine.cut_power();
                    boot_id = self.new_boot_id();
                }
                Order::Silence => {
                    self.engine.cut_power();
                    self.board.show(|seen| seen.linked = false);
                    return;
                }
            }
        }
    }

    fn open(
        &self,
        identity: &Identity,
        boot_id: &str,
        chance: &mut Chance,
    ) -> Result<Device, String> {
        Device::open(DeviceConfig {
            identity: identity.clone(),
            boot_id: boot_id.to_owned(),
            platform: self.platform.clone(),
            policy: Arc::new(DevicePolicy::default()),
            engine: Arc::clone(&self.engine) as Arc<dyn Engine>,
            storage: Arc::clone(&self.storage),
            connector: self.connector.clone(),
            timing: Arc::clone(&self.timing),
            time: self.time.clone(),
            chance: chance.fork(),
            board: self.board.clone(),
        })
        .map_err(|error| error.to_string())
    }

    fn new_boot_id(&self) -> String {
        id::uuid_v7(self.clock.now()).to_string()
    }

    /// Who the device is: as stored, else as the server says.
    async fn identity(&self, chance: &mut Chance) -> Option<Identity> {
        match load_identity(&*self.storage) {
            Ok(Some(identity)) => return Some(identity),
            Ok(None) => {}
            Err(error) => {
                self.board.show(|seen| seen.problem = error.to_string());
                return None;
            }
        }
        let Some(key) = &self.enrolment_key else {
            let problem = "no identity is stored and no enrolment key was given".to_owned();
            self.board.show(|seen| seen.problem = problem);
            return None;
        };
        let identity = self.enrol(key, chance).await;
        if let Err(error) = save_identity(&*self.storage, &identity) {
            tracing::warn!("a simulated device's identity could not be stored: {error}");
        }
        Some(identity)
    }

    async fn enrol(&self, key: &Secret, chance: &mut Chance) -> Identity {
        self.time.sleep(Reconnect::boot(&self.timing.link, chance)).await;
        let _turn = self.enrolling.acquire().await;
        let enrolment = Enrolment {
            connector: self.connector.clone(),
            key: key.clone(),
            name: self.name.clone(),
            any_name: true,
            labels: self.labels.clone(),
            platform: self.platform.clone(),
            timing: Arc::clone(&self.timing),
            time: self.time.clone(),
        };
        let refused = |problem: &Problem| {
            self.board.show(|seen| problem.message().clone_into(&mut seen.problem));
        };
        let identity = enrolment.run(chance, refused).await;
        self.board.show(|seen| seen.problem.clear());
        identity
    }

    /// Takes the network away and gives it back, as ordered and as fate will.
    async fn network(&self, link: &Link, mut chance: Chance) -> Infallible {
        let mut plugged = self.plugged.subscribe();
        let mut by_fate = true;
        loop {
            link.set_plugged(*plugged.borrow_and_update() && by_fate);
            let spell = self.fate.spells.map(|spells| {
                let (low, high) = if by_fate { spells.online } else { spells.offline };
                self.time.now() + chance.between(low, high)
            });
            tokio::select! {
                _ = plugged.changed() => {}
                () = self.time.sleep_until(spell) => by_fate = !by_fate,
            }
        }
    }

    /// Waits for what fate has in store once a new version runs.
    async fn misfortune(&self, rebooted: &mut Option<AttemptKey>) -> Order {
        if self.fate.reboots == Reboots::Never && !self.fate.never_returns {
            return std::future::pending().await;
        }
        loop {
            let changed = self.board.changed();
            let seen = self.board.seen();
            let attempt = seen.rows.iter().find_map(|row| row.attempt.clone());
            if seen.phase == Some(Phase::Verifying) && attempt.is_some() {
                if self.fate.never_returns {
                    return Order::Silence;
                }
                if self.fate.reboots == Reboots::Always || *rebooted != attempt {
                    *rebooted = attempt;
                    return Order::Reboot;
                }
            }
            changed.await;
        }
    }
}

async fn ordered(orders: &mut watch::Receiver<Option<Order>>) -> Order {
    loop {
        if orders.changed().await.is_err() {
            return std::future::pending().await;
        }
        if let Some(order) = *orders.borrow_and_update() {
            return order;
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("name", &self.name).finish_non_exhaustive()
    }
}
