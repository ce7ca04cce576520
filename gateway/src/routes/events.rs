//! Live events.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, header};
use proto::access::v1::WatchEntriesRequest;
use runtime::Problem;
use runtime::secret::Hash;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::error::Fault;
use crate::extract::Query;
use crate::relay::{Relay, read};
use crate::sse::EventStream;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream_events))
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Only these types, divided by commas; a trailing `*` takes those that begin so.
    #[param(example = "image.rollout_*,device.enrolled")]
    types: Option<String>,
    /// Begin after this sequence; only what comes from now on when it is left out. `Last-Event-ID`
    /// goes before it.
    after: Option<i64>,
}

/// How a client goes on after a break.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
struct LastEventId {
    /// The id of the last event seen; browsers send it by themselves.
    #[param(rename = "Last-Event-ID", required = false)]
    last_event_id: Option<i64>,
}

/// Stream events
///
/// Needs `viewer`; events about tokens are left out without `admin`. Server-sent events: `id` is the
/// sequence in the audit log, `event` the type, `data` the event as JSON. A comment comes when
/// nothing else did for 5 s. After a break the stream goes on from `Last-Event-ID`; an event `reset`
/// says that something in between is left out, so that state has to be read anew.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", params(EventsQuery, LastEventId),
    responses((
        status = 200, description = "Events, without end.", body = String,
        content_type = "text/event-stream",
        example = "id: 41\nevent: image.tag.added\ndata: {\"type\":\"image.tag.added\"}\n\n",
    )),
)]
async fn stream_events(
    State(app): State<App>,
    relay: Relay,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Fault> {
    let place = app.streams.open(caller(&headers, &relay))?;
    let types = query.types.unwrap_or_default();
    let types = types.split(',').map(str::trim).filter(|kind| !kind.is_empty());
    let request = WatchEntriesRequest {
        after_sequence: last_event_id(&headers)?.or(query.after),
        types: types.map(str::to_owned).collect(),
    };
    let entries =
        read(relay.audit(), request, async |mut to, ask| to.watch_entries(ask).await).await?;
    let (clock, lifecycle) = (app.clock.clone(), app.lifecycle.clone());
    Ok(EventStream { entries, clock, lifecycle, place }.into_response())
}

/// Who holds the stream: whoever bears the credential, or sits at the address.
fn caller(headers: &HeaderMap, relay: &Relay) -> Hash {
    match headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        Some(credential) => Hash::of(credential),
        None => Hash::of(&relay.caller_ip()),
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Fault> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    id.map(Some).ok_or_else(|| {
        Problem::invalid("Last-Event-ID", "is no sequence; send the `id` of an event").into()
    })
}
