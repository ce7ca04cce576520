//! The caller of a request, as handlers see it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use proto::access::v1::Role;
use proto::reason;
use proto::types::v1 as pb;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Code, Problem};

/// What kind of actor somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    User,
    /// A program of the operator's, with a service token.
    ServiceAccount,
    /// One of Slipway's own processes.
    System,
    /// A device of the fleet.
    Device,
    /// A webhook receiver.
    Receiver,
    /// Nobody: `--no-auth` on loopback.
    Anonymous,
}

impl ActorKind {
    /// The word that events and columns carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ServiceAccount => "service_account",
            Self::System => "system",
            Self::Device => "device",
            Self::Receiver => "receiver",
            Self::Anonymous => "anonymous",
        }
    }

    /// The kind that a word of [`as_str`](Self::as_str) names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::User,
            Self::ServiceAccount,
            Self::System,
            Self::Device,
            Self::Receiver,
            Self::Anonymous,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == word)
    }
}

/// Who does a thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The kind; with `id` it names the actor.
    pub kind: ActorKind,
    /// The id within the kind: a user name, a UUID, a process's name.
    pub id: String,
    /// What to show.
    pub name: String,
}

impl Actor {
    /// Names an actor.
    #[must_use]
    pub fn new(kind: ActorKind, id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, id: id.into(), name: name.into() }
    }

    /// One of Slipway's own processes.
    #[must_use]
    pub fn system(process: &str) -> Self {
        Self::new(ActorKind::System, process, process)
    }

    /// Whether both name the same actor, whatever is shown.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.kind == other.kind && self.id == other.id
    }

    /// Whether it is a person, for whom four-eyes rules hold.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.kind == ActorKind::User
    }

    /// As events carry it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"kind": self.kind.as_str(), "id": self.id, "name": self.name})
    }

    /// As a header carries it.
    #[must_use]
    pub fn to_header(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.to_json().to_string())
    }

    /// Reads what [`to_header`](Self::to_header) made.
    #[must_use]
    pub fn from_header(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.name.is_empty() { &self.id } else { &self.name })
    }
}

impl From<&Actor> for pb::Actor {
    fn from(actor: &Actor) -> Self {
        let kind = match actor.kind {
            ActorKind::User => pb::actor::Kind::User,
            ActorKind::ServiceAccount => pb::actor::Kind::ServiceAccount,
            ActorKind::System => pb::actor::Kind::System,
            ActorKind::Device => pb::actor::Kind::Device,
            ActorKind::Receiver => pb::actor::Kind::Receiver,
            ActorKind::Anonymous => pb::actor::Kind::Anonymous,
        };
        Self { kind: kind.into(), id: actor.id.clone(), name: actor.name.clone() }
    }
}

impl TryFrom<pb::Actor> for Actor {
    type Error = Problem;

    fn try_from(actor: pb::Actor) -> Result<Self, Problem> {
        let kind = match actor.kind() {
            pb::actor::Kind::User => ActorKind::User,
            pb::actor::Kind::ServiceAccount => ActorKind::ServiceAccount,
            pb::actor::Kind::System => ActorKind::System,
            pb::actor::Kind::Device => ActorKind::Device,
            pb::actor::Kind::Receiver => ActorKind::Receiver,
            pb::actor::Kind::Anonymous => ActorKind::Anonymous,
            pb::actor::Kind::Unspecified => {
                return Err(Problem::invalid(
                    "actor.kind",
                    "is missing; say what kind of actor it is",
                ));
            }
        };
        Ok(Self { kind, id: actor.id, name: actor.name })
    }
}

/// Somebody with what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who it is.
    pub actor: Actor,
    /// Its role; `None` for Slipway's own processes and for devices.
    pub role: Option<Role>,
    /// What the role grants; `None` = everything.
    pub permissions: Option<Arc<BTreeSet<String>>>,
    /// When the credential ends.
    pub expires: Option<DateTime<Utc>>,
}

impl Principal {
    /// One of Slipway's own processes, which may do everything.
    #[must_use]
    pub fn system(process: &str) -> Self {
        Self { actor: Actor::system(process), role: None, permissions: None, expires: None }
    }

    /// A device; what it may do is what the device link offers.
    #[must_use]
    pub fn device(id: &str, name: &str) -> Self {
        Self {
            actor: Actor::new(ActorKind::Device, id, name),
            role: None,
            permissions: Some(Arc::default()),
            expires: None,
        }
    }

    /// Nobody, with everything an administrator may do: `--no-auth`.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            actor: Actor::new(ActorKind::Anonymous, "anonymous", "anonymous"),
            role: Some(Role::Admin),
            permissions: None,
            expires: None,
        }
    }

    /// Whether it holds a permission.
    #[must_use]
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.as_ref().is_none_or(|granted| granted.contains(permission))
    }
}

/// The caller of one request.
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Principal,
    on_behalf_of: Option<Actor>,
    ip: String,
    user_agent: String,
}

impl Caller {
    /// Makes a caller.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self { principal, on_behalf_of: None, ip: String::new(), user_agent: String::new() }
    }

    /// Says for whom it acts.
    #[must_use]
    pub fn acting_for(mut self, person: Option<Actor>) -> Self {
        self.on_behalf_of = person;
        self
    }

    /// Says where it came from.
    #[must_use]
    pub fn from_address(mut self, ip: impl Into<String>, user_agent: impl Into<String>) -> Self {
        self.ip = ip.into();
        self.user_agent = user_agent.into();
        self
    }

    /// The caller that the layer put into a request.
    ///
    /// # Panics
    ///
    /// When the request did not come through the layer.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Arc<Self> {
        request
            .extensions()
            .get::<Arc<Self>>()
            .cloned()
            .expect("the rpc layer puts a caller into every request")
    }

    /// Who calls.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.principal.actor
    }

    /// For whom, when it is for somebody else.
    #[must_use]
    pub fn on_behalf_of(&self) -> Option<&Actor> {
        self.on_behalf_of.as_ref()
    }

    /// Who wants it: whom the caller acts for, else the caller.
    #[must_use]
    pub fn person(&self) -> &Actor {
        self.on_behalf_of.as_ref().unwrap_or(&self.principal.actor)
    }

    /// The caller with what it may do.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The address it came from; empty = not known.
    #[must_use]
    pub fn ip(&self) -> &str {
        &self.ip
    }

    /// Its program; empty = not known.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Whether it is another process of Slipway.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.principal.actor.kind == ActorKind::System
    }

    /// Whether it holds a permission.
    #[must_use]
    pub fn may(&self, permission: &str) -> bool {
        self.principal.may(permission)
    }

    /// Refuses a caller that does not hold a permission.
    ///
    /// # Errors
    ///
    /// `PERMISSION_MISSING`.
    pub fn require(&self, permission: &str) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        let who = match self.principal.role {
            Some(role) => role_word(role),
            None => "caller",
        };
        Err(permission_missing(who, permission))
    }
}

/// The refusal of somebody who lacks a permission: it names the role to ask for.
#[must_use]
pub fn permission_missing(who: &str, permission: &str) -> Problem {
    let role = role_word(least_role(permission));
    let article = if who.starts_with(['a', 'o']) { "an" } else { "a" };
    let message = format!(
        "{article} {who} may not do this; it needs a token of the role `{role}` \
         (permission `{permission}`)"
    );
    Problem::new(Code::PermissionDenied, reason::PERMISSION_MISSING, message)
        .with("permission", permission)
        .with("role", role)
}

/// The least role that grants a permission. What each role grants is settled by `access`, where a
/// test holds this against it.
#[must_use]
pub fn least_role(permission: &str) -> Role {
    match permission {
        "audit.read" | "gate.write" | "policies.fleetwide" | "tokens.read" | "tokens.write"
        | "upstreams.write" => Role::Admin,
        "images.approve" | "reviews.decide" => Role::Approver,
        name if name.ends_with(".read") => Role::Viewer,
        _ => Role::Operator,
    }
}

/// The word for a role.
fn role_word(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "caller without a role",
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Approver => "approver",
        Role::Admin => "admin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_survives_its_header() {
        let actor = Actor::new(ActorKind::User, "jürgen", "Jürgen\n\"x\"");
        assert_eq!(Actor::from_header(&actor.to_header()), Some(actor));
        assert_eq!(Actor::from_header("%%%"), None);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let principal = Principal {
            actor: Actor::new(ActorKind::User, "ops", "ops"),
            role: Some(Role::Viewer),
            permissions: Some(Arc::new(BTreeSet::from(["images.read".to_owned()]))),
            expires: None,
        };
        let caller = Caller::new(principal);
        assert_eq!(caller.require("images.read"), Ok(()));
        let problem = caller.require("images.write").expect_err("refused");
        assert_eq!(problem.metadata().get("permission").map(String::as_str), Some("images.write"));
        assert_eq!(problem.metadata().get("role").map(String::as_str), Some("operator"));
        assert_eq!(
            problem.message(),
            "a viewer may not do this; it needs a token of the role `operator` (permission \
             `images.write`)"
        );
        let problem = permission_missing("operator", "gate.write");
        assert!(problem.message().starts_with("an operator may not"), "{}", problem.message());
    }
}
