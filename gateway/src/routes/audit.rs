//! The audit log, as document 4 has it.

use axum::Json;
use chrono::{DateTime, Utc};
use proto::access::v1 as pb;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::error::Fault;
use crate::extract::{Page, Query};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{shown, stamp, text};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit)).routes(routes!(verify_audit))
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only what this actor did, or others did for it: an id or a name.
    #[param(example = "alice")]
    user: Option<String>,
    /// Only this event type, or with a trailing `*` those that begin so.
    #[param(example = "image.rollout_*")]
    action: Option<String>,
    /// Only what was done to this: an id or a name.
    resource: Option<String>,
    /// Only entries at or after this time.
    from: Option<DateTime<Utc>>,
    /// Only entries before this time.
    to: Option<DateTime<Utc>>,
    /// The page, counted from 1.
    page: Option<i64>,
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
}

/// One entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "timestamp": "2024-01-15T12:00:00Z", "user": "admin", "action": "token.create",
    "resource": "ci-push", "ip_address": "192.168.1.100", "user_agent": "curl/8.5.0",
    "sequence": 1, "source": "access", "hash": "9f86d081884c7d65…",
    "details": {"id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11", "type": "token.create"}
}))]
struct Log {
    /// Its number.
    id: i64,
    /// When it happened.
    timestamp: Option<DateTime<Utc>>,
    /// Who did it.
    user: String,
    /// The event's type.
    action: String,
    /// What it was done to: its name, or its id where it has none.
    resource: String,
    /// Where the caller came from; `null` = it came from no caller.
    ip_address: Option<String>,
    /// The caller's program.
    user_agent: Option<String>,
    /// Its position in the log: dense, from 1.
    sequence: i64,
    /// The process it came from.
    source: String,
    /// Its link of the chain, in hex.
    hash: String,
    /// The whole event, with `before` and `after` where there is something to tell.
    #[schema(value_type = Object)]
    details: Box<RawValue>,
}

impl From<pb::Entry> for Log {
    fn from(entry: pb::Entry) -> Self {
        let event = entry.event.unwrap_or_default();
        let actor = event.actor.unwrap_or_default();
        let resource = event.resource.unwrap_or_default();
        Self {
            id: entry.sequence,
            timestamp: shown(event.create_time),
            user: text(actor.name).unwrap_or(actor.id),
            action: event.r#type,
            resource: text(resource.name).unwrap_or(resource.id),
            ip_address: text(entry.ip),
            user_agent: text(entry.user_agent),
            sequence: entry.sequence,
            source: entry.source,
            hash: hex::encode(entry.hash),
            details: envelope(event.envelope),
        }
    }
}

/// An event's envelope as JSON; one that is none is shown as text, so that the log stays readable.
pub fn envelope(envelope: String) -> Box<RawValue> {
    RawValue::from_string(envelope)
        .or_else(|error| serde_json::value::to_raw_value(&error.to_string()))
        .expect("a text is JSON")
}

/// Entries.
#[derive(Debug, Serialize, ToSchema)]
struct Logs {
    /// Newest first.
    logs: Vec<Log>,
    /// How many match in all.
    total: i64,
    /// The page, counted from 1.
    page: i32,
    /// At most this many on a page.
    limit: i32,
}

/// List the audit log
///
/// Needs `admin`. Who did what, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "Entries.", body = Logs)),
)]
async fn list_audit(relay: Relay, Query(query): Query<AuditQuery>) -> Result<Listed<Logs>, Fault> {
    let page = Page::numbered(("page", query.page), ("limit", query.limit), (50, 500))?;
    let request = pb::ListEntriesRequest {
        page_size: page.size,
        page_token: String::new(),
        actor: query.user.unwrap_or_default(),
        r#type: query.action.unwrap_or_default(),
        start_time: stamp(query.from),
        end_time: stamp(query.to),
        resource: query.resource.unwrap_or_default(),
        skip: page.skip,
    };
    let answer = read(relay.audit(), request, async |mut to, ask| to.list_entries(ask).await)
        .await
        .map_err(|fault| fault.renamed(&NAMES))?;
    let total = answer.total_size;
    let logs = answer.entries.into_iter().map(Log::from).collect();
    let body = Logs { logs, total, page: page.number(), limit: page.size };
    Ok(Listed::numbered(body, "page", &page, total))
}

/// What the document calls differently.
const NAMES: [(&str, &str); 3] = [("actor", "user"), ("type", "action"), ("start_at", "from")];

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VerifyQuery {
    /// Check from this sequence on; what stands before it is taken as it is.
    from: Option<i64>,
}

/// Whether the chain holds.
#[derive(Debug, Serialize, ToSchema)]
struct Verified {
    /// True = every entry checked is as it was written.
    intact: bool,
    /// The last sequence checked.
    checked_to: i64,
    /// How many entries were checked.
    checked_count: i64,
    /// The first entry that is wrong; `null` = none.
    broken_at: Option<i64>,
    /// What is wrong with it, in a sentence.
    problem: Option<String>,
}

/// Verify the audit log
///
/// Needs `admin`. Recomputes the hash chain and names the first entry that was changed, removed or
/// moved. A broken chain is an answer (`intact: false`), not an error.
#[utoipa::path(
    get, path = "/api/v1/audit/verify", tag = "audit", params(VerifyQuery),
    responses((status = 200, description = "Whether it holds.", body = Verified)),
)]
async fn verify_audit(
    relay: Relay,
    Query(query): Query<VerifyQuery>,
) -> Result<Json<Verified>, Fault> {
    let request = pb::VerifyChainRequest { from_sequence: query.from.unwrap_or_default() };
    let answer = read(relay.audit(), request, async |mut to, ask| to.verify_chain(ask).await)
        .await
        .map_err(|fault| fault.renamed(&[("from_sequence", "from")]))?;
    Ok(Json(Verified {
        intact: answer.intact,
        checked_to: answer.checked_to,
        checked_count: answer.checked_count,
        broken_at: crate::shape::number(answer.broken_at),
        problem: text(answer.problem),
    }))
}
