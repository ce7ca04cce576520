//! A data directory and the server on it.

mod init;
mod server;

use std::fs;
use std::path::{Path, PathBuf};

pub use server::Shutdown;

use crate::account::Account;
use crate::error::Error;
use crate::installation::Installation;
use crate::version::Version;
use crate::{socket, url};

/// The name of the superuser.
pub const SUPERUSER: &str = "postgres";

/// The superuser's password, in the data directory.
const PASSWORD_FILE: &str = "superuser.password";

/// What a server is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether what was committed survives a crash of the machine. Without it everything is faster,
    /// and lost with the machine.
    pub durable: bool,
    /// How many clients at once.
    pub max_connections: u32,
    /// How much memory holds pages, in MiB.
    pub shared_buffers_mib: u32,
}

impl Options {
    /// A server whose data is to stay, of modest size.
    pub fn durable() -> Self {
        Self { durable: true, max_connections: 100, shared_buffers_mib: 64 }
    }

    /// A server whose data may go, for many clients at once.
    pub fn disposable() -> Self {
        Self { durable: false, max_connections: 500, shared_buffers_mib: 128 }
    }
}

/// One data directory, and the server that runs on it.
#[derive(Debug, Clone)]
pub struct Cluster {
    installation: Installation,
    data_dir: PathBuf,
    socket_dir: PathBuf,
    account: Account,
    options: Options,
}

impl Cluster {
    /// Describes a cluster; nothing is touched. `socket_dir` is a wish: where a socket's path in it
    /// would be too long, [`Cluster::socket_dir`] is a short folder under `/tmp` instead, always the
    /// same for the same data directory.
    pub fn new(
        installation: Installation,
        data_dir: &Path,
        socket_dir: &Path,
        options: Options,
    ) -> Result<Self, Error> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(Error::at("find the absolute path of", path))
        };
        let data_dir = absolute(data_dir)?;
        let socket_dir = socket::choose(&absolute(socket_dir)?, &data_dir);
        let account = Account::for_data(&data_dir)?;
        Ok(Self { installation, data_dir, socket_dir, account, options })
    }

    /// The version of the programs.
    pub fn version(&self) -> &Version {
        self.installation.version()
    }

    /// The data directory, as an absolute path.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The folder of the socket, as an absolute path.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The user as whom the server runs.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The URL by which the superuser reaches a database, with the generated password in it.
    pub fn superuser_url(&self, db: &str) -> Result<String, Error> {
        let path = self.data_dir.join(PASSWORD_FILE);
        let password = fs::read_to_string(&path).map_err(Error::at("read the password", &path))?;
        Ok(self.url(SUPERUSER, password.trim_end(), db))
    }

    /// The URL by which a user reaches a database, for sqlx as for `psql`.
    pub fn url(&self, user: &str, password: &str, db: &str) -> String {
        url::connection(user, password, db, &self.socket_dir, socket::PORT)
    }
}
