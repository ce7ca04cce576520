//! What every operators' command works with: one server, and the way it prints.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use chrono::{DateTime, Utc};
use runtime::Clock;
use runtime::secret::Secret;
use serde_json::Value;

use crate::client::{Answer, Client, Page, Request, Target};
use crate::failure::{Exit, Failure, Result};
use crate::options::Options;
use crate::output::{Output, text};

/// How many devices a command may move before it asks.
const MANY_DEVICES: u64 = 100;

/// One run of a command.
#[derive(Debug)]
pub struct Session {
    /// The server.
    pub api: Client,
    /// Where it prints.
    pub out: Output,
}

impl Session {
    /// Chooses server and identity; nothing is called yet.
    pub fn open(options: &Options, out: &Output) -> Result<Self> {
        Ok(Self { api: Client::new(Target::choose(options)?)?, out: out.clone() })
    }

    /// Calls; a refusal is a failure.
    pub async fn call(&self, request: Request) -> Result<Answer> {
        self.api.call(request).await
    }

    /// Gets one document. With `--json` it is printed, and nothing is left to show.
    pub async fn show(&self, request: Request) -> Result<Option<Answer>> {
        let answer = self.api.call(request).await?;
        match self.out.json() {
            Some(members) => {
                self.out.document(members, answer.document())?;
                Ok(None)
            }
            None => Ok(Some(answer)),
        }
    }

    /// Gets a list. With `--json` it is printed, and nothing is left to show. A list that was cut
    /// short says so.
    pub async fn list(
        &self,
        request: Request,
        items: &'static str,
        limit: usize,
    ) -> Result<Option<Page>> {
        let page = self.api.list(request, items, limit).await?;
        if page.len() < page.total() {
            let (here, all) = (text::number(page.len() as u64), text::number(page.total() as u64));
            self.out.note(&format!("{here} of {all} {items}; --limit {} shows all", page.total()));
        }
        match self.out.json() {
            Some(members) if members.is_all() => self.out.say(&page.document().to_string())?,
            Some(members) => self.out.items(members, page.items())?,
            None => return Ok(Some(page)),
        }
        Ok(None)
    }

    /// The server's time where it told one: ages are right even where this machine's clock is not.
    pub fn now(&self, answered: Option<DateTime<Utc>>) -> DateTime<Utc> {
        answered.unwrap_or_else(|| Clock::system().now())
    }

    /// Asks before something that concerns many devices. Off a terminal `--yes` is the answer.
    pub fn confirm(&self, what: &str, yes: bool) -> Result {
        if yes {
            return Ok(());
        }
        let place = self.api.target().place();
        let question = format!("{what} at {place}");
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::usage(format!("{question}: this needs --yes"))
                .hint("repeat the command with --yes when this is meant"));
        }
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{}. Go on? [y/N] ", text::clean(&question));
        let _ = err.flush();
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        match (read, answer.trim().to_ascii_lowercase().as_str()) {
            (Ok(_), "y" | "yes") => Ok(()),
            _ => Err(Failure::new(Exit::Error, "stopped; nothing was changed")),
        }
    }

    /// [`confirm`](Self::confirm), but off a terminal what is asked for is meant.
    pub fn confirm_at_terminal(&self, what: &str, yes: bool) -> Result {
        let is_person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        self.confirm(what, yes || !is_person)
    }

    /// [`confirm`](Self::confirm), when it concerns more than 100 devices.
    pub fn confirm_many(&self, what: &str, devices: u64, yes: bool) -> Result {
        if devices <= MANY_DEVICES {
            return Ok(());
        }
        self.confirm(&format!("{what}: {}", text::count(devices, "device")), yes)
    }
}

/// The time that lies this far ahead, as the API takes it.
pub fn in_future(span: Option<std::time::Duration>) -> Result<Option<String>> {
    let Some(span) = span else { return Ok(None) };
    let end = chrono::TimeDelta::from_std(span)
        .ok()
        .and_then(|span| Clock::system().now().checked_add_signed(span));
    match end {
        Some(end) => Ok(Some(end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))),
        None => Err(Failure::usage("that is too far ahead")),
    }
}

/// A secret out of a file; `-` is standard input. Secrets are never arguments.
pub fn read_secret(path: &Path) -> Result<Secret> {
    let wrong = |error: &std::io::Error| {
        Failure::usage(format!("`{}` holds no secret", path.display())).cause(error)
    };
    if path != Path::new("-") {
        return Secret::read(path).map_err(|error| wrong(&error));
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).map_err(|error| wrong(&error))?;
    match text.trim() {
        "" => Err(Failure::usage("standard input holds no secret")),
        text => Ok(Secret::new(text)),
    }
}

/// A JSON document out of a file; `-` is standard input.
pub fn read_document(path: &Path) -> Result<Value> {
    let text = match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    let text = text.map_err(|error| {
        Failure::usage(format!("`{}` cannot be read", path.display())).cause(&error)
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("`{}` is no JSON: {error}", path.display())))
}

/// Leaves out what was not given.
pub fn body<const N: usize>(members: [(&str, Value); N]) -> Value {
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| (name.to_owned(), value)).collect()
}
