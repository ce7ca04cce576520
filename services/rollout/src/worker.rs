//! What works in the background: the driver, its safety net, the streams' bookkeeping, retention.

use std::convert::Infallible;
use std::time::Duration;

use runtime::worker::{Progress, Worker};
use runtime::{Wake, database};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::app::App;
use crate::device_auth::DeviceAuth;
use crate::drive;
use crate::error::Error;
use crate::report::{self, Queue};
use crate::session::End;
use crate::store::{self, retention};

/// How long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Events after they were read.
    pub events: Duration,
    /// Reports.
    pub reports: Duration,
    /// Tries of rollouts that have ended.
    pub assignments: Duration,
    /// Rollouts that have ended.
    pub rollouts: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { events: days(30), reports: days(7), assignments: days(90), rollouts: days(365) }
    }
}

/// How often the net is drawn: wake-ups that were lost, services that became free.
const SWEEP: Duration = Duration::from_secs(30);
/// How often a replica says that it lives; one that has not for 15 s holds no streams.
const BEAT: Duration = Duration::from_secs(5);
/// How often a replica looks for what others changed.
const LOOK: Duration = Duration::from_secs(1);
/// How often old rows are removed.
const RETAIN: Duration = Duration::from_secs(3_600);

/// Starts all workers.
pub fn start(app: &App, queue: Queue, closed: mpsc::UnboundedReceiver<(Uuid, i64)>) {
    report::start(app, queue);
    close_sessions(app, closed);
    beat(app);
    let driver = app.driver.clone();
    spawn(app, "driver", driver, Duration::from_secs(5), |app| async move {
        drive::drive_one(&app).await
    });
    spawn(app, "sweep", Wake::new(), SWEEP, |app| async move { sweep(&app).await });
    spawn(app, "retention", Wake::new(), RETAIN, |app| async move { retain(&app).await });
}

fn spawn<F>(
    app: &App,
    name: &'static str,
    wake: Wake,
    period: Duration,
    step: impl Fn(App) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Result<Progress, Error>> + Send,
{
    let app = app.clone();
    app.lifecycle.clone().spawn(name, async move {
        let worker = Worker { name, wake, period };
        worker.run(&app.lifecycle, &app.clock, || step(app.clone())).await;
        Ok::<(), Infallible>(())
    });
}

/// Wakes every rollout that may have something to do.
pub async fn sweep(app: &App) -> Result<Progress, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let freed = store::assignment::requeue_freed(&mut tx, now).await?;
    tx.commit().await?;
    let mut db = app.pool.acquire().await?;
    store::lease::wake(&mut db, &freed, now).await?;
    store::lease::wake_all(&mut db, now).await?;
    app.driver.ring();
    Ok(Progress::Idle)
}

async fn retain(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    let kept = app.settings.retention;
    retention::delete_reports(&mut db, now - kept.reports).await?;
    retention::delete_assignments(&mut db, now - kept.assignments).await?;
    retention::delete_rollouts(&mut db, now - kept.rollouts).await?;
    retention::delete_commands(&mut db, now - Duration::from_secs(86_400)).await?;
    retention::delete_credentials(&mut db, now).await?;
    drop(db);
    app.outbox.sweep(&app.pool, now - kept.events).await?;
    Ok(Progress::Idle)
}

/// Stores that sessions were closed, many at a time.
fn close_sessions(app: &App, mut closed: mpsc::UnboundedReceiver<(Uuid, i64)>) {
    let app = app.clone();
    app.lifecycle.clone().spawn("sessions", async move {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                taken = closed.recv_many(&mut batch, 1_000) => if taken == 0 { break },
                () = app.lifecycle.cut_off() => break,
                () = app.lifecycle.stopping(), if app.sessions.devices().is_empty() && closed.is_empty() => break,
            }
            if let Err(error) = went_away(&app, &batch).await {
                tracing::warn!("{} closed sessions could not be stored: {error}", batch.len());
            }
            batch.clear();
        }
        if let Ok(mut db) = app.pool.acquire().await {
            let _ = store::session::leave(&mut db, app.replica).await;
        }
        Ok::<(), Infallible>(())
    });
}

/// Stores that sessions have ended. Updates that these devices have not begun to install are put off
/// unless they are soon back.
async fn went_away(app: &App, sessions: &[(Uuid, i64)]) -> Result<(), Error> {
    let devices: Vec<_> = sessions.iter().map(|(device, _)| *device).collect();
    let mut tx = app.pool.begin().await?;
    let soon = database::now(&mut tx, &app.clock).await? + BACK_SOON;
    store::session::close(&mut tx, sessions).await?;
    let rollouts = store::assignment::look_soon(&mut tx, &devices, soon).await?;
    tx.commit().await?;
    drive::wake(app, &rollouts, soon).await;
    Ok(())
}

/// How long a device may be away before its update is put off.
const BACK_SOON: Duration = Duration::from_secs(30);

/// Says that this replica lives. On real time, because other replicas judge it by the database's.
fn beat(app: &App) {
    let app = app.clone();
    app.lifecycle.clone().spawn("beat", async move {
        while !app.lifecycle.is_stopping() {
            let told = async {
                let mut db = app.pool.acquire().await?;
                store::session::beat(&mut db, app.replica).await
            };
            if let Err(error) = told.await {
                tracing::warn!("this replica could not say that it lives: {error}");
            }
            tokio::select! {
                () = app.lifecycle.stopping() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
        }
        Ok::<(), Infallible>(())
    });
}

/// Looks for what other replicas changed: targets of devices that have their stream here, sessions
/// opened elsewhere, credentials ended. Wake-ups of this process need no looking.
pub fn watch_changes(app: &App, auth: DeviceAuth) {
    let app = app.clone();
    app.lifecycle.clone().spawn("changes", async move {
        while !app.lifecycle.is_stopping() {
            tokio::select! {
                () = app.lifecycle.stopping() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Err(error) = look_for_changes(&app, &auth).await {
                tracing::warn!(
                    "changes of other replicas are looked for again in a second: {error}"
                );
            }
        }
        Ok::<(), Infallible>(())
    });
}

async fn look_for_changes(app: &App, auth: &DeviceAuth) -> Result<(), Error> {
    let mut db = app.pool.acquire().await?;
    for changed in store::session::changed_lately(&mut db).await? {
        if changed.revoked {
            auth.forget(changed.device);
            app.sessions.end(changed.device, changed.epoch, End::Revoked);
        } else {
            app.sessions.end(changed.device, changed.epoch, End::Superseded);
        }
    }
    let targets = store::target::changed_lately(&mut db).await?;
    let behind = app.sessions.behind(&targets);
    if !behind.is_empty() {
        let now = database::now(&mut db, &app.clock).await?;
        let targets = store::target::get(&mut db, &behind).await?;
        app.deliver(targets.into_iter().collect(), now);
    }
    Ok(())
}
