//! `slipway status`: what runs, what moves, and what waits for a person.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{fleet, rollout};
use crate::client::{Answer, Page, Request};
use crate::documents::device::Fleet;
use crate::documents::push::Push;
use crate::documents::review::Review;
use crate::documents::rollout::Rollout;
use crate::failure::{Exit, Outcome, Result};
use crate::ids::short;
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text};
use crate::session::Session;

/// How many of each are looked at.
const AT_MOST: usize = 500;
/// How many pushes are shown.
const PUSHES: usize = 5;
/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The lists, in the order in which they are asked for.
const NOUNS: [&str; 5] = ["fleets", "rollouts", "reviews", "receivers", "pushes"];

/// How the processes are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `healthy`, `degraded` or `unhealthy`.
    pub status: String,
    /// The server's version.
    pub version: String,
    /// Each process with its word.
    pub services: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
    #[serde(default)]
    refused_since: u64,
    #[serde(default)]
    last_refusal: Option<String>,
}

/// What there is to tell. What did not answer is empty, and told in `silent`.
#[derive(Default)]
struct Picture {
    health: Health,
    fleets: Vec<Fleet>,
    active: Vec<Rollout>,
    reviews: Vec<Review>,
    receivers: Vec<Receiver>,
    pushes: Vec<Push>,
    silent: Vec<&'static str>,
}

/// Shows it. What one process cannot tell does not hold up what the others can.
pub async fn run(session: &Session) -> Outcome {
    let waiting = Request::get(["approval-requests"]).query("status", "pending");
    let (health, fleets, active, reviews, receivers, pushes) = futures_util::join!(
        session.api.ask(Request::get(["health"]).within(PATIENCE)),
        list(session, Request::get(["fleets"]), "fleets", AT_MOST),
        list(session, Request::get(["rollouts", "active"]), "rollouts", AT_MOST),
        list(session, waiting, "approval_requests", AT_MOST),
        list(session, Request::get(["receivers"]), "receivers", AT_MOST),
        list(session, Request::get(["pushes"]), "pushes", PUSHES),
    );
    let health = health?;
    let lists = [fleets?, active?, reviews?, receivers?, pushes?];
    let is_well = health.document()["status"] == "healthy" && lists.iter().all(Option::is_some);
    let exit = if is_well { Exit::Done } else { Exit::Unreachable };
    if let Some(members) = session.out.json() {
        session.out.document(members, &document(&health, &lists))?;
        return Ok(exit);
    }
    let silent = NOUNS.into_iter().zip(&lists).filter(|(_, list)| list.is_none());
    let silent = silent.map(|(noun, _)| noun).collect();
    let [fleets, active, reviews, receivers, pushes] = &lists;
    let picture = Picture {
        health: health.read()?,
        fleets: items(fleets)?,
        active: items(active)?,
        reviews: items(reviews)?,
        receivers: items(receivers)?,
        pushes: items(pushes)?,
        silent,
    };
    show(session, &picture)?;
    Ok(exit)
}

/// A list, or none when whoever keeps it does not answer in time.
async fn list(
    session: &Session,
    request: Request,
    items: &'static str,
    limit: usize,
) -> Result<Option<Page>> {
    match session.api.list(request.within(PATIENCE), items, limit).await {
        Ok(page) => Ok(Some(page)),
        Err(failure) if failure.exit() == Exit::Unreachable => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn items<T: DeserializeOwned>(list: &Option<Page>) -> Result<Vec<T>> {
    list.as_ref().map_or(Ok(Vec::new()), Page::read_items)
}

/// For programs: a list that did not answer is `null`.
fn document(health: &Answer, lists: &[Option<Page>; 5]) -> Value {
    let lists = NOUNS.into_iter().zip(lists).map(|(noun, list)| {
        (noun.to_owned(), list.as_ref().map_or(Value::Null, |page| json!(page.items())))
    });
    let mut document: serde_json::Map<_, _> = lists.collect();
    document.insert("health".to_owned(), health.document().clone());
    Value::Object(document)
}

fn show(session: &Session, picture: &Picture) -> Result {
    let out = &session.out;
    let is_known = !picture.silent.contains(&"fleets");
    Facts::default()
        .with("server", session.api.target().place())
        .with("processes", processes(&picture.health))
        .with("devices", if is_known { devices(&picture.fleets) } else { String::new() })
        .print(out)?;
    if picture.health.status != "healthy" {
        out.say("")?;
        services(&picture.health).print(out, "no process is known")?;
    }
    if !picture.silent.is_empty() {
        out.note(&format!("not shown, for nobody answered: {}", picture.silent.join(", ")));
    }
    let needs = needs_you(picture);
    if !needs.is_empty() {
        heading(session, "Needs you")?;
        needs.print(out, "")?;
    }
    if !picture.active.is_empty() {
        heading(session, "Under way")?;
        rollout::table(&picture.active).print(out, "")?;
    }
    if !picture.pushes.is_empty() {
        heading(session, "Last pushes")?;
        pushes(&picture.pushes).print(out, "")?;
    }
    if !picture.fleets.is_empty() {
        heading(session, "Fleets")?;
        fleet::table(&picture.fleets).print(out, "")?;
    }
    Ok(())
}

/// Every process with its word.
fn services(health: &Health) -> Table {
    let mut table = Table::new(&["PROCESS", "STATE"]);
    for (name, word) in &health.services {
        let token = if word == "healthy" { Token::Good } else { Token::Bad };
        let word = match word.as_str() {
            "healthy" => "answers",
            "unreachable" => "does not answer",
            word => word,
        };
        table.row([name.into(), Cell::word((word.to_owned(), token))]);
    }
    table
}

fn heading(session: &Session, heading: &str) -> Result {
    session.out.say("")?;
    session.out.say(&session.out.styles().heading(heading))
}

fn processes(health: &Health) -> Cell {
    let ill = health.services.iter().filter(|(_, word)| *word != "healthy");
    let ill: Vec<_> = ill.map(|(name, word)| format!("{name} is {word}")).collect();
    let version = &health.version;
    match ill.as_slice() {
        [] => Cell::word((format!("all well, version {version}"), Token::Good)),
        ill => Cell::word((format!("{}; version {version}", ill.join(", ")), Token::Bad)),
    }
}

fn devices(fleets: &[Fleet]) -> String {
    let sum = |count: fn(&Fleet) -> u64| fleets.iter().map(count).sum::<u64>();
    let all = sum(|fleet| fleet.device_count);
    let online = text::number(sum(|fleet| fleet.online_count));
    let in_sync = text::number(sum(|fleet| fleet.in_sync_count));
    let fleets = text::count(fleets.len() as u64, "fleet");
    format!("{} in {fleets}; {online} online, {in_sync} as they should be", text::number(all))
}

/// What stands still until a person does something, each with the line to type.
fn needs_you(picture: &Picture) -> Table {
    let mut table = Table::new(&["WHAT", "WHY", "NEXT"]);
    for rollout in &picture.active {
        let (next, token) = match rollout.status.as_str() {
            "paused" if rollout.stopped_itself() => ("explain", Token::Bad),
            "paused" => ("resume", Token::Paused),
            "pending" => ("start", Token::Need),
            _ => continue,
        };
        table.row([
            Cell::new(format!("rollout of {}", rollout.image())).painted(token),
            rollout.outlook().into(),
            format!("slipway rollout {next} {}", short(&rollout.id)).into(),
        ]);
    }
    for review in &picture.reviews {
        let held = match review.held_pushes {
            0 => String::new(),
            held => format!(", holds {}", text::count(held, "push")),
        };
        table.row([
            Cell::new(format!("review of {}", review.image())).painted(Token::Need),
            format!("{}{held}", review.question()).into(),
            format!("slipway review show {}", short(&review.id)).into(),
        ]);
    }
    for receiver in picture.receivers.iter().filter(|receiver| receiver.refused_since > 0) {
        let why = receiver.last_refusal.as_deref().unwrap_or("it does not say why");
        table.row([
            Cell::new(format!("receiver {}", receiver.name)).painted(Token::Bad),
            format!("refused {}: {why}", text::number(receiver.refused_since)).into(),
            format!("slipway receiver deliveries {}", receiver.name).into(),
        ]);
    }
    table
}

fn pushes(pushes: &[Push]) -> Table {
    let mut table = Table::new(&["IMAGE", "STATE", "WHY"]);
    for push in pushes {
        table.row([push.image().into(), Cell::word(push.word()), push.why().into()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::Styles;

    #[test]
    fn what_stands_still_is_told_with_the_line_that_moves_it() {
        let id = "0198f3a4-0000-7000-8000-000000000001";
        let rollout = |status: &str, reason: &str, detail: &str| {
            serde_json::from_value::<Rollout>(json!({
                "id": id, "repository": "docker.io/library/redis", "tag": "7.5", "status": status,
                "state_reason": reason, "state_detail": detail,
            }))
            .unwrap()
        };
        let picture = Picture {
            active: vec![
                rollout("paused", "CONSECUTIVE_FAILURES", "3 failures in a row"),
                rollout("in_progress", "", ""),
                rollout("paused", "OPERATOR", "alice paused it"),
            ],
            reviews: vec![
                serde_json::from_value(json!({
                    "id": id, "status": "pending", "repository": "docker.io/library/memcached",
                    "scope": "image", "held_pushes": 2,
                }))
                .unwrap(),
            ],
            receivers: vec![
                Receiver {
                    name: "hub".into(),
                    refused_since: 14,
                    last_refusal: Some("bad signature".into()),
                },
                Receiver { name: "good".into(), refused_since: 0, last_refusal: None },
            ],
            ..Picture::default()
        };
        assert_eq!(
            needs_you(&picture).render(Styles::plain()),
            "WHAT                  WHY                        NEXT\n\
             rollout of redis:7.5  3 failures in a row        slipway rollout explain 0198f3a4-0000-7000\n\
             rollout of redis:7.5  alice paused it            slipway rollout resume 0198f3a4-0000-7000\n\
             review of memcached   new image, holds 2 pushes  slipway review show 0198f3a4-0000-7000\n\
             receiver hub          refused 14: bad signature  slipway receiver deliveries hub\n"
        );
    }
}
