//! The few things a storage does to a folder, so that a test can take the power away between any
//! two of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// A folder of small files.
pub trait Disk: Send + Sync {
    /// Returns a file; none when there is no such file.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Writes a file, in place of what it held.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Makes what a file holds outlive a power cut.
    ///
    /// # Errors
    ///
    /// When the disk says so.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Gives a file a second name, which nothing has.
    ///
    /// # Errors
    ///
    /// When it cannot be done.
    fn link(&self, name: &str, second: &str) -> io::Result<()>;

    /// Renames a file over what has the new name.
    ///
    /// # Errors
    ///
    /// When it cannot be done.
    fn rename(&self, name: &str, new: &str) -> io::Result<()>;

    /// Removes a file; well when there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be done.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names of the folder outlive a power cut.
    ///
    /// # Errors
    ///
    /// When the disk says so.
    fn sync_names(&self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct RealDisk(PathBuf);

impl RealDisk {
    /// The folder at this path, which exists.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Disk for RealDisk {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.0.join(name))?.write_all(bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.0.join(name))?.sync_all()
    }

    fn link(&self, name: &str, second: &str) -> io::Result<()> {
        fs::hard_link(self.0.join(name), self.0.join(second))
    }

    fn rename(&self, name: &str, new: &str) -> io::Result<()> {
        fs::rename(self.0.join(name), self.0.join(new))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}
