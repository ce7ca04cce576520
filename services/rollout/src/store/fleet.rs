//! Fleets and their templates.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Error;
use crate::target::Service;

/// A fleet with its counts.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetRow {
    /// Its name.
    pub name: String,
    /// What its devices run when they have no target of their own.
    pub template: Vec<Service>,
    /// How many devices it has.
    pub devices: i64,
    /// How many are there.
    pub online: i64,
    /// How many run what they should.
    pub in_sync: i64,
}

/// Makes a fleet where it is missing.
pub async fn ensure(db: &mut PgConnection, name: &str, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.fleets (name, created_at, updated_at) values ($1, $2, $2) \
         on conflict (name) do nothing",
        name,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads a fleet's template; `None` = there is no such fleet.
pub async fn template(db: &mut PgConnection, fleet: &str) -> Result<Option<Vec<Service>>, Error> {
    let template = sqlx::query_scalar!(
        r#"select template as "template: Json<Vec<Service>>" from rollout.fleets where name = $1"#,
        fleet,
    )
    .fetch_optional(db)
    .await?;
    Ok(template.map(|template| template.0))
}

/// Stores a fleet's template.
pub async fn set_template(
    db: &mut PgConnection,
    fleet: &str,
    template: &[Service],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.fleets (name, template, created_at, updated_at) values ($1, $2, $3, $3) \
         on conflict (name) do update set template = excluded.template, updated_at = excluded.updated_at",
        fleet,
        Json(template) as _,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads and locks the templates that were set before a time.
pub async fn lock_templates(
    db: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<Vec<(String, Vec<Service>)>, Error> {
    let rows = sqlx::query!(
        r#"select name, template as "template: Json<Vec<Service>>" from rollout.fleets
           where updated_at < $1 and template <> '[]' order by name for update"#,
        before,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.template.0)).collect())
}

/// Finds the devices of a fleet that never had a target.
pub async fn without_target(db: &mut PgConnection, fleet: &str) -> Result<Vec<Uuid>, Error> {
    let ids = sqlx::query_scalar!(
        "select device.id from rollout.devices as device \
         join rollout.device_target_state as target on target.device_id = device.id \
         where device.fleet = $1 and target.generation = 0 order by device.id",
        fleet,
    )
    .fetch_all(db)
    .await?;
    Ok(ids)
}

/// Reads fleets with their counts, by name.
pub async fn list(
    db: &mut PgConnection,
    name: Option<&str>,
    heard_since: DateTime<Utc>,
) -> Result<Vec<FleetRow>, Error> {
    let rows = sqlx::query!(
        r#"select fleet.name, fleet.template as "template: Json<Vec<Service>>",
                  count(device.id) as "devices!",
                  count(*) filter (where device.revoked_at is null
                                     and case when status.streams
                                              then replica.seen_at > now() - interval '15 seconds'
                                              else status.last_seen_at > $2 end) as "online!",
                  count(*) filter (where status.in_sync
                                     and status.reported_generation = target.generation) as "in_sync!"
           from rollout.fleets as fleet
           left join rollout.devices as device on device.fleet = fleet.name
           left join rollout.device_target_state as target on target.device_id = device.id
           left join rollout.device_status as status on status.device_id = device.id
           left join rollout.replicas as replica on replica.id = status.replica
           where $1::text is null or fleet.name = $1
           group by fleet.name order by fleet.name"#,
        name,
        heard_since,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| FleetRow {
            name: row.name,
            template: row.template.0,
            devices: row.devices,
            online: row.online,
            in_sync: row.in_sync,
        })
        .collect())
}
