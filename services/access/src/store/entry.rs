//! Reading `access.audit_log`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::entry::{Columns, Entry};
use crate::filter::{Filter, Selection};

/// A row as it is stored.
struct Row {
    sequence: i64,
    source: String,
    source_sequence: i64,
    envelope: String,
    event_id: Uuid,
    kind: String,
    created_at: DateTime<Utc>,
    actor_kind: String,
    actor_id: String,
    actor_name: String,
    on_behalf_of_id: Option<String>,
    on_behalf_of_name: Option<String>,
    resource_kind: String,
    resource_id: String,
    resource_name: String,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            sequence: row.sequence,
            source: row.source,
            source_sequence: row.source_sequence,
            envelope: row.envelope,
            columns: Columns {
                event_id: row.event_id,
                kind: row.kind,
                created_at: row.created_at,
                actor_kind: row.actor_kind,
                actor_id: row.actor_id,
                actor_name: row.actor_name,
                on_behalf_of_id: row.on_behalf_of_id,
                on_behalf_of_name: row.on_behalf_of_name,
                resource_kind: row.resource_kind,
                resource_id: row.resource_id,
                resource_name: row.resource_name,
            },
            previous_hash: row.previous_hash,
            hash: row.hash,
        }
    }
}

/// The first and the last sequence that are stored; `None` when there is no entry.
pub(crate) async fn bounds(db: &mut PgConnection) -> Result<Option<(i64, i64)>, Error> {
    let row =
        sqlx::query!("select min(sequence) as first, max(sequence) as last from access.audit_log")
            .fetch_one(db)
            .await?;
    Ok(row.first.zip(row.last))
}

/// Lists entries that match, newest first, older than `before`.
pub(crate) async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    before: Option<i64>,
    skip: i64,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query_as!(
        Row,
        "select sequence, source, source_sequence, envelope, event_id, type as kind, created_at,
            actor_kind, actor_id, actor_name, on_behalf_of_id, on_behalf_of_name, resource_kind,
            resource_id, resource_name, previous_hash, hash
        from access.audit_log
        where ($1::bigint is null or sequence < $1)
            and ($2::text is null or actor_id = $2 or actor_name = $2 or on_behalf_of_id = $2
                or on_behalf_of_name = $2)
            and ($3::text is null or type between $3 and $4)
            and ($5::timestamptz is null or created_at >= $5)
            and ($6::timestamptz is null or created_at < $6)
            and ($7::text is null or resource_id = $7 or resource_name = $7)
        order by sequence desc offset $8 limit $9",
        before,
        filter.actor.as_deref(),
        filter.kind.as_ref().map(|kind| kind.low.as_str()),
        filter.kind.as_ref().map(|kind| kind.high.as_str()),
        filter.start,
        filter.end,
        filter.resource.as_deref(),
        skip,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Counts the entries that match. Without a filter nothing has to be counted: they are numbered.
pub(crate) async fn count(db: &mut PgConnection, filter: &Filter) -> Result<i64, Error> {
    if filter.is_open() {
        return Ok(bounds(db).await?.map_or(0, |(first, last)| last - first + 1));
    }
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from access.audit_log
        where ($1::text is null or actor_id = $1 or actor_name = $1 or on_behalf_of_id = $1
                or on_behalf_of_name = $1)
            and ($2::text is null or type between $2 and $3)
            and ($4::timestamptz is null or created_at >= $4)
            and ($5::timestamptz is null or created_at < $5)
            and ($6::text is null or resource_id = $6 or resource_name = $6)"#,
        filter.actor.as_deref(),
        filter.kind.as_ref().map(|kind| kind.low.as_str()),
        filter.kind.as_ref().map(|kind| kind.high.as_str()),
        filter.start,
        filter.end,
        filter.resource.as_deref(),
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}

/// Reads the selected entries after one sequence and up to another, oldest first.
pub(crate) async fn range(
    db: &mut PgConnection,
    selection: &Selection,
    after: i64,
    to: i64,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let (low, high) = selection.ranges();
    let rows = sqlx::query_as!(
        Row,
        "select sequence, source, source_sequence, envelope, event_id, type as kind, created_at,
            actor_kind, actor_id, actor_name, on_behalf_of_id, on_behalf_of_name, resource_kind,
            resource_id, resource_name, previous_hash, hash
        from access.audit_log
        where sequence > $1 and sequence <= $2
            and (cardinality($3::text[]) = 0 or exists (
                select from unnest($3::text[], $4::text[]) as range (low, high)
                where type between low and high
            ))
            and ($5::text is null or not starts_with(type, $5))
        order by sequence limit $6",
        after,
        to,
        &low,
        &high,
        selection.hidden(),
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// Reads the hash of an entry; `None` when there is no such entry.
pub(crate) async fn hash(db: &mut PgConnection, sequence: i64) -> Result<Option<Vec<u8>>, Error> {
    let hash =
        sqlx::query_scalar!("select hash from access.audit_log where sequence = $1", sequence)
            .fetch_optional(db)
            .await?;
    Ok(hash)
}
