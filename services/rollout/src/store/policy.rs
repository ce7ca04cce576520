//! Policies in `rollout.image_update_policies`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::Error;
use crate::policy::{Policy, PolicyId, Rules, Strategy};

struct Row {
    id: Uuid,
    name: Option<String>,
    priority: i32,
    image_pattern: String,
    update_strategy: Strategy,
    batch_size: Option<i32>,
    batch_delay_seconds: Option<i32>,
    enabled: bool,
    rules: Json<Rules>,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Policy {
    fn from(row: Row) -> Self {
        Self {
            id: PolicyId(row.id),
            name: row.name,
            priority: row.priority,
            image_pattern: row.image_pattern,
            strategy: row.update_strategy,
            enabled: row.enabled,
            batch_size: row.batch_size.and_then(|size| u32::try_from(size).ok()),
            batch_delay: row
                .batch_delay_seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map(Duration::from_secs),
            rules: row.rules.0,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn seconds(duration: Option<Duration>) -> Option<i32> {
    duration.map(|duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX))
}

fn count(size: Option<u32>) -> Option<i32> {
    size.map(|size| i32::try_from(size).unwrap_or(i32::MAX))
}

/// Adds a policy.
pub async fn insert(
    db: &mut PgConnection,
    policy: &Policy,
    request_id: Option<Uuid>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into rollout.image_update_policies \
         (id, name, priority, image_pattern, update_strategy, batch_size, batch_delay_seconds, \
          enabled, rules, request_id, created_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        policy.id.0,
        policy.name,
        policy.priority,
        policy.image_pattern,
        policy.strategy as Strategy,
        count(policy.batch_size),
        seconds(policy.batch_delay),
        policy.enabled,
        Json(&policy.rules) as _,
        request_id,
        policy.created_at,
    )
    .execute(db)
    .await
    .map_err(|error| Error::policy_exists(error, policy))?;
    Ok(())
}

/// Stores a changed policy under its next revision.
pub async fn update(db: &mut PgConnection, policy: &Policy) -> Result<(), Error> {
    sqlx::query!(
        "update rollout.image_update_policies \
         set name = $2, priority = $3, image_pattern = $4, update_strategy = $5, batch_size = $6, \
             batch_delay_seconds = $7, enabled = $8, rules = $9, revision = $10, updated_at = $11 \
         where id = $1",
        policy.id.0,
        policy.name,
        policy.priority,
        policy.image_pattern,
        policy.strategy as Strategy,
        count(policy.batch_size),
        seconds(policy.batch_delay),
        policy.enabled,
        Json(&policy.rules) as _,
        policy.revision,
        policy.updated_at,
    )
    .execute(db)
    .await
    .map_err(|error| Error::policy_exists(error, policy))?;
    Ok(())
}

/// Reads a policy and keeps it from changing until the transaction ends.
pub async fn lock(db: &mut PgConnection, id: PolicyId) -> Result<Policy, Error> {
    sqlx::query_as!(
        Row,
        r#"select id, name, priority, image_pattern, update_strategy as "update_strategy: Strategy",
                  batch_size, batch_delay_seconds, enabled, rules as "rules: Json<Rules>", revision,
                  created_at, updated_at
           from rollout.image_update_policies where id = $1 for update"#,
        id.0,
    )
    .fetch_optional(db)
    .await?
    .map(Policy::from)
    .ok_or(Error::PolicyNotFound(id))
}

/// Reads all policies.
pub async fn list(db: &mut PgConnection) -> Result<Vec<Policy>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, name, priority, image_pattern, update_strategy as "update_strategy: Strategy",
                  batch_size, batch_delay_seconds, enabled, rules as "rules: Json<Rules>", revision,
                  created_at, updated_at
           from rollout.image_update_policies"#,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Policy::from).collect())
}

/// Finds the policy that a request made.
pub async fn by_request(db: &mut PgConnection, request: Uuid) -> Result<Option<PolicyId>, Error> {
    let id = sqlx::query_scalar!(
        "select id from rollout.image_update_policies where request_id = $1",
        request
    )
    .fetch_optional(db)
    .await?;
    Ok(id.map(PolicyId))
}

/// Removes a policy.
pub async fn delete(db: &mut PgConnection, id: PolicyId) -> Result<(), Error> {
    sqlx::query!("delete from rollout.image_update_policies where id = $1", id.0)
        .execute(db)
        .await?;
    Ok(())
}

/// Finds a rollout of the policy that has not ended.
pub async fn live_rollout(db: &mut PgConnection, id: PolicyId) -> Result<Option<Uuid>, Error> {
    let rollout = sqlx::query_scalar!(
        "select id from rollout.image_update_rollouts \
         where policy_id = $1 and state in \
             ('pending', 'running', 'paused', 'settling', 'rolling_back', 'cancelling') limit 1",
        id.0
    )
    .fetch_optional(db)
    .await?;
    Ok(rollout)
}
