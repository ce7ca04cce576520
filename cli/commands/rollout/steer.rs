//! Commands to a rollout.

use serde_json::{Value, json};

use super::{KIND, find};
use crate::client::Request;
use crate::complete::{self, ROLLOUTS};
use crate::documents::rollout::Rollout;
use crate::failure::{Exit, Failure, Result};
use crate::ids::short;
use crate::output::text;
use crate::session::{Session, body};

/// Flags of most commands.
#[derive(Debug, clap::Args)]
pub struct Order {
    /// Its id, the beginning of it, or the image: its newest rollout
    #[arg(add = complete::of(&ROLLOUTS))]
    rollout: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Flags of `slipway rollout promote`.
#[derive(Debug, clap::Args)]
pub struct Promote {
    /// Its id, the beginning of it, or the image: its newest rollout
    #[arg(add = complete::of(&ROLLOUTS))]
    rollout: String,
    /// The batch that shall begin [default: the first that waits]
    batch: Option<u64>,
}

/// Flags of `slipway rollout cancel`.
#[derive(Debug, clap::Args)]
pub struct Cancel {
    #[command(flatten)]
    order: Order,
    /// Devices that have the image go back to what they ran before
    #[arg(long)]
    revert: bool,
    /// Do not ask, however many devices it concerns
    #[arg(long, short)]
    yes: bool,
}

/// Flags of `slipway rollout rollback`.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    #[command(flatten)]
    order: Order,
    /// Do not ask, however many devices it concerns
    #[arg(long, short)]
    yes: bool,
}

/// Starts a rollout.
pub async fn start(session: &Session, order: Order) -> Result {
    let (id, rollout) = find(session, &order.rollout).await?;
    let answer = send(session, &id, "start", reason(&order)).await?;
    let devices = text::count(rollout.device_count, "device");
    let sentence = format!("Started {} for {devices}.", rollout.image());
    session.out.done(&answer, &sentence, &format!("slipway rollout pause {}", short(&id)))
}

/// Stops sending.
pub async fn pause(session: &Session, order: Order) -> Result {
    let (id, rollout) = find(session, &order.rollout).await?;
    let answer = send(session, &id, "pause", reason(&order)).await?;
    let moving = match rollout.tally.active {
        0 => "no device is moving".to_owned(),
        1 => "1 device finishes what it began".to_owned(),
        moving => format!("{} devices finish what they began", text::number(moving)),
    };
    let sentence = format!("Paused {}; {moving}.", rollout.image());
    session.out.done(&answer, &sentence, &format!("slipway rollout resume {}", short(&id)))
}

/// Goes on.
pub async fn resume(session: &Session, order: Order) -> Result {
    let (id, rollout) = find(session, &order.rollout).await?;
    let answer = send(session, &id, "resume", reason(&order)).await?;
    let failures = match rollout.tally.failures() {
        0 => String::new(),
        failures => format!("; its {} no longer count", text::count(failures, "failure")),
    };
    let sentence = format!("Resumed {}{failures}.", rollout.image());
    session.out.done(&answer, &sentence, &format!("slipway rollout pause {}", short(&id)))
}

/// Lets a batch begin.
pub async fn promote(session: &Session, promote: Promote) -> Result {
    let (id, rollout) = find(session, &promote.rollout).await?;
    let waiting = rollout.batches.iter().find(|batch| batch.state == "waiting");
    let Some(batch) = promote.batch.or(waiting.map(|batch| batch.number)) else {
        return Err(Failure::new(Exit::Conflict, "no batch waits: all have begun")
            .hint(format!("`slipway rollout explain {}`", short(&id))));
    };
    let answer = send(session, &id, "promote", json!({"batch": batch})).await?;
    let size = rollout.batches.iter().find(|other| other.number == batch);
    let devices = size.map(|batch| format!(" ({})", text::count(batch.size, "device")));
    let devices = devices.unwrap_or_default();
    let sentence =
        format!("Batch {batch} of {}{devices} {}.", rollout.image(), begins(&rollout, batch));
    session.out.done(&answer, &sentence, &format!("slipway rollout pause {}", short(&id)))
}

/// When a promoted batch begins: not before the one before it is complete.
fn begins(rollout: &Rollout, batch: u64) -> String {
    let before = rollout.batches.iter().find(|other| other.number + 1 == batch);
    let is_open = before.is_some_and(|before| ["waiting", "running"].contains(&&*before.state));
    let waits = match is_open {
        true => format!("begins as soon as batch {} is complete", batch - 1),
        false => "begins now".to_owned(),
    };
    match rollout.status.as_str() {
        "paused" => {
            format!("begins when the rollout is resumed and batch {} is complete", batch - 1)
        }
        _ => waits,
    }
}

/// Tries failed devices again.
pub async fn retry(session: &Session, order: Order) -> Result {
    let (id, rollout) = find(session, &order.rollout).await?;
    let answer = send(session, &id, "retry", reason(&order)).await?;
    let failed = text::count(rollout.tally.failed, "failed device");
    let sentence = format!("Trying {failed} of {} again.", rollout.image());
    session.out.done(&answer, &sentence, &format!("slipway rollout pause {}", short(&id)))
}

/// Ends a rollout.
pub async fn cancel(session: &Session, cancel: Cancel) -> Result {
    let (id, rollout) = find(session, &cancel.order.rollout).await?;
    if cancel.revert {
        session.confirm_many(&going_back(&rollout), touched(&rollout), cancel.yes)?;
    }
    let mode = if cancel.revert { "revert" } else { "keep" };
    let body = body([("reason", json!(cancel.order.reason)), ("mode", json!(mode))]);
    let answer = send(session, &id, "cancel", body).await?;
    let what = match (touched(&rollout), cancel.revert) {
        (0, _) => "no device has it".to_owned(),
        (devices, true) => format!("{} back", goes(devices)),
        (1, false) => "1 device keeps what it got".to_owned(),
        (devices, false) => format!("{} devices keep what they got", text::number(devices)),
    };
    let sentence = format!("Cancelled {}; {what}.", rollout.image());
    session.out.done(&answer, &sentence, &again(&rollout))
}

/// Takes every device back.
pub async fn roll_back(session: &Session, rollback: Rollback) -> Result {
    let (id, rollout) = find(session, &rollback.order.rollout).await?;
    session.confirm_many(&going_back(&rollout), touched(&rollout), rollback.yes)?;
    let answer = send(session, &id, "rollback", reason(&rollback.order)).await?;
    let sentence = format!("Rolling back {}; {} back.", rollout.image(), goes(touched(&rollout)));
    session.out.done(&answer, &sentence, &again(&rollout))
}

fn reason(order: &Order) -> Value {
    body([("reason", json!(order.reason))])
}

async fn send(session: &Session, id: &str, command: &str, body: Value) -> Result<Value> {
    let request = Request::post([KIND.path, id, command]).body(body);
    let answer = session.call(request).await.map_err(|failure| wrong_state(failure, id))?;
    Ok(answer.document().clone())
}

/// A command that the state does not allow: what it waits for says what does.
fn wrong_state(failure: Failure, id: &str) -> Failure {
    if failure.exit() != Exit::Conflict || failure.hint_text().is_some() {
        return failure;
    }
    failure.hint(format!("`slipway rollout explain {}`", short(id)))
}

/// How many devices have the image, or are about to.
fn touched(rollout: &Rollout) -> u64 {
    rollout.tally.succeeded + rollout.tally.active
}

fn goes(devices: u64) -> String {
    let verb = if devices == 1 { "goes" } else { "go" };
    format!("{} {verb}", text::count(devices, "device"))
}

fn going_back(rollout: &Rollout) -> String {
    format!("this takes {} back", rollout.image())
}

/// What has no inverse: the way to begin anew.
fn again(rollout: &Rollout) -> String {
    format!("none; `slipway rollout create {}` brings it anew", rollout.image())
}
