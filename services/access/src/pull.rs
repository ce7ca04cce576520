//! Carrying a source's events into the log.
//!
//! One task per source and replica: list what is missing, then follow the feed; after a failure wait
//! and begin again where the log stands. Two replicas may follow the same source: the cursor's row
//! decides who appends, and the other finds that nothing is left to do.
//!
//! A source frees what it has when every reader has stored it; listing tells it how far that is. A
//! followed feed is therefore left and listed anew now and then.

use std::convert::Infallible;
use std::time::Duration;

use runtime::backoff::Backoff;
use runtime::{Clock, Lifecycle, Problem, Wake};
use sqlx::PgPool;

use crate::append::{Appended, Arrival, append};
use crate::entry::Columns;
use crate::source::{BATCH, Source};
use crate::{Error, store};

/// How long a feed is followed before it is listed again.
const FOLLOW: Duration = Duration::from_secs(300);
/// How long to wait for another replica that is appending.
const BUSY: Duration = Duration::from_millis(20);
/// How long to wait after a failure.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// From this failure in a row on it is worth a warning: processes may start in any order.
const WORTH_TELLING: u32 = 6;

/// Carries one source's events into the log.
#[derive(Debug)]
pub(crate) struct Puller {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) source: Source,
    /// Rung when entries were added.
    pub(crate) appended: Wake,
}

impl Puller {
    /// Runs until the process stops.
    pub(crate) async fn run(self) -> Result<(), Infallible> {
        let mut failures = 0;
        loop {
            let problem = tokio::select! {
                () = self.lifecycle.stopping() => return Ok(()),
                failed = self.follow(&mut failures) => match failed {
                    Ok(never) => match never {},
                    Err(error) => Problem::from(error),
                },
            };
            failures += 1;
            self.tell(failures, &problem);
            tokio::select! {
                () = self.lifecycle.stopping() => return Ok(()),
                () = tokio::time::sleep(BACKOFF.wait(failures)) => {}
            }
        }
    }

    fn tell(&self, failures: u32, problem: &Problem) {
        let source = self.source.name;
        metrics::counter!("audit_pull_failures_total", "source" => source).increment(1);
        if failures == WORTH_TELLING {
            tracing::warn!(
                source,
                "the events of `{source}` do not come ({problem}); they are read when they do"
            );
        } else {
            tracing::debug!(source, failures, "the events of `{source}` do not come: {problem}");
        }
    }

    /// Follows the source until something fails.
    async fn follow(&self, failures: &mut u32) -> Result<Infallible, Error> {
        self.find_place().await?;
        loop {
            let cursor = self.catch_up().await?;
            if std::mem::take(failures) >= WORTH_TELLING {
                tracing::info!(
                    source = self.source.name,
                    "the events of `{}` come again",
                    self.source.name
                );
            }
            let mut live = self.source.watch(cursor).await?;
            let enough = tokio::time::sleep(FOLLOW);
            tokio::pin!(enough);
            loop {
                let arrivals = tokio::select! {
                    arrivals = live.next() => arrivals?,
                    () = &mut enough => break,
                };
                if !self.take(&arrivals).await? {
                    break;
                }
            }
        }
    }

    /// Makes sure that the source is the one whose events the cursor counts. One that was set back to
    /// an older state gives numbers anew: it is read from the start, and what is known is left out.
    async fn find_place(&self) -> Result<(), Error> {
        let source = self.source.name;
        let mut db = self.pool.acquire().await?;
        store::audit::add_source(&mut db, source, self.clock.now()).await?;
        let cursor = store::audit::cursor(&mut db, source).await?;
        drop(db);
        if cursor.sequence == 0 {
            return Ok(());
        }
        let page = self.source.list(cursor.sequence - 1, 1).await?;
        let same = match page.arrivals.first() {
            Some(arrival) if arrival.sequence == cursor.sequence => {
                cursor.event_id == Some(Columns::of(&arrival.envelope).event_id)
            }
            // It has freed that event since.
            Some(_) | None => page.last >= cursor.sequence,
        };
        if !same {
            tracing::warn!(
                source,
                cursor = cursor.sequence,
                "`{source}` was set back to an older state; its events are read from the start"
            );
            let mut db = self.pool.acquire().await?;
            store::audit::reset_cursor(&mut db, source, cursor.sequence, self.clock.now()).await?;
        }
        Ok(())
    }

    /// Lists until nothing is left, and returns the cursor.
    async fn catch_up(&self) -> Result<i64, Error> {
        let source = self.source.name;
        loop {
            let mut db = self.pool.acquire().await?;
            let cursor = store::audit::cursor(&mut db, source).await?.sequence;
            drop(db);
            let page = self.source.list(cursor, BATCH).await?;
            #[expect(clippy::cast_precision_loss, reason = "a gauge")]
            let lag = (page.last - cursor).max(0) as f64;
            metrics::gauge!("audit_lag_events", "source" => source).set(lag);
            if page.arrivals.is_empty() {
                return Ok(cursor);
            }
            match self.append(&page.arrivals, true).await? {
                Appended::Done { cursor: after, .. } if after == cursor => return Ok(cursor),
                Appended::Done { .. } | Appended::Gap => {}
                Appended::Busy => tokio::time::sleep(BUSY).await,
            }
        }
    }

    /// Appends what a feed brought. Returns whether the feed can be followed on.
    async fn take(&self, arrivals: &[Arrival]) -> Result<bool, Error> {
        let Some(last) = arrivals.last() else { return Ok(true) };
        loop {
            match self.append(arrivals, false).await? {
                Appended::Done { cursor, .. } => return Ok(cursor >= last.sequence),
                Appended::Gap => return Ok(false),
                Appended::Busy => tokio::time::sleep(BUSY).await,
            }
        }
    }

    async fn append(&self, arrivals: &[Arrival], whole: bool) -> Result<Appended, Error> {
        let source = self.source.name;
        let done = append(&self.pool, source, arrivals, whole, self.clock.now()).await?;
        if let Appended::Done { added, .. } = done
            && added > 0
        {
            metrics::counter!("audit_entries_total", "source" => source).increment(added as u64);
            self.appended.ring();
        }
        Ok(done)
    }
}
