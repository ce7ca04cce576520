//! What happened to one thing, out of the audit log.
//!
//! The log as a whole is the admin's, but whoever may see a thing may see what happened to it. So the
//! gateway asks in its own name, and only for a thing that the caller was shown before.

use chrono::{DateTime, Utc};
use proto::access::v1 as pb;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::audit;
use crate::error::Fault;
use crate::extract::Page;
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{Actor, shown, text};

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c15", "sequence": 41,
    "type": "image.rollout_batch_completed", "created_at": "2026-11-21T09:05:00Z",
    "actor": {"kind": "system", "id": "rollout", "name": "rollout"},
    "data": {"type": "image.rollout_batch_completed", "after": {"batch": 1}}
}))]
pub struct Happening {
    /// The event's id.
    id: String,
    /// Its position in the audit log.
    sequence: i64,
    /// Its type.
    r#type: String,
    /// When it happened.
    created_at: Option<DateTime<Utc>>,
    /// Who did it.
    actor: Option<Actor>,
    /// The whole event, with `before` and `after` where there is something to tell.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

impl From<pb::Entry> for Happening {
    fn from(entry: pb::Entry) -> Self {
        let event = entry.event.unwrap_or_default();
        Self {
            id: event.id,
            sequence: entry.sequence,
            r#type: event.r#type,
            created_at: shown(event.create_time),
            actor: event.actor.map(Actor::from),
            data: audit::envelope(event.envelope),
        }
    }
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// Newest first.
    pub events: Vec<Happening>,
    /// How many there are in all.
    pub total: i64,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// Which events of a thing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Leave out this many; at most 10,000.
    offset: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

impl HistoryQuery {
    /// Which part of the list.
    ///
    /// # Errors
    ///
    /// When a number is out of its range.
    pub fn page(self) -> Result<Page, Fault> {
        Page::read((self.limit, self.offset, self.page_token), (50, 500))
    }
}

/// Lists what happened to a thing, of the types that begin so.
///
/// # Errors
///
/// As [`of`].
pub async fn list(
    relay: &Relay,
    id: &str,
    types: &str,
    page: &Page,
) -> Result<Listed<History>, Fault> {
    let history = of(relay, id, types, page).await?;
    let (next, total) = (history.next_page_token.clone().unwrap_or_default(), history.total);
    Ok(Listed::part(history, page, &next, total))
}

/// Reads what happened to a thing, of the types that begin so.
///
/// # Errors
///
/// When `access` does not answer, or the page is none.
pub async fn of(relay: &Relay, id: &str, types: &str, page: &Page) -> Result<History, Fault> {
    let request = pb::ListEntriesRequest {
        page_size: page.size,
        page_token: page.token.clone(),
        resource: id.to_owned(),
        r#type: types.to_owned(),
        skip: page.skip,
        ..pb::ListEntriesRequest::default()
    };
    let audit = relay.as_gateway().audit();
    let answer = read(audit, request, async |mut to, ask| to.list_entries(ask).await).await?;
    Ok(History {
        events: answer.entries.into_iter().map(Happening::from).collect(),
        total: answer.total_size,
        next_page_token: text(answer.next_page_token),
    })
}
