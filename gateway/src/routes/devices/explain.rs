//! Whether a device runs what it should, told as a chain of questions.
//!
//! Nothing is decided here: every answer is a fact of the device, in the order in which each is needed
//! for the next one.

use proto::rollout::v1 as pb;
use serde::Serialize;
use utoipa::ToSchema;

use super::shape::Device;
use crate::shape::Check;

/// Whether a device runs what it should, and what is in the way.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceExplained {
    /// The device.
    device: Device,
    /// What was asked, in order.
    checks: Vec<Check>,
    /// What is in the way, in a sentence; `null` = nothing.
    blocked_by: Option<String>,
}

impl DeviceExplained {
    /// Explains a device.
    pub fn of(device: pb::Device) -> Self {
        let checks = checks(&device);
        let blocked = checks.iter().find(|check| check.result != "pass");
        let blocked_by = blocked.map(|check| format!("{}: {}", check.name, check.detail));
        Self { device: device.into(), checks, blocked_by }
    }
}

fn check(name: &str, result: &str, detail: String) -> Check {
    Check { name: name.to_owned(), result: result.to_owned(), detail }
}

fn checks(device: &pb::Device) -> Vec<Check> {
    let target = device.target.clone().unwrap_or_default();
    let mut checks = vec![credentials(device), connected(device), wanted(&target)];
    checks.push(known(device, &target));
    let services = target.services.iter();
    checks.extend(services.map(|service| runs(service, &device.services)));
    checks
}

fn credentials(device: &pb::Device) -> Check {
    let (result, detail) = if device.revoked {
        ("fail", "its credentials were ended; make it a new token")
    } else {
        ("pass", "its credentials hold")
    };
    check("credentials", result, detail.to_owned())
}

fn connected(device: &pb::Device) -> Check {
    let (result, detail) = match (device.online, &device.last_seen_time) {
        (true, _) => ("pass", "it is connected"),
        (false, Some(_)) => ("waiting", "it is away; it gets what it should run when it is back"),
        (false, None) => ("waiting", "it was never heard; let it call with its token"),
    };
    check("connected", result, detail.to_owned())
}

fn wanted(target: &pb::TargetState) -> Check {
    match target.services.len() {
        0 => check("target", "waiting", "nothing is to run on it; set its target".to_owned()),
        1 => check("target", "pass", format!("1 service, generation {}", target.generation)),
        many => {
            check("target", "pass", format!("{many} services, generation {}", target.generation))
        }
    }
}

fn known(device: &pb::Device, target: &pb::TargetState) -> Check {
    let (reported, newest) = (device.reported_generation, target.generation);
    match reported {
        0 => check("reported", "waiting", "it has not reported yet".to_owned()),
        _ if reported < newest => {
            let detail = format!("it reported generation {reported}, the newest is {newest}");
            check("reported", "waiting", detail)
        }
        _ => check("reported", "pass", format!("it reported generation {reported}")),
    }
}

/// Whether a service runs as wanted.
fn runs(service: &pb::Service, reports: &[pb::ServiceReport]) -> Check {
    let name = format!("service {}", service.name);
    let Some(report) = reports.iter().find(|report| report.name == service.name) else {
        return check(&name, "waiting", "it has not reported this service".to_owned());
    };
    let is_wanted = if service.digest.is_empty() {
        report.release_id == service.release_id && report.image == service.image
    } else {
        report.digest == service.digest
    };
    let state = why(report);
    match report.phase() {
        pb::Phase::Failed | pb::Phase::Rejected | pb::Phase::Reverted | pb::Phase::Reverting => {
            check(&name, "fail", state)
        }
        pb::Phase::Running if is_wanted && report.healthy => {
            check(&name, "pass", "it runs, healthy".to_owned())
        }
        pb::Phase::Running if is_wanted => check(&name, "waiting", format!("not healthy: {state}")),
        pb::Phase::Running => check(&name, "waiting", "it runs what it ran before".to_owned()),
        pb::Phase::Unspecified
        | pb::Phase::Downloading
        | pb::Phase::Staged
        | pb::Phase::Installing
        | pb::Phase::Verifying
        | pb::Phase::Deferred
        | pb::Phase::Stopped => check(&name, "waiting", state),
    }
}

/// What a device said of a service: its phase, and why.
fn why(report: &pb::ServiceReport) -> String {
    let phase = report.phase().as_str_name().trim_start_matches("PHASE_").to_lowercase();
    match (report.message.as_str(), report.reason.as_str()) {
        ("", "") => phase,
        ("", reason) => format!("{phase} ({reason})"),
        (message, "") => format!("{phase}: {message}"),
        (message, reason) => format!("{phase} ({reason}): {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(report: Option<pb::ServiceReport>) -> pb::Device {
        let service = pb::Service {
            name: "cache".to_owned(),
            digest: "sha256:aa".to_owned(),
            ..pb::Service::default()
        };
        pb::Device {
            online: true,
            target: Some(pb::TargetState {
                generation: 2,
                services: vec![service],
                ..pb::TargetState::default()
            }),
            reported_generation: 2,
            services: report.into_iter().collect(),
            ..pb::Device::default()
        }
    }

    fn report(phase: pb::Phase, digest: &str, healthy: bool) -> pb::ServiceReport {
        pb::ServiceReport {
            name: "cache".to_owned(),
            digest: digest.to_owned(),
            phase: phase.into(),
            healthy,
            reason: "PULL_FAILED".to_owned(),
            ..pb::ServiceReport::default()
        }
    }

    fn blocked(device: pb::Device) -> Option<String> {
        DeviceExplained::of(device).blocked_by
    }

    #[test]
    fn a_device_that_runs_what_it_should_has_nothing_in_its_way() {
        let runs = report(pb::Phase::Running, "sha256:aa", true);
        assert_eq!(blocked(device(Some(runs))), None);
    }

    #[test]
    fn the_first_thing_in_the_way_is_named() {
        let told = |report| blocked(device(report)).expect("something is in the way");
        assert_eq!(told(None), "service cache: it has not reported this service");
        let failed = report(pb::Phase::Failed, "", false);
        assert_eq!(told(Some(failed)), "service cache: failed (PULL_FAILED)");
        let old = report(pb::Phase::Running, "sha256:bb", true);
        assert_eq!(told(Some(old)), "service cache: it runs what it ran before");
        let ill = report(pb::Phase::Running, "sha256:aa", false);
        assert_eq!(told(Some(ill)), "service cache: not healthy: running (PULL_FAILED)");
    }

    #[test]
    fn a_device_that_is_away_is_told_before_what_it_runs() {
        let away = pb::Device { online: false, ..device(None) };
        assert_eq!(
            blocked(away).unwrap(),
            "connected: it was never heard; let it call with its token"
        );
        let revoked = pb::Device { revoked: true, online: false, ..device(None) };
        assert!(blocked(revoked).unwrap().starts_with("credentials: "));
    }
}
