//! Deliveries in the database.

use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::Error;
use crate::delivery::{Delivery, DeliveryId, Key};
use crate::push::{Decision, PushId};
use crate::receiver::ReceiverId;

/// A delivery that came before under the same key.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub delivery: DeliveryId,
    pub events_hash: Vec<u8>,
    /// Of a delivery without pushes.
    pub decision: Option<Decision>,
    pub note: String,
}

/// How long to wait for another transaction that stores the same delivery.
pub(crate) const BEGIN: &str = "begin; set local lock_timeout = '2s'";

/// Stores a delivery under its key, unless the key is taken. While another transaction stores the
/// same one, it is waited for.
pub(crate) async fn insert(
    db: &mut PgConnection,
    delivery: &Delivery,
    key: &Key,
) -> Result<bool, Error> {
    let stored = sqlx::query_scalar!(
        "with fresh as ( \
             insert into approval.delivery_keys as known \
                 (receiver_id, key, delivery_id, events_hash, expires_at) \
             values ($1, $2, $3, $4, $5) \
             on conflict (receiver_id, key) do update set \
                 delivery_id = excluded.delivery_id, events_hash = excluded.events_hash, \
                 expires_at = excluded.expires_at \
             where known.expires_at <= $6 \
             returning delivery_id \
         ) \
         insert into approval.deliveries \
             (id, receiver_id, peer_ip, headers, body, decision, note, created_at) \
         select fresh.delivery_id, $1, $7, $8, $9, $10, $11, $6 from fresh \
         returning id",
        delivery.receiver_id.0,
        key.text,
        delivery.id.0,
        key.events_hash.as_slice(),
        key.expires_at,
        delivery.created_at,
        delivery.peer_ip,
        Json(&delivery.headers) as _,
        delivery.body,
        delivery.decision as _,
        delivery.note,
    )
    .fetch_optional(db)
    .await
    .map_err(busy)?;
    Ok(stored.is_some())
}

/// Somebody else holds the key for too long.
fn busy(error: sqlx::Error) -> Error {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if code.as_deref() == Some(LOCK_NOT_AVAILABLE) {
        return Error::DeliveryBusy;
    }
    Error::Database(error)
}

/// The delivery that came before under a key.
pub(crate) async fn before(
    db: &mut PgConnection,
    receiver: ReceiverId,
    key: &str,
) -> Result<Option<Before>, Error> {
    let before = sqlx::query_as!(
        Before,
        "select delivery_id as \"delivery: DeliveryId\", events_hash, \
             decision as \"decision: Decision\", coalesce(note, '') as \"note!\" \
         from approval.delivery_keys as key \
         left join approval.deliveries as delivery on delivery.id = key.delivery_id \
         where key.receiver_id = $1 and key.key = $2",
        receiver.0,
        key,
    )
    .fetch_optional(db)
    .await?;
    Ok(before)
}

/// Deliveries of a receiver before a place, newest first.
pub(crate) async fn list(
    db: &mut PgConnection,
    receiver: ReceiverId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Delivery>, Error> {
    let rows = sqlx::query!(
        "select *, \
             array(select id from approval.pushes where delivery_id = deliveries.id order by position) \
                 as \"push_ids!: Vec<Uuid>\", \
             array(select coalesce(decision, 'hold') from approval.pushes \
                 where delivery_id = deliveries.id order by position) as \"decisions!: Vec<Decision>\" \
         from approval.deliveries \
         where receiver_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
        receiver.0,
        before,
        limit,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Delivery {
            id: row.id,
            receiver_id: row.receiver_id,
            peer_ip: row.peer_ip,
            headers: row.headers.0,
            body: row.body,
            decision: row.decision,
            note: row.note,
            created_at: row.created_at,
            pushes: row
                .push_ids
                .into_iter()
                .map(PushId)
                .zip(row.decisions.into_iter().map(Some))
                .collect(),
        })
        .collect())
}

pub(crate) async fn count(db: &mut PgConnection, receiver: ReceiverId) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        "select count(*) as \"count!\" from approval.deliveries where receiver_id = $1",
        receiver.0,
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}
