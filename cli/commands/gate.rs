//! `slipway gate`: the rules by which images are admitted.

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Request;
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::output::table::Facts;
use crate::session::Session;

/// Verbs of `slipway gate`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the rules in force
    Show,
    /// Change rules; they hold for every push from then on
    Set(Set),
}

/// Flags of `slipway gate set`.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// What happens to a push of a tag that an approved image does not list
    #[arg(long, value_enum, value_name = "WHAT")]
    unknown_tag: Option<UnknownTag>,
    /// Whether adding an image or a tag asks its registry first
    #[arg(long, value_enum, value_name = "WHAT")]
    verify_upstream: Option<VerifyUpstream>,
    /// Admit images of this namespace unasked, such as `ghcr.io/acme`
    #[arg(long, value_name = "HOST/NAMESPACE")]
    add_internal: Vec<String>,
    /// Admit images of this namespace unasked no more
    #[arg(long, value_name = "HOST/NAMESPACE")]
    remove_internal: Vec<String>,
    /// Do not ask: it concerns every image
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnknownTag {
    /// The tag is added and the push goes on
    #[value(alias = "auto_add")]
    AutoAdd,
    /// The push is held and a person is asked
    Request,
    /// The push is denied
    Deny,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VerifyUpstream {
    /// Nothing is asked
    Off,
    /// What cannot be verified is added with a warning
    Warn,
    /// What cannot be verified is refused
    Require,
}

impl UnknownTag {
    fn word(self) -> &'static str {
        match self {
            Self::AutoAdd => "auto_add",
            Self::Request => "request",
            Self::Deny => "deny",
        }
    }
}

impl VerifyUpstream {
    fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Require => "require",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Gate {
    unknown_tag: String,
    verify_upstream: String,
    #[serde(default)]
    internal_namespaces: Vec<Namespace>,
    #[serde(default)]
    repin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Namespace {
    host: String,
    namespace: String,
}

impl Namespace {
    fn parse(text: &str) -> Result<Self> {
        let part = text.trim_end_matches('/').split_once('/');
        match part.filter(|(host, namespace)| !host.is_empty() && !namespace.is_empty()) {
            Some((host, namespace)) => {
                Ok(Self { host: host.to_owned(), namespace: namespace.to_owned() })
            }
            None => Err(Failure::usage(format!("`{text}` is no namespace"))
                .hint("write host and namespace, such as `docker.io/iotistic`")),
        }
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.host, self.namespace)
    }

    fn body(&self) -> Value {
        json!({"host": self.host, "namespace": self.namespace})
    }
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::Show => show(session).await?,
        Verb::Set(set) => change(session, set).await?,
    }
    Ok(Exit::Done)
}

async fn show(session: &Session) -> Result {
    let Some(answer) = session.show(Request::get(["gate"])).await? else { return Ok(()) };
    let gate: Gate = answer.read()?;
    let namespaces: Vec<_> = gate.internal_namespaces.iter().map(Namespace::shown).collect();
    Facts::default()
        .with("unknown tag", told(&gate.unknown_tag, &UNKNOWN_TAG))
        .with("verify upstream", told(&gate.verify_upstream, &VERIFY_UPSTREAM))
        .with("new digest", told(&gate.repin, &REPIN))
        .with("internal", namespaces.join(", "))
        .print(&session.out)
}

const UNKNOWN_TAG: [(&str, &str); 3] = [
    ("auto_add", "a push of a tag that is not listed adds it and goes on"),
    ("request", "a push of a tag that is not listed is held for a review"),
    ("deny", "a push of a tag that is not listed is denied"),
];
const VERIFY_UPSTREAM: [(&str, &str); 3] = [
    ("off", "adding an image or a tag asks no registry"),
    ("warn", "what its registry does not confirm is added with a warning"),
    ("require", "what its registry does not confirm is refused"),
];
const REPIN: [(&str, &str); 1] = [("auto", "a known tag with a new digest takes the new one")];

fn told(value: &str, table: &[(&str, &str)]) -> String {
    match table.iter().find(|(known, _)| *known == value) {
        Some((_, meaning)) => format!("{}: {meaning}", value.replace('_', "-")),
        None => value.to_owned(),
    }
}

async fn change(session: &Session, set: Set) -> Result {
    let before = session.call(Request::get(["gate"])).await?;
    let gate: Gate = before.read()?;
    let mut changes = serde_json::Map::new();
    let mut sentences = Vec::new();
    let mut undo = Vec::new();
    if let Some(word) = set.unknown_tag.map(UnknownTag::word) {
        changes.insert("unknown_tag".to_owned(), json!(word));
        sentences.push(told(word, &UNKNOWN_TAG));
        undo.push(format!("--unknown-tag {}", gate.unknown_tag.replace('_', "-")));
    }
    if let Some(word) = set.verify_upstream.map(VerifyUpstream::word) {
        changes.insert("verify_upstream".to_owned(), json!(word));
        sentences.push(told(word, &VERIFY_UPSTREAM));
        undo.push(format!("--verify-upstream {}", gate.verify_upstream));
    }
    if let Some(namespaces) = namespaces(&gate, &set, &mut undo)? {
        let shown: Vec<_> = namespaces.iter().map(Namespace::shown).collect();
        sentences.push(format!("internal: {}", shown.join(", ")));
        let body = namespaces.iter().map(Namespace::body).collect();
        changes.insert("internal_namespaces".to_owned(), Value::Array(body));
    }
    if changes.is_empty() {
        return Err(Failure::usage("nothing to set")
            .hint("`slipway gate set --help` shows what can be set"));
    }
    session.confirm("this changes the gate for every image", set.yes)?;
    let request = Request::put(["gate"]).body(Value::Object(changes)).if_match(before.etag());
    let answer = session.call(request).await?;
    session.out.done(
        answer.document(),
        &format!("Changed the gate: {}.", sentences.join("; ")),
        &format!("slipway gate set {} --yes", undo.join(" ")),
    )
}

/// The internal namespaces as they should be; none when they stay as they are.
fn namespaces(gate: &Gate, set: &Set, undo: &mut Vec<String>) -> Result<Option<Vec<Namespace>>> {
    if set.add_internal.is_empty() && set.remove_internal.is_empty() {
        return Ok(None);
    }
    let mut namespaces = gate.internal_namespaces.clone();
    for text in &set.add_internal {
        let namespace = Namespace::parse(text)?;
        if !namespaces.contains(&namespace) {
            undo.push(format!("--remove-internal {}", namespace.shown()));
            namespaces.push(namespace);
        }
    }
    for text in &set.remove_internal {
        let namespace = Namespace::parse(text)?;
        let Some(place) = namespaces.iter().position(|known| *known == namespace) else {
            return Err(Failure::new(
                Exit::NotFound,
                format!("`{}` is no internal namespace", namespace.shown()),
            )
            .hint("`slipway gate show` lists them"));
        };
        undo.push(format!("--add-internal {}", namespace.shown()));
        namespaces.remove(place);
    }
    Ok(Some(namespaces))
}
