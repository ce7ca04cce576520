//! `slipway policy`: which images go to which devices, in which steps.

mod rule;

use std::path::PathBuf;

use clap::Subcommand;
use imageref::Reference;
use serde_json::{Value, json};

use crate::client::Request;
use crate::complete::{self, POLICIES};
use crate::documents::policy::{Policy, Preview};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::ids::{Kind, shorten};
use crate::images;
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text, time};
use crate::session::{Session, read_document};

pub use rule::without_read_only;

/// Verbs of `slipway policy`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List policies, in the order in which they are asked
    List {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show a policy, with every rule as it is in force
    Show {
        /// Its name or id
        #[arg(add = complete::of(&POLICIES))]
        policy: String,
    },
    /// Add a policy
    Create(Box<rule::Create>),
    /// Add the policy that a JSON file holds, or change the one of its name to be so
    Apply {
        /// The file; `-` = standard input
        file: PathBuf,
        /// Do not ask, also where it takes the whole fleet
        #[arg(long, short)]
        yes: bool,
    },
    /// Tell which devices a policy would update with an image, in which steps; nothing changes
    Preview {
        /// Its name or id, or a JSON file when it is a path with a `/` or a `.json`
        #[arg(add = complete::of(&POLICIES))]
        policy: String,
        /// The image with tag, digest or both
        #[arg(value_name = "IMAGE:TAG")]
        image: String,
    },
    /// Let a policy match again
    Enable {
        /// Its name or id
        #[arg(add = complete::of(&POLICIES))]
        policy: String,
        /// Do not ask, also where it takes the whole fleet
        #[arg(long, short)]
        yes: bool,
    },
    /// Let a policy match nothing; rollouts under way go on
    Disable {
        /// Its name or id
        #[arg(add = complete::of(&POLICIES))]
        policy: String,
    },
    /// Remove a policy
    Remove {
        /// Its name or id
        #[arg(add = complete::of(&POLICIES))]
        policy: String,
    },
}

/// Policies, by name or id.
pub const KIND: Kind =
    Kind { noun: "policy", path: "policies", items: "policies", names: &["name", "image_pattern"] };

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { limit } => list(session, limit).await?,
        Verb::Show { policy } => show(session, &policy).await?,
        Verb::Create(create) => rule::create(session, *create).await?,
        Verb::Apply { file, yes } => rule::apply(session, read_document(&file)?, yes).await?,
        Verb::Preview { policy, image } => {
            let reference = images::reference(&image)?;
            let rule = match is_file(&policy) {
                true => read_document(policy.as_ref())?,
                false => find(session, &policy).await?,
            };
            try_out(session, without_read_only(&rule), &reference).await?;
        }
        Verb::Enable { policy, yes } => rule::enable(session, &policy, true, yes).await?,
        Verb::Disable { policy } => rule::enable(session, &policy, false, true).await?,
        Verb::Remove { policy } => remove(session, &policy).await?,
    }
    Ok(Exit::Done)
}

fn is_file(typed: &str) -> bool {
    typed == "-" || typed.ends_with(".json") || typed.starts_with(['/', '.'])
}

async fn list(session: &Session, limit: usize) -> Result {
    let request = Request::get([KIND.path]);
    let Some(page) = session.list(request, KIND.items, limit).await? else { return Ok(()) };
    let policies: Vec<Policy> = page.read_items()?;
    let ids = shorten(policies.iter().map(|policy| &*policy.id));
    let mut table =
        Table::new(&["ID", "POLICY", "IMAGES", "HOW", "DEVICES", ">PRIORITY", "STATE", "STEPS"]);
    for (policy, id) in policies.iter().zip(ids) {
        table.row([
            id.into(),
            (&policy.name).into(),
            (&policy.image_pattern).into(),
            (&policy.update_strategy).into(),
            policy.devices().into(),
            policy.priority.to_string().into(),
            state(policy),
            policy.steps().into(),
        ]);
    }
    table.print(
        &session.out,
        "there is no policy; `slipway policy create NAME --images PATTERN` adds one",
    )
}

fn state(policy: &Policy) -> Cell {
    match policy.enabled {
        true => Cell::word(("on", Token::Good)),
        false => Cell::word(("off", Token::Calm)),
    }
}

async fn show(session: &Session, typed: &str) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let Some(answer) = session.show(Request::get([KIND.path, &*id])).await? else {
        return Ok(());
    };
    let policy: Policy = answer.read()?;
    let now = session.now(answer.time());
    Facts::default()
        .with("policy", &policy.name)
        .with("id", &policy.id)
        .with("state", state(&policy))
        .with("images", &policy.image_pattern)
        .with("devices", policy.devices())
        .with("how", &policy.update_strategy)
        .with("steps", policy.steps())
        .with("watched", policy.delay().unwrap_or_default())
        .with("at once", policy.at_once())
        .with("healthy for", policy.device_soak())
        .with("stops", policy.stops())
        .with("starts", policy.start_at.map(time::full).unwrap_or_default())
        .with("priority", policy.priority.to_string())
        .with("revision", policy.revision.to_string())
        .with("changed", time::since_or(policy.updated_at, now, ""))
        .print(&session.out)
}

/// A policy as the API shows it.
pub async fn find(session: &Session, typed: &str) -> Result<Value> {
    let id = KIND.resolve(session, typed).await?;
    Ok(session.call(Request::get([KIND.path, &*id])).await?.document().clone())
}

/// Tells what a policy would do with an image.
pub async fn try_out(session: &Session, rule: Value, reference: &Reference) -> Result {
    let request = Request::post([KIND.path, "preview"])
        .body(json!({"policy": rule, "image": reference.to_string()}));
    let Some(answer) = session.show(request).await? else { return Ok(()) };
    let preview: Preview = answer.read()?;
    let out = &session.out;
    let devices = text::count(preview.devices, "device");
    let steps = text::count(preview.batches.len() as u64, "batch");
    out.say(&match preview.devices {
        0 => format!("{} would go to no device", reference.familiar()),
        _ => format!("{} would go to {devices} in {steps}", reference.familiar()),
    })?;
    if !preview.batches.is_empty() {
        out.say("")?;
    }
    let mut table = Table::new(&[">BATCH", ">SIZE", "DEVICES"]);
    for batch in &preview.batches {
        table.row([
            batch.number.to_string().into(),
            text::number(batch.size).into(),
            batch.span().into(),
        ]);
    }
    if !table.is_empty() {
        table.print(out, "")?;
    }
    left_out(session, &preview)
}

fn left_out(session: &Session, preview: &Preview) -> Result {
    if preview.excluded_count == 0 {
        return Ok(());
    }
    session.out.say("")?;
    session.out.say(&format!("{} left out", text::count(preview.excluded_count, "device")))?;
    let mut table = Table::new(&["DEVICE", "WHY"]);
    for excluded in preview.excluded.iter().take(20) {
        table.row([excluded.name().into(), excluded.why().into()]);
    }
    if preview.excluded_count > 20 {
        session.out.note("the first 20 are shown; --json shows the first 100");
    }
    table.print(&session.out, "")
}

async fn remove(session: &Session, typed: &str) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let answer = session.call(Request::delete([KIND.path, &*id])).await.map_err(in_use)?;
    let policy = answer.document().get("policy").unwrap_or(answer.document());
    let policy: Policy = crate::client::read(policy)?;
    session.out.done(
        answer.document(),
        &format!(
            "Removed the policy `{}`; pushes of {} follow it no more.",
            policy.title(),
            policy.image_pattern
        ),
        "slipway policy apply FILE, with what `slipway policy show --json` printed before",
    )
}

fn in_use(failure: Failure) -> Failure {
    match failure.reason_code() {
        Some(proto::reason::POLICY_HAS_ROLLOUTS) => {
            failure.hint("`slipway rollout list --active` shows its rollouts; cancel them first")
        }
        Some(_) | None => failure,
    }
}
