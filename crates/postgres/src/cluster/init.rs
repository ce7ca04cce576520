//! Creating the data directory, whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use rustix::fs::OFlags;

use super::{Cluster, PASSWORD_FILE, SUPERUSER};
use crate::error::Error;
use crate::installation::data_version;

/// What lies where the data directory should be.
enum Found {
    Nothing,
    EmptyFolder,
    Data,
}

impl Cluster {
    /// Creates the data directory if there is none, and makes sure of the one that exists: that it
    /// is PostgreSQL's, of this version, and the account's own. May be called at every start, and by
    /// several processes at once.
    ///
    /// It is built in a folder beside its place and renamed, so that whatever ends this process
    /// leaves nothing half-built in the place; the next call clears away what it leaves beside it.
    pub fn init(&self) -> Result<(), Error> {
        let _lock = self.lock()?;
        match self.inspect()? {
            Found::Data => return Ok(()),
            Found::EmptyFolder => {
                // A rename takes the place of an empty folder only where nothing is mounted on it;
                // taking it away first says so before the work is done.
                let at = Error::at("replace the empty folder", &self.data_dir);
                fs::remove_dir(&self.data_dir).map_err(at)?;
            }
            Found::Nothing => {}
        }
        self.sweep_staging();
        let staging =
            self.parent().join(format!("{}{}", self.staging_prefix(), std::process::id()));
        let result = self.build(&staging);
        // What cannot be removed here is removed by the next call.
        let _ = fs::remove_dir_all(&staging);
        result
    }

    /// Excludes other processes from creating this data directory or starting a server on it, until
    /// the file is dropped.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let parent = self.parent();
        // Before anything is created where the account cannot get at it, and then with what was.
        let existing = parent.ancestors().find(|dir| dir.is_dir()).unwrap_or(parent);
        self.require_reach(existing, &self.data_dir)?;
        if existing != parent {
            fs::create_dir_all(parent).map_err(Error::at("create the folder", parent))?;
            self.require_reach(parent, &self.data_dir)?;
        }
        let path = parent.join(format!(".{}.lock", self.file_name()));
        let file = self.open_lock(&path).map_err(Error::at("open the lock file", &path))?;
        file.lock().map_err(Error::at("lock", &path))?;
        Ok(file)
    }

    /// Makes sure that the account can enter a folder, which it must to get at `goal`.
    pub(super) fn require_reach(&self, dir: &Path, goal: &Path) -> Result<(), Error> {
        let Some(shut) = self.account.shut_out_at(dir, &self.installation.postgres()) else {
            return Ok(());
        };
        let account = self.account.name().to_owned();
        Err(Error::ShutOut { account, shut, path: goal.to_owned() })
    }

    /// Opens the lock file, which is the account's, so that root and an ordinary user may take turns.
    /// The folder may be another user's: a link laid there is not followed.
    fn open_lock(&self, path: &Path) -> io::Result<File> {
        let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
        loop {
            // Systems refuse root to open another's file in a folder like `/tmp` with leave to
            // create it, so opening and creating are two steps.
            match OpenOptions::new().write(true).custom_flags(no_follow).open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return opened,
            }
            match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
                // Somebody else has created it in between.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    self.account.own_file(&file)?;
                    return Ok(file);
                }
            }
        }
    }

    /// Makes sure that the data directory is there and fit to be run on.
    pub(super) fn require_data(&self) -> Result<(), Error> {
        match self.inspect()? {
            Found::Data => Ok(()),
            Found::Nothing | Found::EmptyFolder => {
                Err(Error::NoData { path: self.data_dir.clone() })
            }
        }
    }

    fn inspect(&self) -> Result<Found, Error> {
        let path = || self.data_dir.clone();
        let found = match fs::metadata(&self.data_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(Error::at("look at", &self.data_dir)(error)),
            Ok(found) if !found.is_dir() => return Err(Error::NotAFolder { path: path() }),
            Ok(found) => found,
        };
        let foreign = found.uid() != self.account.uid();
        let mut entries = match fs::read_dir(&self.data_dir) {
            Err(_) if foreign => return Err(self.foreign_owner(found.uid())),
            entries => entries.map_err(Error::at("look into the folder", &self.data_dir))?,
        };
        if entries.next().is_none() {
            return Ok(Found::EmptyFolder);
        }
        let Some(data) = data_version(&self.data_dir) else {
            return Err(Error::ForeignFiles { path: path() });
        };
        if foreign {
            return Err(self.foreign_owner(found.uid()));
        }
        let version = self.installation.version();
        if data != version.major() {
            let bin = self.installation.bin().to_owned();
            return Err(Error::OtherVersion {
                path: path(),
                data,
                found: version.to_string(),
                bin,
            });
        }
        Ok(Found::Data)
    }

    fn foreign_owner(&self, uid: u32) -> Error {
        let account = self.account.name().to_owned();
        Error::ForeignOwner { path: self.data_dir.clone(), owner: format!("user {uid}"), account }
    }

    /// Builds the data directory in the folder `staging` and moves it into its place.
    fn build(&self, staging: &Path) -> Result<(), Error> {
        let create = Error::at("create the folder", staging);
        fs::create_dir(staging).map_err(create)?;
        fs::set_permissions(staging, Permissions::from_mode(0o700))
            .and_then(|()| self.account.own(staging))
            .map_err(Error::at("give away the folder", staging))?;

        let password_file = staging.join("password");
        self.write_password(&password_file).map_err(Error::at("write", &password_file))?;
        let data = staging.join("data");
        let mut initdb = self.account.command(&self.installation.initdb());
        initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password_file).args([
            "--username",
            SUPERUSER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            // Byte order: the same on every machine and in every version of its libraries.
            "--locale=C",
            "--no-instructions",
            "--no-sync",
        ]);
        if self.options.durable {
            initdb.arg("--data-checksums");
        }
        self.run(initdb)?;

        let kept = data.join(PASSWORD_FILE);
        fs::rename(&password_file, &kept).map_err(Error::at("write", &kept))?;
        if self.options.durable {
            let mut sync = self.account.command(&self.installation.initdb());
            sync.arg("--sync-only").arg("-D").arg(&data);
            self.run(sync)?;
        }
        let place = Error::at("move the new data directory to", &self.data_dir);
        fs::rename(&data, &self.data_dir).map_err(place)?;
        let parent = self.parent();
        let sync = File::open(parent).and_then(|folder| folder.sync_all());
        sync.map_err(Error::at("write the folder", parent))
    }

    fn run(&self, mut initdb: Command) -> Result<(), Error> {
        let program = self.installation.initdb();
        let output = initdb.output().map_err(Error::at("run", &program))?;
        if output.status.success() {
            return Ok(());
        }
        let mut text = [output.stdout, output.stderr].concat();
        if output.status.code().is_none() {
            text.extend(format!("\n{}\n", output.status).bytes());
        }
        let what = format!("`initdb` could not create `{}`", self.data_dir.display());
        Err(Error::program(what, &String::from_utf8_lossy(&text)))
    }

    /// Writes a password of 192 random bits that the account alone may read.
    fn write_password(&self, path: &Path) -> io::Result<()> {
        let mut random = [0; 24];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        writeln!(file, "{password}")?;
        self.account.own_file(&file)
    }

    /// Removes what earlier calls left behind that were cut off. A program that one of them started
    /// may still be writing there; then its folder goes the next time.
    fn sweep_staging(&self) {
        let prefix = self.staging_prefix();
        for entry in fs::read_dir(self.parent()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn staging_prefix(&self) -> String {
        format!(".{}.new-", self.file_name())
    }

    fn file_name(&self) -> String {
        self.data_dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn parent(&self) -> &Path {
        self.data_dir.parent().unwrap_or(&self.data_dir)
    }
}
