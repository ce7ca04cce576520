//! Watching one rollout to its end.
//!
//! Live events are hints that something changed; what is shown is read afresh each time, so a lost
//! event costs seconds, never truth. A terminal gets a tree that is drawn in place, anything else
//! gets lines.

mod bar;
mod failing;
mod hints;
mod lines;
mod stage;
mod tree;

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Answer, Request};
use crate::commands::rollout::without_devices;
use crate::documents::rollout::{Part, Rollout};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::ids::short;
use crate::output::{text, time};
use crate::session::Session;

pub use failing::failing;
use hints::Hints;
use lines::Lines;
pub use stage::Stage;
use tree::Tree;

/// How often it is read afresh when nothing hints at a change.
const EVERY: Duration = Duration::from_secs(2);
/// How long two readings are apart at least.
const APART: Duration = Duration::from_millis(200);

/// How a rollout stands.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The rollout.
    pub rollout: Rollout,
    /// Its failing devices.
    pub failing: Vec<Part>,
    /// The rollout as the API shows it.
    pub document: Value,
    /// When this was so, by the server's clock.
    pub now: chrono::DateTime<chrono::Utc>,
}

/// Where pictures go.
enum Screen {
    Tree(Box<Tree>),
    Lines(Lines),
    Json(Option<Value>),
}

/// Watches a rollout until it ends, `timeout` is over, or a person has seen enough.
pub async fn run(session: &Session, id: &str, timeout: Option<Duration>) -> Outcome {
    let end = timeout.map(|timeout| Instant::now() + timeout);
    let mut screen = Screen::choose(session);
    let mut last = None;
    let outcome = tokio::select! {
        outcome = follow(session, id, &mut screen, &mut last) => outcome,
        () = over(end) => Err(timed_out(last.as_ref(), timeout.unwrap_or_default())),
        _ = tokio::signal::ctrl_c() => {
            let shown = short(id);
            session.out.note(&format!(
                "the rollout goes on; `slipway rollout cancel {shown}` stops it"
            ));
            Ok(Exit::Interrupted)
        }
    };
    screen.close(session);
    outcome
}

async fn over(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Waits until a rollout is under way, and returns the newest one's id.
pub async fn newest(session: &Session, timeout: Option<Duration>) -> Result<String> {
    let end = timeout.map(|timeout| Instant::now() + timeout);
    let mut is_told = false;
    loop {
        let page = session.api.list(Request::get(["rollouts", "active"]), "rollouts", 1).await?;
        if let Some(rollout) = page.read_items::<Rollout>()?.into_iter().next() {
            return Ok(rollout.id);
        }
        if !is_told {
            session.out.note("no rollout is under way; waiting for one (Ctrl-C ends this)");
            is_told = true;
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = over(end) => {
                let waited = time::seconds(timeout.unwrap_or_default().as_secs());
                return Err(Failure::new(
                    Exit::TimedOut,
                    format!("waited {waited} for a rollout, and none began"),
                )
                .hint("`slipway push list` shows what came of the last pushes"));
            }
            _ = tokio::signal::ctrl_c() => return Err(Failure::new(Exit::Interrupted, "")),
        }
    }
}

async fn follow(
    session: &Session,
    id: &str,
    screen: &mut Screen,
    last: &mut Option<Picture>,
) -> Outcome {
    let mut hints = Hints::listen(session.api.clone(), id);
    loop {
        let picture = match read(session, id).await {
            Ok(picture) => picture,
            // A picture was there before, so the server is only away for a while.
            Err(failure) if last.is_some() && failure.exit() == Exit::Unreachable => {
                screen.away(session, failure.what())?;
                sleep(EVERY).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        screen.show(session, &picture)?;
        let rollout = last.insert(picture).rollout.clone();
        if rollout.is_over() {
            screen.close(session);
            if session.out.json().is_none() {
                session.out.say(&sentence(&rollout))?;
            }
            return Ok(if rollout.is_completed() { Exit::Done } else { Exit::RolloutFailed });
        }
        sleep(APART).await;
        tokio::select! {
            () = hints.next() => {}
            () = sleep(EVERY - APART) => {}
        }
    }
}

/// Reads how the rollout stands. A server that asks for patience gets it.
async fn read(session: &Session, id: &str) -> Result<Picture> {
    let answer = loop {
        let answer = session.api.ask(without_devices(id)).await?;
        match answer.retry_after() {
            Some(wait) => sleep(wait).await,
            None => break answer,
        }
    };
    if !answer.is_success() {
        return Err(session.api.refusal(&answer));
    }
    picture(session, &answer).await
}

async fn picture(session: &Session, answer: &Answer) -> Result<Picture> {
    let document = answer.document().get("rollout").unwrap_or(answer.document()).clone();
    let rollout = Rollout::of(&document)?;
    let failing = failing(session, &rollout).await?;
    Ok(Picture { rollout, failing, document, now: session.now(answer.time()) })
}

/// How it ended, in a sentence.
pub fn sentence(rollout: &Rollout) -> String {
    let image = rollout.image();
    let why = match rollout.state_detail.as_str() {
        "" => String::new(),
        why => format!(": {why}"),
    };
    let tally = rollout.tally;
    let line = match (rollout.status.as_str(), rollout.state.as_str()) {
        ("completed", _) => {
            let waiting = match tally.deferred {
                0 => String::new(),
                away => format!("; {} get it when they come back", text::count(away, "device")),
            };
            format!("{image} is on {}{waiting}.", text::count(tally.succeeded, "device"))
        }
        (_, "rollback_incomplete") => format!(
            "{image} failed{why}; {} could not go back.",
            text::count(tally.revert_failed, "device")
        ),
        ("rolled_back", _) => format!("{image} was rolled back{why}."),
        (_, "superseded") => format!("{image} was superseded{why}."),
        ("cancelled", _) => format!("{image} was cancelled{why}."),
        (_, _) => format!("{image} failed{why}."),
    };
    text::clean(&line).into_owned()
}

fn timed_out(last: Option<&Picture>, timeout: Duration) -> Failure {
    let waited = time::seconds(timeout.as_secs());
    let Some(Picture { rollout, .. }) = last else {
        return Failure::new(Exit::TimedOut, format!("waited {waited} for the rollout"));
    };
    let (word, _) = rollout.word();
    let next = match rollout.next.as_str() {
        "" => String::new(),
        next => format!("; next: {next}"),
    };
    let what = format!("waited {waited} for {} to end; it is {word}{next}", rollout.image());
    Failure::new(Exit::TimedOut, what)
        .hint(format!("`slipway rollout explain {}`", short(&rollout.id)))
}

impl Screen {
    fn choose(session: &Session) -> Self {
        match (session.out.json(), session.out.draws_in_place()) {
            (Some(_), _) => Self::Json(None),
            (None, true) => Self::Tree(Box::default()),
            (None, false) => Self::Lines(Lines::default()),
        }
    }

    fn show(&mut self, session: &Session, picture: &Picture) -> Result {
        match self {
            Self::Tree(tree) => tree.show(&session.out, picture),
            Self::Lines(lines) => lines.show(&session.out, picture),
            Self::Json(last) => {
                if last.as_ref() == Some(&picture.document) {
                    return Ok(());
                }
                *last = Some(picture.document.clone());
                match session.out.json() {
                    Some(members) => session.out.say(&members.of_object(&picture.document)),
                    None => Ok(()),
                }
            }
        }
    }

    /// The server does not answer; what is shown is old.
    fn away(&mut self, session: &Session, what: &str) -> Result {
        match self {
            Self::Tree(tree) => tree.away(&session.out, what),
            Self::Lines(_) | Self::Json(_) => {
                session.out.note(&format!("{}; trying again", text::clean(what)));
                Ok(())
            }
        }
    }

    fn close(&mut self, session: &Session) {
        if let Self::Tree(tree) = self {
            tree.close(&session.out);
        }
    }
}
