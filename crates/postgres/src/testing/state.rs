//! The folder in which a test server lives, and bringing that server up.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;

use super::Error;
use crate::cluster::{Cluster, Options, Shutdown};
use crate::installation::{Installation, Search};

const PATIENCE: Duration = Duration::from_secs(60);

/// A test server's folder, held by this process alone until dropped.
pub(super) struct State {
    dir: PathBuf,
    cluster: Cluster,
    _lock: File,
}

impl State {
    /// Enters the folder, creating it where it is missing, and waits until no other process is in.
    pub(super) fn enter(dir: &Path) -> Result<Self, Error> {
        // The server's account must be able to pass; what lies inside is closed to others by itself.
        let created = DirBuilder::new().recursive(true).mode(0o711).create(dir);
        created.map_err(|error| unusable(dir, error))?;
        let found = fs::symlink_metadata(dir).map_err(|error| unusable(dir, error))?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() {
            return Err(unusable(dir, "it is not this user's own folder"));
        }
        fs::set_permissions(dir, Permissions::from_mode(0o711))
            .map_err(|error| unusable(dir, error))?;
        let lock = open_lock(dir).map_err(|error| unusable(dir, error))?;
        lock.lock().map_err(|error| unusable(dir, error))?;
        Self::locked(dir, lock)
    }

    /// Enters a folder that exists, unless a process is in.
    pub(super) fn try_enter(dir: &Path) -> Result<Option<Self>, Error> {
        let lock = open_lock(dir).map_err(|error| unusable(dir, error))?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        Self::locked(dir, lock).map(Some)
    }

    fn locked(dir: &Path, lock: File) -> Result<Self, Error> {
        let data = dir.join("data");
        let installation = Installation::find(&Search::from_env().for_data(&data))?;
        let cluster =
            Cluster::new(installation, &data, &dir.join("socket"), Options::disposable())?;
        Ok(Self { dir: dir.to_owned(), cluster, _lock: lock })
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Sees to it that the server takes clients; tells whether it had to be started.
    pub(super) fn bring_up(&mut self) -> Result<bool, Error> {
        if self.cluster.running().is_some() {
            if self.cluster.wait_ready(PATIENCE).is_ok() {
                return Ok(false);
            }
            self.cluster.stop(Shutdown::Immediate, PATIENCE)?;
        }
        // Without `fsync` a crash of the machine may have left anything.
        if self.booted_since() || self.start().is_err() {
            self.wipe()?;
            self.start()?;
        }
        Ok(true)
    }

    /// Ends the server and removes everything.
    pub(super) fn destroy(self) -> Result<(), Error> {
        self.cluster.stop(Shutdown::Immediate, PATIENCE)?;
        fs::remove_dir_all(&self.dir).map_err(|error| unusable(&self.dir, error))
    }

    fn start(&self) -> Result<(), crate::Error> {
        self.cluster.init()?;
        // Nobody waits for this child: it is to outlive this process, and once that has ended it is
        // init's to wait for.
        self.cluster.start(&self.dir.join("log"), PATIENCE).map(drop)
    }

    fn wipe(&mut self) -> Result<(), Error> {
        self.cluster.stop(Shutdown::Immediate, PATIENCE)?;
        for folder in [self.cluster.data_dir(), self.cluster.socket_dir()] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unusable(&self.dir, error));
                }
                _ => {}
            }
        }
        let log = self.dir.join("log");
        if log.exists() {
            fs::remove_file(&log).map_err(|error| unusable(&self.dir, error))?;
        }
        // Chosen anew: neither the old data's version nor its owner counts any longer.
        let installation = Installation::find(&Search::from_env())?;
        let (data, socket) = (self.dir.join("data"), self.dir.join("socket"));
        self.cluster = Cluster::new(installation, &data, &socket, Options::disposable())?;
        Ok(())
    }

    /// Tells whether the machine was booted since the server was started last, and notes this boot.
    fn booted_since(&self) -> bool {
        let path = self.dir.join("boot");
        let Some(boot) = boot_id() else { return false };
        if fs::read_to_string(&path).is_ok_and(|noted| noted == boot) {
            return false;
        }
        // Where it cannot be noted, the next start takes this boot for another and begins anew.
        let _ = fs::write(&path, boot);
        true
    }
}

fn open_lock(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).open(dir.join("lock"))
}

/// What tells one boot of this machine from another, where the system says.
fn boot_id() -> Option<String> {
    if cfg!(target_os = "linux") {
        return fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    }
    let mut sysctl = std::process::Command::new("sysctl");
    let output = sysctl.args(["-n", "kern.bootsessionuuid"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn unusable(dir: &Path, reason: impl ToString) -> Error {
    Error::State { folder: dir.display().to_string(), reason: reason.to_string() }
}
