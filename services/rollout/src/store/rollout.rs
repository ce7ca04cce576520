//! Rollouts and their batches.

use std::time::Duration;

use chrono::{DateTime, Utc};
use runtime::Actor;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Error;
use crate::plan::{Batch, Trip};
use crate::policy::{Policy, PolicyId};
use crate::rollout::{Platform, Release, Rollout, RolloutId, State};
use crate::tally::Tally;

struct Row {
    id: Uuid,
    request_id: Uuid,
    policy: Json<Policy>,
    repository: String,
    tag: String,
    digest: Option<String>,
    platforms: Json<Vec<Platform>>,
    state: State,
    state_reason: String,
    state_detail: String,
    start_requested: bool,
    cancel_reverts: bool,
    turned_at: Option<DateTime<Utc>>,
    acknowledged_at: Option<DateTime<Utc>>,
    revoked_reason: String,
    device_count: i32,
    excluded_count: i32,
    actor: Json<Actor>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    version: i64,
}

impl From<Row> for Rollout {
    fn from(row: Row) -> Self {
        Self {
            id: RolloutId(row.id),
            release: Release {
                repository: row.repository,
                tag: row.tag,
                digest: row.digest,
                platforms: row.platforms.0,
                push: row.request_id,
            },
            policy: row.policy.0,
            state: row.state,
            state_reason: row.state_reason,
            state_detail: row.state_detail,
            start_requested: row.start_requested,
            cancel_reverts: row.cancel_reverts,
            turned_at: row.turned_at,
            acknowledged_at: row.acknowledged_at,
            revoked_reason: row.revoked_reason,
            device_count: u32::try_from(row.device_count).unwrap_or(0),
            excluded_count: u32::try_from(row.excluded_count).unwrap_or(0),
            actor: row.actor.0,
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// A lease on a rollout: only its holder may change what the plan changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The rollout.
    pub rollout: RolloutId,
    /// Grows with every lease.
    pub fence: i64,
}

/// Adds a rollout.
pub async fn insert(db: &mut PgConnection, rollout: &Rollout) -> Result<(), Error> {
    let release = &rollout.release;
    sqlx::query!(
        "insert into rollout.image_update_rollouts \
         (id, request_id, policy_id, policy, repository, tag, digest, release_id, platforms, state, \
          state_reason, state_detail, device_count, excluded_count, actor, traceparent, created_at, \
          updated_at, wake_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, $17)",
        rollout.id.0,
        release.push,
        rollout.policy.id.0,
        Json(&rollout.policy) as _,
        release.repository,
        release.tag,
        release.digest,
        release.image().release_id,
        Json(&release.platforms) as _,
        rollout.state as State,
        rollout.state_reason,
        rollout.state_detail,
        i32::try_from(rollout.device_count).unwrap_or(i32::MAX),
        i32::try_from(rollout.excluded_count).unwrap_or(i32::MAX),
        Json(&rollout.actor) as _,
        runtime::context::traceparent(),
        rollout.created_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds the batches of a rollout.
pub async fn insert_batches(
    db: &mut PgConnection,
    rollout: RolloutId,
    batches: &[Batch],
) -> Result<(), Error> {
    for batch in batches {
        sqlx::query!(
            "insert into rollout.rollout_batches \
             (rollout_id, number, size, soak_seconds, success_threshold, manual_gate) \
             values ($1, $2, $3, $4, $5, $6)",
            rollout.0,
            i32::try_from(batch.number).unwrap_or(i32::MAX),
            i32::try_from(batch.size).unwrap_or(i32::MAX),
            i32::try_from(batch.soak.as_secs()).unwrap_or(i32::MAX),
            batch.success_threshold,
            batch.manual_gate,
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Reads a rollout.
pub async fn get(db: &mut PgConnection, id: RolloutId) -> Result<Rollout, Error> {
    find(db, id).await?.ok_or_else(|| Error::RolloutNotFound(id.to_string()))
}

async fn find(db: &mut PgConnection, id: RolloutId) -> Result<Option<Rollout>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, request_id, policy as "policy: Json<Policy>", repository, tag, digest,
                  platforms as "platforms: Json<Vec<Platform>>", state as "state: State",
                  state_reason, state_detail, start_requested, cancel_reverts, turned_at,
                  acknowledged_at, revoked_reason, device_count, excluded_count,
                  actor as "actor: Json<Actor>", created_at, started_at, ended_at, updated_at, version
           from rollout.image_update_rollouts where id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Rollout::from))
}

/// Reads a rollout and keeps it from changing until the transaction ends.
pub async fn lock(db: &mut PgConnection, id: RolloutId) -> Result<Rollout, Error> {
    let known = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts where id = $1 for update",
        id.0
    )
    .fetch_optional(&mut *db)
    .await?;
    known.ok_or_else(|| Error::RolloutNotFound(id.to_string()))?;
    get(db, id).await
}

/// Finds the one rollout whose id begins so.
pub async fn by_prefix(db: &mut PgConnection, prefix: &str) -> Result<Option<RolloutId>, Error> {
    let found = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts where id::text like $1 || '%' limit 2",
        prefix
    )
    .fetch_all(db)
    .await?;
    Ok(match found.as_slice() {
        [one] => Some(RolloutId(*one)),
        _ => None,
    })
}

/// Finds the rollout that a push made.
pub async fn by_request(db: &mut PgConnection, push: Uuid) -> Result<Option<RolloutId>, Error> {
    let id = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts where request_id = $1",
        push
    )
    .fetch_optional(db)
    .await?;
    Ok(id.map(RolloutId))
}

/// Reads and locks the rollouts of a scope that have not ended, newest first.
pub async fn lock_scope(
    db: &mut PgConnection,
    policy: PolicyId,
    repository: &str,
) -> Result<Vec<Rollout>, Error> {
    let ids = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts \
         where policy_id = $1 and repository = $2 and state in \
             ('pending', 'running', 'paused', 'settling', 'rolling_back', 'cancelling') \
         order by id desc for update",
        policy.0,
        repository,
    )
    .fetch_all(&mut *db)
    .await?;
    let mut rollouts = Vec::with_capacity(ids.len());
    for id in ids {
        rollouts.push(get(db, RolloutId(id)).await?);
    }
    Ok(rollouts)
}

/// Finds the newest rollout of a repository, whatever became of it; nil = there was none.
pub async fn newest(db: &mut PgConnection, repository: &str) -> Result<Uuid, Error> {
    let id = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts where repository = $1 order by id desc limit 1",
        repository,
    )
    .fetch_optional(db)
    .await?;
    Ok(id.unwrap_or_default())
}

/// Takes an advisory lock for a scope until the transaction ends: two pushes are planned in turn.
pub async fn lock_planning(
    db: &mut PgConnection,
    policy: PolicyId,
    repository: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtext($1), hashtext($2))",
        policy.to_string(),
        repository
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads the batches of a rollout, without their tallies.
pub async fn batches(db: &mut PgConnection, id: RolloutId) -> Result<Vec<Batch>, Error> {
    let rows = sqlx::query!(
        "select number, size, soak_seconds, success_threshold, manual_gate, promoted_at, \
                started_at, completed_at \
         from rollout.rollout_batches where rollout_id = $1 order by number",
        id.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Batch {
            number: u32::try_from(row.number).unwrap_or(0),
            size: u32::try_from(row.size).unwrap_or(0),
            soak: Duration::from_secs(u64::try_from(row.soak_seconds).unwrap_or(0)),
            success_threshold: row.success_threshold,
            manual_gate: row.manual_gate,
            promoted_at: row.promoted_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            tally: Tally::default(),
        })
        .collect())
}

/// Leases a rollout that is due, or whose lease ran out because its holder is gone. With it comes the
/// trace of what made the rollout.
pub async fn claim(
    db: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<(Lease, Option<String>)>, Error> {
    let row = sqlx::query!(
        "with due as ( \
             select id from rollout.image_update_rollouts \
             where (wake_at <= $1 and (lease_until is null or lease_until <= now())) \
                or lease_until <= now() \
             order by wake_at limit 1 for update skip locked \
         ) \
         update rollout.image_update_rollouts as row \
         set lease_until = now() + interval '10 seconds', fence = row.fence + 1, wake_at = null \
         from due where row.id = due.id returning row.id, row.fence, row.traceparent",
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (Lease { rollout: RolloutId(row.id), fence: row.fence }, row.traceparent)))
}

/// Gives a lease back and says when to look again. A wake-up that came meanwhile is kept.
pub async fn release(
    db: &mut PgConnection,
    lease: Lease,
    wake_at: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts \
         set lease_until = null, wake_at = least(wake_at, $3) where id = $1 and fence = $2",
        lease.rollout.0,
        lease.fence,
        wake_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Begins a change under a lease: refused when another holder or a command was faster.
pub async fn begin_change(
    db: &mut PgConnection,
    lease: Lease,
    version: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let done = sqlx::query!(
        "update rollout.image_update_rollouts \
         set version = version + 1, lease_until = now() + interval '10 seconds', updated_at = $4 \
         where id = $1 and fence = $2 and version = $3",
        lease.rollout.0,
        lease.fence,
        version,
        now,
    )
    .execute(db)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::LeaseLost) }
}

/// When the next rollout is due.
pub async fn next_wake(db: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Error> {
    let next = sqlx::query_scalar!(
        "select min(wake_at) from rollout.image_update_rollouts where wake_at is not null"
    )
    .fetch_one(db)
    .await?;
    Ok(next)
}

/// Makes rollouts due now.
pub async fn wake(db: &mut PgConnection, ids: &[Uuid], now: DateTime<Utc>) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update rollout.image_update_rollouts set wake_at = $2 \
         where id = any($1) and (wake_at is null or wake_at > $2)",
        ids,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes every rollout due that may have something to do: the net under lost wake-ups.
pub async fn wake_all(db: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts set wake_at = $1 \
         where state in ('pending', 'running', 'settling', 'rolling_back', 'cancelling') \
           and (wake_at is null or wake_at > $1) and lease_until is null",
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores where a rollout stands, and makes it due.
pub async fn set_state(
    db: &mut PgConnection,
    id: RolloutId,
    state: State,
    why: &Trip,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts \
         set state = $2, state_reason = $3, state_detail = $4, updated_at = $5, wake_at = $5, \
             started_at = case when $2 = 'running' then coalesce(started_at, $5) else started_at end, \
             turned_at = case when $2 in ('rolling_back', 'cancelling') then $5 else turned_at end, \
             ended_at = case when $6 then $5 else null end, version = version + 1 \
         where id = $1",
        id.0,
        state as State,
        why.reason,
        why.detail,
        now,
        state.is_terminal(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores that a person started it.
pub async fn request_start(db: &mut PgConnection, id: RolloutId) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts set start_requested = true where id = $1",
        id.0
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores that the failures so far no longer count.
pub async fn acknowledge(
    db: &mut PgConnection,
    id: RolloutId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts set acknowledged_at = $2 where id = $1",
        id.0,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores whether a cancel takes devices back.
pub async fn set_cancel_reverts(
    db: &mut PgConnection,
    id: RolloutId,
    reverts: bool,
) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts set cancel_reverts = $2 where id = $1",
        id.0,
        reverts
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores whether the release's approval was taken back; an empty reason gives it again.
pub async fn set_revoked(db: &mut PgConnection, id: RolloutId, reason: &str) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_rollouts set revoked_reason = $2, version = version + 1 \
         where id = $1",
        id.0,
        reason
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Finds and locks the rollouts that a revocation is about: those that have not ended, and those
/// that still wait for devices to come back.
pub async fn lock_released(
    db: &mut PgConnection,
    repository: &str,
    tag: Option<&str>,
    digest: Option<&str>,
) -> Result<Vec<RolloutId>, Error> {
    let ids = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts as row \
         where repository = $1 and ($2::text is null or tag = $2) \
           and ($3::text is null or digest = $3) and revoked_reason = '' \
           and (state in ('pending', 'running', 'paused', 'settling') \
                or (state = 'succeeded' and exists ( \
                    select from rollout.assignments \
                    where rollout_id = row.id and is_current and state in ('queued', 'deferred')))) \
         order by id for update",
        repository,
        tag,
        digest,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(RolloutId).collect())
}

/// Lists tag and digest of the releases of a repository whose approval was taken back.
pub async fn revoked(
    db: &mut PgConnection,
    repository: &str,
) -> Result<Vec<(String, Option<String>)>, Error> {
    let releases = sqlx::query!(
        "select distinct tag, digest from rollout.image_update_rollouts \
         where repository = $1 and revoked_reason <> '' \
           and state in ('pending', 'running', 'paused', 'settling', 'succeeded')",
        repository,
    )
    .fetch_all(db)
    .await?;
    Ok(releases.into_iter().map(|release| (release.tag, release.digest)).collect())
}

/// Finds and locks the rollouts of a release whose approval was taken back.
pub async fn lock_revoked(
    db: &mut PgConnection,
    repository: &str,
    tag: &str,
    digest: Option<&str>,
) -> Result<Vec<RolloutId>, Error> {
    let ids = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts \
         where repository = $1 and tag = $2 and digest is not distinct from $3 \
           and revoked_reason <> '' \
           and state in ('pending', 'running', 'paused', 'settling', 'succeeded') \
         order by id for update",
        repository,
        tag,
        digest,
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(RolloutId).collect())
}

/// Stores that a batch began, was complete, or may begin.
pub async fn mark_batch(
    db: &mut PgConnection,
    id: RolloutId,
    number: u32,
    mark: BatchMark,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (started, completed, promoted) = match mark {
        BatchMark::Started => (true, false, false),
        BatchMark::Completed => (false, true, false),
        BatchMark::Promoted => (false, false, true),
    };
    sqlx::query!(
        "update rollout.rollout_batches \
         set started_at = case when $3 then coalesce(started_at, $6) else started_at end, \
             completed_at = case when $4 then coalesce(completed_at, $6) else completed_at end, \
             promoted_at = case when $5 then coalesce(promoted_at, $6) else promoted_at end \
         where rollout_id = $1 and number = $2",
        id.0,
        i32::try_from(number).unwrap_or(i32::MAX),
        started,
        completed,
        promoted,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What happened to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchMark {
    /// It began.
    Started,
    /// It is complete.
    Completed,
    /// A person let it begin.
    Promoted,
}

/// Which rollouts to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those in one of these states; empty = any.
    pub states: Vec<State>,
    /// Those of this repository.
    pub repository: Option<String>,
    /// Those of this policy.
    pub policy: Option<Uuid>,
}

/// Lists rollouts before an id, newest first, and counts all that match.
pub async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    before: Option<Uuid>,
    skip: i64,
    limit: i64,
) -> Result<(Vec<Rollout>, i64), Error> {
    let states: Vec<String> = filter.states.iter().map(|state| state.as_str().to_owned()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select id, request_id, policy as "policy: Json<Policy>", repository, tag, digest,
                  platforms as "platforms: Json<Vec<Platform>>", state as "state: State",
                  state_reason, state_detail, start_requested, cancel_reverts, turned_at,
                  acknowledged_at, revoked_reason, device_count, excluded_count,
                  actor as "actor: Json<Actor>", created_at, started_at, ended_at, updated_at, version
           from rollout.image_update_rollouts
           where (cardinality($1::text[]) = 0 or state = any($1))
             and ($2::text is null or repository = $2) and ($3::uuid is null or policy_id = $3)
             and ($4::uuid is null or id < $4)
           order by id desc offset $5 limit $6"#,
        &states,
        filter.repository,
        filter.policy,
        before,
        skip,
        limit,
    )
    .fetch_all(&mut *db)
    .await?;
    let total = sqlx::query_scalar!(
        r#"select count(*) as "count!" from rollout.image_update_rollouts
           where (cardinality($1::text[]) = 0 or state = any($1))
             and ($2::text is null or repository = $2) and ($3::uuid is null or policy_id = $3)"#,
        &states,
        filter.repository,
        filter.policy,
    )
    .fetch_one(db)
    .await?;
    Ok((rows.into_iter().map(Rollout::from).collect(), total))
}

/// Finds the newest rollout that brought this digest to a scope and succeeded, or brings it.
pub async fn of_release(
    db: &mut PgConnection,
    policy: PolicyId,
    repository: &str,
    digest: &str,
) -> Result<Option<RolloutId>, Error> {
    let id = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts \
         where policy_id = $1 and repository = $2 and digest = $3 and state = 'succeeded' \
         order by id desc limit 1",
        policy.0,
        repository,
        digest,
    )
    .fetch_optional(db)
    .await?;
    Ok(id.map(RolloutId))
}

/// Finds the succeeded rollout of the scope before this one: what undoing it would bring.
pub async fn before(
    db: &mut PgConnection,
    rollout: &Rollout,
) -> Result<Option<(RolloutId, String)>, Error> {
    let row = sqlx::query!(
        "select id, repository, tag, digest from rollout.image_update_rollouts \
         where policy_id = $1 and repository = $2 and id < $3 and state = 'succeeded' \
         order by id desc limit 1",
        rollout.policy.id.0,
        rollout.release.repository,
        rollout.id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let reference = match row.digest {
            Some(digest) => format!("{}@{digest}", row.repository),
            None => format!("{}:{}", row.repository, row.tag),
        };
        (RolloutId(row.id), reference)
    }))
}

/// Whether an older rollout of the same scope is still taking devices back, or waits to end.
pub async fn older_turning(db: &mut PgConnection, rollout: &Rollout) -> Result<bool, Error> {
    let turning = sqlx::query_scalar!(
        r#"select exists (select from rollout.image_update_rollouts
                          where policy_id = $1 and repository = $2 and id < $3
                            and state in ('rolling_back', 'cancelling')) as "turning!""#,
        rollout.policy.id.0,
        rollout.release.repository,
        rollout.id.0,
    )
    .fetch_one(db)
    .await?;
    Ok(turning)
}

/// Remembers that a release is not to be tried again.
pub async fn quarantine(
    db: &mut PgConnection,
    rollout: &Rollout,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let Some(digest) = &rollout.release.digest else { return Ok(()) };
    sqlx::query!(
        "insert into rollout.quarantined_releases (repository, digest, rollout_id, created_at) \
         values ($1, $2, $3, $4) on conflict do nothing",
        rollout.release.repository,
        digest,
        rollout.id.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Finds the rollout that failed with this release.
pub async fn quarantined(
    db: &mut PgConnection,
    repository: &str,
    digest: &str,
) -> Result<Option<Uuid>, Error> {
    let id = sqlx::query_scalar!(
        "select rollout_id from rollout.quarantined_releases where repository = $1 and digest = $2",
        repository,
        digest,
    )
    .fetch_optional(db)
    .await?;
    Ok(id)
}

/// Lets a quarantined release be tried again.
pub async fn lift_quarantine(
    db: &mut PgConnection,
    repository: &str,
    digest: &str,
) -> Result<(), Error> {
    sqlx::query!(
        "delete from rollout.quarantined_releases where repository = $1 and digest = $2",
        repository,
        digest,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Remembers a command's request id; `false` = it came before, with the same request.
pub async fn remember_command(
    db: &mut PgConnection,
    request: Uuid,
    fingerprint: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let known = sqlx::query_scalar!(
        "insert into rollout.commands (request_id, fingerprint, created_at) values ($1, $2, $3) \
         on conflict (request_id) do nothing returning request_id",
        request,
        fingerprint,
        now,
    )
    .fetch_optional(&mut *db)
    .await?;
    if known.is_some() {
        return Ok(true);
    }
    let before = sqlx::query_scalar!(
        "select fingerprint from rollout.commands where request_id = $1",
        request
    )
    .fetch_one(db)
    .await?;
    if before == fingerprint { Ok(false) } else { Err(Error::RequestIdReused(request)) }
}
