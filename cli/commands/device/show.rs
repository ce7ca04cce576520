//! One device, as it stands.

use super::KIND;
use crate::client::{Answer, Request};
use crate::commands::say_checks;
use crate::documents::Check;
use crate::documents::device::{Device, Platform, Service, Target};
use crate::failure::Result;
use crate::ids::short;
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text, time};
use crate::session::Session;

/// Reads the device that was typed. With `--json` it is printed, and nothing is left to show.
async fn read(session: &Session, typed: &str) -> Result<Option<(Device, Answer)>> {
    let id = KIND.resolve(session, typed).await?;
    match session.show(Request::get([KIND.path, &*id])).await? {
        Some(answer) => Ok(Some((answer.read()?, answer))),
        None => Ok(None),
    }
}

/// What it runs, in one line.
pub fn runs(device: &Device) -> String {
    let services = device.services.iter().map(|report| report.familiar());
    let mut services: Vec<_> = services.filter(|image| !image.is_empty()).collect();
    services.dedup();
    services.join(", ")
}

/// Shows a device.
pub async fn show(session: &Session, typed: &str) -> Result {
    let Some((device, answer)) = read(session, typed).await? else { return Ok(()) };
    let now = session.now(answer.time());
    let out = &session.out;
    let labels: Vec<_> =
        device.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let pinned = match (device.pinned, device.pin_reason.as_str()) {
        (true, "") => "yes: rollouts leave it out".to_owned(),
        (true, reason) => format!("yes: {reason}"),
        (false, _) => String::new(),
    };
    Facts::default()
        .with("device", &device.name)
        .with("id", &device.id)
        .with("fleet", &device.fleet)
        .with("labels", labels.join(", "))
        .with("state", Cell::word(device.word()))
        .with("seen", time::since_or(device.last_seen_at, now, "never"))
        .with("platform", device.platform.as_ref().map(Platform::shown).unwrap_or_default())
        .with("agent", &device.agent_version)
        .with("pinned", pinned)
        .with("target", generations(&device))
        .with("added", time::since_or(device.created_at, now, ""))
        .print(out)?;
    out.say("")?;
    services(&device).print(out, "it should run nothing, and runs nothing")?;
    if !device.in_sync {
        out.note(&format!("why: slipway device explain {typed}"));
    }
    Ok(())
}

fn generations(device: &Device) -> String {
    match (device.target.generation, device.reported_generation) {
        (0, _) => "none yet".to_owned(),
        (wanted, reported) if wanted == reported => format!("generation {wanted}, reported"),
        (wanted, 0) => format!("generation {wanted}, nothing reported yet"),
        (wanted, reported) => format!("generation {wanted}, reported {reported}"),
    }
}

/// Both sides, service by service.
fn services(device: &Device) -> Table {
    let mut table = Table::new(&["SERVICE", "SHOULD RUN", "RUNS", "STATE", "WHY"]);
    for service in &device.target.services {
        let report = device.report(&service.name);
        let (runs, state, why) = match report {
            Some(report) => (
                with_digest(&report.familiar(), &report.digest),
                Cell::word(report.word()),
                report.why(),
            ),
            None => (String::new(), Cell::word(("not reported", Token::Wait)), String::new()),
        };
        table.row([
            (&service.name).into(),
            with_digest(&service.familiar(), &service.digest).into(),
            runs.into(),
            state,
            why.into(),
        ]);
    }
    let wanted = |name: &str| device.target.services.iter().any(|service| service.name == name);
    for report in device.services.iter().filter(|report| !wanted(&report.name)) {
        table.row([
            (&report.name).into(),
            "nothing".into(),
            with_digest(&report.familiar(), &report.digest).into(),
            Cell::word(report.word()),
            report.why().into(),
        ]);
    }
    table
}

fn with_digest(image: &str, digest: &str) -> String {
    match digest {
        "" => image.to_owned(),
        digest => format!("{image} {}", text::short_digest(digest)),
    }
}

/// Shows what a device should run.
pub async fn target(session: &Session, typed: &str) -> Result {
    let id = KIND.resolve(session, typed).await?;
    let request = Request::get([KIND.path, &*id, "target"]);
    let Some(answer) = session.show(request).await? else { return Ok(()) };
    let target: Target = answer.read()?;
    let empty = format!("it should run nothing; `slipway device target {typed} --set SERVICE=IMAGE:TAG`");
    wanted(&target.services).print(&session.out, &empty)
}

/// What should run, as a table.
pub fn wanted(services: &[Service]) -> Table {
    let mut table = Table::new(&["SERVICE", "IMAGE", "DIGEST", "ROLLOUT"]);
    for service in services {
        let rollout = service.rollout.as_ref().map(|update| match update.attempt {
            0 | 1 => short(&update.id).to_owned(),
            attempt => format!("{}, try {attempt}", short(&update.id)),
        });
        let digest = match service.digest.as_str() {
            "" => "not pinned",
            digest => text::short_digest(digest),
        };
        table.row([
            (&service.name).into(),
            service.familiar().into(),
            digest.into(),
            rollout.unwrap_or_default().into(),
        ]);
    }
    table
}

/// Tells why a device does not run what it should, condition by condition.
pub async fn explain(session: &Session, typed: &str) -> Result {
    let Some((device, answer)) = read(session, typed).await? else { return Ok(()) };
    let now = session.now(answer.time());
    let out = &session.out;
    let (word, token) = device.word();
    let name = text::clean(&device.name).into_owned();
    out.say(&format!("{name}  {}", out.styles().paint(token, &word)))?;
    out.say("")?;
    let checks = checks(&device, &time::since_or(device.last_seen_at, now, "never"));
    say_checks(out, &checks)?;
    if let Some(next) = next_step(&device, typed) {
        out.note(&format!("next: {next}"));
    }
    Ok(())
}

fn checks(device: &Device, seen: &str) -> Vec<Check> {
    let check = |name: &str, result: &str, detail: String| Check {
        name: name.to_owned(),
        result: result.to_owned(),
        detail,
    };
    let result = |is: bool| if is { "pass" } else { "fail" };
    let mut checks = vec![
        check(
            "credentials good",
            result(!device.revoked),
            if device.revoked { "they were ended".to_owned() } else { String::new() },
        ),
        check("connected", result(device.online), format!("last seen: {seen}")),
        check(
            "has a target",
            result(device.target.generation > 0),
            text::count(device.target.services.len() as u64, "service"),
        ),
    ];
    if device.pinned {
        checks.push(check("taken by rollouts", "fail", format!("pinned: {}", device.pin_reason)));
    }
    let is_reported = device.reported_generation == device.target.generation;
    let is_reported = if is_reported { "pass" } else { "waiting" };
    checks.push(check("knows its target", is_reported, generations(device)));
    for service in &device.target.services {
        let name = format!("runs {}", service.name);
        checks.push(match device.report(&service.name) {
            None => check(&name, "waiting", "it reported nothing of it".to_owned()),
            Some(report) => {
                let (word, token) = report.word();
                let is_wanted = report.digest == service.digest || service.digest.is_empty();
                let outcome = match token {
                    Token::Good if is_wanted => "pass",
                    Token::Bad => "fail",
                    _ => "waiting",
                };
                let runs = match is_wanted {
                    true => String::new(),
                    false => format!(", runs {}", with_digest(&report.familiar(), &report.digest)),
                };
                let why = match report.why().as_str() {
                    "" => String::new(),
                    why => format!(": {why}"),
                };
                check(&name, outcome, format!("{word}{runs}{why}"))
            }
        });
    }
    checks
}

/// The line that leads on.
fn next_step(device: &Device, typed: &str) -> Option<String> {
    let update = device.target.services.iter().find_map(|service| service.rollout.as_ref());
    if device.revoked {
        return Some(format!("slipway device token {typed}, and give it to the device"));
    }
    if device.target.generation == 0 {
        return Some(format!("slipway device target {typed} --set SERVICE=IMAGE:TAG"));
    }
    if let (Some(update), false) = (update, device.in_sync) {
        return Some(format!("slipway rollout explain {}", short(&update.id)));
    }
    device.pinned.then(|| format!("slipway device unpin {typed}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_explanation_names_the_service_that_is_wrong() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let device: Device = serde_json::from_value(json!({
            "name": "hall-7-0412", "online": true, "reported_generation": 87,
            "target": {"generation": 88, "services": [
                {"name": "web", "image": "ghcr.io/edge/gateway:5.2.0", "digest": digest("a"),
                 "rollout": {"id": "0198f3a4-0000-7000-8000-000000000001", "attempt": 2}},
                {"name": "cache", "image": "docker.io/library/redis:7", "digest": digest("b")},
            ]},
            "services": [
                {"name": "web", "image": "ghcr.io/edge/gateway:5.1.3", "digest": digest("c"),
                 "phase": "failed", "reason": "PULL_FAILED"},
                {"name": "cache", "image": "docker.io/library/redis:7", "digest": digest("b"),
                 "phase": "running", "healthy": true},
            ],
        }))
        .unwrap();
        let told: Vec<_> = checks(&device, "4 s ago")
            .into_iter()
            .map(|check| format!("{} {}: {}", check.result, check.name, check.detail))
            .collect();
        assert_eq!(
            told,
            [
                "pass credentials good: ",
                "pass connected: last seen: 4 s ago",
                "pass has a target: 2 services",
                "waiting knows its target: generation 88, reported 87",
                "fail runs web: failed, runs ghcr.io/edge/gateway:5.1.3 cccccccc: pull failed",
                "pass runs cache: running",
            ]
        );
        let next = next_step(&device, "hall-7-0412");
        assert_eq!(next.as_deref(), Some("slipway rollout explain 0198f3a4"));
    }
}
