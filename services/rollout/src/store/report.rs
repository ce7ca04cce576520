//! Reports: what devices were last heard to run.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::assignment::Observation;
use crate::error::Error;
use crate::target::Service;

/// What is known of a device when its report comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The device.
    pub device: Uuid,
    /// The highest report sequence stored.
    pub last_seq: i64,
    /// What it reported last.
    pub services: Vec<Observation>,
    /// Its target's generation.
    pub generation: i64,
    /// Its target's services.
    pub target: Vec<Service>,
}

struct Row {
    device_id: Uuid,
    last_seq: i64,
    services: Json<Vec<Observation>>,
    generation: i64,
    target: Json<Vec<Service>>,
}

/// Locks the statuses of devices, in the order of their ids, and reads their targets.
pub async fn lock(db: &mut PgConnection, devices: &[Uuid]) -> Result<Vec<Known>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select status.device_id, status.last_seq,
                  status.services as "services: Json<Vec<Observation>>",
                  target.generation, target.services as "target: Json<Vec<Service>>"
           from rollout.device_status as status
           join rollout.device_target_state as target on target.device_id = status.device_id
           where status.device_id = any($1) order by status.device_id for update of status"#,
        devices,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Known {
            device: row.device_id,
            last_seq: row.last_seq,
            services: row.services.0,
            generation: row.generation,
            target: row.target.0,
        })
        .collect())
}

/// A report to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The device.
    pub device: Uuid,
    /// Its boot.
    pub boot_id: String,
    /// Its sequence.
    pub seq: i64,
    /// The generation it has accepted.
    pub generation: i64,
    /// The etag of that target.
    pub etag: String,
    /// What it runs.
    pub services: Vec<Observation>,
    /// Whether that is its target, all of it, healthy.
    pub in_sync: bool,
    /// Whether it says something new, so that it is worth keeping.
    pub is_news: bool,
}

/// Stores reports.
pub async fn store(
    db: &mut PgConnection,
    reports: &[Heard],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let services = reports
        .iter()
        .map(|report| serde_json::to_value(&report.services).map_err(Error::Json))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query!(
        "with new as ( \
             select * from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], \
                                  $7::jsonb[], $8::boolean[], $9::boolean[]) \
                 as new (device_id, boot_id, seq, generation, etag, services, in_sync, is_news) \
         ), kept as ( \
             insert into rollout.device_reports (device_id, seq, received_at, services) \
             select device_id, seq, $1, services from new where is_news \
         ) \
         update rollout.device_status as row \
         set boot_id = new.boot_id, last_seq = new.seq, last_seen_at = $1, \
             reported_generation = new.generation, reported_etag = new.etag, \
             services = new.services, in_sync = new.in_sync \
         from new where row.device_id = new.device_id",
        now,
        &reports.iter().map(|report| report.device).collect::<Vec<_>>(),
        &reports.iter().map(|report| report.boot_id.clone()).collect::<Vec<_>>(),
        &reports.iter().map(|report| report.seq).collect::<Vec<_>>(),
        &reports.iter().map(|report| report.generation).collect::<Vec<_>>(),
        &reports.iter().map(|report| report.etag.clone()).collect::<Vec<_>>(),
        &services,
        &reports.iter().map(|report| report.in_sync).collect::<Vec<_>>(),
        &reports.iter().map(|report| report.is_news).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
