//! One rollout, as it stands.

use chrono::{DateTime, Utc};
use clap::ValueEnum;

use super::{KIND, resolve};
use crate::client::Request;
use crate::complete::{self, ROLLOUTS};
use crate::documents::rollout::{Batch, Explained, Part, Rollout};
use crate::failure::Result;
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text, time};
use crate::session::Session;
use crate::watch::{Stage, failing};

/// How many failing devices are shown.
const FAILING_SHOWN: usize = 10;

/// Flags of `slipway rollout devices`.
#[derive(Debug, clap::Args)]
pub struct Devices {
    /// Its id, the beginning of it, or the image: its newest rollout
    #[arg(add = complete::of(&ROLLOUTS))]
    rollout: String,
    /// Only those that stand so
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those of this batch
    #[arg(long, value_name = "NUMBER")]
    batch: Option<u32>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Where a device stands in a rollout.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// Nothing was sent to it yet
    Pending,
    /// It moves
    Updating,
    /// It runs the image, healthy
    Completed,
    /// It failed
    Failed,
    /// It is offline
    Deferred,
    /// It went back
    RolledBack,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Updating => "updating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Deferred => "deferred",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// Shows a rollout.
pub async fn show(session: &Session, typed: &str) -> Result {
    let id = resolve(session, typed).await?;
    let Some(answer) = session.show(Request::get([KIND.path, &*id])).await? else {
        return Ok(());
    };
    let rollout = Rollout::of(answer.document())?;
    let now = session.now(answer.time());
    let out = &session.out;
    facts(&rollout, now).print(out)?;
    if !rollout.batches.is_empty() {
        out.say("")?;
        batches(&rollout.batches, now).print(out, "")?;
    }
    let failing = failing(session, &rollout).await?;
    if !failing.is_empty() {
        out.say("")?;
        let shown = failing.iter().take(FAILING_SHOWN);
        parts(shown, now).print(out, "")?;
        if rollout.tally.failures() > FAILING_SHOWN as u64 {
            out.note(&format!(
                "more: slipway rollout devices {typed} --status failed, or --status rolled-back"
            ));
        }
    }
    if !rollout.is_over() {
        out.note(&format!("follow: slipway rollout watch {typed}"));
    }
    Ok(())
}

fn facts(rollout: &Rollout, now: DateTime<Utc>) -> Facts {
    let tally = rollout.tally;
    let counts = [
        (tally.succeeded, "updated"),
        (tally.active, "moving"),
        (tally.queued, "waiting"),
        (tally.failed, "failed"),
        (tally.deferred, "offline"),
        (tally.reverting, "going back"),
        (tally.reverted, "taken back"),
        (tally.revert_failed, "could not go back"),
        (tally.skipped, "skipped"),
        (tally.cancelled, "withdrawn"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> =
        counts.map(|(count, word)| format!("{} {word}", text::number(count))).collect();
    let excluded = match rollout.excluded_count {
        0 => String::new(),
        count => text::count(count, "device"),
    };
    let digest = match (rollout.digest.as_str(), rollout.id.is_empty()) {
        ("", false) => "not pinned: devices go by the tag",
        (digest, _) => digest,
    };
    let at = |time: Option<DateTime<Utc>>| time.map(|at| time::since(at, now)).unwrap_or_default();
    Facts::default()
        .with("rollout", &rollout.id)
        .with("image", rollout.image())
        .with("digest", digest)
        .with("policy", &rollout.policy_name)
        .with("state", Cell::word(rollout.word()))
        .with("why", &rollout.state_detail)
        .with("next", &rollout.next)
        .with("devices", format!("{}: {}", text::number(rollout.device_count), counts.join(", ")))
        .with("left out", excluded)
        .with("made", at(rollout.created_at))
        .with("started", at(rollout.started_at))
        .with("ended", at(rollout.ended_at))
}

fn batches(batches: &[Batch], now: DateTime<Utc>) -> Table {
    let mut table =
        Table::new(&[">BATCH", ">DEVICES", ">OK", ">FAILED", ">MOVING", ">WAITING", "STATE"]);
    for batch in batches {
        let (word, token) = match Stage::of(batch, now) {
            Stage::Waiting if batch.gated => {
                ("waits for you to promote it".to_owned(), Token::Need)
            }
            Stage::Waiting => ("waiting".to_owned(), Token::Wait),
            Stage::Running => ("running".to_owned(), Token::Move),
            Stage::Soaking(end) => {
                (format!("watched, ends {}", time::until(end, now)), Token::Move)
            }
            Stage::Complete => ("complete".to_owned(), Token::Good),
            Stage::Stopped => ("stopped".to_owned(), Token::Calm),
            Stage::NotSent => ("not sent".to_owned(), Token::Calm),
        };
        let tally = batch.tally;
        table.row([
            batch.number.to_string().into(),
            text::number(batch.size).into(),
            text::number(tally.succeeded).into(),
            text::number(tally.failures()).into(),
            text::number(tally.active + tally.reverting).into(),
            text::number(tally.queued + tally.deferred).into(),
            Cell::word((word, token)),
        ]);
    }
    table
}

/// Lists the devices of a rollout.
pub async fn devices(session: &Session, devices: Devices) -> Result {
    let id = resolve(session, &devices.rollout).await?;
    let request = Request::get([KIND.path, &*id, "devices"])
        .query_if("status", devices.status.map(Status::word))
        .query_if("batch", devices.batch.map(|batch| batch.to_string()));
    let Some(page) = session.list(request, "devices", devices.limit).await? else {
        return Ok(());
    };
    let now = session.now(page.time());
    parts(&page.read_items::<Part>()?, now).print(&session.out, "the rollout has no such device")
}

fn parts<'a>(parts: impl IntoIterator<Item = &'a Part>, now: DateTime<Utc>) -> Table {
    let mut table = Table::new(&["DEVICE", ">BATCH", ">TRY", "STATE", "WHY"]);
    for part in parts {
        let why = match part.retry_at {
            Some(at) => format!("{}; tried again {}", part.why(), time::until(at, now)),
            None => part.why(),
        };
        table.row([
            part.name().into(),
            part.batch_number.to_string().into(),
            part.attempt.to_string().into(),
            Cell::word(part.word()),
            why.into(),
        ]);
    }
    table
}

/// Tells what a rollout waits for.
pub async fn explain(session: &Session, typed: &str) -> Result {
    let id = resolve(session, typed).await?;
    let request = Request::get([KIND.path, &*id, "explain"]);
    let Some(answer) = session.show(request).await? else { return Ok(()) };
    let explained: Explained = answer.read()?;
    let rollout = &explained.rollout;
    let out = &session.out;
    let (word, token) = rollout.word();
    let why = match rollout.state_detail.as_str() {
        "" => String::new(),
        why => format!(": {}", text::clean(why)),
    };
    let image = text::clean(&rollout.image()).into_owned();
    out.say(&format!("{image}  {}{why}", out.styles().paint(token, &text::clean(&word))))?;
    out.say("")?;
    super::super::say_checks(out, &explained.checks)?;
    // What is over waits for nothing, whatever it ended by.
    if !explained.blocked_by.is_empty() && !rollout.is_over() {
        out.say("")?;
        out.say(&format!("not met: {}", text::clean(&explained.blocked_by)))?;
    }
    if !explained.next_step.is_empty() {
        out.note(&format!("next: {}", text::clean(&explained.next_step)));
    }
    Ok(())
}
