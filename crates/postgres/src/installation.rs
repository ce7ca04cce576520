//! A usable PostgreSQL on this machine, and how it is found.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::account::Account;
use crate::error::Error;
use crate::platform::Platform;
use crate::poll;
use crate::version::Version;

/// The variable that names the folder of the programs.
const VARIABLE: &str = "SLIPWAY_POSTGRES_BIN";

/// Where packages put the programs, below the root of the file system; one `*` each.
const PLACES: [&str; 14] = [
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/lib/postgresql*/bin",
    "usr/lib64/postgresql-*/bin",
    "usr/libexec/postgresql*",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "opt/homebrew/bin",
    "usr/local/opt/postgresql@*/bin",
    "usr/local/bin",
    "home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "opt/local/lib/postgresql*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
    "usr/bin",
];

/// A pair of `initdb` and `postgres` of one version that the server's account can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    bin: PathBuf,
    version: Version,
}

/// What [`Installation::find`] goes by.
#[derive(Debug, Clone)]
pub struct Search {
    /// The folder named by hand, the value of `SLIPWAY_POSTGRES_BIN`: when set, the only one that
    /// counts.
    pub bin: Option<PathBuf>,
    /// The value of `PATH`.
    pub path: Option<OsString>,
    /// Where the file system begins: `/` outside of tests.
    pub root: PathBuf,
    /// The major version that is taken where it is found, whatever comes before it: that of the
    /// data at hand. Without it the first usable installation is taken.
    pub major: Option<u32>,
}

impl Search {
    /// Searches as this process's environment says.
    pub fn from_env() -> Self {
        Self {
            bin: std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from),
            path: std::env::var_os("PATH"),
            root: PathBuf::from("/"),
            major: None,
        }
    }

    /// Prefers the version with which the data directory was created, if it was.
    #[must_use]
    pub fn for_data(mut self, data_dir: &Path) -> Self {
        self.major = data_version(data_dir);
        self
    }

    /// The folders to try, best first.
    fn candidates(&self) -> Vec<PathBuf> {
        let path = self.path.iter().flat_map(std::env::split_paths).filter(|dir| dir.is_absolute());
        let places = PLACES.iter().flat_map(|place| expand(&self.root, place));
        let mut candidates: Vec<PathBuf> = Vec::new();
        for dir in path.chain(places) {
            if !candidates.contains(&dir) {
                candidates.push(dir);
            }
        }
        candidates
    }
}

impl Installation {
    /// Finds the programs: in the folder named by hand, or else in `PATH` and then where packages
    /// put them, the newest of each kind first. What does not run or is too old is passed over.
    pub fn find(search: &Search) -> Result<Self, Error> {
        let account = Account::current()?;
        if let Some(bin) = &search.bin {
            return Self::named(bin, &account);
        }
        let mut found = Vec::new();
        let mut passed_over = Vec::new();
        for dir in search.candidates().iter().filter(|dir| dir.join("postgres").exists()) {
            match Self::probe(dir, &account) {
                Ok(installation) if search.major.is_none_or(|major| installation.fits(major)) => {
                    return Ok(installation);
                }
                Ok(installation) => found.push(installation),
                Err(reason) => {
                    passed_over.push(format!("passed over `{}`: {reason}", dir.display()))
                }
            }
        }
        found.into_iter().next().ok_or_else(|| Error::NotInstalled {
            looked_in: format!("`{VARIABLE}`, `PATH`, /{}", PLACES.join(", /")),
            passed_over: passed_over.iter().map(|reason| format!("; {reason}")).collect(),
            install: Platform::detect(&search.root).install_line(),
        })
    }

    /// The folder of the programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The version of the programs.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The program that creates a data directory.
    pub fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    /// The server.
    pub fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    fn fits(&self, major: u32) -> bool {
        self.version.major() == major
    }

    /// Takes the folder that somebody named, or the folder of the program that they named.
    fn named(bin: &Path, account: &Account) -> Result<Self, Error> {
        let unusable = |reason| Error::UnusableBin { bin: bin.to_owned(), reason };
        let bin = std::path::absolute(bin).map_err(|error| unusable(error.to_string()))?;
        let folder = if bin.is_file() { bin.parent().unwrap_or(&bin) } else { &bin };
        Self::probe(folder, account).map_err(unusable)
    }

    /// Runs the programs of a folder; the error says why they are of no use.
    fn probe(dir: &Path, account: &Account) -> Result<Self, String> {
        let version = program_version(&dir.join("postgres"), account)?;
        if version.major() < Version::OLDEST {
            return Err(format!("version {version} is older than {}", Version::OLDEST));
        }
        // A link in a general folder leads to the folder where the programs lie together. A wrapper
        // script stays where it is.
        let home = fs::canonicalize(dir.join("postgres")).ok().and_then(|postgres| {
            let home = postgres.parent()?.to_owned();
            (postgres.file_name()? == "postgres" && home.join("initdb").exists()).then_some(home)
        });
        let bin = home.unwrap_or_else(|| dir.to_owned());
        let initdb = program_version(&bin.join("initdb"), account)?;
        if initdb != version {
            return Err(format!("`postgres` is version {version}, `initdb` is {initdb}"));
        }
        Ok(Self { bin, version })
    }
}

/// Reads with which major version a data directory was created.
pub(crate) fn data_version(data_dir: &Path) -> Option<u32> {
    fs::read_to_string(data_dir.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Runs a program as the server's account and reads the version that it prints.
fn program_version(program: &Path, account: &Account) -> Result<Version, String> {
    let mut command = account.command(program);
    command.arg("--version").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| {
        format!("`{}` cannot be run as user `{}` ({error})", program.display(), account.name())
    })?;
    let status = poll::exit(&mut child, Duration::from_secs(10));
    if !status.is_some_and(|status| status.success()) {
        return Err(format!("`{} --version` fails", program.display()));
    }
    let mut output = String::new();
    if let Some(stdout) = child.stdout.take() {
        // A wrapper may leave something behind that holds the pipe open: a line is all that is
        // wanted, so no more than a kilobyte is read. What is no text has no version.
        let _ = stdout.take(1024).read_to_string(&mut output);
    }
    Version::parse(&output).ok_or_else(|| format!("`{} --version` names none", program.display()))
}

/// Expands the one `*` in a pattern below `root`, the highest number first.
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![root.join(pattern)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let after = after.trim_start_matches('/');
    let entries = fs::read_dir(root.join(parent)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version_key(&name[prefix.len()..])));
    names.into_iter().map(|name| root.join(parent).join(name).join(after)).collect()
}

/// Orders folder names by their numbers: `16` before `9.6`, and both before `latest`.
fn version_key(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::version_key;

    #[test]
    fn folders_are_ordered_by_their_numbers() {
        let mut names = vec!["9.6", "16", "latest", "14", "-15"];
        names.sort_by_key(|name| std::cmp::Reverse(version_key(name)));
        assert_eq!(names, ["16", "-15", "14", "9.6", "latest"]);
    }
}
