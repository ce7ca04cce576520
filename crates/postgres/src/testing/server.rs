//! A test server, and this process's session with it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use std::{io, thread};

use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use tokio::runtime;
use tokio::sync::{Mutex, oneshot};

use super::database::TestDatabase;
use super::session::{self, Lock};
use super::state::State;
use super::template::Template;
use super::{Error, template};
use crate::cluster::Cluster;

/// A running test server, and this process's session with it.
///
/// The session lives on a thread and a runtime of its own, because that of a test ends with the
/// test.
#[derive(Debug)]
pub struct Server {
    pub(super) cluster: Cluster,
    pub(super) runtime: runtime::Handle,
    /// Connections for statements that need no lock.
    pub(super) pool: PgPool,
    /// Holds this process's locks for as long as it lives.
    pub(super) session: Arc<Mutex<PgConnection>>,
    token: String,
    databases: AtomicU64,
    started: bool,
    /// Ends the thread when dropped.
    _end: oneshot::Sender<()>,
}

impl Server {
    /// Finds or starts the server whose state lies in the folder `dir`. Blocks.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let mut state = State::enter(dir)?;
        let started = state.bring_up()?;
        let cluster = state.cluster().clone();
        let url = cluster.superuser_url("postgres")?;
        let token = token().map_err(|error| Error::State {
            folder: "/dev/urandom".to_owned(),
            reason: error.to_string(),
        })?;

        let (end, ended) = oneshot::channel();
        let (report, reported) = mpsc::channel();
        let own = token.clone();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a thread that was just started can have a runtime");
            runtime.block_on(serve(url, own, report, ended));
        });
        let (runtime, pool, session) = reported.recv().map_err(|_| Error::Closed)??;
        let session = Arc::new(Mutex::new(session));
        let databases = AtomicU64::new(0);
        Ok(Self { cluster, runtime, pool, session, token, databases, started, _end: end })
    }

    /// The cluster behind it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Tells whether this process had to start it.
    pub fn was_started(&self) -> bool {
        self.started
    }

    /// Makes sure that there is a template for `key`: a database as `prepare` leaves it, which is
    /// given the URL of an empty one. Only one process at a time prepares a key, and it is kept for
    /// later runs, so the key must change with what is prepared, such as by a hash of the migrations.
    /// Templates that were not used for a day, and all but the twenty used last, are dropped.
    ///
    /// When `prepare` fails, is cancelled, or its process dies, nothing is left and the next call
    /// begins anew.
    pub async fn template<F, E>(&self, key: &str, prepare: F) -> Result<Template, Error>
    where
        F: AsyncFnOnce(String) -> Result<(), E>,
        E: std::fmt::Display,
    {
        template::ensure(self, key, prepare).await
    }

    /// Creates a database for a test, a copy of the template.
    pub async fn create_database(&self, template: &Template) -> Result<TestDatabase, Error> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{}_{number}", TestDatabase::PREFIX, self.token);
        TestDatabase::create(self, template, name).await
    }
}

/// What the thread does: opens the session, hands it over, and keeps the runtime going until the
/// server value is dropped.
async fn serve(
    url: String,
    token: String,
    report: mpsc::Sender<Result<(runtime::Handle, PgPool, PgConnection), Error>>,
    ended: oneshot::Receiver<()>,
) {
    let session = begin(&url, &token).await;
    let begun = session.is_ok();
    let handle = runtime::Handle::current();
    let told = report.send(session.map(|(pool, session)| (handle, pool, session)));
    if told.is_err() || !begun {
        return;
    }
    // What is left over stays for the next process to try.
    let _ = sweep(&url).await;
    // Nothing is ever sent.
    let _ = ended.await;
}

/// Opens this process's session and takes the lock that says that it lives.
async fn begin(url: &str, token: &str) -> Result<(PgPool, PgConnection), Error> {
    let mut session = session::connect(url).await?;
    Lock::Process(token).take(&mut session).await?;
    // The caller has the folder to itself, so that no two do this at once.
    let table = "create table if not exists public.slipway_templates (
        name text constraint slipway_templates_pkey primary key,
        used_at timestamptz not null
    )";
    session::run(&mut session, "note templates", table).await?;
    // Copying is bound by the processors; the waiting line may be long on a small machine.
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(600));
    Ok((pool.connect_lazy_with(session::options(url)?), session))
}

/// Drops what processes left behind that are gone: databases of tests, and half-built templates.
async fn sweep(url: &str) -> Result<(), Error> {
    let db = &mut session::connect(url).await?;
    let names = "select datname from pg_database where datname ^@ $1 order by datname";
    let query = sqlx::query_scalar::<_, String>(names).bind(TestDatabase::PREFIX);
    for name in query.fetch_all(&mut *db).await.map_err(Error::database("list databases"))? {
        let token = name[TestDatabase::PREFIX.len()..].split('_').next().unwrap_or_default();
        drop_if_free(db, Lock::Process(token), &name).await?;
    }
    let query = sqlx::query_scalar::<_, String>(names).bind(template::BUILDING);
    for name in query.fetch_all(&mut *db).await.map_err(Error::database("list databases"))? {
        let template = template::name_of_building(&name);
        drop_if_free(db, Lock::Build(&template), &name).await?;
    }
    Ok(())
}

async fn drop_if_free(db: &mut PgConnection, lock: Lock<'_>, name: &str) -> Result<(), Error> {
    if !lock.try_take(db).await? {
        return Ok(());
    }
    session::drop_database(db, name).await?;
    lock.give_back(db).await
}

/// What tells this process from all others.
fn token() -> io::Result<String> {
    let mut random = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
