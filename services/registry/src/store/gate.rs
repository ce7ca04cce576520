//! `registry.gate`: one row.

use chrono::{DateTime, Utc};
use imageref::Namespace;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::gate::{Gate, VerifyUpstream};
use crate::image::UnknownTag;

struct Row {
    unknown_tag: UnknownTag,
    verify_upstream: VerifyUpstream,
    internal_namespaces: Json<Vec<Namespace>>,
    updated_at: DateTime<Utc>,
    version: i64,
}

impl From<Row> for Gate {
    fn from(row: Row) -> Self {
        Self {
            unknown_tag: row.unknown_tag,
            verify_upstream: row.verify_upstream,
            internal_namespaces: row.internal_namespaces.0,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// Reads the gate.
pub(crate) async fn read(db: &mut PgConnection) -> Result<Gate, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select unknown_tag, verify_upstream,
            internal_namespaces as "internal_namespaces: Json<Vec<Namespace>>", updated_at, version
        from registry.gate"#
    )
    .fetch_one(db)
    .await?;
    Ok(row.into())
}

/// Reads the gate and keeps others from changing it until the transaction ends.
pub(crate) async fn lock(db: &mut PgConnection) -> Result<Gate, Error> {
    sqlx::query!("select from registry.gate for update").execute(&mut *db).await?;
    read(db).await
}

/// Writes a changed gate.
pub(crate) async fn update(db: &mut PgConnection, gate: &Gate) -> Result<Gate, Error> {
    sqlx::query!(
        "update registry.gate
        set unknown_tag = $1, verify_upstream = $2, internal_namespaces = $3, updated_at = $4,
            version = version + 1",
        gate.unknown_tag as UnknownTag,
        gate.verify_upstream as VerifyUpstream,
        Json(&gate.internal_namespaces) as Json<&Vec<Namespace>>,
        gate.updated_at,
    )
    .execute(&mut *db)
    .await?;
    read(db).await
}
