//! `slipway registry`: registries elsewhere that Slipway asks for digests.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Page, Request};
use crate::complete::{self, REGISTRIES};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::output::{Table, Token, text};
use crate::session::{Session, body};
use runtime::nearest::nearest;

/// Verbs of `slipway registry`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the registries
    List {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Add a registry
    Add {
        /// What to call it
        name: String,
        /// Where it answers, such as `https://registry-1.docker.io`
        #[arg(value_name = "REGISTRY_URL")]
        address: String,
        /// The host that image names say, where it is not the URL's
        #[arg(long)]
        host: Option<String>,
        /// Plain HTTP is meant
        #[arg(long)]
        allow_plain_http: bool,
        /// Imports that name no registry use this one
        #[arg(long)]
        default: bool,
    },
    /// Ask a registry whether it answers
    Test {
        /// Its name or number
        #[arg(add = complete::of(&REGISTRIES))]
        registry: String,
    },
    /// Remove a registry; images stay
    Remove {
        /// Its name or number
        #[arg(add = complete::of(&REGISTRIES))]
        registry: String,
    },
}

/// A registry elsewhere.
#[derive(Debug, Deserialize)]
pub struct Registry {
    id: i64,
    /// What it is called.
    pub name: String,
    url: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    allow_plain_http: bool,
}

/// How a try came out.
#[derive(Debug, Deserialize)]
pub struct Tried {
    /// Whether it speaks the distribution API.
    pub ok: bool,
    /// What it answered.
    #[serde(default)]
    pub detail: String,
    /// How long that took.
    #[serde(default)]
    pub latency_ms: u64,
}

const PATH: &str = "image-registries";

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { limit } => list(session, limit).await?,
        Verb::Add { name, address, host, allow_plain_http, default } => {
            let flag = |is: bool| if is { json!(true) } else { Value::Null };
            let request = Request::post([PATH]).body(body([
                ("name", json!(name)),
                ("url", json!(address)),
                ("host", json!(host)),
                ("allow_plain_http", flag(allow_plain_http)),
                ("default", flag(default)),
            ]));
            let answer = session.call(request).await?;
            let made: Registry = answer.read()?;
            let (name, host, url) = (&made.name, &made.host, &made.url);
            let sentence =
                format!("Added the registry `{name}`; digests of {host} are asked of {url}.");
            let undo = format!("slipway registry remove {name}");
            session.out.done(answer.document(), &sentence, &undo)?;
        }
        Verb::Test { registry } => return test(session, &registry).await,
        Verb::Remove { registry } => {
            let registry = find(session, &registry).await?;
            let answer = session.call(at(&registry, Request::delete, &[])).await?;
            let sentence = format!("Removed the registry `{}`; images stay.", registry.name);
            session.out.done(answer.document(), &sentence, &added(&registry))?;
        }
    }
    Ok(Exit::Done)
}

/// The line that adds a registry as it was.
fn added(registry: &Registry) -> String {
    let host = match registry.host.as_str() {
        "" => String::new(),
        host => format!(" --host {host}"),
    };
    let plain = if registry.allow_plain_http { " --allow-plain-http" } else { "" };
    let default = if registry.default { " --default" } else { "" };
    format!("slipway registry add {} {}{host}{plain}{default}", registry.name, registry.url)
}

async fn list(session: &Session, limit: usize) -> Result {
    let request = Request::get([PATH]).paged_by("pageSize");
    let Some(page) = session.list(request, "registries", limit).await? else { return Ok(()) };
    let mut table = Table::new(&[">ID", "REGISTRY", "HOST", "DEFAULT", "URL"]);
    for registry in page.read_items::<Registry>()? {
        table.row([
            registry.id.to_string().into(),
            (&registry.name).into(),
            (&registry.host).into(),
            if registry.default { "yes" } else { "" }.into(),
            (&registry.url).into(),
        ]);
    }
    table.print(&session.out, "there is no registry; `slipway registry add NAME URL` adds one")
}

/// All registries.
pub async fn all(session: &Session) -> Result<Page> {
    let request = Request::get([PATH]).paged_by("pageSize");
    session.api.list(request, "registries", 500).await
}

/// Asks a registry whether it answers.
pub async fn try_one(session: &Session, registry: &Registry) -> Result<crate::client::Answer> {
    session.call(at(registry, Request::post, &["test"])).await
}

async fn test(session: &Session, typed: &str) -> Outcome {
    let registry = find(session, typed).await?;
    let answer = try_one(session, &registry).await?;
    let tried: Tried = answer.read()?;
    let styles = session.out.styles();
    let token = if tried.ok { Token::Good } else { Token::Bad };
    let line = format!(
        "{} {}  {} ({} ms)",
        styles.sign(token),
        text::clean(&registry.name),
        text::clean(&tried.detail),
        tried.latency_ms
    );
    match session.out.json() {
        Some(members) => session.out.document(members, answer.document())?,
        None => session.out.say(&line)?,
    }
    Ok(if tried.ok { Exit::Done } else { Exit::Error })
}

async fn find(session: &Session, typed: &str) -> Result<Registry> {
    let mut registries: Vec<Registry> = all(session).await?.read_items()?;
    let is_it = |registry: &Registry| registry.name == typed || registry.id.to_string() == typed;
    if let Some(place) = registries.iter().position(is_it) {
        return Ok(registries.swap_remove(place));
    }
    let failure = Failure::new(Exit::NotFound, format!("there is no registry `{typed}`"));
    Err(match nearest(typed, registries.iter().map(|registry| &*registry.name)) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure.hint("`slipway registry list` shows those there are"),
    })
}

fn at(registry: &Registry, method: fn(Vec<String>) -> Request, rest: &[&str]) -> Request {
    let path = [PATH.to_owned(), registry.id.to_string()];
    method(path.into_iter().chain(rest.iter().map(|part| (*part).to_owned())).collect())
}
