//! The end of the log, read once per process for everybody who watches it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use proto::access::v1 as pb;
use runtime::{Lifecycle, Wake};
use sqlx::PgPool;
use tokio::sync::broadcast;

use crate::filter::Selection;
use crate::{Error, convert, store};

/// How often it looks although nothing was appended here: another replica may have.
const PERIOD: Duration = Duration::from_secs(1);
/// How many entries it hands on at once.
const BATCH: i64 = 200;
/// How many batches wait for a watcher; one that is slower reads from the database again.
const BATCHES: usize = 16;

/// What was appended.
#[derive(Debug, Clone)]
pub(crate) struct News {
    /// Entries without a gap, oldest first; empty when watchers have to read for themselves.
    pub(crate) entries: Arc<[pb::Entry]>,
    /// The sequence they reach.
    pub(crate) last: i64,
}

/// Hands news to watchers.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    news: broadcast::Sender<News>,
    /// Rung when entries were added.
    pub(crate) appended: Wake,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self { news: broadcast::channel(BATCHES).0, appended: Wake::new() }
    }

    /// News from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Reads the end of the log until the process stops. While nobody watches it reads nothing.
    pub(crate) async fn run(self, pool: PgPool, lifecycle: Lifecycle) -> Result<(), Infallible> {
        let mut position = None;
        loop {
            tokio::select! {
                () = lifecycle.stopping() => return Ok(()),
                () = self.appended.wait() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            if self.news.receiver_count() == 0 {
                position = None;
                continue;
            }
            match self.read(&pool, position).await {
                Ok(reached) => position = Some(reached),
                Err(error) => tracing::debug!("the end of the log cannot be read: {error}"),
            }
        }
    }

    async fn read(&self, pool: &PgPool, position: Option<i64>) -> Result<i64, Error> {
        let mut db = pool.acquire().await?;
        let head = store::audit::head(&mut db).await?.sequence;
        let Some(mut position) = position else {
            self.hand_out(Vec::new(), head);
            return Ok(head);
        };
        while position < head {
            let entries =
                store::entry::range(&mut db, &Selection::all(), position, head, BATCH).await?;
            position = entries.last().map_or(head, |entry| entry.sequence);
            self.hand_out(entries.into_iter().map(convert::entry).collect(), position);
        }
        Ok(position)
    }

    fn hand_out(&self, entries: Vec<pb::Entry>, last: i64) {
        // An error says that the last watcher has just left.
        let _ = self.news.send(News { entries: entries.into(), last });
    }
}
