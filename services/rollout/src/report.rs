//! Reports: taken from devices one by one, stored many at a time.
//!
//! A report is durable when it is answered. Devices report by the thousand, so that reports that
//! wait together share one transaction: set-based statements, one commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use runtime::{Problem, crash, database};
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use crate::app::App;
use crate::assignment::{Change, Observation};
use crate::change::{self, Targets};
use crate::device;
use crate::drive;
use crate::error::Error;
use crate::store::assignment::Stored;
use crate::store::report::{Heard, Known};
use crate::store::{self};
use crate::target::Target;

/// What a device says.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The device, by its credential.
    pub device: Uuid,
    /// Its boot.
    pub boot_id: String,
    /// Its sequence.
    pub seq: i64,
    /// The generation it has accepted.
    pub generation: i64,
    /// The etag of that target.
    pub etag: String,
    /// What it runs.
    pub services: Vec<Observation>,
}

/// What a device is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// A newer report was there, or a try it names is no longer wanted.
    pub stale: bool,
    /// The highest sequence stored.
    pub last_seq: i64,
    /// The services whose try is no longer wanted.
    pub stale_services: Vec<String>,
}

/// A report that waits to be stored.
pub struct Waiting {
    report: Report,
    answer: oneshot::Sender<Result<Answer, Problem>>,
}

/// Where reports wait.
pub type Queue = mpsc::Receiver<Waiting>;

/// How many reports one transaction takes.
const BATCH: usize = 512;
/// How many may wait before devices are asked to wait too.
const CAPACITY: usize = 8_192;
/// How many transactions store reports side by side.
const WRITERS: usize = 2;

/// The way in for reports.
#[derive(Debug, Clone)]
pub struct Reports(mpsc::Sender<Waiting>);

impl Reports {
    /// Makes the way in and its queue.
    #[must_use]
    pub fn new() -> (Self, Queue) {
        let (sender, queue) = mpsc::channel(CAPACITY);
        (Self(sender), queue)
    }

    /// Stores a report and says what the device is told.
    ///
    /// # Errors
    ///
    /// When it could not be stored; the device sends it again.
    pub async fn submit(&self, report: Report) -> Result<Answer, Problem> {
        let (answer, told) = oneshot::channel();
        let gone = || {
            Problem::unavailable(
                proto::reason::SHUTTING_DOWN,
                "the process is about to end; report again",
            )
        };
        self.0.send(Waiting { report, answer }).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

/// Starts the writers; they end when the process stops and the queue is empty.
pub fn start(app: &App, queue: Queue) {
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..WRITERS {
        let (app, queue) = (app.clone(), queue.clone());
        app.lifecycle.clone().spawn("reports", async move {
            write(&app, &queue).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }
}

async fn write(app: &App, queue: &Mutex<Queue>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        {
            let mut queue = queue.lock().await;
            tokio::select! {
                biased;
                taken = queue.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                () = app.lifecycle.stopping() => {
                    if queue.is_empty() {
                        return;
                    }
                }
            }
        }
        store_batch(app, std::mem::take(&mut batch)).await;
    }
}

async fn store_batch(app: &App, batch: Vec<Waiting>) {
    let (reports, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.report, waiting.answer)).unzip();
    match record(app, reports).await {
        Ok(told) => {
            for (answer, told) in answers.into_iter().zip(told) {
                let _ = answer.send(Ok(told));
            }
        }
        Err(error) => {
            let problem = Problem::from(error);
            for answer in answers {
                let _ = answer.send(Err(problem.clone()));
            }
        }
    }
}

/// Stores reports in one transaction and says what their devices are told, in the same order.
pub async fn record(app: &App, reports: Vec<Report>) -> Result<Vec<Answer>, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let mut devices: Vec<_> = reports.iter().map(|report| report.device).collect();
    devices.sort_unstable();
    devices.dedup();
    let known = store::report::lock(&mut tx, &devices).await?;
    let tries = store::assignment::lock_active(&mut tx, &devices).await?;
    let mut ledger = Ledger::new(known, tries);
    let mut answers = Vec::with_capacity(reports.len());
    for report in reports {
        answers.push(ledger.take(app, &mut tx, report, now).await?);
    }
    let Ledger { heard, changes, .. } = ledger;
    let heard: Vec<_> = heard.into_values().collect();
    store::report::store(&mut tx, &heard, now).await?;

    let mut targets = Targets::new();
    let rollouts: Vec<_> = changes.keys().copied().collect();
    for (rollout, changes) in changes {
        let frozen = app.frozen.get(&mut tx, rollout).await?;
        let changes = changes.into_values().collect();
        targets.extend(change::apply(&mut tx, &app.outbox, &frozen, changes, now).await?);
    }
    app.outbox.commit(tx).await?;
    if !rollouts.is_empty() {
        crash::point("report_committed");
    }
    app.deliver(targets, now);
    drive::wake(app, &rollouts, now).await;
    Ok(answers)
}

/// What one transaction knows and changes.
struct Ledger {
    known: HashMap<Uuid, Known>,
    tries: HashMap<Uuid, Vec<Stored>>,
    heard: BTreeMap<Uuid, Heard>,
    /// By rollout and row: a try as it was found, and as it is now.
    changes: BTreeMap<Uuid, BTreeMap<i64, (Stored, Change)>>,
}

impl Ledger {
    fn new(known: Vec<Known>, tries: Vec<Stored>) -> Self {
        let mut by_device: HashMap<Uuid, Vec<Stored>> = HashMap::new();
        for stored in tries {
            by_device.entry(stored.try_.device).or_default().push(stored);
        }
        Self {
            known: known.into_iter().map(|known| (known.device, known)).collect(),
            tries: by_device,
            heard: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    async fn take(
        &mut self,
        app: &App,
        db: &mut sqlx::PgConnection,
        report: Report,
        now: DateTime<Utc>,
    ) -> Result<Answer, Error> {
        let Some(known) = self.known.get_mut(&report.device) else {
            return Err(Error::DeviceNotFound(report.device.to_string()));
        };
        let answer = answer(known, &report);
        if report.seq <= known.last_seq {
            return Ok(answer);
        }
        let is_news = differs(&known.services, &report.services);
        let target = Target {
            generation: known.generation,
            services: known.target.clone(),
            ..Target::default()
        };
        let in_sync = device::in_sync(&target, report.generation, &report.services);
        known.last_seq = report.seq;
        known.services.clone_from(&report.services);

        for stored in self.tries.get_mut(&report.device).into_iter().flatten() {
            let frozen = app.frozen.get(db, stored.try_.rollout).await?;
            let change = stored.try_.on_report(
                &report.services,
                report.generation,
                &frozen.image,
                &frozen.rules,
                now,
            );
            let Some(change) = change else { continue };
            let found = stored.clone();
            stored.try_ = change.assignment.clone();
            let changes = self.changes.entry(found.try_.rollout).or_default();
            match changes.entry(found.id) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert((found, change));
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    entry.get_mut().1 = change;
                }
            }
        }
        let heard = Heard {
            device: report.device,
            boot_id: report.boot_id,
            seq: report.seq,
            generation: report.generation,
            etag: report.etag,
            services: report.services,
            in_sync,
            is_news,
        };
        self.heard.insert(heard.device, heard);
        Ok(answer)
    }
}

/// What the device is told: an older report than the newest is stale, and so is one about a try that
/// the target no longer asks for. The newest one again is a repeat, not stale.
fn answer(known: &Known, report: &Report) -> Answer {
    let wanted: HashMap<&str, (Uuid, i32)> = known
        .target
        .iter()
        .filter_map(|service| {
            let update = service.update.as_ref()?;
            Some((service.name.as_str(), (update.rollout, update.attempt)))
        })
        .collect();
    let stale_services: Vec<_> = report
        .services
        .iter()
        .filter(|seen| {
            seen.about.is_some_and(|about| wanted.get(seen.name.as_str()) != Some(&about))
        })
        .map(|seen| seen.name.clone())
        .collect();
    Answer {
        stale: report.seq < known.last_seq || !stale_services.is_empty(),
        last_seq: known.last_seq.max(report.seq),
        stale_services,
    }
}

/// Whether a report says something that the one before did not; progress alone is no news.
fn differs(before: &[Observation], after: &[Observation]) -> bool {
    let facts = |services: &[Observation]| -> HashSet<String> {
        services
            .iter()
            .map(|seen| {
                format!(
                    "{}\n{}\n{:?}\n{:?}\n{:?}\n{}\n{}\n{:?}",
                    seen.name,
                    seen.runs.image,
                    seen.runs.digest,
                    seen.runs.release_id,
                    seen.phase,
                    seen.healthy,
                    seen.reason,
                    seen.about
                )
            })
            .collect()
    };
    facts(before) != facts(after)
}
