//! `slipway device`: what devices should run, and what they run.

mod change;
mod show;

use clap::Subcommand;

use super::selector::parse_label;
use super::services;
use crate::client::Request;
use crate::complete::{self, DEVICES, FLEETS, IMAGES};
use crate::documents::device::Device;
use crate::failure::{Exit, Outcome, Result};
use crate::ids::{Kind, shorten};
use crate::output::{Cell, Table, time};
use crate::session::Session;

pub use show::wanted;

/// Verbs of `slipway device`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List devices, by name
    List(List),
    /// Show a device: what it should run, and what it runs
    Show {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
    },
    /// Tell why a device does not run what it should
    Explain {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
    },
    /// Show what a device should run, or change it
    Target {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
        #[command(flatten)]
        change: services::Change,
    },
    /// Add a device before it calls; its token is printed this once
    Create {
        /// What to call it
        name: String,
        /// Its fleet
        #[arg(long, add = complete::of(&FLEETS))]
        fleet: String,
        /// A label
        #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
        labels: Vec<(String, String)>,
    },
    /// Set labels, and take away those written with a `-` at the end
    Label {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
        /// `NAME=VALUE`, or `NAME-`
        #[arg(required = true, value_name = "LABEL")]
        labels: Vec<String>,
    },
    /// Give a device another name
    Rename {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
        /// What to call it
        name: String,
    },
    /// Put a device into another fleet
    Move {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
        /// The fleet
        #[arg(add = complete::of(&FLEETS))]
        fleet: String,
    },
    /// Hold a device at what it runs: rollouts leave it out
    Pin {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let rollouts take a device again
    Unpin {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
    },
    /// Make a new token for a device; it is printed this once
    Token {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
    },
    /// End a device's credentials at once; what it runs goes on
    Revoke {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Remove a device
    Remove {
        /// Its name or id
        #[arg(add = complete::of(&DEVICES))]
        device: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Flags of `slipway device list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those of this fleet
    #[arg(long, add = complete::of(&FLEETS))]
    fleet: Option<String>,
    /// Only those with this label
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Only those that should run this image, whatever its tag
    #[arg(long, add = complete::of(&IMAGES))]
    image: Option<String>,
    /// Only connected ones
    #[arg(long)]
    online: bool,
    /// Only those that are not connected
    #[arg(long, conflicts_with = "online")]
    offline: bool,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Devices, by name or id.
pub const KIND: Kind = Kind { noun: "device", path: "devices", items: "devices", names: &["name"] };

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List(filter) => list(session, filter).await?,
        Verb::Show { device } => show::show(session, &device).await?,
        Verb::Explain { device } => show::explain(session, &device).await?,
        Verb::Target { device, change } if change.is_empty() => {
            show::target(session, &device).await?;
        }
        Verb::Target { device, change } => change::target(session, &device, &change).await?,
        Verb::Create { name, fleet, labels } => {
            change::create(session, &name, &fleet, labels).await?;
        }
        Verb::Label { device, labels } => change::label(session, &device, &labels).await?,
        Verb::Rename { device, name } => change::rename(session, &device, &name).await?,
        Verb::Move { device, fleet } => change::put_into(session, &device, &fleet).await?,
        Verb::Pin { device, reason } => change::pin(session, &device, reason).await?,
        Verb::Unpin { device } => change::unpin(session, &device).await?,
        Verb::Token { device } => change::token(session, &device).await?,
        Verb::Revoke { device, yes } => change::revoke(session, &device, yes).await?,
        Verb::Remove { device, yes } => change::remove(session, &device, yes).await?,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, filter: List) -> Result {
    let labels: Vec<_> =
        filter.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let online = match (filter.online, filter.offline) {
        (true, _) => Some("true"),
        (false, true) => Some("false"),
        (false, false) => None,
    };
    let request = Request::get([KIND.path])
        .query_if("fleet", filter.fleet)
        .query_if("labels", (!labels.is_empty()).then(|| labels.join(",")))
        .query_if("image", filter.image)
        .query_if("online", online);
    let Some(page) = session.list(request, KIND.items, filter.limit).await? else {
        return Ok(());
    };
    let now = session.now(page.time());
    let devices: Vec<Device> = page.read_items()?;
    let ids = shorten(devices.iter().map(|device| &*device.id));
    let mut table = Table::new(&["ID", "DEVICE", "FLEET", "STATE", "SEEN", "RUNS"]);
    for (device, id) in devices.iter().zip(ids) {
        table.row([
            id.into(),
            (&device.name).into(),
            (&device.fleet).into(),
            Cell::word(device.word()),
            time::since_or(device.last_seen_at, now, "never").into(),
            show::runs(device).into(),
        ]);
    }
    table.print(
        &session.out,
        "there is no such device; `slipway enrolment-key create NAME --fleet FLEET` lets some join",
    )
}
