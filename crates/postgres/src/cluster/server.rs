//! Starting, finding and stopping the server.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use super::Cluster;
use crate::error::Error;
use crate::pidfile::{self, PidFile};
use crate::{poll, socket};

/// How long a server has to go that is told to end at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a server that was started.
enum Start {
    Ready,
    Ended,
}

/// How a server is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Clients are cut off and everything is written: the next start has nothing to recover.
    Fast,
    /// Everything ends at once; the next start recovers what was committed.
    Immediate,
}

impl Cluster {
    /// Prepares a start and returns the command that runs the server in the foreground, in a
    /// process group of its own, so that a Ctrl-C at the terminal reaches only whoever started it.
    /// It logs to its standard error; the caller says where that goes.
    ///
    /// Right after a server was killed, its last processes may still be ending. A server started
    /// then refuses and exits; it is to be started again. [`Cluster::start`] does.
    pub fn command(&self) -> Result<Command, Error> {
        let _lock = self.lock()?;
        self.require_data()?;
        if let Some(pid) = self.running() {
            return Err(Error::Running { path: self.data_dir.clone(), pid });
        }
        self.disown_stale_pid_file()?;
        socket::prepare(&self.socket_dir, &self.account)?;
        socket::clear_stale(&self.socket_dir)?;
        self.require_reach(&self.socket_dir, &self.socket_dir)?;
        let mut command = self.account.command(&self.installation.postgres());
        command.arg("-D").arg(&self.data_dir).arg("-k").arg(&self.socket_dir);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        command.process_group(0).stdout(Stdio::null());
        Ok(command)
    }

    /// Starts the server and waits until it takes clients. What it logs is appended to `log`. The
    /// server outlives the process that started it.
    pub fn start(&self, log: &Path, timeout: Duration) -> Result<Child, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let mut log = open_log(log)?;
            let before = log.metadata().map_or(0, |log| log.len());
            let program = self.installation.postgres();
            let mut command = self.command()?;
            let stderr = log.try_clone().map_err(Error::at("log for", &program))?;
            let mut child = command.stderr(stderr).spawn().map_err(Error::at("run", &program))?;

            match self.await_start(&mut child, deadline) {
                Some(Start::Ready) => return Ok(child),
                Some(Start::Ended) => {
                    let words = read_from(&mut log, before);
                    // Processes of a killed server are still ending: it is a matter of moments.
                    let busy = words.contains("pre-existing shared memory block");
                    if !busy || Instant::now() >= deadline {
                        let what = format!("PostgreSQL on `{}` ended", self.data_dir.display());
                        return Err(Error::program(what, &words));
                    }
                }
                None => {
                    let error = self.not_ready(timeout);
                    self.give_up(&mut child)?;
                    return Err(error);
                }
            }
        }
    }

    /// The process of the server that runs on the data directory, whoever started it.
    pub fn running(&self) -> Option<u32> {
        let pid = self.live_pid_file()?.pid;
        Some(pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Tells whether the server takes clients.
    pub fn is_ready(&self) -> bool {
        self.live_pid_file().is_some_and(|file| file.status == "ready")
            && UnixStream::connect(socket::path(&self.socket_dir)).is_ok()
    }

    /// Waits until the server, started by whomever, takes clients.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), Error> {
        poll::until(timeout, || self.is_ready().then_some(()))
            .ok_or_else(|| self.not_ready(timeout))
    }

    /// Stops the server, started by whomever, and waits for its end; nothing happens when none is
    /// running. One that has not ended after `timeout` is told to end at once, and killed after as
    /// long again.
    pub fn stop(&self, how: Shutdown, timeout: Duration) -> Result<(), Error> {
        let Some(file) = self.live_pid_file() else { return Ok(()) };
        let signals: &[Signal] = match how {
            Shutdown::Fast => &[Signal::INT, Signal::QUIT, Signal::KILL],
            Shutdown::Immediate => &[Signal::QUIT, Signal::KILL],
        };
        for signal in signals {
            if self.end(file.pid, *signal, timeout)? {
                return Ok(());
            }
        }
        Err(Error::StillRunning { pid: file.pid.as_raw_nonzero().get().unsigned_abs() })
    }

    fn await_start(&self, child: &mut Child, deadline: Instant) -> Option<Start> {
        let left = deadline.saturating_duration_since(Instant::now());
        poll::until(left, || match child.try_wait() {
            Ok(Some(_)) => Some(Start::Ended),
            Ok(None) | Err(_) => self.is_ready_in_group_of(child).then_some(Start::Ready),
        })
    }

    /// Tells whether the server that takes clients is the child, or one that the child, a wrapper,
    /// has started: not one that somebody else started at the same time.
    fn is_ready_in_group_of(&self, child: &Child) -> bool {
        let group = |file: PidFile| getpgid(Some(file.pid)).ok();
        self.live_pid_file().and_then(group) == process(child) && self.is_ready()
    }

    /// Ends a server that was just started and perhaps has no pid file yet.
    fn give_up(&self, child: &mut Child) -> Result<(), Error> {
        if let Some(group) = process(child) {
            // It fails only when the group has ended already.
            let _ = kill_process_group(group, Signal::QUIT);
        }
        poll::exit(child, PATIENCE);
        self.stop(Shutdown::Immediate, PATIENCE)
    }

    /// Signals the server's process and tells whether it ended within `timeout`.
    fn end(&self, pid: Pid, signal: Signal, timeout: Duration) -> Result<bool, Error> {
        match kill_process(pid, signal) {
            Ok(()) => {}
            Err(rustix::io::Errno::SRCH) => return Ok(true),
            Err(error) => {
                let what = "stop the server on";
                return Err(Error::at(what, &self.data_dir)(io::Error::from(error)));
            }
        }
        let gone = || (!pidfile::is_server(pid, &self.data_dir)).then_some(());
        Ok(poll::until(timeout, gone).is_some())
    }

    fn live_pid_file(&self) -> Option<PidFile> {
        // The path in the file may be spelt otherwise; that of the folder it lies in is the truth.
        let file = PidFile::read(&self.pid_path())?;
        pidfile::is_server(file.pid, &self.data_dir).then_some(file)
    }

    /// Makes a pid file that nobody stands behind harmless: a server refuses to start as long as
    /// any process has the number in it, which after a reboot may be anybody's.
    ///
    /// The file is not removed. It also names the shared memory by which the new server finds out
    /// whether processes of the old one are still at work; without that both would write the data.
    fn disown_stale_pid_file(&self) -> Result<(), Error> {
        let path = self.pid_path();
        let Some(file) = PidFile::read(&path) else { return Ok(()) };
        if !pidfile::exists(file.pid) {
            return Ok(());
        }
        let at = || Error::at("write", &path);
        let text = fs::read_to_string(&path).map_err(at())?;
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        let new = path.with_extension("pid.new");
        // No process has this number: it is beyond what systems give out.
        let text = format!("{}\n{rest}", i32::MAX);
        self.write_private(&new, &text).map_err(at())?;
        fs::rename(&new, &path).map_err(at())
    }

    /// Writes a file of the account's anew. The data directory is the account's, so what it may
    /// have laid there, such as a link to elsewhere, must not be followed by root.
    fn write_private(&self, path: &Path, text: &str) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        self.account.own_file(&file)
    }

    fn pid_path(&self) -> PathBuf {
        self.data_dir.join("postmaster.pid")
    }

    fn not_ready(&self, timeout: Duration) -> Error {
        let status = match self.live_pid_file() {
            None => "it is not running".to_owned(),
            Some(file) if file.status.is_empty() => "it has said nothing".to_owned(),
            Some(file) => format!("it says `{}`", file.status),
        };
        Error::NotReady { path: self.data_dir.clone(), seconds: timeout.as_secs(), status }
    }

    /// What must hold whatever the files in the data directory say.
    fn settings(&self) -> Vec<String> {
        let switch = if self.options.durable { "on" } else { "off" };
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            format!("port={}", socket::PORT),
            "unix_socket_permissions=0700".to_owned(),
            format!("max_connections={}", self.options.max_connections),
            format!("shared_buffers={}MB", self.options.shared_buffers_mib),
            format!("fsync={switch}"),
            format!("synchronous_commit={switch}"),
            format!("full_page_writes={switch}"),
            "huge_pages=off".to_owned(),
            "jit=off".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            "log_destination=stderr".to_owned(),
            "logging_collector=off".to_owned(),
            "log_checkpoints=off".to_owned(),
            "max_logical_replication_workers=0".to_owned(),
        ];
        if !self.options.durable {
            // Copying and dropping databases is most of the work: nothing should be kept for it.
            settings.push("wal_level=minimal".to_owned());
            settings.push("max_wal_senders=0".to_owned());
            settings.push("autovacuum=off".to_owned());
        }
        settings
    }
}

fn process(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn open_log(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true).mode(0o600);
    options.open(path).map_err(Error::at("open", path))
}

/// Reads what was appended to a file; what is no text is replaced.
fn read_from(file: &mut File, offset: u64) -> String {
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(offset)).is_ok() {
        // What was read before a failure is still worth showing.
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
