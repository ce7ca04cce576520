//! `slipway fleet`: groups of devices.

use clap::Subcommand;
use serde::Deserialize;

use super::device::wanted;
use super::services::{self, Change};
use crate::client::Request;
use crate::complete::{self, FLEETS};
use crate::documents::device::{Fleet, Service};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text};
use crate::session::Session;
use runtime::nearest::nearest;

/// Verbs of `slipway fleet`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List fleets with how their devices stand
    List,
    /// Show a fleet and its template
    Show {
        /// Its name
        #[arg(add = complete::of(&FLEETS))]
        fleet: String,
    },
    /// Show what devices of a fleet run when they have no target of their own, or change it
    Template {
        /// The fleet's name
        #[arg(add = complete::of(&FLEETS))]
        fleet: String,
        #[command(flatten)]
        change: Change,
        /// Do not ask, however many devices it concerns
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    services: Vec<Service>,
    devices: u64,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List => list(session).await?,
        Verb::Show { fleet } => show(session, &fleet).await?,
        Verb::Template { fleet, change, .. } if change.is_empty() => {
            template(session, &fleet).await?;
        }
        Verb::Template { fleet, change, yes } => set(session, &fleet, &change, yes).await?,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session) -> Result {
    let request = Request::get(["fleets"]);
    let Some(page) = session.list(request, "fleets", usize::MAX).await? else { return Ok(()) };
    table(&page.read_items::<Fleet>()?).print(
        &session.out,
        "there is no fleet; `slipway enrolment-key create NAME --fleet FLEET` begins one",
    )
}

/// Fleets as a table.
pub fn table(fleets: &[Fleet]) -> Table {
    let mut table = Table::new(&["FLEET", ">DEVICES", ">ONLINE", ">AS IT SHOULD", "TEMPLATE"]);
    for fleet in fleets {
        let images: Vec<_> = fleet.template.iter().map(Service::familiar).collect();
        table.row([
            (&fleet.name).into(),
            text::number(fleet.device_count).into(),
            share(fleet.online_count, fleet.device_count, Token::Off),
            share(fleet.in_sync_count, fleet.device_count, Token::Move),
            images.join(", ").into(),
        ]);
    }
    table
}

/// A count, coloured where it is not all of them.
fn share(count: u64, all: u64, token: Token) -> Cell {
    let cell = Cell::new(text::number(count));
    if count < all { cell.painted(token) } else { cell }
}

async fn show(session: &Session, name: &str) -> Result {
    let request = Request::get(["fleets", name]);
    let answer = match session.show(request).await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Ok(()),
        Err(failure) => return Err(with_nearest(session, failure, name).await),
    };
    let fleet: Fleet = answer.read()?;
    let out = &session.out;
    Facts::default()
        .with("fleet", &fleet.name)
        .with("devices", text::number(fleet.device_count))
        .with("online", text::number(fleet.online_count))
        .with("as it should", text::number(fleet.in_sync_count))
        .print(out)?;
    out.say("")?;
    wanted(&fleet.template).print(out, "it has no template: new devices run nothing")
}

async fn template(session: &Session, name: &str) -> Result {
    let request = Request::get(["fleets", name, "template"]);
    let answer = match session.show(request).await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Ok(()),
        Err(failure) => return Err(with_nearest(session, failure, name).await),
    };
    let template: Template = answer.read()?;
    let empty = format!(
        "it has no template; `slipway fleet template {name} --set SERVICE=IMAGE:TAG` makes one"
    );
    wanted(&template.services).print(&session.out, &empty)
}

/// Changes a template. The images are admitted like a push.
async fn set(session: &Session, name: &str, change: &Change, yes: bool) -> Result {
    let before = session.api.ask(Request::get(["fleets", name])).await?;
    // A fleet begins with its template.
    let before: Fleet = match before.status().as_u16() {
        404 => Fleet::default(),
        _ if before.is_success() => before.read()?,
        _ => return Err(session.api.refusal(&before)),
    };
    let what = format!("this changes the template of {name}");
    session.confirm_many(&what, before.device_count, yes)?;
    let body = change.body(&before.template)?;
    let answer = session.call(Request::put(["fleets", name, "template"]).body(body)).await?;
    let after: Template = answer.read()?;
    let took = match after.devices {
        0 => "no device runs nothing, so none took it".to_owned(),
        devices => format!("{} took it at once", text::count(devices, "device")),
    };
    let services = text::count(after.services.len() as u64, "service");
    let undo = match services::flags(&before.template, &after.services).as_str() {
        "" => "none needed; nothing changed".to_owned(),
        flags => format!("slipway fleet template {name} {flags}"),
    };
    session.out.done(
        answer.document(),
        &format!("The template of {name} has {services}; {took}."),
        &undo,
    )
}

/// A fleet that is not there: perhaps another one is meant.
async fn with_nearest(session: &Session, failure: Failure, name: &str) -> Failure {
    if failure.exit() != Exit::NotFound {
        return failure;
    }
    let fleets = session.api.list(Request::get(["fleets"]), "fleets", 1_000).await;
    let fleets = fleets.and_then(|page| page.read_items::<Fleet>()).unwrap_or_default();
    match nearest(name, fleets.iter().map(|fleet| &*fleet.name)) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure.hint("`slipway fleet list` shows those there are"),
    }
}
