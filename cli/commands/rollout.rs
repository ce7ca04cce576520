//! `slipway rollout`: releases on their way to the devices.

pub mod create;
mod show;
mod steer;

use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use crate::client::Request;
use crate::complete::{self, POLICIES, ROLLOUTS};
use crate::documents::rollout::Rollout;
use crate::failure::{Exit, Outcome, Result};
use crate::ids::{self, Kind, shorten};
use crate::images;
use crate::output::{Cell, Table, text, time};
use crate::session::Session;
use crate::watch;

/// Verbs of `slipway rollout`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List rollouts, newest first
    List(List),
    /// Show a rollout, its steps and its failing devices
    Show {
        /// Its id, the beginning of it, or the image: its newest rollout
        #[arg(add = complete::of(&ROLLOUTS))]
        rollout: String,
    },
    /// List the devices of a rollout, in the order of its steps
    Devices(show::Devices),
    /// Follow a rollout to its end; without an id the newest that is under way
    Watch {
        /// Its id, the beginning of it, or the image: its newest rollout
        #[arg(add = complete::of(&ROLLOUTS))]
        rollout: Option<String>,
        /// Give up after this long, such as `20m`
        #[arg(long, value_name = "LENGTH", value_parser = time::parse_duration)]
        timeout: Option<Duration>,
    },
    /// Tell what a rollout waits for, condition by condition
    Explain {
        /// Its id, the beginning of it, or the image: its newest rollout
        #[arg(add = complete::of(&ROLLOUTS))]
        rollout: String,
    },
    /// Bring an image to devices now, as if its registry had pushed it
    Create(create::Create),
    /// Tell which devices would get an image, in which steps; nothing changes
    Preview(create::Preview),
    /// Start a rollout that waits for its start
    Start(steer::Order),
    /// Send nothing more; devices that move finish
    Pause(steer::Order),
    /// Go on; failures so far no longer count
    Resume(steer::Order),
    /// Let the next batch begin once the one before is complete, without watching that first
    #[command(visible_alias = "advance")]
    Promote(steer::Promote),
    /// Try failed devices again
    Retry(steer::Order),
    /// End a rollout; updated devices stay as they are, or go back with --revert
    Cancel(steer::Cancel),
    /// Take every device back to what it ran before
    Rollback(steer::Rollback),
}

/// Flags of `slipway rollout list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those that have not ended
    #[arg(long)]
    active: bool,
    /// Only those with this status
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those of this image
    #[arg(long)]
    image: Option<String>,
    /// Only those of this policy, by name or id
    #[arg(long, add = complete::of(&POLICIES))]
    policy: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// It waits for its start, or its time
    Pending,
    /// It goes forward, or back
    InProgress,
    /// It is stopped, by a person or by itself
    Paused,
    /// It ended well
    Completed,
    /// It failed
    Failed,
    /// A person or a newer release ended it
    Cancelled,
    /// Its devices went back
    RolledBack,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// Rollouts, by id.
pub const KIND: Kind = Kind { noun: "rollout", path: "rollouts", items: "rollouts", names: &[] };

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List(filter) => list(session, filter).await?,
        Verb::Show { rollout } => show::show(session, &rollout).await?,
        Verb::Devices(devices) => show::devices(session, devices).await?,
        Verb::Watch { rollout, timeout } => {
            let id = match rollout {
                Some(rollout) => resolve(session, &rollout).await?,
                None => watch::newest(session, timeout).await?,
            };
            return watch::run(session, &id, timeout).await;
        }
        Verb::Explain { rollout } => show::explain(session, &rollout).await?,
        Verb::Create(create) => return create::create(session, create).await,
        Verb::Preview(preview) => create::preview(session, preview).await?,
        Verb::Start(order) => steer::start(session, order).await?,
        Verb::Pause(order) => steer::pause(session, order).await?,
        Verb::Resume(order) => steer::resume(session, order).await?,
        Verb::Promote(promote) => steer::promote(session, promote).await?,
        Verb::Retry(order) => steer::retry(session, order).await?,
        Verb::Cancel(cancel) => steer::cancel(session, cancel).await?,
        Verb::Rollback(rollback) => steer::roll_back(session, rollback).await?,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, filter: List) -> Result {
    let policy = match &filter.policy {
        Some(policy) => Some(super::policy::KIND.resolve(session, policy).await?),
        None => None,
    };
    let path = if filter.active { vec![KIND.path, "active"] } else { vec![KIND.path] };
    let request = Request::get(path)
        .query_if("status", filter.status.map(Status::word))
        .query_if("image", filter.image)
        .query_if("policy_id", policy);
    let Some(page) = session.list(request, KIND.items, filter.limit).await? else {
        return Ok(());
    };
    let rollouts: Vec<Rollout> = page.read_items()?;
    table(&rollouts).print(
        &session.out,
        "there is no such rollout; `slipway push test IMAGE:TAG` may begin one",
    )
}

/// Rollouts as a table.
pub fn table(rollouts: &[Rollout]) -> Table {
    let ids = shorten(rollouts.iter().map(|rollout| &*rollout.id));
    let mut table = Table::new(&["ROLLOUT", "IMAGE", ">DONE", "STATE", "NEXT"]);
    for (rollout, id) in rollouts.iter().zip(ids) {
        table.row([
            id.into(),
            rollout.image().into(),
            done(rollout).into(),
            Cell::word(rollout.word()),
            rollout.outlook().into(),
        ]);
    }
    table
}

/// `323/1,200`: how many devices have it.
fn done(rollout: &Rollout) -> String {
    let (done, all) = (rollout.tally.succeeded, rollout.device_count);
    format!("{}/{}", text::number(done), text::number(all))
}

/// How many rollouts are looked through for an image's newest.
const LOOKED_THROUGH: usize = 1_000;

/// Asks for a rollout alone: its page comes with all its devices.
pub fn without_devices(id: &str) -> Request {
    Request::get([KIND.path, id, "explain"])
}

/// The whole id of what was typed. The server knows rollouts by the beginning of their id; an image
/// names its newest one.
async fn resolve(session: &Session, typed: &str) -> Result<String> {
    if let Some(image) = images::typed_image(typed) {
        let page = session.api.list(Request::get([KIND.path]), KIND.items, LOOKED_THROUGH).await?;
        let newest = page.items().iter().find(|rollout| rollout["image"] == image.as_str());
        if let Some(id) = newest.and_then(|rollout| rollout["id"].as_str()) {
            return Ok(id.to_owned());
        }
    }
    if ids::is_beginning(typed) {
        let answer = session.api.ask(without_devices(&typed.to_ascii_lowercase())).await?;
        if answer.is_success() {
            return Ok(Rollout::of(answer.document())?.id);
        }
    }
    KIND.resolve(session, typed).await
}

/// Reads the rollout that was typed.
async fn find(session: &Session, typed: &str) -> Result<(String, Rollout)> {
    let id = resolve(session, typed).await?;
    let answer = session.call(without_devices(&id)).await?;
    Ok((id, Rollout::of(answer.document())?))
}
