//! Rollouts and their batches.

use chrono::{DateTime, Utc};
use runtime::Actor;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Error;
use crate::plan::Trip;
use crate::policy::{Policy, PolicyId};
use crate::rollout::{Platform, Release, Rollout, RolloutId, State};

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
