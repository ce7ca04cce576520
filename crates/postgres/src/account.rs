//! The user as whom PostgreSQL runs.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{getegid, geteuid};

use crate::error::Error;
use crate::poll;

/// The user as whom a server runs: oneself, or, as root, somebody else, because PostgreSQL refuses
/// to run as root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
    name: String,
    /// Whether that is somebody other than this process runs as.
    switched: bool,
}

impl Account {
    /// Chooses the account for a new data directory: as root `postgres`, else `nobody`; otherwise
    /// oneself.
    pub fn current() -> Result<Self, Error> {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        if uid != 0 {
            let name = user_name(&users, uid);
            return Ok(Self { uid, gid, name, switched: false });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| find_user(&users, name))
            .ok_or(Error::NoAccount)
    }

    /// Chooses the account for a data directory that may exist: as root its owner, so that root may
    /// go on with what an ordinary user began.
    pub fn for_data(data_dir: &Path) -> Result<Self, Error> {
        let current = Self::current()?;
        match fs::metadata(data_dir) {
            Ok(found) if current.switched && found.is_dir() && found.uid() != 0 => {
                let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
                let (uid, gid) = (found.uid(), found.gid());
                Ok(Self { uid, gid, name: user_name(&users, uid), switched: true })
            }
            _ => Ok(current),
        }
    }

    /// The user's name, or its number where it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's number.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Makes `program` a command that runs as this user, from `/`, and that takes nothing from the
    /// environment that would change what a PostgreSQL program does or the language it speaks.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("PG") || name.starts_with("LC_") || name.starts_with("LANG") {
                command.env_remove(&key);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null());
        if self.switched {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or folder to this user.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        if self.switched { chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Gives an open file to this user.
    pub(crate) fn own_file(&self, file: &File) -> io::Result<()> {
        if !self.switched {
            return Ok(());
        }
        std::os::unix::fs::fchown(file, Some(self.uid), Some(self.gid))
    }

    /// Finds the first folder on the way to `path` that this user cannot enter. `program` is
    /// anything that this user can run and that does nothing, such as `postgres --version`.
    pub(crate) fn shut_out_at(&self, path: &Path, program: &Path) -> Option<PathBuf> {
        // Where it cannot even run the program from the root, no folder is to blame.
        if !self.switched || self.enters(path, program) || !self.enters(Path::new("/"), program) {
            return None;
        }
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        ancestors.into_iter().find(|dir| !self.enters(dir, program)).map(Path::to_owned)
    }

    /// Tries it out rather than reading mode bits, which do not tell about access lists. The child
    /// changes its user before its folder, so that it fails to start where it may not enter.
    fn enters(&self, dir: &Path, program: &Path) -> bool {
        let mut command = self.command(program);
        command.arg("--version").current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        poll::exit(&mut child, Duration::from_secs(10)).is_some()
    }
}

/// Finds a user in the lines of passwd(5).
fn find_user(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = parse_id(fields.nth(1)?)?;
        let gid = parse_id(fields.next()?)?;
        (uid != 0).then(|| Account { uid, gid, name: name.to_owned(), switched: true })
    })
}

/// Reads a user's or group's number; macOS writes that of `nobody` as -2.
fn parse_id(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

fn user_name(users: &str, uid: u32) -> String {
    users
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (parse_id(fields.nth(1)?)? == uid).then(|| name.to_owned())
        })
        .unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::{find_user, user_name};

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment, as macOS has them\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n\
        nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n\
        toor:x:0:0::/root:/bin/sh\n";

    #[test]
    fn users_are_found_by_name() {
        let found = |name| find_user(USERS, name).map(|account| (account.uid, account.gid));
        assert_eq!(found("postgres"), Some((101, 104)));
        assert_eq!(found("nobody"), Some((4_294_967_294, 4_294_967_294)));
        assert_eq!(found("somebody"), None);
    }

    #[test]
    fn a_second_name_of_root_is_no_account_for_a_server() {
        assert_eq!(find_user(USERS, "toor"), None);
    }

    #[test]
    fn a_user_without_a_name_is_called_by_number() {
        assert_eq!(user_name(USERS, 101), "postgres");
        assert_eq!(user_name(USERS, 4711), "4711");
    }
}
