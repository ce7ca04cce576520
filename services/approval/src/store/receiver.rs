//! Receivers in the database.

use chrono::{DateTime, Utc};
use runtime::secret::Hash;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::receiver::{Activity, Receiver, ReceiverId};
use crate::vendor::{ResponseMode, Vendor};

/// A receiver with what a delivery is checked against.
#[derive(Debug)]
pub(crate) struct Door {
    pub receiver: Receiver,
    /// Its live secrets, sealed.
    pub sealed: Vec<Vec<u8>>,
    /// The database's time.
    pub now: DateTime<Utc>,
}

/// A row as it is stored.
struct Row {
    id: Uuid,
    name: String,
    vendor: String,
    allow_unauthenticated: bool,
    registries: Vec<String>,
    repositories: Vec<String>,
    response_mode: ResponseMode,
    payload_trust: bool,
    is_default: bool,
    created_at: DateTime<Utc>,
    sealed: Vec<Vec<u8>>,
    now: DateTime<Utc>,
}

impl TryFrom<Row> for Door {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let vendor = Vendor::from_word(&row.vendor).ok_or_else(|| Error::UnexpectedRow {
            table: "receivers",
            column: "vendor",
            key: row.id.to_string(),
        })?;
        let receiver = Receiver {
            id: ReceiverId(row.id),
            name: row.name,
            vendor,
            has_secret: !row.sealed.is_empty(),
            allow_unauthenticated: row.allow_unauthenticated,
            registries: row.registries,
            repositories: row.repositories,
            response_mode: row.response_mode,
            payload_trust: row.payload_trust,
            is_default: row.is_default,
            created_at: row.created_at,
        };
        Ok(Self { receiver, sealed: row.sealed, now: row.now })
    }
}

/// The receiver whose URL holds the token with this hash; `None` = the default one.
pub(crate) async fn door(
    db: &mut PgConnection,
    token: Option<Hash>,
) -> Result<Option<Door>, Error> {
    let token = token.map(|hash| hash.0.to_vec());
    sqlx::query_as!(
        Row,
        "select id, name, vendor, allow_unauthenticated, registries, repositories, \
             response_mode as \"response_mode: ResponseMode\", payload_trust, is_default, created_at, \
             array(select sealed from approval.receiver_secrets \
                 where receiver_id = receivers.id order by position) as \"sealed!\", \
             clock_timestamp() as \"now!\" \
         from approval.receivers \
         where case when $1::bytea is null then is_default else token_hash = $1 end",
        token,
    )
    .fetch_optional(db)
    .await?
    .map(Door::try_from)
    .transpose()
}

/// Stores a receiver.
pub(crate) async fn insert(
    db: &mut PgConnection,
    receiver: &Receiver,
    token: Hash,
) -> Result<(), Error> {
    let inserted = sqlx::query!(
        "insert into approval.receivers ( \
             id, name, vendor, token_hash, allow_unauthenticated, registries, repositories, \
             response_mode, payload_trust, is_default, created_at \
         ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        receiver.id.0,
        receiver.name,
        receiver.vendor.word(),
        token.0.as_slice(),
        receiver.allow_unauthenticated,
        &receiver.registries,
        &receiver.repositories,
        receiver.response_mode as ResponseMode,
        receiver.payload_trust,
        receiver.is_default,
        receiver.created_at,
    )
    .execute(db)
    .await;
    match inserted {
        Ok(_) => Ok(()),
        Err(error) => Err(match runtime::database::constraint(&error) {
            Some("receivers_name_key") => Error::ReceiverExists(receiver.name.clone()),
            Some("receivers_one_default_idx") => Error::DefaultReceiverExists,
            Some(_) | None => Error::Database(error),
        }),
    }
}

/// Stores a secret, sealed.
pub(crate) async fn insert_secret(
    db: &mut PgConnection,
    receiver: ReceiverId,
    position: i16,
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into approval.receiver_secrets (receiver_id, position, sealed, created_at) \
         values ($1, $2, $3, $4)",
        receiver.0,
        position,
        sealed,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub(crate) async fn find(db: &mut PgConnection, id: ReceiverId) -> Result<Option<Receiver>, Error> {
    let rows = select(db, Some(id), None, 1).await?;
    Ok(rows.into_iter().next())
}

/// Receivers after a name, by name.
pub(crate) async fn list(
    db: &mut PgConnection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Receiver>, Error> {
    select(db, None, after, limit).await
}

async fn select(
    db: &mut PgConnection,
    id: Option<ReceiverId>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Receiver>, Error> {
    sqlx::query_as!(
        Row,
        "select id, name, vendor, allow_unauthenticated, registries, repositories, \
             response_mode as \"response_mode: ResponseMode\", payload_trust, is_default, created_at, \
             array(select sealed from approval.receiver_secrets \
                 where receiver_id = receivers.id order by position) as \"sealed!\", \
             clock_timestamp() as \"now!\" \
         from approval.receivers \
         where ($1::uuid is null or id = $1) and ($2::text is null or name > $2) \
         order by name limit $3",
        id.map(|id| id.0),
        after,
        limit,
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(|row| Door::try_from(row).map(|door| door.receiver))
    .collect()
}

pub(crate) async fn count(db: &mut PgConnection) -> Result<i64, Error> {
    let count = sqlx::query_scalar!("select count(*) as \"count!\" from approval.receivers")
        .fetch_one(db)
        .await?;
    Ok(count)
}

/// Removes a receiver with its secrets; its deliveries and pushes stay.
pub(crate) async fn delete(db: &mut PgConnection, id: ReceiverId) -> Result<(), Error> {
    sqlx::query!("delete from approval.receivers where id = $1", id.0).execute(db).await?;
    Ok(())
}

/// Counts a refused request.
pub(crate) async fn refuse(
    db: &mut PgConnection,
    id: ReceiverId,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into approval.receiver_refusals as known (receiver_id, refused, last_refusal, refused_at) \
         values ($1, 1, $2, $3) \
         on conflict (receiver_id) do update set \
             refused = 1 + case when exists ( \
                 select from approval.deliveries \
                 where receiver_id = $1 and created_at > known.refused_at \
             ) then 0 else known.refused end, \
             last_refusal = excluded.last_refusal, refused_at = excluded.refused_at",
        id.0,
        why,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a receiver was sent of late.
pub(crate) async fn activity(db: &mut PgConnection, id: ReceiverId) -> Result<Activity, Error> {
    let row = sqlx::query!(
        "select last.created_at as \"last_delivery_at?\", refused, last_refusal, refused_at \
         from (select 1) as one \
         left join lateral ( \
             select created_at from approval.deliveries where receiver_id = $1 order by id desc limit 1 \
         ) as last on true \
         left join approval.receiver_refusals as refusal on refusal.receiver_id = $1",
        id.0,
    )
    .fetch_one(db)
    .await?;
    let (refused, at) = (row.refused.unwrap_or(0), row.refused_at);
    let taken_since = row.last_delivery_at.is_some_and(|last| at.is_some_and(|at| last > at));
    Ok(Activity {
        last_delivery_at: row.last_delivery_at,
        refused_since: if taken_since { 0 } else { refused },
        last_refusal: row.last_refusal.unwrap_or_default(),
    })
}
