//! The files by which PostgreSQL keeps two servers apart, and whether somebody stands behind them.

use std::fs;
#[cfg(target_os = "linux")]
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

/// A `postmaster.pid` or a socket's lock file, as far as the server has written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: Pid,
    pub(crate) data_dir: PathBuf,
    /// What the server says of itself: `starting`, `ready`, `stopping`. Only in `postmaster.pid`.
    pub(crate) status: String,
}

impl PidFile {
    /// Reads the file; `None` when there is none or it holds too little.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse::<i32>().ok()?;
        let data_dir = PathBuf::from(lines.next()?);
        let status = lines.nth(5).unwrap_or_default().trim().to_owned();
        // A single-user server writes its number with a minus.
        let pid = Pid::from_raw(pid.checked_abs()?)?;
        Some(Self { pid, data_dir, status })
    }

    /// Tells whether the server that wrote the file lives: not merely some process that has got its
    /// number since, as happens after a reboot and daily in containers.
    pub(crate) fn is_live(&self) -> bool {
        is_server(self.pid, &self.data_dir)
    }
}

/// Tells whether `pid` is a process at all. One that may not be signalled is.
pub(crate) fn exists(pid: Pid) -> bool {
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Tells whether `pid` is a server on `data_dir`. An ended one that nobody has waited for is not.
#[cfg(target_os = "linux")]
pub(crate) fn is_server(pid: Pid, data_dir: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    match fs::metadata(process.join("cwd")) {
        // A server works in its data directory.
        Ok(folder) => fs::metadata(data_dir)
            .is_ok_and(|data| (data.dev(), data.ino()) == (folder.dev(), folder.ino())),
        // Not allowed to look, as root in a container is not. Its command line is open to all.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            names_server(&String::from_utf8_lossy(&line).replace('\0', " "), data_dir)
        }
        Err(_) => false,
    }
}

/// Tells whether `pid` is a server on `data_dir`. An ended one that nobody has waited for is not.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_server(pid: Pid, data_dir: &Path) -> bool {
    let mut command = std::process::Command::new("ps");
    command.args(["-ww", "-o", "command=", "-p", &pid.as_raw_nonzero().to_string()]);
    let Ok(output) = command.output() else { return exists(pid) };
    names_server(&String::from_utf8_lossy(&output.stdout), data_dir)
}

/// Tells whether a command line is that of a server on `data_dir`. One that does not name its data
/// directory in full may be it, and is taken for it: what is taken for dead is taken over.
fn names_server(line: &str, data_dir: &Path) -> bool {
    let (program, arguments) = line.split_once(" -").unwrap_or((line, ""));
    let program = Path::new(program.trim()).file_name();
    if !program.is_some_and(|name| name == "postgres" || name == "postmaster") {
        return false;
    }
    let arguments = format!(" -{} ", arguments.trim_end());
    let Some((_, named)) = arguments.split_once(" -D ") else { return true };
    !named.starts_with('/') || named.starts_with(&format!("{} ", data_dir.display()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{PidFile, names_server};

    #[test]
    fn a_pid_file_is_read_as_far_as_it_is_written() {
        let whole = "812\n/data\n1763716800\n5432\n/run/s\n\n  6029312  3\nready   \n";
        let file = PidFile::parse(whole).expect("a whole file");
        assert_eq!((file.pid.as_raw_nonzero().get(), file.status.as_str()), (812, "ready"));
        assert_eq!(file.data_dir, Path::new("/data"));
        assert_eq!(PidFile::parse("812\n/data\n17637").expect("the first lines").status, "");
        assert_eq!(
            PidFile::parse("-7\n/data\n").expect("a single-user server").pid.as_raw_nonzero().get(),
            7
        );
    }

    #[test]
    fn what_is_no_pid_file_is_none() {
        for text in ["", "812", "0\n/data\n", "x\n/data\n", "-2147483648\n/data\n"] {
            assert_eq!(PidFile::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_server_is_told_by_its_command_line() {
        for (line, is) in [
            ("/usr/lib/postgresql/15/bin/postgres -D /data -k /s ", true),
            ("/opt/my postgres/bin/postgres -D /data -k /s", true),
            ("/usr/lib/postgresql/15/bin/postgres -D /data\n", true),
            ("postmaster -D data", true),
            ("postgres", true),
            ("/usr/bin/postgres -D /data2 -k /data ", false),
            ("postgres: walwriter ", false),
            ("/usr/bin/vi -D /data", false),
            ("", false),
        ] {
            assert_eq!(names_server(line, Path::new("/data")), is, "{line:?}");
        }
    }
}
