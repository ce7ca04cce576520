//! `slipway event watch`: what happens, while it happens.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Event, Events};
use crate::documents::Actor;
use crate::failure::{Exit, Outcome, Result};
use crate::output::{text, time};
use crate::session::Session;

/// Verbs of `slipway event`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Print events as they come, until Ctrl-C
    #[command(visible_alias = "follow")]
    Watch {
        /// Only this type; `*` at the end takes all that begin so
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Begin after this event of the audit log
        #[arg(long, value_name = "SEQUENCE")]
        after: Option<i64>,
    },
}

/// How long to wait before the line is opened again.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    time: Option<DateTime<Utc>>,
    actor: Actor,
    on_behalf_of: Option<Actor>,
    resource: Resource,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resource {
    kind: String,
    id: String,
    name: String,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    let Verb::Watch { types, after } = verb;
    tokio::select! {
        end = watch(session, &types, after) => end.map(|()| Exit::Done),
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    }
}

/// Prints events. A line that breaks is opened again where it broke off.
async fn watch(session: &Session, types: &[String], mut after: Option<i64>) -> Result {
    let mut events = session.api.events(types, after).await?;
    loop {
        while let Some(event) = events.next().await {
            after = event.id.or(after);
            print(session, &event)?;
        }
        events = open_again(session, types, after).await?;
    }
}

async fn open_again(session: &Session, types: &[String], after: Option<i64>) -> Result<Events> {
    session.out.note("the line broke; opening it again");
    loop {
        tokio::time::sleep(AGAIN).await;
        match session.api.events(types, after).await {
            Err(failure) if failure.exit() == Exit::Unreachable => {}
            opened => return opened,
        }
    }
}

fn print(session: &Session, event: &Event) -> Result {
    if let Some(members) = session.out.json() {
        let mut document = event.data.clone();
        if let Some(members) = document.as_object_mut() {
            members.insert("sequence".to_owned(), json!(event.id));
        }
        return session.out.say(&members.of_object(&document));
    }
    if event.kind == "reset" {
        session.out.note("some events were left out; `slipway audit list` has them");
        return Ok(());
    }
    let Ok(envelope) = crate::client::read::<Envelope>(&event.data) else {
        return session.out.say(&text::clean(&event.kind));
    };
    let at = envelope.time.map(time::clock).unwrap_or_default();
    let Resource { kind, id, name } = &envelope.resource;
    let what = if name.is_empty() { id } else { name };
    let who = match &envelope.on_behalf_of {
        Some(whom) => format!("{} for {}", envelope.actor.shown(), whom.shown()),
        None => envelope.actor.shown().to_owned(),
    };
    let line = format!("{at}  {}  {kind} {what}  by {who}", event.kind);
    session.out.say(&text::clean(&line))
}
