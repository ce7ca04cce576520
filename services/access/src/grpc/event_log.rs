//! `slipway.event.v1.EventLog` of this process.

use proto::event::v1::event_log_server::EventLog;
use proto::event::v1::{ListEventsRequest, ListEventsResponse, WatchEventsRequest};
use runtime::Caller;
use runtime::outbox::Feed;
use tonic::{Request, Response, Status, async_trait};

/// Serves the outbox to those who may see tokens: all that happens here is about them.
#[derive(Debug, Clone)]
pub(crate) struct EventLogRpc(pub(crate) Feed);

#[async_trait]
impl EventLog for EventLogRpc {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        Caller::of(&request).require("tokens.read")?;
        self.0.list_events(request).await
    }

    type WatchEventsStream = <Feed as EventLog>::WatchEventsStream;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Caller::of(&request).require("tokens.read")?;
        self.0.watch_events(request).await
    }
}
