//! `slipway context`: which Slipway to talk to, and as whom.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::{parse_url, unknown_context};
use crate::complete;
use crate::context::{Contexts, Entry};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::output::{Cell, Output, Table, Token};

/// Verbs of `slipway context`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the contexts
    List,
    /// Talk to this one from now on
    Use {
        /// Its name
        #[arg(value_name = "CONTEXT", add = complete::contexts())]
        name: String,
    },
    /// Add a context, or change its URL; `slipway login` gives it a token
    Add {
        /// What to call it
        #[arg(value_name = "CONTEXT")]
        name: String,
        /// The gateway's URL
        #[arg(value_name = "GATEWAY")]
        gateway: String,
        /// File with certificates (PEM) to trust beside the system's
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
    },
    /// Remove a context with its token
    Remove {
        /// Its name
        #[arg(value_name = "CONTEXT", add = complete::contexts())]
        name: String,
    },
}

/// Runs a verb.
pub fn run(verb: Verb, out: &Output) -> Outcome {
    let contexts = Contexts::load()?;
    match verb {
        Verb::List => list(&contexts, out)?,
        Verb::Use { name } => use_it(contexts, name, out)?,
        Verb::Add { name, gateway, ca_file } => add(contexts, name, &gateway, ca_file, out)?,
        Verb::Remove { name } => remove(contexts, &name, out)?,
    }
    Ok(Exit::Done)
}

fn list(contexts: &Contexts, out: &Output) -> Result {
    let is_current = |name: &str| contexts.current.as_deref() == Some(name);
    if let Some(members) = out.json() {
        let items: Vec<Value> = contexts
            .contexts
            .iter()
            .map(|(name, entry)| shown(name, entry, is_current(name)))
            .collect();
        return out.items(members, &items);
    }
    let mut table = Table::new(&["", "CONTEXT", "SIGNED IN", "URL"]);
    for (name, entry) in &contexts.contexts {
        let signed_in = match entry.token {
            Some(_) => Cell::word(("yes", Token::Good)),
            None => Cell::word(("no", Token::Calm)),
        };
        let mark = if is_current(name) { "*" } else { "" };
        table.row([mark.into(), name.into(), signed_in, (&entry.url).into()]);
    }
    table.print(out, "there is no context; `slipway context add NAME URL` adds one")
}

/// A context as JSON shows it: never its token.
fn shown(name: &str, entry: &Entry, is_current: bool) -> Value {
    json!({
        "name": name,
        "url": entry.url,
        "current": is_current,
        "signed_in": entry.token.is_some(),
        "ca_file": entry.ca_file,
    })
}

fn use_it(mut contexts: Contexts, name: String, out: &Output) -> Result {
    let Some(entry) = contexts.contexts.get(&name) else {
        return Err(unknown_context(&name, &contexts));
    };
    let document = shown(&name, entry, true);
    let sentence = format!("Using `{name}`: {}.", entry.url);
    let undo = match contexts.current.replace(name.clone()) {
        Some(before) if before != name => format!("slipway context use {before}"),
        Some(_) => "none needed; it was in use".to_owned(),
        None => format!("slipway context remove {name}"),
    };
    contexts.save()?;
    out.done(&document, &sentence, &undo)
}

fn add(
    mut contexts: Contexts,
    name: String,
    gateway: &str,
    ca_file: Option<PathBuf>,
    out: &Output,
) -> Result {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Failure::usage(format!("`{name}` is no name; write one word")));
    }
    let url = parse_url(gateway)?.as_str().trim_end_matches('/').to_owned();
    let ca_file = match ca_file {
        Some(path) => Some(std::path::absolute(&path).map_err(|error| {
            Failure::usage(format!("--ca-file `{}` has no absolute path", path.display()))
                .cause(&error)
        })?),
        None => None,
    };
    let before = contexts.contexts.get(&name);
    // A token must not go to another server than it was given for.
    let token = before.filter(|before| before.url == url).and_then(|before| before.token.clone());
    let undo = match before {
        Some(before) => format!("slipway context add {name} {}", before.url),
        None => format!("slipway context remove {name}"),
    };
    let hint = match token {
        Some(_) => String::new(),
        None => format!("; `slipway login --context {name}` signs in"),
    };
    let entry = Entry { url, token, ca_file };
    let is_first = contexts.current.is_none();
    if is_first {
        contexts.current = Some(name.clone());
    }
    let sentence = format!("Added `{name}`: {}{hint}.", entry.url);
    let document = shown(&name, &entry, contexts.current.as_deref() == Some(name.as_str()));
    contexts.contexts.insert(name, entry);
    contexts.save()?;
    out.done(&document, &sentence, &undo)
}

fn remove(mut contexts: Contexts, name: &str, out: &Output) -> Result {
    let Some(entry) = contexts.contexts.remove(name) else {
        return Err(unknown_context(name, &contexts));
    };
    if contexts.current.as_deref() == Some(name) {
        contexts.current = None;
    }
    contexts.save()?;
    let forgotten = if entry.token.is_some() { " with its token" } else { "" };
    out.done(
        &shown(name, &entry, false),
        &format!("Removed `{name}`{forgotten}; the server knows nothing of it."),
        &format!("slipway context add {name} {}", entry.url),
    )
}
