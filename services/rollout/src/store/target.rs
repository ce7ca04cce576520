//! Target states in `rollout.device_target_state`.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Error;
use crate::target::{Image, Service, Target};

struct Row {
    device_id: Uuid,
    generation: i64,
    etag: String,
    services: Json<Vec<Service>>,
    good: Json<BTreeMap<String, Image>>,
    traceparent: Option<String>,
}

impl Row {
    fn into_pair(self) -> (Uuid, Target) {
        let target = Target {
            generation: self.generation,
            etag: self.etag,
            services: self.services.0,
            good: self.good.0,
            traceparent: self.traceparent,
        };
        (self.device_id, target)
    }
}

/// Makes the row of a new device.
pub async fn insert(db: &mut PgConnection, device: Uuid, target: &Target) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.device_target_state \
         (device_id, generation, etag, services, repositories, traceparent) \
         values ($1, $2, $3, $4, $5, $6)",
        device,
        target.generation,
        target.etag,
        Json(&target.services) as _,
        &target.repositories(),
        target.traceparent,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads targets and keeps them from changing until the transaction ends. Rows are locked in the
/// order of their ids, so that two transactions never wait for each other.
pub async fn lock(
    db: &mut PgConnection,
    devices: &[Uuid],
) -> Result<BTreeMap<Uuid, Target>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select device_id, generation, etag, services as "services: Json<Vec<Service>>",
                  good as "good: Json<BTreeMap<String, Image>>", traceparent
           from rollout.device_target_state where device_id = any($1)
           order by device_id for update"#,
        devices,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Row::into_pair).collect())
}

/// Reads targets.
pub async fn get(db: &mut PgConnection, devices: &[Uuid]) -> Result<BTreeMap<Uuid, Target>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select device_id, generation, etag, services as "services: Json<Vec<Service>>",
                  good as "good: Json<BTreeMap<String, Image>>", traceparent
           from rollout.device_target_state where device_id = any($1)"#,
        devices,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Row::into_pair).collect())
}

/// Stores changed targets.
pub async fn update(db: &mut PgConnection, targets: &[(Uuid, Target)]) -> Result<(), Error> {
    if targets.is_empty() {
        return Ok(());
    }
    let mut repositories = Vec::with_capacity(targets.len());
    let mut services = Vec::with_capacity(targets.len());
    for (_, target) in targets {
        repositories.push(serde_json::json!(target.repositories()));
        services.push(serde_json::to_value(&target.services).map_err(Error::Json)?);
    }
    sqlx::query!(
        "update rollout.device_target_state as row \
         set generation = new.generation, etag = new.etag, services = new.services, \
             repositories = array(select jsonb_array_elements_text(new.repositories)), \
             traceparent = new.traceparent, changed_at = now() \
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[], $6::text[]) \
             as new (device_id, generation, etag, services, repositories, traceparent) \
         where row.device_id = new.device_id",
        &targets.iter().map(|(device, _)| *device).collect::<Vec<_>>(),
        &targets.iter().map(|(_, target)| target.generation).collect::<Vec<_>>(),
        &targets.iter().map(|(_, target)| target.etag.clone()).collect::<Vec<_>>(),
        &services,
        &repositories,
        &targets.iter().map(|(_, target)| target.traceparent.clone()).collect::<Vec<_>>() as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Remembers, for services of these devices, what was seen to work there.
pub async fn confirm(
    db: &mut PgConnection,
    good: &[(Uuid, BTreeMap<String, Image>)],
) -> Result<(), Error> {
    if good.is_empty() {
        return Ok(());
    }
    let images = good
        .iter()
        .map(|(_, images)| serde_json::to_value(images).map_err(Error::Json))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query!(
        "update rollout.device_target_state as row set good = row.good || new.good \
         from unnest($1::uuid[], $2::jsonb[]) as new (device_id, good) \
         where row.device_id = new.device_id",
        &good.iter().map(|(device, _)| *device).collect::<Vec<_>>(),
        &images,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads the targets that changed in the last ten seconds of database time: what a replica may not
/// have seen, because another one wrote it.
pub async fn changed_lately(db: &mut PgConnection) -> Result<Vec<(Uuid, i64)>, Error> {
    let rows = sqlx::query!(
        "select device_id, generation from rollout.device_target_state \
         where changed_at > now() - interval '10 seconds'"
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.device_id, row.generation)).collect())
}

/// Counts the devices whose targets name each digest.
pub async fn digests_in_use(
    db: &mut PgConnection,
    repository: Option<&str>,
) -> Result<Vec<(String, String, i64)>, Error> {
    let rows = sqlx::query!(
        r#"select service ->> 'image' as "image!", service ->> 'digest' as "digest!",
                  count(distinct device_id) as "devices!"
           from rollout.device_target_state, jsonb_array_elements(services) as service
           where service ->> 'digest' is not null
             and ($1::text is null or repositories @> array[$1])
           group by 1, 2 order by 1, 2"#,
        repository,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.image, row.digest, row.devices)).collect())
}
