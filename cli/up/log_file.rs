//! A log file that does not grow for ever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How large a file may grow.
const SIZE: u64 = 10 << 20;
/// How many full ones are kept.
const KEPT: u32 = 4;

/// Lines go to `<name>.log`; full files become `<name>.log.1` and so on.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
}

impl LogFile {
    /// Opens the file, going on where it ends.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, written })
    }

    /// Writes a line. What cannot be written is lost: logging must not stop what it logs.
    pub fn line(&mut self, line: &str) {
        if self.written > SIZE && self.rotate().is_err() {
            return;
        }
        if writeln!(self.file, "{line}").is_ok() {
            self.written += u64::try_from(line.len()).unwrap_or(0) + 1;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..KEPT).rev() {
            if numbered(number).exists() {
                fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        fs::rename(&self.path, numbered(1))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_gives_way_to_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut log = LogFile::open(&path).unwrap();
        let line = "x".repeat(1 << 20);
        for _ in 0..60 {
            log.line(&line);
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x.log", "x.log.1", "x.log.2", "x.log.3", "x.log.4"]);
        assert!(fs::metadata(&path).unwrap().len() <= SIZE + (1 << 21));
    }
}
