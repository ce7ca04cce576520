//! One entry of the audit log, and what its columns say about its event.

use chrono::{DateTime, Datelike as _, SubsecRound as _, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A column for filters holds no more of a text than this, so that it fits into an index.
const COLUMN_CHARS: usize = 200;

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its place in the log: dense, from 1.
    pub(crate) sequence: i64,
    /// The process the event came from.
    pub(crate) source: String,
    /// Its number in that process's outbox.
    pub(crate) source_sequence: i64,
    /// The event as canonical JSON.
    pub(crate) envelope: String,
    /// What the columns for filters say.
    pub(crate) columns: Columns,
    /// The hash of the entry before.
    pub(crate) previous_hash: Vec<u8>,
    /// Its own.
    pub(crate) hash: Vec<u8>,
}

/// What an envelope says, as far as there are columns for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) event_id: Uuid,
    pub(crate) kind: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) actor_kind: String,
    pub(crate) actor_id: String,
    pub(crate) actor_name: String,
    pub(crate) on_behalf_of_id: Option<String>,
    pub(crate) on_behalf_of_name: Option<String>,
    pub(crate) resource_kind: String,
    pub(crate) resource_id: String,
    pub(crate) resource_name: String,
}

impl Columns {
    /// Reads an envelope. Whatever came is taken: an event that is not as it should be is one more
    /// reason to have it in the log, and must not stop those behind it.
    pub(crate) fn of(envelope: &str) -> Self {
        let value: Value = serde_json::from_str(envelope).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(column);
        let of = |noun: &str, member: &str| text(&value[noun][member]).unwrap_or_default();
        Self {
            event_id: value["id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .unwrap_or_else(|| stand_in(envelope)),
            kind: text(&value["type"]).unwrap_or_default(),
            created_at: value["time"]
                .as_str()
                .and_then(|time| time.parse().ok())
                .and_then(storable)
                .unwrap_or(DateTime::UNIX_EPOCH),
            actor_kind: of("actor", "kind"),
            actor_id: of("actor", "id"),
            actor_name: of("actor", "name"),
            on_behalf_of_id: text(&value["on_behalf_of"]["id"]),
            on_behalf_of_name: text(&value["on_behalf_of"]["name"]),
            resource_kind: of("resource", "kind"),
            resource_id: of("resource", "id"),
            resource_name: of("resource", "name"),
        }
    }

    /// The first column that differs.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<&'static str> {
        [
            ("event_id", self.event_id == other.event_id),
            ("type", self.kind == other.kind),
            ("created_at", self.created_at == other.created_at),
            ("actor_kind", self.actor_kind == other.actor_kind),
            ("actor_id", self.actor_id == other.actor_id),
            ("actor_name", self.actor_name == other.actor_name),
            ("on_behalf_of_id", self.on_behalf_of_id == other.on_behalf_of_id),
            ("on_behalf_of_name", self.on_behalf_of_name == other.on_behalf_of_name),
            ("resource_kind", self.resource_kind == other.resource_kind),
            ("resource_id", self.resource_id == other.resource_id),
            ("resource_name", self.resource_name == other.resource_name),
        ]
        .into_iter()
        .find_map(|(column, same)| (!same).then_some(column))
    }
}

/// A text as a column holds it: not too long for an index, without what Postgres does not store.
pub(crate) fn column(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(COLUMN_CHARS).collect()
}

/// A time as Postgres stores it: to the microsecond, in a year that it knows.
fn storable(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (0..=9999).contains(&time.year()).then(|| time.trunc_subsecs(6))
}

/// An id for an envelope that has none, the same whenever it comes again.
fn stand_in(envelope: &str) -> Uuid {
    let hash: [u8; 32] = Sha256::digest(envelope).into();
    let bytes = std::array::from_fn(|index| hash[index]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use runtime::event::{Event, Resource};
    use runtime::{Actor, ActorKind};

    use super::*;

    #[test]
    fn columns_say_what_the_event_says() {
        let now = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let actor = Actor::new(ActorKind::User, "ops", "Olga");
        let event = Event::of(actor, "image.tag.added", Resource::new("tag", 5, "redis:7"), now);
        let columns = Columns::of(&event.envelope());
        assert_eq!(columns.event_id, event.id);
        assert_eq!((columns.kind.as_str(), columns.created_at), ("image.tag.added", now));
        assert_eq!((columns.actor_kind.as_str(), columns.actor_id.as_str()), ("user", "ops"));
        assert_eq!(columns.actor_name, "Olga");
        assert_eq!(columns.on_behalf_of_id, None);
        assert_eq!((columns.resource_kind.as_str(), columns.resource_id.as_str()), ("tag", "5"));
        assert_eq!(columns.resource_name, "redis:7");
    }

    #[test]
    fn what_postgres_or_an_index_cannot_hold_is_left_out() {
        let long = "ä".repeat(5_000);
        let envelope = serde_json::json!({"actor": {"id": "a\u{0}b", "name": long}}).to_string();
        let columns = Columns::of(&envelope);
        assert_eq!(columns.actor_id, "ab");
        assert_eq!(columns.actor_name.chars().count(), 200);
        for (time, taken) in [
            ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z"),
            ("+12345-01-02T03:04:05Z", "1970-01-01T00:00:00Z"),
            ("yesterday", "1970-01-01T00:00:00Z"),
        ] {
            let columns = Columns::of(&serde_json::json!({"time": time}).to_string());
            assert_eq!(columns.created_at, taken.parse::<DateTime<Utc>>().unwrap(), "{time}");
        }
    }

    #[test]
    fn an_envelope_without_an_id_gets_the_same_one_every_time() {
        let id = |envelope| Columns::of(envelope).event_id;
        assert_eq!(id("nonsense"), id("nonsense"));
        assert_ne!(id("nonsense"), id("other nonsense"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in ".*") {
            let columns = Columns::of(&text);
            prop_assert_eq!(columns.first_difference(&Columns::of(&text)), None);
        }
    }
}
