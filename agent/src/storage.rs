//! Where a device keeps what must outlive it.

mod directory;
mod disk;
mod log;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

pub use directory::{Directory, DirectoryError};
pub use disk::{Disk, RealDisk};
pub use log::{Log, LogSlot};

use crate::identity::Identity;
use crate::journal::{DocumentError, Journal, decode, encode};

/// A thing that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Who the device is; holds its token.
    Identity,
    /// The journal.
    Journal,
    /// What a simulated engine has; real engines keep that themselves.
    Engine,
}

/// Keeps the parts of one device.
pub trait Storage: Send + Sync {
    /// Returns what was stored, newest first: a copy that turns out to be damaged gives way to the
    /// one before it.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn load(&self, part: Part) -> io::Result<Vec<Vec<u8>>>;

    /// Stores a part as a whole, in place of what was there. Once this returns, the part outlives
    /// whatever the storage promises to outlive.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what was there then stays.
    fn save(&self, part: Part, bytes: &[u8]) -> io::Result<()>;
}

/// Why what was stored cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("what the device stored cannot be read: {0}")]
    Storage(#[source] io::Error),
    /// A newer version wrote it.
    #[error("{0}")]
    Newer(DocumentError),
}

/// Reads the journal. Where no copy is whole the device begins without one: what runs is seen, and
/// the server sends what should.
///
/// # Errors
///
/// When nothing can be read at all, or a newer version wrote the journal.
pub fn load_journal(storage: &dyn Storage) -> Result<Journal, LoadError> {
    for bytes in storage.load(Part::Journal).map_err(LoadError::Storage)? {
        match decode(&bytes) {
            Ok(journal) => return Ok(journal),
            Err(error @ DocumentError::Newer(_)) => return Err(LoadError::Newer(error)),
            Err(error @ DocumentError::Damaged(_)) => tracing::warn!("{error}"),
        }
    }
    Ok(Journal::default())
}

/// Stores the journal.
///
/// # Errors
///
/// When it cannot be written.
pub fn save_journal(storage: &dyn Storage, journal: &Journal) -> io::Result<()> {
    storage.save(Part::Journal, &encode(journal))
}

/// Reads the identity; none when the device has not enrolled.
///
/// # Errors
///
/// When it cannot be read.
pub fn load_identity(storage: &dyn Storage) -> Result<Option<Identity>, LoadError> {
    let copies = storage.load(Part::Identity).map_err(LoadError::Storage)?;
    Ok(copies.iter().find_map(|bytes| serde_json::from_slice(bytes).ok()))
}

/// Stores the identity.
///
/// # Errors
///
/// When it cannot be written.
pub fn save_identity(storage: &dyn Storage, identity: &Identity) -> io::Result<()> {
    let json = serde_json::to_vec(identity).expect("an identity has only string keys");
    storage.save(Part::Identity, &json)
}

/// Keeps parts for as long as the process lives.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeMap<Part, Vec<u8>>>);

impl Storage for InMemory {
    fn load(&self, part: Part) -> io::Result<Vec<Vec<u8>>> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(parts.get(&part).cloned().into_iter().collect())
    }

    fn save(&self, part: Part, bytes: &[u8]) -> io::Result<()> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(part, bytes.to_vec());
        Ok(())
    }
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn load(&self, part: Part) -> io::Result<Vec<Vec<u8>>> {
        (**self).load(part)
    }

    fn save(&self, part: Part, bytes: &[u8]) -> io::Result<()> {
        (**self).save(part, bytes)
    }
}
