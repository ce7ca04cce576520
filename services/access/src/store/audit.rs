//! Growing the log: `access.audit_sources`, `access.audit_head`, and new rows of
//! `access.audit_log`.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::chain::Head;
use crate::entry::Entry;

/// How far a source's events are in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The number of the last one.
    pub(crate) sequence: i64,
    /// Its id; `None` before the first.
    pub(crate) event_id: Option<Uuid>,
}

/// Makes sure that a source has its row.
pub(crate) async fn add_source(
    db: &mut PgConnection,
    source: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into access.audit_sources (source, cursor, updated_at) values ($1, 0, $2)
        on conflict (source) do nothing",
        source,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads how far a source's events are in the log.
pub(crate) async fn cursor(db: &mut PgConnection, source: &str) -> Result<Cursor, Error> {
    let row = sqlx::query!(
        "select cursor, last_event_id from access.audit_sources where source = $1",
        source,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map_or_else(Cursor::default, |row| Cursor {
        sequence: row.cursor,
        event_id: row.last_event_id,
    }))
}

/// Reads the cursor and keeps it until the end of the transaction; `None` when somebody else has it.
pub(crate) async fn claim_cursor(
    db: &mut PgConnection,
    source: &str,
) -> Result<Option<i64>, Error> {
    let cursor = sqlx::query_scalar!(
        "select cursor from access.audit_sources where source = $1 for update skip locked",
        source,
    )
    .fetch_optional(db)
    .await?;
    Ok(cursor)
}

/// Moves the cursor that the caller has claimed.
pub(crate) async fn move_cursor(
    db: &mut PgConnection,
    source: &str,
    cursor: Cursor,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update access.audit_sources set cursor = $2, last_event_id = $3, updated_at = $4
        where source = $1",
        source,
        cursor.sequence,
        cursor.event_id,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Sets a cursor back to the start, unless it has moved from `from`.
pub(crate) async fn reset_cursor(
    db: &mut PgConnection,
    source: &str,
    from: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update access.audit_sources set cursor = 0, last_event_id = null, updated_at = $3
        where source = $1 and cursor = $2",
        source,
        from,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads the end of the chain.
pub(crate) async fn head(db: &mut PgConnection) -> Result<Head, Error> {
    let row =
        sqlx::query!("select last_sequence, hash from access.audit_head").fetch_one(db).await?;
    to_head(row.last_sequence, &row.hash)
}

/// Reads the end of the chain and keeps everybody else from appending.
pub(crate) async fn claim_head(db: &mut PgConnection) -> Result<Head, Error> {
    let row = sqlx::query!("select last_sequence, hash from access.audit_head for update")
        .fetch_one(db)
        .await?;
    to_head(row.last_sequence, &row.hash)
}

/// Reads the end of the chain and the last sequence that is stored, as they are at one moment.
pub(crate) async fn ends(db: &mut PgConnection) -> Result<(Head, i64), Error> {
    let row = sqlx::query!(
        r#"select last_sequence, hash,
            coalesce((select max(sequence) from access.audit_log), 0) as "stored!"
        from access.audit_head"#
    )
    .fetch_one(db)
    .await?;
    Ok((to_head(row.last_sequence, &row.hash)?, row.stored))
}

fn to_head(sequence: i64, hash: &[u8]) -> Result<Head, Error> {
    let hash = hash.try_into().map_err(|_| Error::Row {
        table: "audit_head",
        key: sequence,
        column: "hash",
    })?;
    Ok(Head { sequence, hash })
}

/// Moves the end of the chain that the caller has claimed.
pub(crate) async fn move_head(db: &mut PgConnection, head: &Head) -> Result<(), Error> {
    sqlx::query!(
        "update access.audit_head set last_sequence = $1, hash = $2",
        head.sequence,
        head.hash.as_slice(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Finds which of these events are in the log.
pub(crate) async fn known_events(
    db: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashSet<Uuid>, Error> {
    let known =
        sqlx::query_scalar!("select event_id from access.audit_log where event_id = any($1)", ids,)
            .fetch_all(db)
            .await?;
    Ok(known.into_iter().collect())
}

/// Appends entries.
pub(crate) async fn insert(db: &mut PgConnection, entries: &[Entry]) -> Result<(), Error> {
    let texts = |pick: fn(&Entry) -> &str| entries.iter().map(pick).collect::<Vec<_>>();
    let options = |pick: fn(&Entry) -> Option<&str>| entries.iter().map(pick).collect::<Vec<_>>();
    sqlx::query!(
        "insert into access.audit_log (sequence, source, source_sequence, envelope, event_id, type,
            created_at, actor_kind, actor_id, actor_name, on_behalf_of_id, on_behalf_of_name,
            resource_kind, resource_id, resource_name, previous_hash, hash)
        select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::uuid[],
            $6::text[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[],
            $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[], $17::bytea[])",
        &entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(),
        &texts(|entry| &entry.source) as _,
        &entries.iter().map(|entry| entry.source_sequence).collect::<Vec<_>>(),
        &texts(|entry| &entry.envelope) as _,
        &entries.iter().map(|entry| entry.columns.event_id).collect::<Vec<_>>(),
        &texts(|entry| &entry.columns.kind) as _,
        &entries.iter().map(|entry| entry.columns.created_at).collect::<Vec<_>>(),
        &texts(|entry| &entry.columns.actor_kind) as _,
        &texts(|entry| &entry.columns.actor_id) as _,
        &texts(|entry| &entry.columns.actor_name) as _,
        &options(|entry| entry.columns.on_behalf_of_id.as_deref()) as _,
        &options(|entry| entry.columns.on_behalf_of_name.as_deref()) as _,
        &texts(|entry| &entry.columns.resource_kind) as _,
        &texts(|entry| &entry.columns.resource_id) as _,
        &texts(|entry| &entry.columns.resource_name) as _,
        &entries.iter().map(|entry| entry.previous_hash.as_slice()).collect::<Vec<_>>() as _,
        &entries.iter().map(|entry| entry.hash.as_slice()).collect::<Vec<_>>() as _,
    )
    .execute(db)
    .await?;
    Ok(())
}
