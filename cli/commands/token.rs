//! `slipway token`: access tokens.

use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Request;
use crate::documents::Actor;
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::output::{Cell, Table, Token as Weight, time};
use crate::session::{Session, body, in_future};
use runtime::nearest::nearest;

/// Verbs of `slipway token`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a token; it is printed this once
    Create {
        /// What to call it
        name: String,
        /// What it may do; never more than you
        #[arg(long, value_enum)]
        role: Role,
        /// Whose it is, when it is not yours
        #[arg(long, conflicts_with = "service_account")]
        user: Option<String>,
        /// It is a program's: events name it after the token
        #[arg(long)]
        service_account: bool,
        /// When it ends, such as `30d`
        #[arg(long, value_name = "IN", value_parser = time::parse_duration)]
        expires: Option<std::time::Duration>,
    },
    /// List tokens, newest first, without their secrets
    List {
        /// Also those that ended
        #[arg(long)]
        all: bool,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// End a token; it stops working everywhere within 10 s
    Revoke {
        /// Its number or name
        token: String,
    },
}

/// What a bearer may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Role {
    /// Read everything but tokens and the audit log
    Viewer,
    /// Read, and run the fleet
    Operator,
    /// Read, and decide reviews
    Approver,
    /// Everything
    Admin,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

#[derive(Debug, Deserialize)]
struct Token {
    id: i64,
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    subject: Actor,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    revoked_at: Option<DateTime<Utc>>,
    #[serde(default)]
    last_used_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
struct Created {
    id: i64,
    name: String,
    role: String,
    token: String,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::Create { name, role, user, service_account, expires } => {
            let body = body([
                ("name", json!(name)),
                ("role", json!(role.word())),
                ("user", json!(user)),
                ("service_account", if service_account { json!(true) } else { Value::Null }),
                ("expires_at", json!(in_future(expires)?)),
            ]);
            let answer = session.call(Request::post(["tokens"]).body(body)).await?;
            let made: Created = answer.read()?;
            let (id, name, role) = (made.id, &made.name, &made.role);
            let sentence =
                format!("Made the token `{name}` (number {id}, {role}). It is not shown again.");
            let undo = format!("slipway token revoke {id}");
            session.out.secret(answer.document(), &made.token, &sentence, &undo)?;
        }
        Verb::List { all, limit } => list(session, all, limit).await?,
        Verb::Revoke { token } => revoke(session, &token).await?,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, all: bool, limit: usize) -> Result {
    let request = Request::get(["tokens"]).query_if("show_ended", all.then_some("true"));
    let Some(page) = session.list(request, "data", limit).await? else { return Ok(()) };
    let now = session.now(page.time());
    let mut table = Table::new(&[">ID", "NAME", "ROLE", "WHOSE", "BEGINS", "USED", "STATE"]);
    for token in page.read_items::<Token>()? {
        table.row([
            token.id.to_string().into(),
            (&token.name).into(),
            (&token.role).into(),
            token.subject.shown().into(),
            (&token.prefix).into(),
            time::since_or(token.last_used_at, now, "never").into(),
            state(&token, now),
        ]);
    }
    table.print(&session.out, "there is no token; `slipway token create NAME --role ROLE`")
}

fn state(token: &Token, now: DateTime<Utc>) -> Cell {
    match (token.revoked_at, token.expires_at) {
        (Some(at), _) => Cell::word((format!("revoked {}", time::since(at, now)), Weight::Calm)),
        (None, Some(end)) if end <= now => {
            Cell::word((format!("expired {}", time::since(end, now)), Weight::Calm))
        }
        (None, Some(end)) => {
            let is_soon = end - now < chrono::TimeDelta::days(7);
            let token = if is_soon { Weight::Need } else { Weight::Good };
            Cell::word((format!("ends {}", time::until(end, now)), token))
        }
        (None, None) => Cell::word(("good", Weight::Good)),
    }
}

async fn revoke(session: &Session, typed: &str) -> Result {
    let id = match typed.parse::<i64>() {
        Ok(id) => id,
        Err(_) => by_name(session, typed).await?,
    };
    let path = ["tokens".to_owned(), id.to_string()];
    let answer = session.call(Request::delete(path)).await?;
    let sentence = format!("Revoked the token `{typed}`; it stops working everywhere within 10 s.");
    let undo = "none; `slipway token create` makes another one";
    session.out.done(answer.document(), &sentence, undo)
}

async fn by_name(session: &Session, typed: &str) -> Result<i64> {
    let page = session.api.list(Request::get(["tokens"]), "data", 1_000).await?;
    let tokens: Vec<Token> = page.read_items()?;
    let named: Vec<_> = tokens.iter().filter(|token| token.name == typed).collect();
    match named.as_slice() {
        [one] => Ok(one.id),
        [] => {
            let failure = Failure::new(Exit::NotFound, format!("there is no token `{typed}`"));
            Err(match nearest(typed, tokens.iter().map(|token| &*token.name)) {
                Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
                None => failure.hint("`slipway token list` shows those there are"),
            })
        }
        several => {
            let ids: Vec<_> = several.iter().map(|token| token.id.to_string()).collect();
            Err(Failure::usage(format!("several people have a token `{typed}`"))
                .hint(format!("name it by its number: {}", ids.join(", "))))
        }
    }
}
