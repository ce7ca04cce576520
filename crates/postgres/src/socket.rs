//! The folder of a server's Unix socket.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::account::Account;
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::pidfile::PidFile;

/// The port names the socket; nothing listens on it.
pub(crate) const PORT: u16 = 5432;

/// How long the path of a socket may be.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The path of the socket in its folder.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{PORT}"))
}

/// Takes the folder wished for where the socket's path fits, and otherwise a short one that is the
/// same for the same data directory.
pub(crate) fn choose(wish: &Path, data_dir: &Path) -> PathBuf {
    if path(wish).as_os_str().len() <= LONGEST {
        return wish.to_owned();
    }
    PathBuf::from(format!("/tmp/slipway-{}", fingerprint(data_dir.as_os_str().as_bytes())))
}

/// Creates the folder, or makes sure that the one that exists is private to the account. Anything
/// else in its place is refused: somebody could have laid it there to read along.
pub(crate) fn prepare(dir: &Path, account: &Account) -> Result<(), Error> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = dir.parent() {
                fs::create_dir_all(parent).map_err(Error::at("create the folder", parent))?;
            }
            DirBuilder::new()
                .mode(0o700)
                .create(dir)
                .map_err(Error::at("create the folder", dir))?;
        }
        Err(error) => return Err(Error::at("look at", dir)(error)),
        Ok(found) if !found.is_dir() => return Err(Error::NotAFolder { path: dir.to_owned() }),
        Ok(found) if found.uid() == account.uid() => {}
        Ok(found) => {
            // One's own empty folder may be handed on to the account.
            let empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
            if found.uid() != geteuid().as_raw() || !empty {
                return Err(Error::ForeignOwner {
                    path: dir.to_owned(),
                    owner: format!("user {}", found.uid()),
                    account: account.name().to_owned(),
                });
            }
        }
    }
    account.own(dir).map_err(Error::at("give away the folder", dir))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
        .map_err(Error::at("close the folder", dir))
}

/// Removes a socket that no server listens on. A server clears away only what was left by a process
/// whose number is free again.
pub(crate) fn clear_stale(dir: &Path) -> Result<(), Error> {
    let socket = path(dir);
    let lock = dir.join(format!(".s.PGSQL.{PORT}.lock"));
    if PidFile::read(&lock).is_some_and(|file| file.is_live()) {
        return Ok(());
    }
    for path in [socket, lock] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::at("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{LONGEST, choose, path};

    #[test]
    fn a_folder_that_fits_is_taken() {
        assert_eq!(
            choose(Path::new("/run/slipway"), Path::new("/data")),
            Path::new("/run/slipway")
        );
    }

    #[test]
    fn a_path_too_long_gives_way_to_a_short_one_of_its_own() {
        let folder = |socket_len: usize| {
            let rest = path(Path::new("/")).as_os_str().len() + 1;
            format!("/{}", "x".repeat(socket_len - rest))
        };
        let (longest, too_long) = (folder(LONGEST), folder(LONGEST + 1));
        assert_eq!(path(Path::new(&longest)).as_os_str().len(), LONGEST);
        assert_eq!(choose(Path::new(&longest), Path::new("/data")), Path::new(&longest));

        let short = choose(Path::new(&too_long), Path::new("/data"));
        assert!(path(&short).as_os_str().len() <= LONGEST, "{short:?}");
        assert_eq!(short, choose(Path::new(&too_long), Path::new("/data")));
        assert_ne!(short, choose(Path::new(&too_long), Path::new("/other")));
    }
}
