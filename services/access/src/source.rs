//! Where events come from: the outbox of this process, and the feeds of the others.

use std::time::Duration;

use futures_util::FutureExt as _;
use proto::event::v1::event_log_client::EventLogClient;
use proto::event::v1::{Event, ListEventsRequest, WatchEventsRequest, WatchEventsResponse};
use runtime::client::Outbound;
use runtime::outbox::{Outbox, Stored};
use runtime::{Problem, database};
use sqlx::PgPool;
use tokio::sync::watch;
use tonic::Streaming;

use crate::append::Arrival;

/// How much one answer of a feed may hold.
const MOST_BYTES: usize = 64 << 20;
/// How many events are taken at once.
pub(crate) const BATCH: i32 = 1_000;
/// How often the own outbox is looked at although nothing was committed here: another replica may
/// have.
const PERIOD: Duration = Duration::from_secs(1);

/// A process whose events belong into the log.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The process.
    pub(crate) name: &'static str,
    feed: Feed,
}

#[derive(Debug, Clone)]
enum Feed {
    Own { outbox: Outbox, pool: PgPool },
    Peer(EventLogClient<Outbound>),
}

/// Events of a source, and the number of the newest it has.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) last: i64,
}

impl Source {
    /// This process.
    pub(crate) fn own(outbox: Outbox, pool: PgPool) -> Self {
        Self { name: outbox.schema(), feed: Feed::Own { outbox, pool } }
    }

    /// Another process.
    pub(crate) fn peer(name: &'static str, channel: Outbound) -> Self {
        let client = EventLogClient::new(channel).max_decoding_message_size(MOST_BYTES);
        Self { name, feed: Feed::Peer(client) }
    }

    /// Lists events after a number. The source learns by it that everything up to there is stored.
    pub(crate) async fn list(&self, after: i64, limit: i32) -> Result<Page, Problem> {
        match &self.feed {
            Feed::Own { outbox, pool } => {
                let read = async {
                    if after > 0 {
                        outbox.acknowledge(pool, self.name, after).await?;
                    }
                    outbox.read(pool, after, i64::from(limit)).await
                };
                let (events, last) = read.await.map_err(|error| database::problem(&error))?;
                Ok(Page { arrivals: events.into_iter().map(Arrival::from).collect(), last })
            }
            Feed::Peer(client) => {
                let request = ListEventsRequest { after_sequence: after, page_size: limit };
                let page = client.clone().list_events(request).await?.into_inner();
                let arrivals = page.events.into_iter().map(Arrival::from).collect();
                Ok(Page { arrivals, last: page.last_sequence })
            }
        }
    }

    /// Opens the feed after a number.
    pub(crate) async fn watch(&self, after: i64) -> Result<Live, Problem> {
        match &self.feed {
            Feed::Own { outbox, pool } => Ok(Live::Own {
                committed: outbox.committed(),
                outbox: outbox.clone(),
                pool: pool.clone(),
                after,
            }),
            Feed::Peer(client) => {
                let request = WatchEventsRequest { after_sequence: after };
                Ok(Live::Peer(client.clone().watch_events(request).await?.into_inner()))
            }
        }
    }
}

/// A feed that is open.
#[derive(Debug)]
pub(crate) enum Live {
    /// The own outbox.
    Own {
        /// Says that something was committed here.
        committed: watch::Receiver<()>,
        /// The outbox.
        outbox: Outbox,
        /// Its database.
        pool: PgPool,
        /// The last number read.
        after: i64,
    },
    /// Another process's feed.
    Peer(Streaming<WatchEventsResponse>),
}

impl Live {
    /// Waits for events and takes all that are there, up to a batch. Nothing is lost when the wait is
    /// given up.
    pub(crate) async fn next(&mut self) -> Result<Vec<Arrival>, Problem> {
        match self {
            Self::Own { committed, outbox, pool, after } => loop {
                committed.mark_unchanged();
                let (events, _) = outbox
                    .read(pool, *after, i64::from(BATCH))
                    .await
                    .map_err(|error| database::problem(&error))?;
                if let Some(last) = events.last() {
                    *after = last.sequence;
                    return Ok(events.into_iter().map(Arrival::from).collect());
                }
                tokio::select! {
                    _ = committed.changed() => {}
                    () = tokio::time::sleep(PERIOD) => {}
                }
            },
            Self::Peer(stream) => {
                let mut arrivals = arrived(stream.message().await?)?;
                while arrivals.len() < BATCH as usize
                    && let Some(message) = stream.message().now_or_never()
                {
                    arrivals.extend(arrived(message?)?);
                }
                Ok(arrivals)
            }
        }
    }
}

fn arrived(message: Option<WatchEventsResponse>) -> Result<Vec<Arrival>, Problem> {
    let message = message.ok_or_else(|| {
        Problem::unavailable(proto::reason::PEER_UNREACHABLE, "the feed has ended")
    })?;
    Ok(message.events.into_iter().map(Arrival::from).collect())
}

impl From<Stored> for Arrival {
    fn from(stored: Stored) -> Self {
        Self { sequence: stored.sequence, envelope: stored.envelope }
    }
}

/// Postgres stores no zero byte; no envelope of ours has one.
impl From<Event> for Arrival {
    fn from(event: Event) -> Self {
        let envelope = match event.envelope.contains('\0') {
            true => event.envelope.replace('\0', "\u{fffd}"),
            false => event.envelope,
        };
        Self { sequence: event.sequence, envelope }
    }
}
