//! `slipway receiver`: the addresses that registries send webhooks to.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Request;
use crate::complete::{self, RECEIVERS};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::ids::{Kind, shorten};
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text, time, words};
use crate::session::{Session, body, read_secret};

/// Verbs of `slipway receiver`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the receivers
    List {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show a receiver
    Show {
        /// Its name or id
        #[arg(add = complete::of(&RECEIVERS))]
        receiver: String,
    },
    /// Add a receiver; its URL is printed this once
    Add(Add),
    /// Remove a receiver; its URL answers 404 from then on
    Remove {
        /// Its name or id
        #[arg(add = complete::of(&RECEIVERS))]
        receiver: String,
    },
    /// List what a receiver was sent, newest first
    Deliveries {
        /// Its name or id
        #[arg(add = complete::of(&RECEIVERS))]
        receiver: String,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
}

/// Flags of `slipway receiver add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// What to call it
    name: String,
    /// Who sends
    #[arg(long, value_enum)]
    vendor: Vendor,
    /// File with the secret that requests are checked against; `-` = standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A host it may speak for, such as `ghcr.io` [default: the vendor's own]
    #[arg(long = "registry", value_name = "HOST")]
    registries: Vec<String>,
    /// Repositories it may speak for: `*` within a part of the path, `**` across [default: all]
    #[arg(long = "repository", value_name = "PATTERN")]
    repositories: Vec<String>,
    /// Whether refused pushes are answered with 403 and 404, or with 202
    #[arg(long, value_enum, value_name = "MODE")]
    response_mode: Option<ResponseMode>,
    /// Take requests without a secret; such a receiver alone never lets anything run
    #[arg(long)]
    allow_unauthenticated: bool,
    /// Believe the sender where no upstream lists the host
    #[arg(long)]
    payload_trust: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Vendor {
    /// Docker Hub and GitHub bodies, told apart by themselves
    Generic,
    /// Docker Hub, which signs nothing
    Dockerhub,
    /// GitHub and GHCR, signed
    Github,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ResponseMode {
    /// 403 and 404
    Strict,
    /// 200 and 202, for senders that switch a webhook off after refusals
    Ack,
}

const KIND: Kind =
    Kind { noun: "receiver", path: "receivers", items: "receivers", names: &["name"] };

#[derive(Debug, Deserialize)]
struct Receiver {
    id: String,
    name: String,
    vendor: String,
    #[serde(default)]
    has_secret: bool,
    #[serde(default)]
    allow_unauthenticated: bool,
    #[serde(default)]
    registries: Vec<String>,
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    response_mode: Option<String>,
    #[serde(default)]
    payload_trust: bool,
    #[serde(default)]
    is_default: bool,
    #[serde(default)]
    last_delivery_at: Option<DateTime<Utc>>,
    #[serde(default)]
    refused_since: u64,
    #[serde(default)]
    last_refusal: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    id: String,
    created_at: DateTime<Utc>,
    #[serde(default)]
    peer_ip: Option<String>,
    #[serde(default)]
    decision: Option<String>,
    #[serde(default)]
    push_ids: Vec<String>,
    #[serde(default)]
    note: Option<String>,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { limit } => list(session, limit).await?,
        Verb::Show { receiver } => show(session, &receiver).await?,
        Verb::Add(add) => create(session, add).await?,
        Verb::Remove { receiver } => {
            let id = KIND.resolve(session, &receiver).await?;
            let answer = session.call(Request::delete(["receivers", &*id])).await?;
            let sentence = format!("Removed `{receiver}`; its URL answers 404 from now on.");
            let undo = "none; `slipway receiver add` makes one with another URL";
            session.out.done(answer.document(), &sentence, undo)?;
        }
        Verb::Deliveries { receiver, limit } => deliveries(session, &receiver, limit).await?,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, limit: usize) -> Result {
    let request = Request::get([KIND.path]);
    let Some(page) = session.list(request, KIND.items, limit).await? else { return Ok(()) };
    let now = session.now(page.time());
    let mut table = Table::new(&["RECEIVER", "VENDOR", "CHECKS", "LAST DELIVERY", "STATE"]);
    for receiver in page.read_items::<Receiver>()? {
        let name = match receiver.is_default {
            true => format!("{} (default)", receiver.name),
            false => receiver.name.clone(),
        };
        table.row([
            name.into(),
            (&receiver.vendor).into(),
            checks(&receiver).into(),
            time::since_or(receiver.last_delivery_at, now, "never").into(),
            state(&receiver),
        ]);
    }
    table.print(&session.out, "there is no receiver; `slipway receiver add NAME --vendor VENDOR`")
}

fn checks(receiver: &Receiver) -> &'static str {
    match (receiver.has_secret, receiver.allow_unauthenticated) {
        (true, false) => "secret",
        (true, true) => "secret, if given",
        (false, true) => "nothing",
        (false, false) => "URL",
    }
}

fn state(receiver: &Receiver) -> Cell {
    match (receiver.refused_since, &receiver.last_refusal) {
        (0, _) => Cell::word(("good", Token::Good)),
        (refused, why) => {
            let why = why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            Cell::word((format!("refused {}{why}", text::number(refused)), Token::Bad))
        }
    }
}

async fn show(session: &Session, typed: &str) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let request = Request::get(["receivers", &*id]);
    let Some(answer) = session.show(request).await? else { return Ok(()) };
    let receiver: Receiver = answer.read()?;
    let now = session.now(answer.time());
    let yes = |is: bool| if is { "yes" } else { "no" };
    Facts::default()
        .with("receiver", &receiver.name)
        .with("id", &receiver.id)
        .with("vendor", &receiver.vendor)
        .with("default", yes(receiver.is_default))
        .with("checks", checks(&receiver))
        .with("registries", receiver.registries.join(", "))
        .with("repositories", receiver.repositories.join(", "))
        .with("refusals", receiver.response_mode.as_deref().unwrap_or_default())
        .with("believes sender", yes(receiver.payload_trust))
        .with("last delivery", time::since_or(receiver.last_delivery_at, now, "never"))
        .with("state", state(&receiver))
        .print(&session.out)
}

async fn create(session: &Session, add: Add) -> Result {
    let secret = match &add.secret_file {
        Some(path) => json!(read_secret(path)?.expose()),
        None => Value::Null,
    };
    let list = |list: Vec<String>| if list.is_empty() { Value::Null } else { json!(list) };
    let flag = |is: bool| if is { json!(true) } else { Value::Null };
    let vendor = match add.vendor {
        Vendor::Generic => "generic",
        Vendor::Dockerhub => "dockerhub",
        Vendor::Github => "github",
    };
    let mode = add.response_mode.map(|mode| match mode {
        ResponseMode::Strict => "strict",
        ResponseMode::Ack => "ack",
    });
    let request = Request::post(["receivers"]).body(body([
        ("name", json!(add.name)),
        ("vendor", json!(vendor)),
        ("secret", secret),
        ("registries", list(add.registries)),
        ("repositories", list(add.repositories)),
        ("response_mode", json!(mode)),
        ("allow_unauthenticated", flag(add.allow_unauthenticated)),
        ("payload_trust", flag(add.payload_trust)),
    ]));
    let answer = session.call(request).await.map_err(in_flags)?;
    let made: Receiver = answer.read()?;
    let url = made.url.ok_or_else(|| {
        Failure::new(Exit::Error, "the server made the receiver and did not tell its URL")
            .hint(format!("`slipway receiver remove {}`, and look at the gateway's log", made.name))
    })?;
    let sentence = format!(
        "Added the receiver `{}`; set this URL at the sender. It is not shown again.",
        made.name
    );
    let undo = format!("slipway receiver remove {}", made.name);
    session.out.secret(answer.document(), &url, &sentence, &undo)
}

/// The server speaks of members of the body; a person types flags.
fn in_flags(failure: Failure) -> Failure {
    let told = failure.what();
    let flags = [
        (
            "secret",
            "--secret-file FILE gives a secret; --allow-unauthenticated takes requests without one",
        ),
        ("registries", "--registry HOST says which hosts it may speak for"),
        ("repositories", "--repository PATTERN says which repositories it may speak for"),
    ];
    let hint = flags.into_iter().find(|(word, _)| told.contains(word)).map(|(_, hint)| hint);
    match failure.exit() {
        Exit::Usage => failure.hint_if(hint),
        _ => failure,
    }
}

async fn deliveries(session: &Session, typed: &str, limit: usize) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let request = Request::get(["receivers", &*id, "deliveries"]);
    let Some(page) = session.list(request, "deliveries", limit).await? else { return Ok(()) };
    let now = session.now(page.time());
    let deliveries: Vec<Delivery> = page.read_items()?;
    let ids = shorten(deliveries.iter().map(|delivery| &*delivery.id));
    let mut table = Table::new(&["DELIVERY", "CAME", "FROM", ">PUSHES", "DECISION", "NOTE"]);
    for (delivery, id) in deliveries.iter().zip(ids) {
        table.row([
            id.into(),
            time::since(delivery.created_at, now).into(),
            delivery.peer_ip.as_deref().unwrap_or_default().into(),
            text::number(delivery.push_ids.len() as u64).into(),
            Cell::word(words::decision(delivery.decision.as_deref().unwrap_or_default())),
            delivery.note.as_deref().unwrap_or_default().into(),
        ]);
    }
    table.print(&session.out, "it was sent nothing yet; `slipway push test` sends a sample")
}
