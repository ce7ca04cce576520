//! Devices.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use runtime::database;

use crate::assignment::Observation;
use crate::device::{Device, DeviceId, Hardware, Picture};
use crate::error::Error;
use crate::policy::Selector;
use crate::select::Candidate;
use crate::target::{Image, Service, Target};

struct Row {
    id: Uuid,
    name: String,
    fleet: String,
    labels: Json<BTreeMap<String, String>>,
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    agent_version: String,
    pinned: bool,
    pin_reason: String,
    revoked_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: i64,
    generation: i64,
    etag: String,
    target_services: Json<Vec<Service>>,
    good: Json<BTreeMap<String, Image>>,
    online: bool,
    last_seen_at: Option<DateTime<Utc>>,
    reported_generation: i64,
    services: Json<Vec<Observation>>,
    in_sync: bool,
}

impl From<Row> for Picture {
    fn from(row: Row) -> Self {
        Self {
            device: Device {
                id: DeviceId(row.id),
                name: row.name,
                fleet: row.fleet,
                labels: row.labels.0,
                hardware: Hardware {
                    os: row.os.unwrap_or_default(),
                    architecture: row.architecture.unwrap_or_default(),
                    variant: row.variant.unwrap_or_default(),
                },
                agent_version: row.agent_version,
                pinned: row.pinned,
                pin_reason: row.pin_reason,
                revoked_at: row.revoked_at,
                created_at: row.created_at,
                updated_at: row.updated_at,
                version: row.version,
            },
            target: Target {
                generation: row.generation,
                etag: row.etag,
                services: row.target_services.0,
                good: row.good.0,
                traceparent: None,
            },
            online: row.online,
            last_seen_at: row.last_seen_at,
            reported_generation: row.reported_generation,
            services: row.services.0,
            in_sync: row.in_sync,
        }
    }
}

/// Which devices to read.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of this fleet.
    pub fleet: Option<String>,
    /// Those with all these labels.
    pub labels: BTreeMap<String, String>,
    /// Those with one of these ids; empty = any.
    pub ids: Vec<Uuid>,
    /// But not those.
    pub exclude: Vec<Uuid>,
    /// Those whose target names this repository.
    pub repository: Option<String>,
    /// Those that are there, or are not.
    pub online: Option<bool>,
}

/// A page of devices.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// After this name and id.
    pub after: Option<(String, Uuid)>,
    /// Leave out so many.
    pub skip: i64,
    /// At most so many.
    pub limit: Option<i64>,
}

/// Adds a device with its empty status.
pub async fn insert(
    db: &mut PgConnection,
    device: &Device,
    request_id: Option<Uuid>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.devices \
         (id, name, fleet, labels, os, architecture, variant, agent_version, request_id, created_at, updated_at) \
         values ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), nullif($7, ''), $8, $9, $10, $10)",
        device.id.0,
        device.name,
        device.fleet,
        Json(&device.labels) as _,
        device.hardware.os,
        device.hardware.architecture,
        device.hardware.variant,
        device.agent_version,
        request_id,
        device.created_at,
    )
    .execute(&mut *db)
    .await
    .map_err(|error| exists(error, device))?;
    sqlx::query!("insert into rollout.device_status (device_id) values ($1)", device.id.0)
        .execute(db)
        .await?;
    Ok(())
}

fn exists(error: sqlx::Error, device: &Device) -> Error {
    match database::constraint(&error) {
        Some("devices_fleet_name_key") => {
            Error::DeviceExists { fleet: device.fleet.clone(), name: device.name.clone() }
        }
        _ => Error::Database(error),
    }
}

/// Stores a device changed by an operator.
pub async fn update(db: &mut PgConnection, device: &Device) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.devices \
         set name = $2, fleet = $3, labels = $4, pinned = $5, pin_reason = $6, revoked_at = $7, \
             updated_at = $8, version = $9 \
         where id = $1",
        device.id.0,
        device.name,
        device.fleet,
        Json(&device.labels) as _,
        device.pinned,
        device.pin_reason,
        device.revoked_at,
        device.updated_at,
        device.version,
    )
    .execute(db)
    .await
    .map_err(|error| exists(error, device))?;
    Ok(())
}

/// Stores what a device says it is.
pub async fn set_hardware(
    db: &mut PgConnection,
    device: Uuid,
    hardware: &Hardware,
    agent_version: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.devices \
         set os = coalesce(nullif($2, ''), os), architecture = coalesce(nullif($3, ''), architecture), \
             variant = coalesce(nullif($4, ''), variant), agent_version = $5 \
         where id = $1 and (os, architecture, variant, agent_version) is distinct from \
             (coalesce(nullif($2, ''), os), coalesce(nullif($3, ''), architecture), \
              coalesce(nullif($4, ''), variant), $5)",
        device,
        hardware.os,
        hardware.architecture,
        hardware.variant,
        agent_version,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes a device with everything that is only its own.
pub async fn delete(db: &mut PgConnection, id: DeviceId) -> Result<(), Error> {
    sqlx::query!("delete from rollout.devices where id = $1", id.0).execute(db).await?;
    Ok(())
}

/// Keeps a device from changing until the transaction ends.
pub async fn lock(db: &mut PgConnection, id: DeviceId) -> Result<(), Error> {
    sqlx::query_scalar!("select id from rollout.devices where id = $1 for update", id.0)
        .fetch_optional(db)
        .await?
        .map(|_| ())
        .ok_or_else(|| Error::DeviceNotFound(id.to_string()))
}

/// Reads a device.
pub async fn get(
    db: &mut PgConnection,
    id: DeviceId,
    heard_since: DateTime<Utc>,
) -> Result<Picture, Error> {
    let filter = Filter { ids: vec![id.0], ..Filter::default() };
    let (mut found, _) = list(db, &filter, &Page::default(), heard_since).await?;
    found.pop().ok_or_else(|| Error::DeviceNotFound(id.to_string()))
}

/// Reads devices by name, and counts all that match.
pub async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    page: &Page,
    heard_since: DateTime<Utc>,
) -> Result<(Vec<Picture>, i64), Error> {
    let (after_name, after_id) = page.after.clone().unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"select id, name, fleet, labels as "labels: Json<BTreeMap<String, String>>", os,
                  architecture, variant, agent_version, pinned, pin_reason, revoked_at, created_at,
                  updated_at, version, generation, etag,
                  target_services as "target_services: Json<Vec<Service>>",
                  good as "good: Json<BTreeMap<String, Image>>", online as "online!", last_seen_at,
                  reported_generation, services as "services: Json<Vec<Observation>>", in_sync
           from (
               select device.*, target.generation, target.etag,
                      target.services as target_services, target.good, target.repositories,
                      status.last_seen_at, status.reported_generation, status.services, status.in_sync,
                      device.revoked_at is null
                          and coalesce(case when status.streams
                                            then replica.seen_at > now() - interval '15 seconds'
                                            else status.last_seen_at > $1 end, false) as online
               from rollout.devices as device
               join rollout.device_target_state as target on target.device_id = device.id
               join rollout.device_status as status on status.device_id = device.id
               left join rollout.replicas as replica on replica.id = status.replica
           ) as picture
           where ($2::text is null or fleet = $2) and labels @> $3
             and (cardinality($4::uuid[]) = 0 or id = any($4)) and not id = any($5)
             and ($6::text is null or repositories @> array[$6])
             and ($7::boolean is null or online = $7)
             and ($8::text is null or (name, id) > ($8, $9::uuid))
           order by name, id offset $10 limit $11"#,
        heard_since,
        filter.fleet,
        Json(&filter.labels) as _,
        &filter.ids,
        &filter.exclude,
        filter.repository,
        filter.online,
        after_name,
        after_id,
        page.skip,
        page.limit,
    )
    .fetch_all(&mut *db)
    .await?;
    let total = match page.limit {
        None => i64::try_from(rows.len()).unwrap_or(i64::MAX),
        Some(_) => count(db, filter, heard_since).await?,
    };
    Ok((rows.into_iter().map(Picture::from).collect(), total))
}

async fn count(
    db: &mut PgConnection,
    filter: &Filter,
    heard_since: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!"
           from rollout.devices as device
           join rollout.device_target_state as target on target.device_id = device.id
           join rollout.device_status as status on status.device_id = device.id
           left join rollout.replicas as replica on replica.id = status.replica
           where ($2::text is null or fleet = $2) and labels @> $3
             and (cardinality($4::uuid[]) = 0 or device.id = any($4)) and not device.id = any($5)
             and ($6::text is null or target.repositories @> array[$6])
             and ($7::boolean is null or $7 = (device.revoked_at is null and
                  coalesce(case when status.streams then replica.seen_at > now() - interval '15 seconds'
                                else status.last_seen_at > $1 end, false)))"#,
        heard_since,
        filter.fleet,
        Json(&filter.labels) as _,
        &filter.ids,
        &filter.exclude,
        filter.repository,
        filter.online,
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}

/// Finds the device that a request made.
pub async fn by_request(db: &mut PgConnection, request: Uuid) -> Result<Option<DeviceId>, Error> {
    let id = sqlx::query_scalar!("select id from rollout.devices where request_id = $1", request)
        .fetch_optional(db)
        .await?;
    Ok(id.map(DeviceId))
}

/// Which of these devices are revoked: they hear nothing any more.
pub async fn revoked(db: &mut PgConnection, devices: &[Uuid]) -> Result<HashSet<Uuid>, Error> {
    let ids = sqlx::query_scalar!(
        "select id from rollout.devices where id = any($1) and revoked_at is not null",
        devices,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().collect())
}

/// Reads the devices a selector takes, as much as planning needs of them. With a repository only
/// those whose target names it.
pub async fn candidates(
    db: &mut PgConnection,
    selectors: &[&Selector],
    repository: Option<&str>,
) -> Result<Vec<Candidate>, Error> {
    let merged = Merged::of(selectors);
    let rows = sqlx::query!(
        r#"select device.id, device.name, device.os, device.architecture, device.variant,
                  device.pinned, device.labels ->> 'rollout-order' as rollout_order,
                  target.services as "services: Json<Vec<Service>>"
           from rollout.devices as device
           join rollout.device_target_state as target on target.device_id = device.id
           where fleet = all($1) and labels @> $2
             and (cardinality($3::uuid[]) = 0 or device.id = any($3)) and not device.id = any($4)
             and ($5::text is null or target.repositories @> array[$5])
             and device.revoked_at is null"#,
        &merged.fleets,
        merged.labels,
        &merged.ids,
        &merged.exclude,
        repository,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter(|row| {
            selectors
                .iter()
                .all(|selector| selector.ids.is_empty() || selector.ids.contains(&row.id))
        })
        .map(|row| Candidate {
            id: row.id,
            name: row.name,
            hardware: Hardware {
                os: row.os.unwrap_or_default(),
                architecture: row.architecture.unwrap_or_default(),
                variant: row.variant.unwrap_or_default(),
            },
            pinned: row.pinned,
            order: row.rollout_order.and_then(|order| order.parse().ok()),
            services: row.services.0,
        })
        .collect())
}

/// Several selectors as the arguments of one statement: a device must fit all of them.
struct Merged {
    fleets: Vec<String>,
    labels: serde_json::Value,
    ids: Vec<Uuid>,
    exclude: Vec<Uuid>,
}

impl Merged {
    fn of(selectors: &[&Selector]) -> Self {
        let labels: Vec<_> = selectors.iter().map(|selector| &selector.labels).collect();
        let mut merged = BTreeMap::new();
        let mut impossible = false;
        for (key, value) in labels.into_iter().flatten() {
            let before = merged.insert(key, value);
            impossible |= before.is_some_and(|before| before != value);
        }
        let mut fleets: Vec<_> =
            selectors.iter().filter_map(|selector| selector.fleet.clone()).collect();
        if impossible {
            // No fleet is called so: two selectors ask for two values of one label.
            fleets.push(String::new());
        }
        Self {
            fleets,
            labels: serde_json::json!(merged),
            ids: selectors.iter().flat_map(|selector| selector.ids.iter().copied()).collect(),
            exclude: selectors
                .iter()
                .flat_map(|selector| selector.exclude.iter().copied())
                .collect(),
        }
    }
}
