//! The data folder: one `up` at a time has it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// How the folder is laid out; a newer program may lay it out otherwise.
const VERSION: u32 = 1;

/// The folder with everything that `slipway up` keeps.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: Option<File>,
}

impl DataDir {
    /// The folder that was named, or the usual one.
    pub fn resolve(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => usual()?,
        };
        let path = std::path::absolute(&path)
            .with_context(|| format!("--data-dir `{}` has no absolute path", path.display()))?;
        Ok(Self { path, lock: None })
    }

    /// Makes the folder where it is missing, and takes it for this process.
    pub fn take(&mut self) -> Result<()> {
        let shown = self.path.display();
        match fs::metadata(&self.path) {
            Ok(found) if !found.is_dir() => bail!(
                "`{shown}` is a file, and the data folder would stand there; remove it or choose another --data-dir"
            ),
            Ok(_) => {}
            Err(_) => self.create()?,
        }
        let path = self.path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| {
                format!("`{}` cannot be written; choose a --data-dir that can", path.display())
            })?;
        if lock.try_lock().is_err() {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            bail!(
                "`{shown}` is in use by process {}; stop it, or choose another --data-dir",
                holder.trim()
            );
        }
        lock.set_len(0).and_then(|()| lock.rewind()).context("the lock file cannot be written")?;
        write!(lock, "{}", std::process::id())
            .and_then(|()| lock.flush())
            .with_context(|| format!("`{}` cannot be written; is there room?", path.display()))?;
        self.lock = Some(lock);
        Ok(())
    }

    fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.path).with_context(|| {
            format!(
                "the data folder `{}` cannot be made; choose another --data-dir",
                self.path.display()
            )
        })?;
        // Postgres runs as another user when this is root, and has to get through.
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("`{}` cannot be opened to Postgres", self.path.display()))
    }

    /// Lets the folder go.
    pub fn leave(&self) {
        if let Some(lock) = &self.lock {
            let _ = lock.set_len(0);
        }
    }

    /// Removes everything but the lock. A folder that holds something and was never Slipway's is left
    /// as it is.
    pub fn clear(&self) -> Result<()> {
        let entries = fs::read_dir(&self.path).context("the data folder cannot be read")?;
        let holds_more = entries.filter_map(Result::ok).any(|entry| entry.file_name() != "lock");
        if holds_more && !self.path.join("version").exists() && !self.postgres().exists() {
            bail!(
                "`{}` holds something and is no data folder of Slipway; --reset would remove it: choose another --data-dir",
                self.path.display()
            );
        }
        let entries = fs::read_dir(&self.path).context("the data folder cannot be read")?;
        for entry in entries {
            let path = entry.context("the data folder cannot be read")?.path();
            if path.file_name().is_some_and(|name| name == "lock") {
                continue;
            }
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("`{}` cannot be removed", path.display()))?;
        }
        Ok(())
    }

    /// Refuses a folder that a newer program laid out.
    pub fn check_version(&self) -> Result<()> {
        let Ok(text) = fs::read_to_string(self.path.join("version")) else { return Ok(()) };
        let found: u32 = text.trim().parse().with_context(|| {
            format!(
                "`{}/version` is no number; this is no data folder of Slipway",
                self.path.display()
            )
        })?;
        if found > VERSION {
            bail!(
                "the data in `{}` is of a newer version ({found}, this program knows {VERSION}); start the newer program, or choose another --data-dir",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Says how the folder is laid out.
    pub fn write_version(&self) -> Result<()> {
        self.write("version", &VERSION.to_string())
    }

    /// Writes a small file, whole or not at all.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        runtime::secret::write_private(&path, text.as_bytes())
            .with_context(|| format!("`{}` cannot be written; is there room?", path.display()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that only its owner can enter, made where it is missing.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("`{}` cannot be made; is there room?", path.display()))?;
        Ok(path)
    }

    /// Where Postgres keeps its data.
    pub fn postgres(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Where the connection URLs of the roles are.
    pub fn roles(&self) -> PathBuf {
        self.path.join("roles")
    }

    /// Where tokens and keys are.
    pub fn secrets(&self) -> PathBuf {
        self.path.join("secrets")
    }

    /// Where logs are.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The file with the administrator's token.
    pub fn admin_token(&self) -> PathBuf {
        self.path.join("admin-token")
    }
}

fn usual() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        // The user that Postgres runs as cannot enter root's home.
        return Ok(PathBuf::from("/var/lib/slipway"));
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(data) = set("XDG_DATA_HOME") {
        return Ok(PathBuf::from(data).join("slipway"));
    }
    let home = set("HOME").context("HOME is not set; choose a --data-dir")?;
    Ok(PathBuf::from(home).join(".local/share/slipway"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = DataDir::resolve(Some(folder.path())).unwrap();
        first.take().unwrap();
        let mut second = DataDir::resolve(Some(folder.path())).unwrap();
        let error = second.take().unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    }

    #[test]
    fn what_is_not_ours_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = folder.path().join("letters");
        fs::write(&foreign, "x").unwrap();
        let data = DataDir::resolve(Some(folder.path())).unwrap();
        let error = data.clear().unwrap_err().to_string();
        assert!(error.contains("is no data folder of Slipway"), "{error}");
        assert!(foreign.exists());

        data.write_version().unwrap();
        data.clear().unwrap();
        assert!(!foreign.exists());
    }

    #[test]
    fn a_file_in_its_place_and_a_newer_version_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = DataDir::resolve(Some(&file)).unwrap().take().unwrap_err().to_string();
        assert!(error.contains("is a file"), "{error}");

        fs::write(folder.path().join("version"), "99").unwrap();
        let data = DataDir::resolve(Some(folder.path())).unwrap();
        let error = data.check_version().unwrap_err().to_string();
        assert!(error.contains("newer version (99"), "{error}");
    }
}
