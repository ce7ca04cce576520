//! `slipway push`: what registries said is new, and what came of it.

mod test;

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;

use super::rollout::create;
use crate::client::Request;
use crate::complete::{self, RECEIVERS};
use crate::documents::push::Push;
use crate::failure::{Exit, Outcome, Result};
use crate::ids::{Kind, shorten};
use crate::output::table::Facts;
use crate::output::{Cell, Table, text, time};
use crate::session::Session;

/// Verbs of `slipway push`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List pushes, newest first
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only those of this image
        #[arg(long)]
        image: Option<String>,
        /// Only those through this receiver
        #[arg(long, add = complete::of(&RECEIVERS))]
        receiver: Option<String>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show a push
    Show {
        /// Its id
        push: String,
    },
    /// Tell why a push is where it is, rule by rule
    Explain {
        /// Its id
        push: String,
    },
    /// Decide a push anew, as a push of its own
    #[command(visible_alias = "replay")]
    Retry {
        /// Its id
        push: String,
    },
    /// Bring an image to devices now, as if its registry had pushed it
    Submit(create::Create),
    /// Send a sample webhook through the default receiver, as a registry would
    Test(test::Args),
}

/// Where a push stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum State {
    /// Stored, nothing done yet
    Received,
    /// It waits for a registry or for another process
    Waiting,
    /// A review is open
    Held,
    /// Refused
    Denied,
    /// Finished
    Done,
    /// Nothing to decide
    Ignored,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Denied => "denied",
            Self::Done => "done",
            Self::Ignored => "ignored",
        }
    }
}

const KIND: Kind = Kind { noun: "push", path: "pushes", items: "pushes", names: &[] };
const RECEIVER: Kind =
    Kind { noun: "receiver", path: "receivers", items: "receivers", names: &["name"] };

#[derive(Debug, Deserialize)]
struct Explained {
    push: Push,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    next_step: Option<String>,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { state, image, receiver, limit } => {
            let receiver = match receiver {
                Some(receiver) => Some(RECEIVER.resolve(session, &receiver).await?),
                None => None,
            };
            let request = Request::get([KIND.path])
                .query_if("state", state.map(State::word))
                .query_if("image", image)
                .query_if("receiver", receiver);
            list(session, request, limit).await?;
        }
        Verb::Show { push } => show(session, &push).await?,
        Verb::Explain { push } => explain(session, &push).await?,
        Verb::Retry { push } => retry(session, &push).await?,
        Verb::Submit(create) => return create::create(session, create).await,
        Verb::Test(args) => return test::run(args, session).await,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, request: Request, limit: usize) -> Result {
    let Some(page) = session.list(request, KIND.items, limit).await? else { return Ok(()) };
    let now = session.now(page.time());
    let pushes: Vec<Push> = page.read_items()?;
    let ids = shorten(pushes.iter().map(|push| &*push.id));
    let mut table = Table::new(&["PUSH", "IMAGE", "CAME", "STATE", "WHY"]);
    for (push, id) in pushes.iter().zip(ids) {
        table.row([
            id.into(),
            push.image().into(),
            time::since_or(push.created_at, now, "").into(),
            Cell::word(push.word()),
            push.why().into(),
        ]);
    }
    table.print(&session.out, "there is no such push; `slipway push test IMAGE:TAG` sends one")
}

async fn show(session: &Session, typed: &str) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let Some(answer) = session.show(Request::get([KIND.path, &*id])).await? else {
        return Ok(());
    };
    let push: Push = answer.read()?;
    facts(&push, session.now(answer.time())).print(&session.out)
}

fn facts(push: &Push, now: chrono::DateTime<chrono::Utc>) -> Facts {
    let pinned = if push.pinned { "" } else { " (not pinned: the rollout goes by tag)" };
    let digest = push.digest.as_deref().filter(|digest| !digest.is_empty());
    let optional = |id: &Option<String>| id.clone().unwrap_or_default();
    Facts::default()
        .with("push", &push.id)
        .with("image", push.image())
        .with("digest", digest.map(|digest| format!("{digest}{pinned}")).unwrap_or_default())
        .with("came", time::since_or(push.created_at, now, ""))
        .with("by", push.actor.as_ref().map_or("", |actor| actor.shown()))
        .with("state", Cell::word(push.word()))
        .with("why", push.why())
        .with("tried again", push.retry_at.map(|at| time::until(at, now)).unwrap_or_default())
        .with("repeats", optional(&push.retry_of))
        .with("review", optional(&push.review_id))
        .with("rollout", optional(&push.rollout_id))
}

async fn explain(session: &Session, typed: &str) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let request = Request::get([KIND.path, &*id, "explain"]);
    let Some(answer) = session.show(request).await? else { return Ok(()) };
    let explained: Explained = answer.read()?;
    let out = &session.out;
    facts(&explained.push, session.now(answer.time())).print(out)?;
    if !explained.push.checks.is_empty() {
        out.say("")?;
    }
    super::say_checks(out, &explained.push.checks)?;
    if !explained.summary.is_empty() {
        out.say("")?;
        out.say(&text::clean(&explained.summary))?;
    }
    if let Some(next) = explained.next_step.filter(|next| !next.is_empty()) {
        out.note(&format!("next: {}", text::clean(&next)));
    }
    Ok(())
}

async fn retry(session: &Session, typed: &str) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let answer = session.call(Request::post([KIND.path, &*id, "retry"])).await?;
    let push: Push = answer.read()?;
    let (word, _) = push.word();
    let why = push.because();
    let undo = match &push.rollout_id {
        Some(rollout) => format!("slipway rollout cancel {rollout} --revert"),
        None => "none needed; nothing moves".to_owned(),
    };
    session.out.done(
        answer.document(),
        &format!("Decided {} anew as push {}: {word}{why}.", push.image(), push.id),
        &undo,
    )
}
