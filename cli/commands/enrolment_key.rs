//! `slipway enrolment-key`: keys that devices enrol with.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;

use crate::client::Request;
use crate::complete::{self, FLEETS};
use crate::failure::{Exit, Outcome, Result};
use crate::ids::{Kind, shorten};
use crate::output::{Cell, Table, Token, text, time};
use crate::session::{Session, body, in_future};

/// Verbs of `slipway enrolment-key`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a key; it is printed this once
    Create {
        /// What to call it
        name: String,
        /// The fleet that its devices join
        #[arg(long, add = complete::of(&FLEETS))]
        fleet: String,
        /// How many devices may use it
        #[arg(long, value_name = "N")]
        quota: Option<u32>,
        /// When it ends, such as `7d`
        #[arg(long, value_name = "IN", value_parser = time::parse_duration)]
        expires: Option<std::time::Duration>,
    },
    /// List the keys, without their secrets
    List {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// End a key; devices enrolled with it stay
    Revoke {
        /// Its name or id
        key: String,
    },
}

const KIND: Kind = Kind {
    noun: "enrolment-key",
    path: "enrolment-keys",
    items: "enrolment_keys",
    names: &["name"],
};

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    name: String,
    fleet: String,
    #[serde(default)]
    quota: Option<u64>,
    #[serde(default)]
    used: u64,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    revoked_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
struct Created {
    name: String,
    fleet: String,
    key: String,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::Create { name, fleet, quota, expires } => {
            let body = body([
                ("name", json!(name)),
                ("fleet", json!(fleet)),
                ("quota", json!(quota)),
                ("expires_at", json!(in_future(expires)?)),
            ]);
            let answer = session.call(Request::post(["enrolment-keys"]).body(body)).await?;
            let made: Created = answer.read()?;
            let sentence = format!(
                "Made the key `{}`: devices that enrol with it join {}. It is not shown again.",
                made.name, made.fleet
            );
            let undo = format!("slipway enrolment-key revoke {}", made.name);
            session.out.secret(answer.document(), &made.key, &sentence, &undo)?;
        }
        Verb::List { limit } => list(session, limit).await?,
        Verb::Revoke { key } => {
            let id = KIND.resolve(session, &key).await?;
            let answer = session.call(Request::delete(["enrolment-keys", &*id])).await?;
            let sentence = format!("Ended the key `{key}`; devices enrolled with it stay.");
            let undo = "none; `slipway enrolment-key create` makes another one";
            session.out.done(answer.document(), &sentence, undo)?;
        }
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, limit: usize) -> Result {
    let request = Request::get([KIND.path]);
    let Some(page) = session.list(request, KIND.items, limit).await? else { return Ok(()) };
    let now = session.now(page.time());
    let keys: Vec<Key> = page.read_items()?;
    let ids = shorten(keys.iter().map(|key| &*key.id));
    let mut table = Table::new(&["KEY", "NAME", "FLEET", ">USED", "STATE"]);
    for (key, id) in keys.iter().zip(ids) {
        let used = match key.quota {
            Some(quota) if quota > 0 => {
                format!("{}/{}", text::number(key.used), text::number(quota))
            }
            Some(_) | None => text::number(key.used),
        };
        table.row([
            id.into(),
            (&key.name).into(),
            (&key.fleet).into(),
            used.into(),
            state(key, now),
        ]);
    }
    table.print(&session.out, "there is no key; `slipway enrolment-key create NAME --fleet FLEET`")
}

fn state(key: &Key, now: DateTime<Utc>) -> Cell {
    let is_used_up = key.quota.is_some_and(|quota| quota > 0 && key.used >= quota);
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => Cell::word((format!("ended {}", time::since(at, now)), Token::Calm)),
        (None, Some(end)) if end <= now => {
            Cell::word((format!("expired {}", time::since(end, now)), Token::Calm))
        }
        (None, _) if is_used_up => Cell::word(("used up", Token::Calm)),
        (None, Some(end)) => {
            Cell::word((format!("good, ends {}", time::until(end, now)), Token::Good))
        }
        (None, None) => Cell::word(("good", Token::Good)),
    }
}
