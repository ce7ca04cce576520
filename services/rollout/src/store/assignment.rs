//! Assignments: the tries of a rollout's devices.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use proto::reason;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::assignment::{Assignment, Progress, State};
use crate::error::Error;
use crate::plan::Batch;
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

struct Row {
    id: i64,
    rollout_id: Uuid,
    device_id: Uuid,
    device_name: String,
    batch_number: i32,
    position: i32,
    attempt: i32,
    state: State,
    reason: String,
    message: String,
    failed: bool,
    services: Json<Vec<Progress>>,
    generation: Option<i64>,
    step_deadline: Option<DateTime<Utc>>,
    total_deadline: Option<DateTime<Utc>>,
    healthy_since: Option<DateTime<Utc>>,
    decided_at: Option<DateTime<Utc>>,
    retry_at: Option<DateTime<Utc>>,
    deferred_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
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

/// A try that could be sent now, with what is known of its device.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// The try.
    pub stored: Stored,
    /// Whether the device is still there.
    pub exists: bool,
    /// Whether the device is connected, or was heard of lately.
    pub online: bool,
    /// Whether its credentials were ended.
    pub revoked: bool,
    /// Whether the device is held.
    pub pinned: bool,
    /// Whether another rollout is changing the same service.
    pub busy: bool,
    /// Services as last reported, as JSON.
    pub reported: serde_json::Value,
}

/// Locks the first tries that could be sent now: queued ones of batches that have begun, whose wait
/// is over.
pub async fn lock_ready(
    db: &mut PgConnection,
    rollout: RolloutId,
    repository: &str,
    now: DateTime<Utc>,
    heard_since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Ready>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, rollout_id, device_id, device_name, batch_number, position, attempt,
                  state as "state: State", reason, message, failed,
                  services as "services: Json<Vec<Progress>>", generation, step_deadline,
                  total_deadline, healthy_since, decided_at, retry_at, deferred_at, updated_at
           from rollout.assignments
           where id in (select row.id from rollout.assignments as row
                        join rollout.rollout_batches as batch
                          on batch.rollout_id = row.rollout_id and batch.number = row.batch_number
                        where row.rollout_id = $1 and row.is_current and row.state = 'queued'
                          and batch.started_at is not null
                          and (row.retry_at is null or row.retry_at <= $2)
                        order by row.batch_number, row.position limit $3)
           order by id for update"#,
        rollout.0,
        now,
        limit,
    )
    .fetch_all(&mut *db)
    .await?;
    let devices: Vec<_> = rows.iter().map(|row| row.device_id).collect();
    let facts = sqlx::query!(
        r#"select device.id, device.revoked_at is not null as "revoked!", device.pinned,
                  status.services as "services!",
                  coalesce(case when status.streams then replica.seen_at > now() - interval '15 seconds'
                                else status.last_seen_at > $2 end, false) as "online!",
                  exists (select from rollout.assignments as other
                          where other.device_id = device.id and other.repository = $3
                            and other.state in ('offered', 'acked', 'downloading', 'staged',
                                                'installing', 'verifying', 'reverting')
                         ) as "busy!"
           from rollout.devices as device
           join rollout.device_status as status on status.device_id = device.id
           left join rollout.replicas as replica on replica.id = status.replica
           where device.id = any($1)"#,
        &devices,
        heard_since,
        repository,
    )
    .fetch_all(db)
    .await?;
    let mut facts: HashMap<_, _> = facts.into_iter().map(|fact| (fact.id, fact)).collect();
    let mut ready: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let fact = facts.remove(&row.device_id);
            Ready {
                exists: fact.is_some(),
                online: fact.as_ref().is_some_and(|fact| fact.online),
                revoked: fact.as_ref().is_some_and(|fact| fact.revoked),
                pinned: fact.as_ref().is_some_and(|fact| fact.pinned),
                busy: fact.as_ref().is_some_and(|fact| fact.busy),
                reported: fact.map(|fact| fact.services).unwrap_or_default(),
                stored: Stored::from(row),
            }
        })
        .collect();
    ready.sort_by_key(|ready| (ready.stored.batch_number, ready.stored.position));
    Ok(ready)
}

/// Of these devices, those that are connected or were heard of lately.
pub async fn online(
    db: &mut PgConnection,
    devices: &[Uuid],
    heard_since: DateTime<Utc>,
) -> Result<HashSet<Uuid>, Error> {
    let ids = sqlx::query_scalar!(
        r#"select status.device_id as "device_id!" from rollout.device_status as status
           left join rollout.replicas as replica on replica.id = status.replica
           where status.device_id = any($1)
             and case when status.streams then replica.seen_at > now() - interval '15 seconds'
                      else status.last_seen_at > $2 end"#,
        devices,
        heard_since,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().collect())
}

/// Lets timers rest until a later time.
pub async fn postpone(
    db: &mut PgConnection,
    ids: &[i64],
    until: DateTime<Utc>,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("update rollout.assignments set due_at = $2 where id = any($1)", ids, until)
        .execute(db)
        .await?;
    Ok(())
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

/// What the plan has to know beside the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// How many could be sent now.
    pub ready: u32,
    /// How many connected devices of later batches could take another one's place.
    pub substitutes: u32,
    /// How many of the last decided devices failed without a break.
    pub streak: u32,
    /// The next moment at which a timer is due.
    pub next_due: Option<DateTime<Utc>>,
}

/// Counts how the devices of each batch stand, into the batches.
pub async fn tally(
    db: &mut PgConnection,
    rollout: RolloutId,
    acknowledged_at: Option<DateTime<Utc>>,
    batches: &mut [Batch],
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"select batch_number, state as "state: State", failed, least(attempt, 2) as "attempt!",
                  (failed and ($2::timestamptz is null or decided_at is null or decided_at > $2)) as "fresh!",
                  count(*) as "count!"
           from rollout.assignments where rollout_id = $1 and is_current
           group by 1, 2, 3, 4, 5"#,
        rollout.0,
        acknowledged_at,
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let number = u32::try_from(row.batch_number).unwrap_or(0);
        let count = u32::try_from(row.count).unwrap_or(u32::MAX);
        if let Some(batch) = batches.iter_mut().find(|batch| batch.number == number) {
            batch.tally.add(row.state, row.failed, row.attempt, row.fresh, count);
        }
    }
    Ok(())
}

/// Looks at what could be sent, what failed last, and what is due next.
pub async fn outlook(
    db: &mut PgConnection,
    rollout: RolloutId,
    acknowledged_at: Option<DateTime<Utc>>,
    streak_limit: u32,
    now: DateTime<Utc>,
    heard_since: DateTime<Utc>,
) -> Result<Outlook, Error> {
    let queued = sqlx::query!(
        r#"select count(*) filter (where batch.started_at is not null
                                     and (row.retry_at is null or row.retry_at <= $2)) as "ready!",
                  count(*) filter (where batch.started_at is null
                                     and coalesce(case when status.streams
                                                       then replica.seen_at > now() - interval '15 seconds'
                                                       else status.last_seen_at > $3 end, false)
                                  ) as "substitutes!"
           from rollout.assignments as row
           join rollout.rollout_batches as batch
             on batch.rollout_id = row.rollout_id and batch.number = row.batch_number
           left join rollout.device_status as status on status.device_id = row.device_id
           left join rollout.replicas as replica on replica.id = status.replica
           where row.rollout_id = $1 and row.is_current and row.state = 'queued'"#,
        rollout.0,
        now,
        heard_since,
    )
    .fetch_one(&mut *db)
    .await?;
    let last = sqlx::query_scalar!(
        "select failed from rollout.assignments \
         where rollout_id = $1 and is_current and decided_at is not null \
           and (failed or state in ('succeeded', 'reverting', 'reverted')) \
           and ($2::timestamptz is null or decided_at > $2) \
         order by decided_at desc, id desc limit $3",
        rollout.0,
        acknowledged_at,
        i64::from(streak_limit),
    )
    .fetch_all(&mut *db)
    .await?;
    let next_due = sqlx::query_scalar!(
        "select min(due_at) from rollout.assignments \
         where rollout_id = $1 and is_current and due_at > $2",
        rollout.0,
        now,
    )
    .fetch_one(db)
    .await?;
    let streak = last.into_iter().take_while(|failed| *failed).count();
    let count = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Outlook {
        ready: count(queued.ready),
        substitutes: count(queued.substitutes),
        streak: u32::try_from(streak).unwrap_or(u32::MAX),
        next_due,
    })
}

/// Moves the first connected devices of later batches into a batch.
pub async fn substitute(
    db: &mut PgConnection,
    rollout: RolloutId,
    batch: u32,
    count: u32,
    now: DateTime<Utc>,
    heard_since: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.assignments set batch_number = $2, updated_at = $4 \
         where id in ( \
             select row.id from rollout.assignments as row \
             join rollout.rollout_batches as batch \
               on batch.rollout_id = row.rollout_id and batch.number = row.batch_number \
             join rollout.device_status as status on status.device_id = row.device_id \
             left join rollout.replicas as replica on replica.id = status.replica \
             where row.rollout_id = $1 and row.is_current and row.state = 'queued' \
               and batch.started_at is null \
               and coalesce(case when status.streams then replica.seen_at > now() - interval '15 seconds' \
                                 else status.last_seen_at > $5 end, false) \
             order by row.batch_number, row.position limit $3 for update of row)",
        rollout.0,
        i32::try_from(batch).unwrap_or(i32::MAX),
        i64::from(count),
        now,
        heard_since,
    )
    .execute(db)
    .await?;
    Ok(())
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
