//! What happened: the envelope that every change writes.
//!
//! One shape for all events of all processes. Its canonical JSON (sorted keys, no white space) is
//! what the audit chain hashes, so it is made once, here, and carried as it is from then on.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::auth::{Actor, Caller};
use crate::{context, id};

/// What a thing is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The noun: `image`, `push`, `rollout` …
    pub kind: &'static str,
    /// Its id as the API shows it.
    pub id: String,
    /// What to show.
    pub name: String,
}

impl Resource {
    /// Names a thing.
    #[must_use]
    pub fn new(kind: &'static str, id: impl ToString, name: impl Into<String>) -> Self {
        Self { kind, id: id.to_string(), name: name.into() }
    }
}

/// One thing that happened, before it is stored.
#[derive(Debug, Clone)]
pub struct Event {
    /// UUIDv7.
    pub id: Uuid,
    /// Dotted name in the past tense, for instance `image.registry.added`.
    pub kind: &'static str,
    /// When it happened.
    pub time: DateTime<Utc>,
    actor: Actor,
    on_behalf_of: Option<Actor>,
    resource: Resource,
    ip: String,
    user_agent: String,
    request_id: String,
    trace_id: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Event {
    /// Tells what a caller did.
    #[must_use]
    pub fn by(caller: &Caller, kind: &'static str, resource: Resource, now: DateTime<Utc>) -> Self {
        let mut event = Self::of(caller.actor().clone(), kind, resource, now);
        event.on_behalf_of = caller.on_behalf_of().cloned();
        caller.ip().clone_into(&mut event.ip);
        caller.user_agent().clone_into(&mut event.user_agent);
        event
    }

    /// Tells what an actor did without a call: a worker, a device's report, a receiver.
    #[must_use]
    pub fn of(actor: Actor, kind: &'static str, resource: Resource, now: DateTime<Utc>) -> Self {
        Self {
            id: id::uuid_v7(now),
            kind,
            time: now,
            actor,
            on_behalf_of: None,
            resource,
            ip: String::new(),
            user_agent: String::new(),
            request_id: context::request_id(),
            trace_id: context::trace_id(),
            before: None,
            after: None,
        }
    }

    /// Adds the address the actor came from.
    #[must_use]
    pub fn from_ip(mut self, ip: impl Into<String>) -> Self {
        self.ip = ip.into();
        self
    }

    /// Adds what was there before.
    #[must_use]
    pub fn before(mut self, value: Value) -> Self {
        self.before = Some(value);
        self
    }

    /// Adds what is there now, or what else is worth telling.
    #[must_use]
    pub fn after(mut self, value: Value) -> Self {
        self.after = Some(value);
        self
    }

    /// The canonical JSON: sorted keys, no white space, members without a value left out.
    #[must_use]
    pub fn envelope(&self) -> String {
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("id", json!(self.id));
        put("type", json!(self.kind));
        put("time", json!(self.time.to_rfc3339_opts(SecondsFormat::Micros, true)));
        put("actor", self.actor.to_json());
        put(
            "resource",
            json!({"kind": self.resource.kind, "id": self.resource.id, "name": self.resource.name}),
        );
        if let Some(person) = &self.on_behalf_of {
            put("on_behalf_of", person.to_json());
        }
        for (name, text) in [
            ("ip", &self.ip),
            ("user_agent", &self.user_agent),
            ("request_id", &self.request_id),
            ("trace_id", &self.trace_id),
        ] {
            if !text.is_empty() {
                put(name, json!(text));
            }
        }
        for (name, value) in [("before", &self.before), ("after", &self.after)] {
            if let Some(value) = value {
                put(name, value.clone());
            }
        }
        Value::Object(members).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::ActorKind;

    #[test]
    fn the_envelope_has_sorted_keys_and_no_white_space() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).expect("a time");
        let actor = Actor::new(ActorKind::User, "ops", "ops");
        let event = Event::of(actor, "image.tag.added", Resource::new("tag", 5, "redis:7"), now)
            .after(json!({"b": 1, "a": {"d": 2, "c": 3}}));
        let id = event.id;
        assert_eq!(
            event.envelope(),
            format!(
                "{{\"actor\":{{\"id\":\"ops\",\"kind\":\"user\",\"name\":\"ops\"}},\
                 \"after\":{{\"a\":{{\"c\":3,\"d\":2}},\"b\":1}},\
                 \"id\":\"{id}\",\"resource\":{{\"id\":\"5\",\"kind\":\"tag\",\"name\":\"redis:7\"}},\
                 \"time\":\"2023-11-14T22:13:20.000000Z\",\"type\":\"image.tag.added\"}}"
            )
        );
    }
}
