//! `slipway login` and `slipway logout`: the context's token.

use std::io::{IsTerminal as _, Read as _};

use runtime::secret::Secret;
use serde_json::Value;

use super::whoami::Me;
use crate::client::{Client, Request, Target, parse_url, token_from_environment, unknown_context};
use crate::context::{Contexts, Entry};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::options::Options;
use crate::output::Output;

/// What `slipway login` reads at most.
const TOKEN_LIMIT: u64 = 64 << 10;
/// The name of a context that is made by signing in at a URL.
const UNNAMED: &str = "default";

/// Flags of `slipway login`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The token comes from SLIPWAY_TOKEN, else from standard input: \
                        `slipway login < admin-token`. It is never an argument.")]
pub struct Login {}

/// Checks a token and keeps it.
pub async fn login(_: Login, options: &Options, out: &Output) -> Outcome {
    let mut contexts = Contexts::load()?;
    let (name, mut entry) = place(&contexts, options)?;
    let token = read_token(out, &name)?;
    let target = Target::of(&name, &entry, None)?.with_token(token.clone());
    let me = Client::new(target)?.call(Request::get(["me"])).await?;
    let who: Me = me.read()?;
    let before = contexts.current.clone();
    entry.token = Some(token.expose().to_owned());
    let url = entry.url.clone();
    contexts.contexts.insert(name.clone(), entry);
    contexts.current = Some(name.clone());
    contexts.save()?;
    let undo = match before.filter(|before| *before != name) {
        Some(before) => format!("slipway logout --context {name}; slipway context use {before}"),
        None => format!("slipway logout --context {name}"),
    };
    let sentence = format!("Signed in to {url} (context `{name}`) as {}.", who.sentence());
    out.done(me.document(), &sentence, &undo)?;
    Ok(Exit::Done)
}

/// Forgets the context's token.
pub fn logout(options: &Options, out: &Output) -> Outcome {
    let mut contexts = Contexts::load()?;
    let named = options.context.clone().or_else(|| contexts.current.clone());
    let Some(name) = named else {
        return Err(Failure::new(Exit::NotFound, "no context is in use")
            .hint("`slipway context list` shows those there are"));
    };
    let Some(entry) = contexts.contexts.get_mut(&name) else {
        return Err(unknown_context(&name, &contexts));
    };
    let sentence = match entry.token.take() {
        Some(_) => format!(
            "Signed out of {} (context `{name}`); the token itself works on until it is revoked.",
            entry.url
        ),
        None => format!("Context `{name}` had no token."),
    };
    contexts.save()?;
    out.done(&Value::Null, &sentence, &format!("slipway login --context {name} < FILE"))?;
    Ok(Exit::Done)
}

/// The context to sign in to; one is made for a URL that none has.
fn place(contexts: &Contexts, options: &Options) -> Result<(String, Entry)> {
    let named = options.context.clone().filter(|name| !name.is_empty());
    if let Some(url) = options.url.as_deref().filter(|url| !url.is_empty()) {
        let url = parse_url(url)?.as_str().trim_end_matches('/').to_owned();
        let known = contexts.contexts.iter().find(|(_, entry)| entry.url == url);
        return Ok(match (named, known) {
            (None, Some((name, entry))) => (name.clone(), entry.clone()),
            (named, _) => {
                let name = named.unwrap_or_else(|| UNNAMED.to_owned());
                (name, Entry { url, token: None, ca_file: None })
            }
        });
    }
    let Some(name) = named.or_else(|| contexts.current.clone()) else {
        return Err(Failure::usage("it is not known where to sign in")
            .hint("`slipway login --url URL < FILE`"));
    };
    match contexts.contexts.get(&name) {
        Some(entry) => Ok((name, entry.clone())),
        None => Err(unknown_context(&name, contexts)),
    }
}

fn read_token(out: &Output, name: &str) -> Result<Secret> {
    if let Some(token) = token_from_environment() {
        return Ok(token);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        out.note(&format!("Paste the token for `{name}`, then press Enter and Ctrl-D:"));
    }
    let mut text = String::new();
    let read = stdin.lock().take(TOKEN_LIMIT).read_to_string(&mut text);
    read.map_err(|error| Failure::usage("standard input holds no token").cause(&error))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::usage("standard input holds no token")
            .hint("`slipway login < FILE`, or put it into SLIPWAY_TOKEN"));
    }
    Ok(Secret::new(token))
}
