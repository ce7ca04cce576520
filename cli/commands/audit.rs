//! `slipway audit`: who did what.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Subcommand;
use runtime::Clock;
use serde::Deserialize;

use crate::client::{Page, Request};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::output::{Table, Token, text, time};
use crate::session::Session;

/// Verbs of `slipway audit`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List what was done, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Recompute the chain and find the first entry that was changed, removed or moved
    Verify {
        /// Check from this entry on
        #[arg(long, value_name = "SEQUENCE")]
        from: Option<i64>,
    },
    /// Print entries as JSON, a line for each, newest first
    Export {
        #[command(flatten)]
        filter: Filter,
    },
}

/// Which entries.
#[derive(Debug, clap::Args)]
pub struct Filter {
    /// Only what this actor did, or others did for it
    #[arg(long, value_name = "ACTOR")]
    user: Option<String>,
    /// Only this type of event; `*` at the end takes all that begin so
    #[arg(long, value_name = "TYPE")]
    action: Option<String>,
    /// Only what was done to this: a name or an id
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Only entries at or after this time, such as `2026-11-21T00:00:00Z`
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Only entries before this time
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
}

impl Filter {
    fn request(self) -> Request {
        let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339());
        Request::get(["audit"])
            .query_if("user", self.user)
            .query_if("action", self.action)
            .query_if("resource", self.resource)
            .query_if("from", time(self.from))
            .query_if("to", time(self.to))
    }
}

/// How many entries are asked for at once.
const EXPORT_PAGE: usize = 500;
/// How many entries can be paged through.
const REACHED_BY_OFFSET: usize = 10_000;

#[derive(Debug, Deserialize)]
struct Entry {
    id: i64,
    timestamp: DateTime<Utc>,
    #[serde(default)]
    user: String,
    action: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    ip_address: String,
}

#[derive(Debug, Deserialize)]
struct Verified {
    intact: bool,
    #[serde(default)]
    checked_to: u64,
    #[serde(default)]
    checked_count: u64,
    #[serde(default)]
    broken_at: u64,
    #[serde(default)]
    problem: String,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { filter, limit } => list(session, filter, limit).await?,
        Verb::Verify { from } => verify(session, from).await?,
        Verb::Export { filter } => export(session, filter).await?,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, filter: Filter, limit: usize) -> Result {
    let Some(page) = session.list(filter.request(), "logs", limit).await? else { return Ok(()) };
    let now = session.now(page.time());
    let mut table = Table::new(&[">ENTRY", "WHEN", "WHO", "FROM", "WHAT", "TO WHAT"]);
    for entry in page.read_items::<Entry>()? {
        table.row([
            entry.id.to_string().into(),
            time::since(entry.timestamp, now).into(),
            entry.user.into(),
            entry.ip_address.into(),
            entry.action.into(),
            entry.resource.into(),
        ]);
    }
    table.print(&session.out, "there is no such entry")
}

async fn verify(session: &Session, from: Option<i64>) -> Result {
    let request =
        Request::get(["audit", "verify"]).query_if("from", from.map(|from| from.to_string()));
    let answer = session.call(request).await?;
    let verified: Verified = answer.read()?;
    if let Some(members) = session.out.json() {
        session.out.document(members, answer.document())?;
    }
    if !verified.intact {
        let what = format!(
            "the audit log is broken at entry {}: {}",
            verified.broken_at, verified.problem
        );
        return Err(Failure::new(Exit::Error, what).hint(
            "keep a copy of the database as it is; `slipway audit list` shows the entries around it",
        ));
    }
    if session.out.json().is_some() {
        return Ok(());
    }
    let sign = session.out.styles().sign(Token::Good);
    let checked = match verified.checked_count {
        1 => "1 entry".to_owned(),
        count => format!("{} entries", text::number(count)),
    };
    session.out.say(&format!(
        "{sign} verified to entry {}: {checked}, each as it was written",
        text::number(verified.checked_to)
    ))
}

/// Prints the log in windows of time, each small enough to be paged through: an offset reaches only
/// so far. The windows do not overlap, so each entry is printed once.
async fn export(session: &Session, filter: Filter) -> Result {
    let now = Clock::system().now();
    // A little ahead, for servers whose clock is.
    let to = filter.to.unwrap_or(now + TimeDelta::days(1));
    let from = filter.from.unwrap_or(DateTime::UNIX_EPOCH);
    let request = filter.request();
    let mut windows = vec![(from, to)];
    while let Some((from, to)) = windows.pop() {
        let request = request
            .clone()
            .query("from", from.to_rfc3339())
            .query("to", to.to_rfc3339())
            .page_of(EXPORT_PAGE);
        let page = session.api.page(request.clone(), "logs").await?;
        let half = (to - from) / 2;
        if page.total() > REACHED_BY_OFFSET && half > TimeDelta::zero() {
            windows.push((from, from + half));
            windows.push((from + half, to));
            continue;
        }
        print_all(session, request, page).await?;
    }
    Ok(())
}

async fn print_all(session: &Session, request: Request, mut page: Page) -> Result {
    loop {
        for item in page.items() {
            let line = match session.out.json() {
                Some(members) => members.of_object(item),
                None => item.to_string(),
            };
            session.out.say(&line)?;
        }
        let Some(next) = page.next(&request) else { return Ok(()) };
        page = session.api.page(next, "logs").await?;
    }
}
