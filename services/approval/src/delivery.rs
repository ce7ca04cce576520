//! Deliveries: webhook requests as they came.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::parse::Parsed;
use crate::push::{Decision, PushId};
use crate::receiver::ReceiverId;

runtime::id! {
    /// Names a delivery.
    #[derive(sqlx::Type)]
    #[sqlx(transparent)]
    DeliveryId: Uuid
}

/// How long the key of a delivery without a vendor's id is kept. After that an equal body may well be
/// a second push; what it is about decides then.
const BODY_KEY: TimeDelta = TimeDelta::seconds(60);

/// A stored delivery.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub id: DeliveryId,
    pub receiver_id: ReceiverId,
    pub peer_ip: String,
    pub headers: Vec<(String, String)>,
    /// `None` = no longer kept.
    pub body: Option<Vec<u8>>,
    /// Of a delivery without pushes.
    pub decision: Option<Decision>,
    pub note: String,
    pub created_at: DateTime<Utc>,
    /// Its pushes with their decisions, in the order of the body.
    pub pushes: Vec<(PushId, Option<Decision>)>,
}

/// What tells a delivery that was sent again from a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub text: String,
    pub events_hash: [u8; 32],
    pub expires_at: DateTime<Utc>,
}

impl Key {
    /// The key of a body: the vendor's id, kept for `keep`, or else the body itself, kept for a
    /// minute.
    pub(crate) fn of(parsed: &Parsed, body: &[u8], now: DateTime<Utc>, keep: TimeDelta) -> Self {
        let events_hash = parsed.fingerprint();
        match &parsed.delivery_key {
            Some(id) => Self { text: id.clone(), events_hash, expires_at: now + keep },
            None => Self {
                text: format!("body {}", hex::encode(Sha256::digest(body))),
                events_hash,
                expires_at: now + BODY_KEY,
            },
        }
    }
}

impl Delivery {
    /// As events carry it.
    pub(crate) fn to_json(&self) -> Value {
        json!({"receiver_id": self.receiver_id, "note": self.note})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_id_is_kept_long_and_a_body_for_a_minute() {
        let (now, keep) = (DateTime::UNIX_EPOCH, TimeDelta::days(8));
        let parsed = Parsed::ignore("ping");
        let named = Key::of(&parsed.clone().keyed(Some("github 1".into())), b"{}", now, keep);
        assert_eq!((named.text.as_str(), named.expires_at), ("github 1", now + keep));
        let by_body = Key::of(&parsed, b"{}", now, keep);
        assert_eq!(by_body.expires_at, now + TimeDelta::seconds(60));
        assert_ne!(by_body.text, Key::of(&parsed, b"{} ", now, keep).text);
    }
}
