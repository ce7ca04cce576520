//! What others may see of a device while it works.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, watch};

use crate::machine::Tally;
use crate::row::Row;
use crate::transaction::Phase;

/// A device as it was seen last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its id, once it has enrolled.
    pub device_id: String,
    /// What it is called.
    pub name: String,
    /// The generation it has accepted; 0 = none.
    pub generation: i64,
    /// The etag of that target.
    pub etag: String,
    /// Where its services stand.
    pub rows: Vec<Row>,
    /// How far the update under way is.
    pub phase: Option<Phase>,
    /// Whether it has a session with the server.
    pub linked: bool,
    /// How many sessions it has had.
    pub sessions: u32,
    /// How many reports were answered.
    pub reports: u32,
    /// How many of the answers were `stale`.
    pub stale: u32,
    /// The number of the last report that was sent.
    pub last_seq: i64,
    /// How updates went since the start.
    pub tally: Tally,
    /// What keeps it from working, in a sentence; empty = nothing.
    pub problem: String,
}

impl Seen {
    /// Where a service stands.
    #[must_use]
    pub fn row(&self, service: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.service == service)
    }
}

/// Where a device shows itself. Clones are the same board.
#[derive(Debug, Clone)]
pub struct Board {
    seen: Arc<Mutex<Seen>>,
    own: Arc<Notify>,
    changes: Arc<watch::Sender<u64>>,
}

impl Board {
    /// A board that tells changes to those who watch `changes`, which many boards may share.
    #[must_use]
    pub fn new(changes: Arc<watch::Sender<u64>>) -> Self {
        Self { seen: Arc::default(), own: Arc::default(), changes }
    }

    /// The device as it was seen last.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Shows something, and tells so if that changed anything.
    pub fn show(&self, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.lock();
        let before = seen.clone();
        change(&mut seen);
        if *seen != before {
            drop(seen);
            self.own.notify_waiters();
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// A future that ends with the next change, even if it is polled only later.
    pub fn changed(&self) -> OwnedNotified {
        Arc::clone(&self.own).notified_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Board {
    fn default() -> Self {
        Self::new(Arc::new(watch::channel(0).0))
    }
}
