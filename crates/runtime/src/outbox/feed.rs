//! `slipway.event.v1.EventLog`: the outbox as other processes read it.

use std::time::Duration;

use proto::event::v1::event_log_server::EventLog;
use proto::event::v1::{
    Event, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
};
use proto::types::v1::{Actor, Resource};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{Outbox, Stored};
use crate::auth::ActorKind;
use crate::{Caller, Lifecycle, Problem, database, time};

/// How often a watcher looks again although nothing was committed here: another replica may have.
const PERIOD: Duration = Duration::from_secs(1);
const BATCH: i64 = 500;
/// How much of envelopes one answer holds, so that readers with usual limits can take it; an answer
/// with one event may be larger.
const ANSWER_BYTES: usize = 2 << 20;

/// Serves one schema's outbox.
#[derive(Debug, Clone)]
pub struct Feed {
    outbox: Outbox,
    pool: PgPool,
    lifecycle: Lifecycle,
}

impl Feed {
    /// Serves this outbox.
    #[must_use]
    pub fn new(outbox: Outbox, pool: PgPool, lifecycle: Lifecycle) -> Self {
        Self { outbox, pool, lifecycle }
    }

    async fn read(&self, after: i64, limit: i64) -> Result<(Vec<Event>, i64), Status> {
        let (mut stored, last) = self
            .outbox
            .read(&self.pool, after, limit)
            .await
            .map_err(|error| database::problem(&error))?;
        stored.truncate(fitting(&stored));
        Ok((stored.into_iter().map(Event::from).collect(), last))
    }

    /// A process that asks for what comes after a sequence has stored what came before.
    async fn acknowledge(&self, caller: &Caller, sequence: i64) -> Result<(), Status> {
        if sequence > 0 && caller.is_system() {
            self.outbox
                .acknowledge(&self.pool, &caller.actor().id, sequence)
                .await
                .map_err(|error| database::problem(&error))?;
        }
        Ok(())
    }

    async fn watch(
        self,
        mut after: i64,
        sender: mpsc::Sender<Result<WatchEventsResponse, Status>>,
    ) -> Result<(), Status> {
        let mut committed = self.outbox.committed();
        loop {
            committed.mark_unchanged();
            let (events, last) = self.read(after, BATCH).await?;
            if let Some(sent) = events.last() {
                after = sent.sequence;
                if sender.send(Ok(WatchEventsResponse { events })).await.is_err() {
                    return Ok(());
                }
                if after < last {
                    continue;
                }
            }
            tokio::select! {
                () = self.lifecycle.stopping() => return Ok(()),
                () = sender.closed() => return Ok(()),
                _ = committed.changed() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }
}

#[async_trait]
impl EventLog for Feed {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let limit = match request.page_size {
            ..0 => return Err(Problem::invalid("page_size", "is negative").into()),
            0 => 100,
            asked => i64::from(asked.min(1_000)),
        };
        self.acknowledge(&caller, request.after_sequence).await?;
        let (events, last_sequence) = self.read(request.after_sequence, limit).await?;
        Ok(Response::new(ListEventsResponse { events, last_sequence }))
    }

    type WatchEventsStream = ReceiverStream<Result<WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let caller = Caller::of(&request);
        let after = request.into_inner().after_sequence;
        self.acknowledge(&caller, after).await?;
        let (sender, receiver) = mpsc::channel(4);
        let feed = self.clone();
        tokio::spawn(async move {
            if let Err(status) = feed.watch(after, sender.clone()).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// How many of these events fit into an answer: at least one.
fn fitting(events: &[Stored]) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take_while(|event| {
        bytes += event.envelope.len();
        bytes <= ANSWER_BYTES
    });
    fit.count().max(1)
}

impl From<Stored> for Event {
    fn from(stored: Stored) -> Self {
        let envelope: Value = serde_json::from_str(&stored.envelope).unwrap_or_default();
        Self {
            sequence: stored.sequence,
            id: stored.id.to_string(),
            r#type: stored.kind,
            create_time: Some(time::to_timestamp(stored.time)),
            actor: actor(&envelope["actor"]),
            on_behalf_of: actor(&envelope["on_behalf_of"]),
            resource: resource(&envelope["resource"]),
            envelope: stored.envelope,
        }
    }
}

fn actor(value: &Value) -> Option<Actor> {
    let kind = ActorKind::from_word(value["kind"].as_str()?)?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Some(Actor::from(&crate::Actor::new(kind, text("id"), text("name"))))
}

fn resource(value: &Value) -> Option<Resource> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    Some(Resource { kind: text("kind")?, id: text("id")?, name: text("name").unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn an_answer_is_cut_before_it_is_too_large_and_never_empty() {
        let event = |bytes| Stored {
            sequence: 1,
            id: uuid::Uuid::nil(),
            kind: String::new(),
            time: DateTime::UNIX_EPOCH,
            envelope: "x".repeat(bytes),
        };
        for (sizes, fit) in
            [(&[1, 2, 3][..], 3), (&[ANSWER_BYTES - 1, 1, 1], 2), (&[ANSWER_BYTES + 1, 1], 1)]
        {
            let events: Vec<_> = sizes.iter().map(|bytes| event(*bytes)).collect();
            assert_eq!(fitting(&events), fit, "{sizes:?}");
        }
    }
}
