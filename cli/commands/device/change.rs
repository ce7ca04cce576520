//! What changes a device.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::selector::parse_label;
use super::super::services::{self, Change};
use super::KIND;
use crate::client::{Answer, Request};
use crate::documents::device::{Device, Target};
use crate::failure::{Failure, Result};
use crate::output::text;
use crate::session::{Session, body};

#[derive(Debug, Deserialize)]
struct WithToken {
    #[serde(flatten)]
    device: Device,
    token: String,
}

async fn find(session: &Session, typed: &str) -> Result<(Device, Answer)> {
    let id = KIND.resolve(session, typed).await?;
    let answer = session.call(Request::get([KIND.path, &*id])).await?;
    Ok((answer.read()?, answer))
}

async fn update(
    session: &Session,
    device: &Device,
    seen: &Answer,
    change: Value,
) -> Result<Answer> {
    let request = Request::patch([KIND.path, &*device.id]).if_match(seen.etag()).body(change);
    session.call(request).await
}

async fn command(session: &Session, device: &Device, verb: &str, body: Value) -> Result<Answer> {
    session.call(Request::post([KIND.path, &*device.id, verb]).body(body)).await
}

/// Adds a device.
pub async fn create(
    session: &Session,
    name: &str,
    fleet: &str,
    labels: Vec<(String, String)>,
) -> Result {
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    let labels = if labels.is_empty() { Value::Null } else { json!(labels) };
    let request = Request::post([KIND.path]).body(body([
        ("name", json!(name)),
        ("fleet", json!(fleet)),
        ("labels", labels),
    ]));
    let answer = session.call(request).await?;
    let made: WithToken = answer.read()?;
    let (name, fleet, id) = (&made.device.name, &made.device.fleet, &made.device.id);
    let sentence =
        format!("Added the device `{name}` to {fleet} (id {id}). Its token is not shown again.");
    let undo = format!("slipway device remove {name}");
    session.out.secret(answer.document(), &made.token, &sentence, &undo)
}

/// Sets and takes away labels.
pub async fn label(session: &Session, typed: &str, changes: &[String]) -> Result {
    let (device, seen) = find(session, typed).await?;
    let mut labels = device.labels.clone();
    let mut undo = Vec::new();
    for change in changes {
        let (name, value) = match change.strip_suffix('-') {
            Some(name) if !change.contains('=') => (name.to_owned(), None),
            Some(_) | None => {
                let (name, value) = parse_label(change).map_err(|_| {
                    Failure::usage(format!("`{change}` is no label"))
                        .hint("write NAME=VALUE, or NAME- to take one away")
                })?;
                (name, Some(value))
            }
        };
        let before = match value {
            Some(value) => labels.insert(name.clone(), value),
            None => labels.remove(&name),
        };
        undo.push(match before {
            Some(before) => format!("{name}={before}"),
            None => format!("{name}-"),
        });
    }
    let answer = update(session, &device, &seen, json!({"labels": labels})).await?;
    let shown: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let shown = if shown.is_empty() { "no labels".to_owned() } else { shown.join(", ") };
    session.out.done(
        answer.document(),
        &format!("{} has {shown}.", device.name),
        &format!("slipway device label {typed} {}", undo.join(" ")),
    )
}

/// Gives another name.
pub async fn rename(session: &Session, typed: &str, name: &str) -> Result {
    let (device, seen) = find(session, typed).await?;
    let answer = update(session, &device, &seen, json!({"name": name})).await?;
    session.out.done(
        answer.document(),
        &format!("{} is called {name} now.", device.name),
        &format!("slipway device rename {name} {}", device.name),
    )
}

/// Puts it into another fleet.
pub async fn put_into(session: &Session, typed: &str, fleet: &str) -> Result {
    let (device, seen) = find(session, typed).await?;
    let answer = update(session, &device, &seen, json!({"fleet": fleet})).await?;
    session.out.done(
        answer.document(),
        &format!("{} belongs to {fleet} now; what it should run stays.", device.name),
        &format!("slipway device move {typed} {}", device.fleet),
    )
}

/// Holds it at what it runs.
pub async fn pin(session: &Session, typed: &str, reason: Option<String>) -> Result {
    let (device, _) = find(session, typed).await?;
    let body = body([("pinned", json!(true)), ("reason", json!(reason))]);
    let answer = command(session, &device, "pin", body).await?;
    session.out.done(
        answer.document(),
        &format!("Pinned {}; rollouts leave it out.", device.name),
        &format!("slipway device unpin {typed}"),
    )
}

/// Releases it.
pub async fn unpin(session: &Session, typed: &str) -> Result {
    let (device, _) = find(session, typed).await?;
    let answer = command(session, &device, "pin", json!({"pinned": false})).await?;
    session.out.done(
        answer.document(),
        &format!("Unpinned {}; the next rollout takes it along.", device.name),
        &format!("slipway device pin {typed}"),
    )
}

/// Makes a new token.
pub async fn token(session: &Session, typed: &str) -> Result {
    let (device, _) = find(session, typed).await?;
    let answer = command(session, &device, "token", json!({})).await?;
    let made: WithToken = answer.read()?;
    let old = if device.revoked {
        "it has none beside it and may come back with it"
    } else {
        "the old one ends when it is used, or after 24 h"
    };
    let sentence = format!("Made a new token for {}; {old}. It is not shown again.", device.name);
    let undo = format!("none; `slipway device revoke {typed}` ends both");
    session.out.secret(answer.document(), &made.token, &sentence, &undo)
}

/// Ends its credentials.
pub async fn revoke(session: &Session, typed: &str, yes: bool) -> Result {
    let (device, _) = find(session, typed).await?;
    session.confirm(&format!("this ends the credentials of {}", device.name), yes)?;
    let answer = command(session, &device, "revoke", json!({})).await?;
    session.out.done(
        answer.document(),
        &format!("Revoked {}; it is out at once, and what it runs goes on.", device.name),
        &format!("slipway device token {typed}, and give it to the device"),
    )
}

/// Removes it.
pub async fn remove(session: &Session, typed: &str, yes: bool) -> Result {
    let (device, _) = find(session, typed).await?;
    session.confirm(&format!("this removes the device {}", device.name), yes)?;
    let answer = session.call(Request::delete([KIND.path, &*device.id])).await?;
    session.out.done(
        answer.document(),
        &format!("Removed {}; rollouts go on without it.", device.name),
        "none; the device has to enrol anew",
    )
}

/// Changes what it should run. The images are admitted like a push.
pub async fn target(session: &Session, typed: &str, change: &Change) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let seen = session.call(Request::get([KIND.path, &*id, "target"])).await?;
    let before: Target = seen.read()?;
    let request = Request::put([KIND.path, &*id, "target"])
        .if_match(seen.etag())
        .body(change.body(&before.services)?);
    let answer = session.call(request).await?;
    let after: Target = answer.read()?;
    let sentence = match after.generation == before.generation {
        true => format!("{typed} should run this already."),
        false => format!(
            "{typed} should run {} now (generation {}).",
            text::count(after.services.len() as u64, "service"),
            after.generation
        ),
    };
    let undo = match services::flags(&before.services, &after.services).as_str() {
        "" => "none needed; nothing changed".to_owned(),
        flags => format!("slipway device target {typed} {flags}"),
    };
    session.out.done(answer.document(), &sentence, &undo)
}
