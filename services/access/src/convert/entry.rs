//! Entries of the audit log on the wire.

use proto::access::v1 as pb;
use runtime::outbox::Stored;
use runtime::{Caller, Problem, time};
use serde_json::Value;

use crate::entry::{self, Entry};
use crate::filter::{self, Filter, Selection, TypePattern};

/// Reads the filters of a list.
pub(crate) fn filter(request: &pb::ListEntriesRequest) -> Result<Filter, Problem> {
    let text = |field, text: &str| {
        Ok::<_, Problem>(
            Some(entry::column(filter::bounded(field, text)?)).filter(|t| !t.is_empty()),
        )
    };
    let time = |field, value: Option<_>| value.map(|v| time::from_timestamp(field, v)).transpose();
    Ok(Filter {
        actor: text("actor", &request.actor)?,
        kind: match request.r#type.as_str() {
            "" => None,
            kind => Some(TypePattern::parse("type", kind)?),
        },
        start: time("start_time", request.start_time)?,
        end: time("end_time", request.end_time)?,
        resource: text("resource", &request.resource)?,
    })
}

/// Reads what a live log is to show. Entries about credentials are for those who may see the
/// credentials themselves.
pub(crate) fn selection(
    request: &pb::WatchEntriesRequest,
    caller: &Caller,
) -> Result<Selection, Problem> {
    Selection::parse(&request.types, caller.may("tokens.read"))
}

/// An entry as callers see it. All it tells about the event comes from the envelope, which is what
/// the chain covers.
pub(crate) fn entry(entry: Entry) -> pb::Entry {
    let envelope: Value = serde_json::from_str(&entry.envelope).unwrap_or_default();
    let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
    let (ip, user_agent) = (text("ip"), text("user_agent"));
    let event = Stored {
        sequence: entry.source_sequence,
        id: entry.columns.event_id,
        kind: entry.columns.kind,
        time: entry.columns.created_at,
        envelope: entry.envelope,
    };
    pb::Entry {
        sequence: entry.sequence,
        event: Some(event.into()),
        source: entry.source,
        hash: entry.hash,
        ip,
        user_agent,
    }
}
