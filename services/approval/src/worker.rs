//! What works on by itself, and how often it looks when nothing rings.

use std::convert::Infallible;
use std::time::Duration;

use runtime::worker::{Progress, Worker};
use runtime::{Lifecycle, Wake, database};

use crate::{App, Error, drive, expire, meter, redrive, retention, store, tell, watch_registry};

/// How many pushes are worked on at once, apart from those whose senders wait.
const PUSH_WORKERS: usize = 4;
/// The net under lost signals and other replicas.
const PERIOD: Duration = Duration::from_secs(30);
const GAUGES: Duration = Duration::from_secs(15);
const HOUR: Duration = Duration::from_secs(3_600);

/// What wakes the workers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wakes {
    pub pushes: Wake,
    pub reviews: Wake,
    pub news: Wake,
    pub expiry: Wake,
}

impl Wakes {
    pub(crate) fn ring_all(&self) {
        for wake in [&self.pushes, &self.reviews, &self.news, &self.expiry] {
            wake.ring();
        }
    }
}

/// Starts all workers.
pub(crate) fn start(app: &App) {
    let wakes = &app.wakes;
    for _ in 0..PUSH_WORKERS {
        spawn(app, "pushes", &wakes.pushes, PERIOD, async |app| drive::drive_one(&app).await);
    }
    spawn(app, "reviews", &wakes.reviews, PERIOD, async |app| redrive::follow_up_one(&app).await);
    spawn(app, "news", &wakes.news, PERIOD, async |app| tell::tell_one(&app).await);
    spawn(app, "expiry", &wakes.expiry, PERIOD, async |app| expire::expire_one(&app).await);
    spawn(app, "outages", &app.outages.over(), HOUR, async |app| drive::hurry(&app).await);
    spawn(app, "retention", &Wake::new(), HOUR, async |app| retention::sweep(&app).await);
    spawn(app, "gauges", &Wake::new(), GAUGES, async |app| gauges(&app).await);
    let reader = app.clone();
    app.lifecycle.spawn("registry events", async move {
        watch_registry::run(reader).await;
        Ok::<_, Infallible>(())
    });
}

fn spawn<F>(
    app: &App,
    name: &'static str,
    wake: &Wake,
    period: Duration,
    step: impl Fn(App) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Result<Progress, Error>> + Send,
{
    let worker = Worker { name, wake: wake.clone(), period };
    let (app, lifecycle) = (app.clone(), app.lifecycle.clone());
    let tasks: Lifecycle = lifecycle.clone();
    tasks.spawn(name, async move {
        worker.run(&lifecycle, &app.clock, || step(app.clone())).await;
        Ok::<_, Infallible>(())
    });
}

/// Shows how much is under way.
async fn gauges(app: &App) -> Result<Progress, Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    let pushes = store::push::open(&mut db).await?;
    meter::open(pushes, store::review::open(&mut db, now).await?);
    Ok(Progress::Idle)
}
