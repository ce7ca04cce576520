//! `registry.upstreams`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;
use crate::upstream::{Settings, Upstream, UpstreamId};

/// What names an upstream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    /// Its number.
    Id(UpstreamId),
    /// The host that references name.
    Host(&'a str),
    /// The mark, which one upstream at most has.
    Default,
}

/// Finds an upstream.
pub(crate) async fn find(db: &mut PgConnection, key: Key<'_>) -> Result<Option<Upstream>, Error> {
    let (id, host, default) = match key {
        Key::Id(id) => (Some(id.0), None, false),
        Key::Host(host) => (None, Some(host), false),
        Key::Default => (None, None, true),
    };
    let upstream = sqlx::query_as!(
        Upstream,
        "select id, name, url, host, allow_plain_http, is_default, created_at, updated_at, version
        from registry.upstreams where id = $1 or host = $2 or $3 and is_default",
        id,
        host,
        default,
    )
    .fetch_optional(db)
    .await?;
    Ok(upstream)
}

/// An upstream that must be there.
pub(crate) async fn require(db: &mut PgConnection, id: UpstreamId) -> Result<Upstream, Error> {
    find(db, Key::Id(id)).await?.ok_or(Error::UpstreamNotFound(id))
}

/// Refuses settings of which another upstream has a name, URL or host.
pub(crate) async fn require_unique(
    db: &mut PgConnection,
    settings: &Settings,
    own: Option<UpstreamId>,
) -> Result<(), Error> {
    let other = sqlx::query_as!(
        Upstream,
        "select id, name, url, host, allow_plain_http, is_default, created_at, updated_at, version
        from registry.upstreams
        where (name = $1 or url = $2 or host = $3) and ($4::bigint is null or id <> $4)
        order by (name = $1) desc, (url = $2) desc, id limit 1",
        settings.name,
        settings.url.as_str(),
        settings.host.as_str(),
        own.map(|id| id.0),
    )
    .fetch_optional(db)
    .await?;
    let Some(other) = other else { return Ok(()) };
    let field = if other.name == settings.name {
        "name"
    } else if other.url == settings.url.as_str() {
        "url"
    } else {
        "host"
    };
    Err(Error::UpstreamExists { id: other.id, name: other.name, field })
}

/// Lists upstreams by number, one more than asked for when there are more.
pub(crate) async fn list(
    db: &mut PgConnection,
    after: i64,
    skip: i64,
    size: i64,
) -> Result<Vec<Upstream>, Error> {
    let upstreams = sqlx::query_as!(
        Upstream,
        "select id, name, url, host, allow_plain_http, is_default, created_at, updated_at, version
        from registry.upstreams where id > $1 order by id offset $2 limit $3::bigint + 1",
        after,
        skip,
        size,
    )
    .fetch_all(db)
    .await?;
    Ok(upstreams)
}

/// Counts the upstreams.
pub(crate) async fn count(db: &mut PgConnection) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from registry.upstreams"#)
        .fetch_one(db)
        .await?;
    Ok(count)
}

/// Adds an upstream. Whoever calls has [queued](super::queue_for) and looked.
pub(crate) async fn insert(
    db: &mut PgConnection,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Upstream, Error> {
    let id = sqlx::query_scalar!(
        "insert into registry.upstreams
            (name, url, host, allow_plain_http, is_default, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $6) returning id",
        settings.name,
        settings.url.as_str(),
        settings.host.as_str(),
        settings.allow_plain_http,
        settings.is_default,
        now,
    )
    .fetch_one(&mut *db)
    .await?;
    require(db, id.into()).await
}

/// Writes an upstream's settings.
pub(crate) async fn update(
    db: &mut PgConnection,
    id: UpstreamId,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<Upstream, Error> {
    sqlx::query!(
        "update registry.upstreams
        set name = $2, url = $3, host = $4, allow_plain_http = $5, is_default = $6,
            updated_at = $7, version = version + 1
        where id = $1",
        id.0,
        settings.name,
        settings.url.as_str(),
        settings.host.as_str(),
        settings.allow_plain_http,
        settings.is_default,
        now,
    )
    .execute(&mut *db)
    .await?;
    require(db, id).await
}

/// Takes the mark from the upstream that has it.
pub(crate) async fn clear_default(
    db: &mut PgConnection,
    id: UpstreamId,
    now: DateTime<Utc>,
) -> Result<Upstream, Error> {
    sqlx::query!(
        "update registry.upstreams set is_default = false, updated_at = $2, version = version + 1
        where id = $1",
        id.0,
        now,
    )
    .execute(&mut *db)
    .await?;
    require(db, id).await
}

/// Removes an upstream.
pub(crate) async fn delete(db: &mut PgConnection, id: UpstreamId) -> Result<(), Error> {
    sqlx::query!("delete from registry.upstreams where id = $1", id.0).execute(db).await?;
    Ok(())
}
