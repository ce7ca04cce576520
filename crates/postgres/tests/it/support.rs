//! Scratch folders, clusters that end with their test, and tests run again as somebody else.

use std::cell::RefCell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use postgres::{Account, Cluster, Error, Installation, Options, Search, Shutdown};
use sqlx::{Connection, PgConnection};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Set in a process that runs a test again.
const RERUN: &str = "SLIPWAY_POSTGRES_TEST_RERUN";

/// A folder that everybody may pass, removed at the end of the test.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("slipway-pg-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A cluster in this folder.
    pub fn cluster(&self, options: Options) -> Home {
        let found = Installation::find(&Search::from_env()).unwrap();
        let cluster = Cluster::new(found, &self.join("data"), &self.join("socket"), options);
        let children = RefCell::default();
        Home { cluster: cluster.unwrap(), log: self.join("log"), children }
    }

    /// A cluster in this folder that is created and runs.
    pub fn running_cluster(&self) -> Home {
        let home = self.cluster(Options::disposable());
        home.init().unwrap();
        home.start();
        home
    }
}

/// A cluster whose server ends with the test.
pub struct Home {
    pub cluster: Cluster,
    log: PathBuf,
    children: RefCell<Vec<Child>>,
}

impl Home {
    /// Starts the server and returns its process.
    pub fn start(&self) -> u32 {
        let child = self.cluster.start(&self.log, PATIENCE).unwrap();
        let pid = child.id();
        self.children.borrow_mut().push(child);
        pid
    }

    /// Waits for the end of the server started last.
    pub fn wait(&self) -> ExitStatus {
        self.children.borrow_mut().pop().unwrap().wait().unwrap()
    }

    /// Starts a server that must not come up.
    pub fn start_error(&self) -> Error {
        self.cluster.start(&self.log, PATIENCE).unwrap_err()
    }

    pub fn superuser_url(&self) -> String {
        self.cluster.superuser_url("postgres").unwrap()
    }

    /// Runs a statement as the superuser.
    pub fn execute(&self, statement: &'static str) {
        block_on(async {
            let mut db = PgConnection::connect(&self.superuser_url()).await.unwrap();
            sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
        });
    }

    /// Asks the superuser's connection for one text.
    pub fn ask(&self, query: &'static str) -> String {
        block_on(async {
            let mut db = PgConnection::connect(&self.superuser_url()).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut db).await.unwrap()
        })
    }
}

impl std::ops::Deref for Home {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.cluster.stop(Shutdown::Immediate, PATIENCE);
        for child in self.children.get_mut() {
            let _ = child.wait();
        }
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Tells whether this process is a test run again by [`rerun`].
pub fn is_rerun() -> bool {
    std::env::var_os(RERUN).is_some()
}

/// What [`rerun`] handed to this process.
pub fn handed() -> PathBuf {
    std::env::var_os(RERUN).map(PathBuf::from).unwrap()
}

/// Runs one test of this program again, in a process of its own: as the user `nobody` where `nobody`
/// is set and this is root, and under a shell's `limit`, such as `ulimit -f 100`.
pub fn rerun(scratch: &Scratch, test: &str, nobody: bool, limit: &str, hand: &Path) -> Command {
    // The build folder may be closed to others.
    let program = scratch.join("test-program");
    if !program.exists() {
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{limit}\nexec \"$@\"")).arg("sh").arg(program);
    command.args(["--exact", test, "--nocapture"]).env(RERUN, hand).current_dir("/");
    if nobody && is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

#[track_caller]
pub fn assert_passed(output: &Output) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// A process of the server's account that has nothing to do with PostgreSQL, ended when dropped.
pub struct Stranger(Child);

impl Stranger {
    pub fn of(account: &Account) -> Self {
        let mut command = Command::new("cat");
        command.stdin(std::process::Stdio::piped()).current_dir("/");
        if is_root() {
            command.uid(account.uid());
        }
        Self(command.spawn().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Asks until it is so; says what was waited for when it does not become so.
#[track_caller]
pub fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
