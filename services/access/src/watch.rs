//! One watcher of the live log.
//!
//! It reads what is stored, then takes the [news](crate::tail); whenever news do not continue where it
//! stands it reads again, so it misses nothing and repeats nothing. Its buffer is small. One that
//! takes nothing for a while holds nobody up: what it missed meanwhile is not sent, and it is told so
//! by `reset`.

use std::time::Duration;

use proto::access::v1 as pb;
use runtime::auth::Introspect as _;
use runtime::secret::Hash;
use runtime::{Code, Lifecycle, Problem};
use sqlx::PgPool;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::MissedTickBehavior;
use tonic::Status;

use crate::filter::Selection;
use crate::introspect::Introspection;
use crate::tail::News;
use crate::{Error, convert, store};

/// How many entries are read at once.
const BATCH: i64 = 200;
/// How much of envelopes one message holds; a message with one entry may be larger.
const MESSAGE_BYTES: usize = 1 << 20;
/// How many messages wait for the client.
pub(crate) const MESSAGES: usize = 4;
/// How often it is looked whether the watcher's token still holds.
const CREDENTIAL: Duration = Duration::from_secs(5);

pub(crate) type Sender = mpsc::Sender<Result<pb::WatchEntriesResponse, Status>>;

/// One watcher.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) pool: PgPool,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) selection: Selection,
    /// Its news, from before the position was read.
    pub(crate) news: broadcast::Receiver<News>,
    pub(crate) sender: Sender,
    /// How long the client may take nothing.
    pub(crate) patience: Duration,
    /// Its token, where it has one that can end.
    pub(crate) credential: Option<(Introspection, Hash)>,
    /// The last sequence it has been shown, or has asked not to be.
    pub(crate) position: i64,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Read what is stored.
    Read,
    /// Go on.
    Continue,
    /// The client is gone, or the process stops.
    End,
}

impl Watcher {
    /// Runs until the client leaves, its token ends, or the process stops. `reset` says that it begins
    /// elsewhere than it asked to.
    pub(crate) async fn run(mut self, reset: bool) {
        if let Err(error) = self.watch(reset).await {
            let _ = self.sender.send(Err(error.into())).await;
        }
    }

    async fn watch(&mut self, reset: bool) -> Result<(), Error> {
        if reset && self.send(Vec::new(), self.position, true).await? == Next::End {
            return Ok(());
        }
        let mut check = tokio::time::interval(CREDENTIAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = Next::Read;
        loop {
            next = match next {
                Next::Read => self.send_stored().await?,
                Next::End => return Ok(()),
                Next::Continue => tokio::select! {
                    () = self.lifecycle.stopping() => Next::End,
                    () = self.sender.closed() => Next::End,
                    _ = check.tick() => self.check_credential().await?,
                    news = self.news.recv() => self.take(news).await?,
                },
            };
        }
    }

    /// Sends what is stored after the position.
    async fn send_stored(&mut self) -> Result<Next, Error> {
        loop {
            let mut db = self.pool.acquire().await?;
            let head = store::audit::head(&mut db).await?.sequence;
            if self.position >= head {
                return Ok(Next::Continue);
            }
            let (selection, position) = (&self.selection, self.position);
            let entries = store::entry::range(&mut db, selection, position, head, BATCH).await?;
            drop(db);
            let reached = match entries.last() {
                Some(last) if entries.len() as i64 == BATCH => last.sequence,
                Some(_) | None => head,
            };
            self.position = reached;
            let entries = entries.into_iter().map(convert::entry).collect();
            if self.deliver(entries, head).await? == Next::End {
                return Ok(Next::End);
            }
        }
    }

    async fn take(&mut self, news: Result<News, RecvError>) -> Result<Next, Error> {
        let news = match news {
            Ok(news) => news,
            Err(RecvError::Lagged(_)) => return Ok(Next::Read),
            Err(RecvError::Closed) => return Ok(Next::End),
        };
        if news.last <= self.position {
            return Ok(Next::Continue);
        }
        if news.entries.first().is_none_or(|first| first.sequence > self.position + 1) {
            return Ok(Next::Read);
        }
        let fresh = |entry: &&pb::Entry| {
            entry.sequence > self.position && self.selection.takes(kind(entry))
        };
        let entries: Vec<_> = news.entries.iter().filter(fresh).cloned().collect();
        self.position = news.last;
        self.deliver(entries, news.last).await
    }

    /// Sends entries in messages that are not too large.
    async fn deliver(&mut self, entries: Vec<pb::Entry>, last: i64) -> Result<Next, Error> {
        for part in parts(entries) {
            match self.send(part, last, false).await? {
                Next::Continue => {}
                next @ (Next::Read | Next::End) => return Ok(next),
            }
        }
        Ok(Next::Continue)
    }

    async fn send(
        &mut self,
        entries: Vec<pb::Entry>,
        last_sequence: i64,
        reset: bool,
    ) -> Result<Next, Error> {
        let message = pb::WatchEntriesResponse { entries, reset, last_sequence };
        match tokio::time::timeout(self.patience, self.sender.send(Ok(message))).await {
            Ok(Ok(())) => Ok(Next::Continue),
            Ok(Err(_)) => Ok(Next::End),
            Err(_) => self.skip_to_end().await,
        }
    }

    /// Waits until the client takes something again, and goes on from the newest entry.
    async fn skip_to_end(&mut self) -> Result<Next, Error> {
        let permit = tokio::select! {
            () = self.lifecycle.stopping() => return Ok(Next::End),
            permit = self.sender.reserve() => permit,
        };
        let Ok(permit) = permit else { return Ok(Next::End) };
        let mut db = self.pool.acquire().await?;
        self.position = store::audit::head(&mut db).await?.sequence;
        permit.send(Ok(pb::WatchEntriesResponse {
            entries: Vec::new(),
            reset: true,
            last_sequence: self.position,
        }));
        Ok(Next::Read)
    }

    async fn check_credential(&self) -> Result<Next, Error> {
        let Some((introspection, hash)) = &self.credential else { return Ok(Next::Continue) };
        match introspection.introspect(*hash).await {
            Err(problem) if problem.code() == Code::Unauthenticated => Err(problem.into()),
            Ok(_) | Err(_) => Ok(Next::Continue),
        }
    }
}

/// Where a watcher begins, and whether that is elsewhere than it asked to.
pub(crate) fn begin(
    asked: Option<i64>,
    stored: Option<(i64, i64)>,
) -> Result<(i64, bool), Problem> {
    let (oldest, newest) = stored.unwrap_or((1, 0));
    match asked {
        None => Ok((newest, false)),
        Some(..0) => Err(Problem::invalid("after_sequence", "is negative; begin with 0")),
        Some(asked) if asked > newest || asked + 1 < oldest => Ok((newest, true)),
        Some(asked) => Ok((asked, false)),
    }
}

fn kind(entry: &pb::Entry) -> &str {
    entry.event.as_ref().map(|event| event.r#type.as_str()).unwrap_or_default()
}

fn parts(entries: Vec<pb::Entry>) -> Vec<Vec<pb::Entry>> {
    let mut parts: Vec<Vec<pb::Entry>> = Vec::new();
    let mut bytes = MESSAGE_BYTES;
    for entry in entries {
        let size = entry.event.as_ref().map_or(0, |event| event.envelope.len());
        if bytes + size > MESSAGE_BYTES {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        parts.last_mut().expect("the first entry begins a part").push(entry);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_begins_where_it_asks_to_or_is_told_to_start_afresh() {
        for (asked, stored, expected) in [
            (None, None, (0, false)),
            (None, Some((1, 9)), (9, false)),
            (Some(0), None, (0, false)),
            (Some(0), Some((1, 9)), (0, false)),
            (Some(9), Some((1, 9)), (9, false)),
            (Some(10), Some((1, 9)), (9, true)),
            (Some(1), None, (0, true)),
            (Some(i64::MAX), Some((1, 9)), (9, true)),
            (Some(4), Some((5, 9)), (4, false)),
            (Some(3), Some((5, 9)), (9, true)),
            (Some(0), Some((5, 9)), (9, true)),
        ] {
            assert_eq!(begin(asked, stored), Ok(expected), "{asked:?} {stored:?}");
        }
        assert!(begin(Some(-1), None).is_err());
    }

    fn entry(sequence: i64, bytes: usize) -> pb::Entry {
        let envelope = "x".repeat(bytes);
        let event = proto::event::v1::Event { envelope, ..Default::default() };
        pb::Entry { sequence, event: Some(event), ..Default::default() }
    }

    #[test]
    fn messages_stay_small_and_keep_every_entry_in_order() {
        let sizes = [MESSAGE_BYTES / 2, MESSAGE_BYTES / 2, 1, MESSAGE_BYTES * 2, 0, 5];
        let entries =
            sizes.iter().zip(1..).map(|(size, sequence)| entry(sequence, *size)).collect();
        let parts = parts(entries);
        let sequences: Vec<Vec<_>> =
            parts.iter().map(|part| part.iter().map(|entry| entry.sequence).collect()).collect();
        assert_eq!(sequences, [vec![1, 2], vec![3], vec![4], vec![5, 6]]);
        assert!(super::parts(Vec::new()).is_empty());
    }
}
