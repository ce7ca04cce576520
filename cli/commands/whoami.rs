//! `slipway whoami`: who the caller is and what it may do.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::client::Request;
use crate::failure::{Exit, Outcome};
use crate::output::table::Facts;
use crate::output::time;
use crate::session::Session;

/// What the API says about the caller.
#[derive(Debug, Deserialize)]
pub struct Me {
    #[serde(flatten)]
    actor: crate::documents::Actor,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
}

impl Me {
    /// Name and role, for sentences.
    pub fn sentence(&self) -> String {
        match &self.role {
            Some(role) => format!("{} ({role})", self.actor.shown()),
            None => self.actor.shown().to_owned(),
        }
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }
}

/// Shows it.
pub async fn run(session: &Session) -> Outcome {
    let Some(answer) = session.show(Request::get(["me"])).await? else { return Ok(Exit::Done) };
    let me: Me = answer.read()?;
    let now = session.now(answer.time());
    Facts::default()
        .with("server", session.api.target().place())
        .with("name", me.actor.shown())
        .with("role", me.role.as_deref().unwrap_or("none"))
        .with("token ends", time::until_or(me.expires_at, now, "never"))
        .with("may", me.permissions.join(", "))
        .print(&session.out)?;
    Ok(Exit::Done)
}
