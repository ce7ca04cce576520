//! Assignments: the tries of a rollout's devices.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use proto::reason;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::assignment::{Assignment, Progress, State};
use crate::error::Error;
use crate::policy::Rules;
use crate::rollout::RolloutId;

/// An assignment with its place in the rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The row.
    pub id: i64,
    /// The batch, from 1.
    pub batch_number: i32,
    /// The order within the rollout.
    pub position: i32,
    /// The device's name when the rollout was planned.
    pub device_name: String,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// The try.
    pub try_: Assignment,
}

/// An assignment as it is read.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) rollout_id: Uuid,
    pub(super) device_id: Uuid,
    pub(super) device_name: String,
    pub(super) batch_number: i32,
    pub(super) position: i32,
    pub(super) attempt: i32,
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) failed: bool,
    pub(super) services: Json<Vec<Progress>>,
    pub(super) generation: Option<i64>,
    pub(super) step_deadline: Option<DateTime<Utc>>,
    pub(super) total_deadline: Option<DateTime<Utc>>,
    pub(super) healthy_since: Option<DateTime<Utc>>,
    pub(super) decided_at: Option<DateTime<Utc>>,
    pub(super) retry_at: Option<DateTime<Utc>>,
    pub(super) deferred_at: Option<DateTime<Utc>>,
    pub(super) updated_at: DateTime<Utc>,
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            batch_number: row.batch_number,
            position: row.position,
            device_name: row.device_name,
            updated_at: row.updated_at,
            try_: Assignment {
                rollout: row.rollout_id,
                device: row.device_id,
                attempt: row.attempt,
                state: row.state,
                reason: row.reason,
                message: row.message,
                failed: row.failed,
                services: row.services.0,
                generation: row.generation,
                step_deadline: row.step_deadline,
                total_deadline: row.total_deadline,
                healthy_since: row.healthy_since,
                decided_at: row.decided_at,
                retry_at: row.retry_at,
                deferred_at: row.deferred_at,
            },
        }
    }
}

/// A device in its place of a new rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The device.
    pub device: Uuid,
    /// Its name.
    pub name: String,
    /// Its batch, from 1.
    pub batch_number: i32,
}

/// Queues the devices of a new rollout, in this order.
pub async fn insert_all(
    db: &mut PgConnection,
    rollout: RolloutId,
    repository: &str,
    seats: &[Seat],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.assignments \
         (rollout_id, repository, state, updated_at, device_id, device_name, batch_number, position) \
         select $1, $2, 'queued', $3, device_id, device_name, batch_number, position \
         from unnest($4::uuid[], $5::text[], $6::integer[]) \
             with ordinality as new (device_id, device_name, batch_number, position)",
        rollout.0,
        repository,
        now,
        &seats.iter().map(|seat| seat.device).collect::<Vec<_>>(),
        &seats.iter().map(|seat| seat.name.clone()).collect::<Vec<_>>(),
        &seats.iter().map(|seat| seat.batch_number).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores changed tries. Their due times follow from them.
pub async fn update(
    db: &mut PgConnection,
    changed: &[(i64, Assignment)],
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let column = |field: fn(&Assignment) -> Option<DateTime<Utc>>| -> Vec<Option<DateTime<Utc>>> {
        changed.iter().map(|(_, try_)| field(try_)).collect()
    };
    let services = changed
        .iter()
        .map(|(_, try_)| serde_json::to_value(&try_.services).map_err(Error::Json))
        .collect::<Result<Vec<_>, _>>()?;
    let due: Vec<_> = changed.iter().map(|(_, try_)| try_.due_at(rules)).collect();
    sqlx::query!(
        "update rollout.assignments as row \
         set state = new.state, reason = new.reason, message = new.message, failed = new.failed, \
             services = new.services, generation = new.generation, \
             step_deadline = new.step_deadline, total_deadline = new.total_deadline, \
             healthy_since = new.healthy_since, decided_at = new.decided_at, \
             retry_at = new.retry_at, deferred_at = new.deferred_at, due_at = new.due_at, \
             updated_at = $1 \
         from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::jsonb[], \
                     $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], \
                     $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[]) \
             as new (id, state, reason, message, failed, services, generation, step_deadline, \
                     total_deadline, healthy_since, decided_at, retry_at, deferred_at, due_at) \
         where row.id = new.id",
        now,
        &changed.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &changed.iter().map(|(_, try_)| try_.state.as_str().to_owned()).collect::<Vec<_>>(),
        &changed.iter().map(|(_, try_)| try_.reason.clone()).collect::<Vec<_>>(),
        &changed.iter().map(|(_, try_)| try_.message.clone()).collect::<Vec<_>>(),
        &changed.iter().map(|(_, try_)| try_.failed).collect::<Vec<_>>(),
        &services,
        &changed.iter().map(|(_, try_)| try_.generation).collect::<Vec<_>>() as _,
        &column(|try_| try_.step_deadline) as _,
        &column(|try_| try_.total_deadline) as _,
        &column(|try_| try_.healthy_since) as _,
        &column(|try_| try_.decided_at) as _,
        &column(|try_| try_.retry_at) as _,
        &column(|try_| try_.deferred_at) as _,
        &due as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Queues new tries in the places of old ones, which become history.
pub async fn try_again(
    db: &mut PgConnection,
    tries: &[(i64, DateTime<Utc>)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if tries.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = tries.iter().map(|(id, _)| *id).collect();
    sqlx::query!(
        "update rollout.assignments set is_current = false, due_at = null where id = any($1)",
        &ids
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into rollout.assignments \
         (rollout_id, device_id, device_name, repository, batch_number, position, attempt, state, \
          retry_at, due_at, updated_at) \
         select old.rollout_id, old.device_id, old.device_name, old.repository, old.batch_number, \
                old.position, old.attempt + 1, 'queued', new.retry_at, new.retry_at, $3 \
         from unnest($1::bigint[], $2::timestamptz[]) as new (id, retry_at) \
         join rollout.assignments as old on old.id = new.id",
        &ids,
        &tries.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks tries whose timers are due.
pub async fn lock_due(
    db: &mut PgConnection,
    rollout: RolloutId,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, rollout_id, device_id, device_name, batch_number, position, attempt,
                  state as "state: State", reason, message, failed,
                  services as "services: Json<Vec<Progress>>", generation, step_deadline,
                  total_deadline, healthy_since, decided_at, retry_at, deferred_at, updated_at
           from rollout.assignments
           where rollout_id = $1 and due_at <= $2 and state <> 'queued' and is_current
           order by id limit $3 for update"#,
        rollout.0,
        now,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// Locks tries in these states, newest batch first.
pub async fn lock_in(
    db: &mut PgConnection,
    rollout: RolloutId,
    states: &[State],
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let states: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    let mut rows = sqlx::query_as!(
        Row,
        r#"select id, rollout_id, device_id, device_name, batch_number, position, attempt,
                  state as "state: State", reason, message, failed,
                  services as "services: Json<Vec<Progress>>", generation, step_deadline,
                  total_deadline, healthy_since, decided_at, retry_at, deferred_at, updated_at
           from rollout.assignments
           where id in (select id from rollout.assignments
                        where rollout_id = $1 and is_current and state = any($2)
                        order by batch_number desc, position limit $3)
           order by id for update"#,
        rollout.0,
        &states,
        limit,
    )
    .fetch_all(db)
    .await?;
    rows.sort_by_key(|row| (-row.batch_number, row.position));
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// Lets timers rest, each until a later time.
pub async fn postpone(db: &mut PgConnection, until: &[(i64, DateTime<Utc>)]) -> Result<(), Error> {
    if until.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update rollout.assignments as row set due_at = later.due_at \
         from unnest($1::bigint[], $2::timestamptz[]) as later (id, due_at) where row.id = later.id",
        &until.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &until.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Lets tries of devices that went away before they swapped be looked at soon, and names their
/// rollouts.
pub async fn look_soon(
    db: &mut PgConnection,
    devices: &[Uuid],
    at: DateTime<Utc>,
) -> Result<Vec<Uuid>, Error> {
    let rollouts = sqlx::query_scalar!(
        "update rollout.assignments set due_at = $2 \
         where device_id = any($1) and is_current and due_at > $2 \
           and state in ('offered', 'acked', 'downloading', 'staged') \
         returning rollout_id",
        devices,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(rollouts)
}

/// Sets tries that were put off because another rollout was changing the service on the queue again
/// when that one is done, and names their rollouts.
pub async fn requeue_freed(db: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Uuid>, Error> {
    let rollouts = sqlx::query_scalar!(
        "update rollout.assignments as row \
         set state = 'queued', reason = '', deferred_at = null, due_at = null, updated_at = $2 \
         where row.is_current and row.state = 'deferred' and row.reason = $1 \
           and not exists (select from rollout.assignments as other \
                           where other.device_id = row.device_id and other.repository = row.repository \
                             and other.state in ('offered', 'acked', 'downloading', 'staged', \
                                                 'installing', 'verifying', 'reverting')) \
         returning row.rollout_id",
        reason::BUSY,
        now,
    )
    .fetch_all(db)
    .await?;
    Ok(rollouts)
}

/// Sets the tries of a device that were put off because it was away, or busy, on the queue again,
/// and names their rollouts.
pub async fn requeue(
    db: &mut PgConnection,
    device: Uuid,
    reasons: &[&str],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, Error> {
    let reasons: Vec<String> = reasons.iter().map(|reason| (*reason).to_owned()).collect();
    let rollouts = sqlx::query_scalar!(
        "update rollout.assignments as row \
         set state = 'queued', reason = '', deferred_at = null, due_at = null, retry_at = null, \
             updated_at = $3 \
         from rollout.image_update_rollouts as rollout \
         where row.device_id = $1 and row.is_current and row.state = 'deferred' \
           and row.reason = any($2) and rollout.id = row.rollout_id \
           and rollout.state in ('running', 'paused', 'settling', 'succeeded') \
         returning row.rollout_id",
        device,
        &reasons,
        now,
    )
    .fetch_all(db)
    .await?;
    Ok(rollouts)
}

/// Ends what is still queued or put off of succeeded rollouts of a scope: a newer release comes.
pub async fn supersede_stragglers(
    db: &mut PgConnection,
    policy: Uuid,
    repository: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.assignments as row \
         set state = 'superseded', due_at = null, deferred_at = null, retry_at = null, updated_at = $3 \
         from rollout.image_update_rollouts as rollout \
         where rollout.id = row.rollout_id and rollout.policy_id = $1 and rollout.repository = $2 \
           and rollout.state = 'succeeded' and row.is_current and row.state in ('queued', 'deferred')",
        policy,
        repository,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks the tries of these devices that are under way.
pub async fn lock_active(db: &mut PgConnection, devices: &[Uuid]) -> Result<Vec<Stored>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, rollout_id, device_id, device_name, batch_number, position, attempt,
                  state as "state: State", reason, message, failed,
                  services as "services: Json<Vec<Progress>>", generation, step_deadline,
                  total_deadline, healthy_since, decided_at, retry_at, deferred_at, updated_at
           from rollout.assignments
           where device_id = any($1)
             and state in ('offered', 'acked', 'downloading', 'staged', 'installing', 'verifying',
                           'reverting')
           order by id for update"#,
        devices,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// Locks the tries of a device that are not over.
pub async fn lock_open(db: &mut PgConnection, device: Uuid) -> Result<Vec<Stored>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, rollout_id, device_id, device_name, batch_number, position, attempt,
                  state as "state: State", reason, message, failed,
                  services as "services: Json<Vec<Progress>>", generation, step_deadline,
                  total_deadline, healthy_since, decided_at, retry_at, deferred_at, updated_at
           from rollout.assignments
           where device_id = $1 and is_current
             and state in ('queued', 'deferred', 'offered', 'acked', 'downloading', 'staged',
                           'installing', 'verifying', 'reverting')
           order by id for update"#,
        device,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// The devices of a rollout.
pub async fn devices(db: &mut PgConnection, rollout: RolloutId) -> Result<HashSet<Uuid>, Error> {
    let devices = sqlx::query_scalar!(
        "select device_id from rollout.assignments where rollout_id = $1 and is_current",
        rollout.0,
    )
    .fetch_all(db)
    .await?;
    Ok(devices.into_iter().collect())
}

/// Lists the tries that stand for a rollout's devices, in batch order, and counts all that match.
pub async fn list(
    db: &mut PgConnection,
    rollout: RolloutId,
    states: &[State],
    batch: Option<i32>,
    after: Option<(i32, i32)>,
    limit: i64,
) -> Result<(Vec<Stored>, i64), Error> {
    let states: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    let (after_batch, after_position) = after.unwrap_or((0, 0));
    let rows = sqlx::query_as!(
        Row,
        r#"select id, rollout_id, device_id, device_name, batch_number, position, attempt,
                  state as "state: State", reason, message, failed,
                  services as "services: Json<Vec<Progress>>", generation, step_deadline,
                  total_deadline, healthy_since, decided_at, retry_at, deferred_at, updated_at
           from rollout.assignments
           where rollout_id = $1 and is_current
             and (cardinality($2::text[]) = 0 or state = any($2))
             and ($3::integer is null or batch_number = $3)
             and (batch_number, position) > ($4, $5)
           order by batch_number, position limit $6"#,
        rollout.0,
        &states,
        batch,
        after_batch,
        after_position,
        limit,
    )
    .fetch_all(&mut *db)
    .await?;
    let total = sqlx::query_scalar!(
        r#"select count(*) as "count!" from rollout.assignments
           where rollout_id = $1 and is_current
             and (cardinality($2::text[]) = 0 or state = any($2))
             and ($3::integer is null or batch_number = $3)"#,
        rollout.0,
        &states,
        batch,
    )
    .fetch_one(db)
    .await?;
    Ok((rows.into_iter().map(Stored::from).collect(), total))
}
