//! One device, as it stands.

use super::KIND;
use crate::client::{Answer, Request};
use crate::commands::say_checks;
use crate::documents::device::{Device, Explained, Platform, Service, Target};
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
    let empty =
        format!("it should run nothing; `slipway device target {typed} --set SERVICE=IMAGE:TAG`");
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
    let id = KIND.resolve(session, typed).await?;
    let request = Request::get([KIND.path, &*id, "explain"]);
    let Some(answer) = session.show(request).await? else { return Ok(()) };
    let Explained { device, checks, blocked_by } = answer.read()?;
    let out = &session.out;
    let (word, token) = device.word();
    let name = text::clean(&device.name).into_owned();
    out.say(&format!("{name}  {}", out.styles().paint(token, &word)))?;
    out.say("")?;
    say_checks(out, &checks)?;
    if !blocked_by.is_empty() {
        out.say("")?;
        out.say(&format!("not met: {}", text::clean(&blocked_by)))?;
    }
    if let Some(next) = next_step(&device, typed) {
        out.note(&format!("next: {next}"));
    }
    Ok(())
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
    use crate::output::Styles;

    fn device() -> Device {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        serde_json::from_value(json!({
            "name": "hall-7-0412", "online": true, "reported_generation": 87,
            "target": {"generation": 88, "services": [
                {"name": "web", "image": "ghcr.io/edge/gateway:5.2.0", "digest": digest("a"),
                 "rollout": {"id": "0198f3a4-0000-7000-8000-000000000001", "attempt": 2}},
            ]},
            "services": [
                {"name": "web", "image": "ghcr.io/edge/gateway:5.1.3", "digest": digest("c"),
                 "phase": "failed", "reason": "PULL_FAILED"},
                {"name": "old", "image": "docker.io/library/redis:7", "phase": "running",
                 "healthy": true},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn both_sides_stand_beside_each_other() {
        assert_eq!(
            services(&device()).render(Styles::plain()),
            "SERVICE  SHOULD RUN                           RUNS                                 STATE    WHY\n\
             web      ghcr.io/edge/gateway:5.2.0 aaaaaaaa  ghcr.io/edge/gateway:5.1.3 cccccccc  failed   pull failed\n\
             old      nothing                              redis:7                              running\n"
        );
        assert_eq!(generations(&device()), "generation 88, reported 87");
    }

    #[test]
    fn the_next_step_goes_to_what_moves_the_device() {
        let moving = device();
        let told = next_step(&moving, "hall-7-0412");
        assert_eq!(told.as_deref(), Some("slipway rollout explain 0198f3a4-0000-7000"));
        let good = Device { in_sync: true, ..device() };
        assert_eq!(next_step(&good, "hall-7-0412"), None);
        let revoked = Device { revoked: true, ..device() };
        let told = next_step(&revoked, "hall-7-0412").unwrap();
        assert!(told.starts_with("slipway device token hall-7-0412"));
    }
}
