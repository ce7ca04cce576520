//! Rows of `access.tokens` and `access.token_hashes`.

use chrono::{DateTime, Utc};
use runtime::secret::Hash;
use runtime::{Actor, ActorKind};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::role::Role;
use crate::token::{Token, TokenId};

/// A row as it is stored.
struct Row {
    id: i64,
    name: String,
    subject_kind: String,
    subject_id: String,
    subject_name: String,
    role: String,
    prefix: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Token {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let unknown = |column| Error::Row { table: "tokens", key: row.id, column };
        let kind = ActorKind::from_word(&row.subject_kind).ok_or(unknown("subject_kind"))?;
        Ok(Self {
            id: TokenId(row.id),
            role: Role::from_word(&row.role).ok_or(unknown("role"))?,
            name: row.name,
            subject: Actor::new(kind, row.subject_id, row.subject_name),
            prefix: row.prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}

/// A token to store.
pub(crate) struct NewToken<'a> {
    pub(crate) name: &'a str,
    pub(crate) subject: &'a Actor,
    pub(crate) role: Role,
    pub(crate) prefix: &'a str,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) created_by: &'a Actor,
    /// The request that asks for it, when it may be repeated.
    pub(crate) request: Option<(Uuid, Hash)>,
}

/// Makes whoever else makes a token wait, so that looking first is enough and no number is burnt.
pub(crate) async fn lock(db: &mut PgConnection) -> Result<(), Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('access.tokens'))").execute(db).await?;
    Ok(())
}

/// Finds the token that this actor's request made, and the hash of the request.
pub(crate) async fn find_by_request(
    db: &mut PgConnection,
    created_by: &Actor,
    request_id: Uuid,
) -> Result<Option<(TokenId, Hash)>, Error> {
    let row = sqlx::query!(
        r#"select id, request_hash as "request_hash!" from access.tokens
        where created_by_kind = $1 and created_by_id = $2 and request_id = $3"#,
        created_by.kind.as_str(),
        created_by.id,
        request_id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        let hash = Hash::from_bytes(&row.request_hash).ok_or(Error::Row {
            table: "tokens",
            key: row.id,
            column: "request_hash",
        })?;
        Ok((TokenId(row.id), hash))
    })
    .transpose()
}

/// Takes a name from the subject's token that held it and has expired.
pub(crate) async fn release_name(
    db: &mut PgConnection,
    subject: &Actor,
    name: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "update access.tokens set holds_name = false
        where subject_kind = $1 and subject_id = $2 and name = $3 and holds_name
            and expires_at <= $4",
        subject.kind.as_str(),
        subject.id,
        name,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whether a token of the subject holds the name.
pub(crate) async fn is_name_held(
    db: &mut PgConnection,
    subject: &Actor,
    name: &str,
) -> Result<bool, Error> {
    let held = sqlx::query_scalar!(
        r#"select exists (
            select from access.tokens
            where subject_kind = $1 and subject_id = $2 and name = $3 and holds_name
        ) as "held!""#,
        subject.kind.as_str(),
        subject.id,
        name,
    )
    .fetch_one(db)
    .await?;
    Ok(held)
}

/// Stores a token with the hash it is known by.
pub(crate) async fn insert(
    db: &mut PgConnection,
    token: &NewToken<'_>,
    hash: Hash,
) -> Result<Token, Error> {
    let (request_id, request_hash) = token.request.unzip();
    let row = sqlx::query_as!(
        Row,
        "insert into access.tokens (name, subject_kind, subject_id, subject_name, role, prefix,
            created_at, expires_at, created_by_kind, created_by_id, request_id, request_hash)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        returning id, name, subject_kind, subject_id, subject_name, role, prefix, created_at,
            expires_at, revoked_at, last_used_at",
        token.name,
        token.subject.kind.as_str(),
        token.subject.id,
        token.subject.name,
        token.role.as_str(),
        token.prefix,
        token.created_at,
        token.expires_at,
        token.created_by.kind.as_str(),
        token.created_by.id,
        request_id,
        request_hash.as_ref().map(|hash| hash.0.as_slice()),
    )
    .fetch_one(&mut *db)
    .await?;
    sqlx::query!(
        "insert into access.token_hashes (token_id, hash) values ($1, $2)",
        row.id,
        hash.0.as_slice(),
    )
    .execute(db)
    .await?;
    row.try_into()
}

/// Finds a token.
pub(crate) async fn find(db: &mut PgConnection, id: TokenId) -> Result<Option<Token>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, subject_kind, subject_id, subject_name, role, prefix, created_at,
            expires_at, revoked_at, last_used_at
        from access.tokens where id = $1",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    row.map(Token::try_from).transpose()
}

/// Finds a token and keeps others from changing it.
pub(crate) async fn find_for_update(
    db: &mut PgConnection,
    id: TokenId,
) -> Result<Option<Token>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, subject_kind, subject_id, subject_name, role, prefix, created_at,
            expires_at, revoked_at, last_used_at
        from access.tokens where id = $1 for update",
        id.0,
    )
    .fetch_optional(db)
    .await?;
    row.map(Token::try_from).transpose()
}

/// Finds the token that is known by a hash. How long it takes tells nothing about the token.
pub(crate) async fn find_by_hash(
    db: &mut PgConnection,
    hash: Hash,
) -> Result<Option<Token>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, name, subject_kind, subject_id, subject_name, role, prefix, created_at,
            expires_at, revoked_at, last_used_at
        from access.token_hashes join access.tokens on tokens.id = token_hashes.token_id
        where token_hashes.hash = $1",
        hash.0.as_slice(),
    )
    .fetch_optional(db)
    .await?;
    row.map(Token::try_from).transpose()
}

/// Revokes a token; its name is free from then on.
pub(crate) async fn revoke(
    db: &mut PgConnection,
    id: TokenId,
    now: DateTime<Utc>,
) -> Result<Token, Error> {
    sqlx::query_as!(
        Row,
        "update access.tokens set revoked_at = $2, holds_name = false where id = $1
        returning id, name, subject_kind, subject_id, subject_name, role, prefix, created_at,
            expires_at, revoked_at, last_used_at",
        id.0,
        now,
    )
    .fetch_one(db)
    .await?
    .try_into()
}

/// Lists tokens, newest first, older than `before`.
pub(crate) async fn list(
    db: &mut PgConnection,
    show_ended: bool,
    now: DateTime<Utc>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Token>, Error> {
    let rows = sqlx::query_as!(
        Row,
        "select id, name, subject_kind, subject_id, subject_name, role, prefix, created_at,
            expires_at, revoked_at, last_used_at
        from access.tokens
        where ($1 or (revoked_at is null and (expires_at is null or expires_at > $2)))
            and ($3::bigint is null or id < $3)
        order by id desc limit $4",
        show_ended,
        now,
        before,
        limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Token::try_from).collect()
}

/// Counts what [`list`] lists on all pages.
pub(crate) async fn count(
    db: &mut PgConnection,
    show_ended: bool,
    now: DateTime<Utc>,
) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from access.tokens
        where $1 or (revoked_at is null and (expires_at is null or expires_at > $2))"#,
        show_ended,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}

/// Notes when tokens were used, where that is later than what is noted. Rows are locked in one order,
/// so that two replicas that note at once wait for each other instead of failing.
pub(crate) async fn note_uses(
    db: &mut PgConnection,
    ids: &[i64],
    times: &[DateTime<Utc>],
) -> Result<(), Error> {
    sqlx::query!(
        "with used as (
            select id, at from unnest($1::bigint[], $2::timestamptz[]) as used (id, at)
        ), stale as (
            select tokens.id, used.at from access.tokens join used on used.id = tokens.id
            where tokens.last_used_at is null or tokens.last_used_at < used.at
            order by tokens.id for update of tokens
        )
        update access.tokens set last_used_at = stale.at from stale where tokens.id = stale.id",
        ids,
        times,
    )
    .execute(db)
    .await?;
    Ok(())
}
