//! The state folder of a real device.
//!
//! A part is written beside what is there, made to outlive a power cut, and only then put in its
//! place; what was there stays as a copy. The folder is the agent's alone, and only one agent's. A
//! ballast file gives way when the disk is full, so that a full disk never keeps the agent from
//! remembering what it is doing.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{Disk, Part, RealDisk, Storage};

const BALLAST: &str = "ballast";
const BALLAST_BYTES: usize = 1024 * 1024;

/// A state folder.
pub struct Directory {
    disk: Box<dyn Disk>,
    /// Held as long as the folder is used.
    _lock: Option<File>,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another agent uses it.
    #[error("another agent uses the state folder `{0}`; stop it, or give this one its own folder")]
    Locked(PathBuf),
    /// It cannot be made, read or written.
    #[error("the state folder `{path}` cannot be used: {cause}")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl Directory {
    /// Opens a state folder, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// When another agent uses the folder, or it cannot be used at all.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let unusable = |cause| DirectoryError::Unusable { path: path.to_owned(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unusable)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600);
        let lock = lock.open(path.join("lock")).map_err(unusable)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| DirectoryError::Locked(path.to_owned()))?;
        let directory = Self { disk: Box::new(RealDisk::new(path.to_owned())), _lock: Some(lock) };
        directory.fill_ballast();
        Ok(directory)
    }

    /// Uses another disk.
    #[must_use]
    pub fn on(disk: Box<dyn Disk>) -> Self {
        Self { disk, _lock: None }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (new, old, spare) =
            (format!("{name}.new"), format!("{name}.old"), format!("{name}.tmp"));
        self.disk.write(&new, bytes)?;
        self.disk.sync(&new)?;
        if self.disk.read(name)?.is_some() {
            self.disk.remove(&spare)?;
            self.disk.link(name, &spare)?;
            self.disk.rename(&spare, &old)?;
        }
        self.disk.rename(&new, name)?;
        self.disk.sync_names()
    }

    /// Room that is given up when there is no other.
    fn fill_ballast(&self) {
        let is_there = self.disk.read(BALLAST).is_ok_and(|found| found.is_some());
        if !is_there && self.disk.write(BALLAST, &vec![0; BALLAST_BYTES]).is_err() {
            // Half a ballast is no ballast, and takes room.
            let _ = self.disk.remove(BALLAST);
        }
    }
}

impl Storage for Directory {
    fn load(&self, part: Part) -> io::Result<Vec<Vec<u8>>> {
        let name = file_name(part);
        let copies = [self.disk.read(name)?, self.disk.read(&format!("{name}.old"))?];
        Ok(copies.into_iter().flatten().collect())
    }

    fn save(&self, part: Part, bytes: &[u8]) -> io::Result<()> {
        let name = file_name(part);
        match self.write(name, bytes) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.disk.remove(BALLAST)?;
                self.write(name, bytes)
            }
            Err(error) => Err(error),
            Ok(()) => {
                if part == Part::Journal {
                    self.fill_ballast();
                }
                Ok(())
            }
        }
    }
}

fn file_name(part: Part) -> &'static str {
    match part {
        Part::Identity => "identity",
        Part::Journal => "state",
        Part::Engine => "engine",
    }
}
