//! `slipway review`: images and tags that wait for a person's yes.

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Request;
use crate::complete::{self, REVIEWS};
use crate::documents::review::{Decision, Redriven, Review};
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::ids::{Kind, short, shorten};
use crate::images::{familiar, typed_image};
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text, time, words};
use crate::session::{Session, body};

/// Verbs of `slipway review`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List reviews, newest first; without flags those that wait
    List {
        /// Those with this status
        #[arg(long, value_enum, default_value_t = Status::Pending)]
        status: Status,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show a review: what is asked, by whom, and on what evidence
    Show {
        /// Its id
        #[arg(add = complete::of(&REVIEWS))]
        review: String,
    },
    /// Say yes: the image and tag may run, and held pushes go on
    Approve(Approve),
    /// Say no: held pushes are denied
    Reject(Reject),
}

/// Which reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Status {
    /// Nobody decided yet
    Pending,
    /// Somebody said yes
    Approved,
    /// Somebody said no, or the question fell away
    Rejected,
    /// All of them
    All,
}

/// Flags of `slipway review approve`.
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// Their ids, or the images they ask for
    #[arg(required = true, value_name = "REVIEW", add = complete::of(&REVIEWS))]
    reviews: Vec<String>,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
}

/// Flags of `slipway review reject`.
#[derive(Debug, clap::Args)]
pub struct Reject {
    /// Their ids, or the images they ask for
    #[arg(required = true, value_name = "REVIEW", add = complete::of(&REVIEWS))]
    reviews: Vec<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
}

const KIND: Kind =
    Kind { noun: "review", path: "approval-requests", items: "approval_requests", names: &[] };

/// How many reviews are looked through for that of an image.
const LOOKED_THROUGH: usize = 1_000;

/// The whole id of what was typed; an image names the review that is open about it.
async fn resolve(session: &Session, typed: &str) -> Result<String> {
    if let Some(image) = typed_image(typed) {
        let open = Request::get([KIND.path]).query("status", "pending");
        let page = session.api.list(open, KIND.items, LOOKED_THROUGH).await?;
        let asked = |review: &&Value| {
            let repository = review["repository"].as_str().unwrap_or_default();
            let tag = review["tag"].as_str().unwrap_or_default();
            format!("{repository}:{tag}") == image
        };
        if let Some(id) = page.items().iter().find(asked).and_then(|review| review["id"].as_str()) {
            return Ok(id.to_owned());
        }
    }
    KIND.resolve(session, typed).await
}

#[derive(Debug, Deserialize)]
struct Bulk {
    results: Vec<BulkResult>,
}

#[derive(Debug, Deserialize)]
struct BulkResult {
    id: String,
    #[serde(default)]
    outcome: Option<String>,
    #[serde(default)]
    error: Option<crate::documents::Reason>,
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { status, limit } => {
            list(session, status, limit).await?;
            Ok(Exit::Done)
        }
        Verb::Show { review } => {
            show(session, &review).await?;
            Ok(Exit::Done)
        }
        Verb::Approve(Approve { reviews, notes, dry_run }) => {
            let vote = Vote { word: "approve", comment: ("notes", json!(notes)), dry_run };
            decide(session, &reviews, vote).await
        }
        Verb::Reject(Reject { reviews, reason, dry_run }) => {
            let vote = Vote { word: "reject", comment: ("reason", json!(reason)), dry_run };
            decide(session, &reviews, vote).await
        }
    }
}

async fn list(session: &Session, status: Status, limit: usize) -> Result {
    let word = match status {
        Status::Pending => Some("pending"),
        Status::Approved => Some("approved"),
        Status::Rejected => Some("rejected"),
        Status::All => None,
    };
    let request = Request::get([KIND.path]).query_if("status", word);
    let Some(page) = session.list(request, KIND.items, limit).await? else { return Ok(()) };
    let now = session.now(page.time());
    let reviews: Vec<Review> = page.read_items()?;
    let ids = shorten(reviews.iter().map(|review| &*review.id));
    let mut table =
        Table::new(&["REVIEW", "IMAGE", "ASKS", ">HOLDS", "ASKED BY", "ASKED", "STATE"]);
    for (review, id) in reviews.iter().zip(ids) {
        table.row([
            id.into(),
            review.image().into(),
            review.question().into(),
            text::number(review.held_pushes).into(),
            review.requested_by.as_deref().unwrap_or_default().into(),
            time::since_or(review.requested_at, now, "").into(),
            Cell::word(words::review(&review.status, &review.state_detail)),
        ]);
    }
    let empty = match status {
        Status::Pending => "no review waits",
        Status::Approved | Status::Rejected | Status::All => "there is no such review",
    };
    table.print(&session.out, empty)
}

async fn show(session: &Session, typed: &str) -> Result {
    let id = resolve(session, typed).await?;
    let Some(answer) = session.show(Request::get([KIND.path, &*id])).await? else {
        return Ok(());
    };
    let review: Review = answer.read()?;
    let now = session.now(answer.time());
    let asked = match (&review.requested_by, review.requested_at) {
        (Some(by), Some(at)) => format!("by {by}, {}", time::since(at, now)),
        (_, Some(at)) => time::since(at, now),
        (_, None) => String::new(),
    };
    let decided = match (&review.reviewed_by, review.reviewed_at) {
        (Some(by), Some(at)) => format!("by {by}, {}", time::since(at, now)),
        (_, _) => String::new(),
    };
    let platforms: Vec<_> = review.platforms.iter().map(|platform| platform.shown()).collect();
    Facts::default()
        .with("review", &review.id)
        .with("image", review.image())
        .with("asks", review.question())
        .with("state", Cell::word(words::review(&review.status, &review.state_detail)))
        .with("asked", asked)
        .with("asked again", times(review.occurrences))
        .with("ends", review.expires_at.map(|end| time::until(end, now)).unwrap_or_default())
        .with("digest", review.digest.as_deref().unwrap_or("not known"))
        .with("platforms", platforms.join(", "))
        .with("holds", text::count(review.held_pushes, "push"))
        .with("decided", decided)
        .with("notes", review.notes.as_deref().unwrap_or_default())
        .with("reason", review.rejection_reason.as_deref().unwrap_or_default())
        .with("evidence", review.evidence_hash.as_deref().map(short_hash).unwrap_or_default())
        .print(&session.out)?;
    if review.status == "pending" {
        let shown = if typed.len() < review.id.len() { typed } else { &review.id };
        session.out.note(&format!(
            "decide: slipway review approve {shown}, or slipway review reject {shown} --reason TEXT"
        ));
    }
    Ok(())
}

fn times(occurrences: u64) -> String {
    match occurrences {
        0 | 1 => String::new(),
        more => text::count(more - 1, "time"),
    }
}

fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// A word that is given on reviews.
struct Vote {
    word: &'static str,
    comment: (&'static str, Value),
    dry_run: bool,
}

async fn decide(session: &Session, typed: &[String], vote: Vote) -> Outcome {
    let mut ids = Vec::new();
    for typed in typed {
        ids.push(resolve(session, typed).await?);
    }
    match (ids.as_slice(), vote.dry_run) {
        ([id], false) => one(session, id, &vote).await,
        (ids, _) => several(session, ids, &vote).await,
    }
}

/// Decides one review, bound to the evidence that it has now.
async fn one(session: &Session, id: &str, vote: &Vote) -> Outcome {
    let seen: Review = session.call(Request::get([KIND.path, id])).await?.read()?;
    let (name, comment) = vote.comment.clone();
    let request = Request::post([KIND.path, id, vote.word])
        .body(body([(name, comment), ("evidence_hash", json!(seen.evidence_hash))]));
    if seen.status != "pending" {
        return Err(decided_before(&seen));
    }
    let answer = session.call(request).await.map_err(|failure| own_vote(failure, id))?;
    let decision: Decision = answer.read()?;
    let image = decision.review.image();
    let done = if vote.word == "approve" { "Approved" } else { "Rejected" };
    let sentence = format!("{done} {image}; {}.", redriven(&decision, vote.word));
    let repository = familiar(&decision.review.repository());
    let undo = match vote.word {
        "approve" => format!("slipway image reject {repository}"),
        _ => format!("slipway image approve {repository}"),
    };
    session.out.done(answer.document(), &sentence, &undo)?;
    Ok(Exit::Done)
}

/// What was decided is decided; the image itself can still be changed.
fn decided_before(seen: &Review) -> Failure {
    let (word, _) = words::review(&seen.status, &seen.state_detail);
    let by = seen.reviewed_by.as_deref().filter(|by| !by.is_empty());
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let image = familiar(&seen.repository());
    Failure::new(
        Exit::Conflict,
        format!("the review of {} is {word}{by} already; nothing is left to decide", seen.image()),
    )
    .hint(format!("`slipway image approve {image}` and `slipway image reject {image}` change it"))
    .reason(Some(proto::reason::REVIEW_DECIDED.to_owned()))
}

/// Another person has to decide what one has asked for.
fn own_vote(failure: Failure, id: &str) -> Failure {
    match failure.reason_code() {
        Some(proto::reason::SELF_REVIEW) => failure.hint(format!(
            "another person with the role approver can vote; `slipway review show {}`",
            short(id)
        )),
        Some(_) | None => failure,
    }
}

/// What became of the pushes that were held.
fn redriven(decision: &Decision, word: &str) -> String {
    let count = |outcome: &str| {
        let is_so = |push: &&Redriven| push.outcome.as_deref().unwrap_or(&push.state) == outcome;
        decision.redriven.iter().filter(is_so).count()
    };
    let total = decision.redriven.len();
    if total == 0 {
        return "no push was held for it".to_owned();
    }
    let parts: Vec<_> = [
        ("rollout", "started a rollout"),
        ("unchanged", "changes nothing"),
        ("no_policy", "has no policy"),
        ("no_target", "has no device"),
        ("quarantined", "was rolled back before"),
        ("denied", "is denied"),
    ]
    .into_iter()
    .filter_map(|(outcome, words)| match count(outcome) {
        0 => None,
        1 if total == 1 => Some(format!("its push {words}")),
        many => Some(format!("{many} of {total} pushes: {words}")),
    })
    .collect();
    match (parts.is_empty(), word, total) {
        (false, _, _) => parts.join(", "),
        (true, "approve", 1) => "its push goes on".to_owned(),
        (true, "approve", _) => format!("its {total} pushes go on"),
        (true, _, 1) => "its push is denied".to_owned(),
        (true, _, _) => format!("its {total} pushes are denied"),
    }
}

/// Decides several, each on its own. What could not be decided ends the command with a failure.
async fn several(session: &Session, ids: &[String], vote: &Vote) -> Outcome {
    let (name, comment) = vote.comment.clone();
    let request = Request::post([KIND.path, "bulk"]).body(body([
        ("ids", json!(ids)),
        ("decision", json!(vote.word)),
        (name, comment),
        ("dry_run", if vote.dry_run { json!(true) } else { Value::Null }),
    ]));
    let answer = session.call(request).await?;
    let bulk: Bulk = answer.read()?;
    match session.out.json() {
        Some(members) => session.out.document(members, answer.document())?,
        None => {
            let shown = shorten(bulk.results.iter().map(|result| &*result.id));
            let mut table = Table::new(&["REVIEW", "OUTCOME", "WHY"]);
            for (result, id) in bulk.results.iter().zip(shown) {
                let why = result.error.as_ref().map_or("", |error| &error.message);
                let token = if result.error.is_some() { Token::Bad } else { Token::Good };
                let outcome = result.outcome.as_deref().unwrap_or("not known").replace('_', " ");
                let outcome = Cell::word((outcome, token));
                table.row([id.into(), outcome, why.into()]);
            }
            table.print(&session.out, "nothing was decided")?;
        }
    }
    let failed = bulk.results.iter().filter(|result| result.error.is_some()).count();
    let all = bulk.results.len();
    if vote.dry_run {
        session.out.note("nothing was decided: this was a dry run");
    } else if all > failed {
        session.out.note("undo: slipway image reject IMAGE, or slipway image approve IMAGE");
    }
    if failed > 0 {
        return Err(Failure::new(
            Exit::Conflict,
            format!("{failed} of {all} could not be decided"),
        ));
    }
    Ok(Exit::Done)
}
