//! What could be sent of a rollout now, and how its devices stand.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::assignment::{Row, Stored};
use crate::assignment::{Progress, State};
use crate::error::Error;
use crate::plan::Batch;
use crate::rollout::RolloutId;

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
