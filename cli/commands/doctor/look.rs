//! What the doctor looks at.

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Clock;
use serde::Deserialize;

use super::Finding;
use crate::client::{Request, Target, read};
use crate::commands::registry::{self, Registry, Tried};
use crate::commands::status::Health;
use crate::commands::whoami::Me;
use crate::documents::device::Fleet;
use crate::documents::rollout::Rollout;
use crate::failure::{Exit, Failure, Result};
use crate::ids::short;
use crate::output::{text, time};
use crate::session::Session;

/// How far two clocks may be apart.
const CLOCK: TimeDelta = TimeDelta::seconds(30);
/// How soon something that ends is told.
const SOON: TimeDelta = TimeDelta::days(7);

/// A failure as a finding.
pub fn failed(name: &str, failure: &Failure) -> Finding {
    let fix = failure.hint_text().unwrap_or("slipway status, which shows who answers").to_owned();
    Finding::fail(name, failure.what(), fix)
}

/// Whether others on the way could read along.
pub fn tls(target: &Target) -> Finding {
    match (target.url().scheme(), target.is_loopback()) {
        ("https", _) => match target.ca_file() {
            Some(file) => Finding::ok("tls", format!("also trusts {}", file.display())),
            None => Finding::ok("tls", "trusts the system's certificates"),
        },
        (_, true) => Finding::ok("tls", "none; the server is on this machine"),
        (_, false) => Finding::warn(
            "tls",
            "none: the token goes over the network in the clear",
            "put a TLS proxy before the gateway, then `slipway context add NAME https://…`",
        ),
    }
}

/// What the health page tells.
pub struct Seen {
    /// The server itself.
    pub server: Finding,
    /// Both clocks.
    pub clock: Finding,
    /// Its processes.
    pub processes: Vec<Finding>,
}

/// Asks how the processes are.
pub async fn health(session: &Session) -> Result<Seen> {
    let answer = session.api.ask(Request::get(["health"])).await?;
    let health: Health = read(answer.document())?;
    if health.status.is_empty() {
        return Err(session.api.refusal(&answer));
    }
    let ours = env!("CARGO_PKG_VERSION");
    let server = match health.version == ours {
        true => Finding::ok("server", format!("version {ours}")),
        false => Finding::warn(
            "server",
            format!("version {}, this program is {ours}", health.version),
            "install the same version on both sides",
        ),
    };
    let process = |(name, word): (&String, &String)| match word.as_str() {
        "healthy" => Finding::ok(name, "healthy"),
        word => {
            Finding::fail(name, word, format!("look at the log of `{name}`, or start it again"))
        }
    };
    let processes = health.services.iter().map(process).collect();
    Ok(Seen { server, clock: clock(answer.time(), Clock::system().now()), processes })
}

fn clock(server: Option<DateTime<Utc>>, here: DateTime<Utc>) -> Finding {
    let Some(server) = server else {
        return Finding::ok("clock", "the server does not tell its time");
    };
    let apart = (server - here).abs();
    let told = time::seconds(apart.num_seconds().unsigned_abs());
    match apart > CLOCK {
        true => Finding::warn(
            "clock",
            format!("this machine and the server are {told} apart"),
            "let both take their time from the network (chrony, systemd-timesyncd)",
        ),
        false => Finding::ok("clock", format!("{told} apart from the server's")),
    }
}

/// Asks who the caller is.
pub async fn identity(session: &Session) -> Result<Finding> {
    let answer = session.api.call(Request::get(["me"])).await?;
    let me: Me = answer.read()?;
    let now = session.now(answer.time());
    let who = me.sentence();
    Ok(match me.expires_at() {
        Some(end) if end - now < SOON => Finding::warn(
            "signed in",
            format!("as {who}; the token ends {}", time::until(end, now)),
            "slipway token create NAME --role ROLE, then slipway login",
        ),
        Some(end) => {
            Finding::ok("signed in", format!("as {who}; the token ends {}", time::until(end, now)))
        }
        None => Finding::ok("signed in", format!("as {who}")),
    })
}

/// Looks at devices, rollouts, pushes, receivers and keys.
pub async fn things(session: &Session) -> Vec<Finding> {
    let (fleets, rollouts, pushes, receivers, keys) = futures_util::join!(
        fleets(session),
        rollouts(session),
        pushes(session),
        receivers(session),
        keys(session),
    );
    let told = |name, result: Result<Finding>| match result {
        Ok(finding) => finding,
        Err(failure) if failure.exit() == Exit::Denied => {
            Finding::ok(name, "not looked at: your role may not read it")
        }
        Err(failure) => failed(name, &failure),
    };
    vec![
        told("devices", fleets),
        told("rollouts", rollouts),
        told("pushes", pushes),
        told("receivers", receivers),
        told("enrolment keys", keys),
    ]
}

async fn fleets(session: &Session) -> Result<Finding> {
    let page = session.api.list(Request::get(["fleets"]), "fleets", 5_000).await?;
    let fleets: Vec<Fleet> = page.read_items()?;
    let sum = |count: fn(&Fleet) -> u64| fleets.iter().map(count).sum::<u64>();
    let (all, online) = (sum(|fleet| fleet.device_count), sum(|fleet| fleet.online_count));
    let told = format!("{}, {} online", text::count(all, "device"), text::number(online));
    Ok(match all.saturating_sub(online) {
        // A few that are away are usual.
        away if away * 10 > all => Finding::warn("devices", told, "slipway device list --offline"),
        _ => Finding::ok("devices", told),
    })
}

async fn rollouts(session: &Session) -> Result<Finding> {
    let path = ["rollouts", "active"];
    let page = session.api.list(Request::get(path), "rollouts", 500).await?;
    let rollouts: Vec<Rollout> = page.read_items()?;
    let stopped: Vec<_> = rollouts.iter().filter(|rollout| rollout.stopped_itself()).collect();
    let told = format!("{} under way", rollouts.len());
    Ok(match stopped.first() {
        Some(first) => Finding::warn(
            "rollouts",
            format!("{told}, {} stopped: {}", stopped.len(), first.outlook()),
            format!("slipway rollout explain {}", short(&first.id)),
        ),
        None => Finding::ok("rollouts", told),
    })
}

async fn pushes(session: &Session) -> Result<Finding> {
    let request = Request::get(["pushes"]).query("state", "waiting");
    let page = session.api.list(request, "pushes", 1).await?;
    Ok(match page.total() {
        0 => Finding::ok("pushes", "none waits for another process or a registry"),
        waiting => Finding::warn(
            "pushes",
            format!("{} for another process or a registry", waits(waiting as u64)),
            "slipway push list --state waiting, then slipway push explain ID",
        ),
    })
}

fn waits(count: u64) -> String {
    let verb = if count == 1 { "waits" } else { "wait" };
    format!("{} {verb}", text::count(count, "push"))
}

#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
    #[serde(default)]
    refused_since: u64,
    #[serde(default)]
    last_refusal: Option<String>,
}

async fn receivers(session: &Session) -> Result<Finding> {
    let page = session.api.list(Request::get(["receivers"]), "receivers", 500).await?;
    let receivers: Vec<Receiver> = page.read_items()?;
    let refusing = receivers.iter().find(|receiver| receiver.refused_since > 0);
    Ok(match refusing {
        Some(receiver) => {
            let why = receiver.last_refusal.as_deref().unwrap_or("it does not say why");
            let refused = text::number(receiver.refused_since);
            Finding::warn(
                "receivers",
                format!("`{}` refused the last {refused}: {why}", receiver.name),
                format!("slipway receiver deliveries {}", receiver.name),
            )
        }
        None => Finding::ok("receivers", format!("{}, none refuses", receivers.len())),
    })
}

#[derive(Debug, Deserialize)]
struct Key {
    name: String,
    #[serde(default)]
    revoked_at: Option<DateTime<Utc>>,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
}

async fn keys(session: &Session) -> Result<Finding> {
    let request = Request::get(["enrolment-keys"]);
    let page = session.api.list(request, "enrolment_keys", 500).await?;
    let now = session.now(page.time());
    let keys: Vec<Key> = page.read_items()?;
    let good = keys
        .iter()
        .filter(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now));
    let good: Vec<_> = good.collect();
    let ending = good.iter().filter_map(|key| Some((key, key.expires_at?)));
    let ending = ending.filter(|(_, end)| *end - now < SOON).min_by_key(|(_, end)| *end);
    Ok(match ending {
        Some((key, end)) => Finding::warn(
            "enrolment keys",
            format!("`{}` ends {}", key.name, time::until(end, now)),
            "slipway enrolment-key create NAME --fleet FLEET",
        ),
        None => Finding::ok("enrolment keys", format!("{} in force", good.len())),
    })
}

/// Asks each registry whether it answers.
pub async fn registries(session: &Session) -> Vec<Finding> {
    let registries = match registry::all(session).await.and_then(|page| page.read_items()) {
        Ok(registries) => registries,
        Err(failure) if failure.exit() == Exit::Denied => Vec::new(),
        Err(failure) => return vec![failed("registries", &failure)],
    };
    let mut findings = Vec::new();
    for registry in &registries {
        findings.push(try_registry(session, registry).await);
    }
    findings
}

async fn try_registry(session: &Session, registry: &Registry) -> Finding {
    let name = format!("registry {}", registry.name);
    let tried = registry::try_one(session, registry).await;
    match tried.and_then(|answer| answer.read::<Tried>()) {
        Ok(tried) if tried.ok => Finding::ok(name, format!("answers in {} ms", tried.latency_ms)),
        Ok(tried) => Finding::warn(
            name,
            tried.detail,
            format!("slipway registry test {}; digests of its images stay unknown", registry.name),
        ),
        Err(failure) if failure.exit() == Exit::Denied => {
            Finding::ok(name, "not tried: your role may not")
        }
        Err(failure) => failed(&name, &failure),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn clocks_that_are_far_apart_are_told() {
        let here = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |seconds| clock(Some(here + TimeDelta::seconds(seconds)), here);
        assert_eq!(at(2).verdict, Verdict::Ok);
        let late = at(-300);
        assert_eq!(late.verdict, Verdict::Warn);
        assert_eq!(late.detail, "this machine and the server are 5 min apart");
    }
}
