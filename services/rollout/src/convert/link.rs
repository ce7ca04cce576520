//! The device link.

use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
use runtime::{Problem, id, time};
use uuid::Uuid;

use crate::assignment::{Observation, Phase};
use crate::device::Hardware;
use crate::report::Report;
use crate::target::{Image, Service, Target, Update};

/// The longest message of a device that is kept.
const MESSAGE_BYTES: usize = 4_096;
/// The most services a device may report.
const SERVICES: usize = 256;

impl From<pb::DevicePlatform> for Hardware {
    fn from(platform: pb::DevicePlatform) -> Self {
        let short = |text: String| text.chars().filter(|c| !c.is_control()).take(32).collect();
        Self {
            os: short(platform.os),
            architecture: short(platform.architecture),
            variant: short(platform.variant),
        }
    }
}

/// A target as its device receives it now.
#[must_use]
pub fn target_to_pb(device: Uuid, target: &Target, now: DateTime<Utc>) -> pb::TargetState {
    pb::TargetState {
        device_id: device.to_string(),
        generation: target.generation,
        etag: target.etag.clone(),
        services: target.services.iter().map(|service| service_to_pb(service, now)).collect(),
        traceparent: target.traceparent.clone().unwrap_or_default(),
    }
}

pub(super) fn service_to_pb(service: &Service, now: DateTime<Utc>) -> pb::Service {
    let Image { image, digest, release_id } = service.runs.clone();
    pb::Service {
        name: service.name.clone(),
        image,
        digest: digest.unwrap_or_default(),
        release_id: release_id.unwrap_or_default(),
        config: service.config.clone(),
        rollout: service.update.as_ref().map(|update| update_to_pb(update, now)),
    }
}

fn update_to_pb(update: &Update, now: DateTime<Utc>) -> pb::ServiceRollout {
    let Image { image, digest, release_id } = update.fallback.clone();
    let left = (update.deadline - now).to_std().unwrap_or_default();
    pb::ServiceRollout {
        id: update.rollout.to_string(),
        attempt: update.attempt,
        fallback: Some(pb::Fallback {
            image,
            digest: digest.unwrap_or_default(),
            release_id: release_id.unwrap_or_default(),
        }),
        verify: Some(time::to_duration(update.verify)),
        soak: Some(time::to_duration(update.soak)),
        dead_man: Some(time::to_duration(update.dead_man)),
        deadline: Some(time::to_timestamp(update.deadline)),
        time_left: Some(time::to_duration(left)),
    }
}

/// Reads a report of a device.
///
/// # Errors
///
/// The field that does not hold what it may.
pub fn report_from_pb(device: Uuid, report: pb::ReportRequest) -> Result<Report, Problem> {
    if report.seq < 1 {
        return Err(Problem::invalid("seq", "is not 1 or more; it rises with every report"));
    }
    if report.boot_id.is_empty() || report.boot_id.len() > 100 {
        return Err(Problem::invalid(
            "boot_id",
            "is empty or longer than 100 bytes; it changes with every start of the kernel",
        ));
    }
    if report.services.len() > SERVICES {
        return Err(Problem::invalid("services", format!("are more than {SERVICES}")));
    }
    let services = report
        .services
        .into_iter()
        .enumerate()
        .map(|(index, seen)| observation(index, seen))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Report {
        device,
        boot_id: report.boot_id,
        seq: report.seq,
        generation: report.generation,
        etag: report.etag.chars().take(100).collect(),
        services,
    })
}

fn observation(index: usize, seen: pb::ServiceReport) -> Result<Observation, Problem> {
    let at = |field: &str| format!("services[{index}].{field}");
    if seen.name.is_empty() || seen.name.len() > 63 {
        return Err(Problem::invalid(at("name"), "is no service name of the target"));
    }
    let phase = phase(seen.phase()).ok_or_else(|| {
        Problem::invalid(at("phase"), "is missing or unknown; `running` is the plain one")
    })?;
    let about = match &*seen.rollout_id {
        "" => None,
        text => Some((id::parse_uuid(&at("rollout_id"), text)?, seen.attempt)),
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Observation {
        name: seen.name,
        runs: Image {
            image: seen.image.chars().take(512).collect(),
            digest: given(seen.digest),
            release_id: given(seen.release_id),
        },
        phase,
        healthy: seen.healthy,
        reason: seen.reason.chars().filter(|c| !c.is_control()).take(64).collect(),
        message: cut(seen.message),
        about,
        progress: seen.progress_percent.clamp(0, 100),
        restarts: seen.restarts.max(0),
    })
}

fn cut(mut message: String) -> String {
    let mut end = message.len().min(MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    // Postgres stores no NUL, and nobody misses it.
    message.retain(|c| c != '\0');
    message
}

fn phase(phase: pb::Phase) -> Option<Phase> {
    Some(match phase {
        pb::Phase::Unspecified => return None,
        pb::Phase::Downloading => Phase::Downloading,
        pb::Phase::Staged => Phase::Staged,
        pb::Phase::Installing => Phase::Installing,
        pb::Phase::Verifying => Phase::Verifying,
        pb::Phase::Running => Phase::Running,
        pb::Phase::Reverting => Phase::Reverting,
        pb::Phase::Reverted => Phase::Reverted,
        pb::Phase::Failed => Phase::Failed,
        pb::Phase::Rejected => Phase::Rejected,
        pb::Phase::Deferred => Phase::Deferred,
        pb::Phase::Stopped => Phase::Stopped,
    })
}

/// An observation as the wire carries it.
pub(super) fn observation_to_pb(seen: &Observation) -> pb::ServiceReport {
    let (rollout_id, attempt) =
        seen.about.map(|(rollout, attempt)| (rollout.to_string(), attempt)).unwrap_or_default();
    let phase = match seen.phase {
        Phase::Downloading => pb::Phase::Downloading,
        Phase::Staged => pb::Phase::Staged,
        Phase::Installing => pb::Phase::Installing,
        Phase::Verifying => pb::Phase::Verifying,
        Phase::Running => pb::Phase::Running,
        Phase::Reverting => pb::Phase::Reverting,
        Phase::Reverted => pb::Phase::Reverted,
        Phase::Failed => pb::Phase::Failed,
        Phase::Rejected => pb::Phase::Rejected,
        Phase::Deferred => pb::Phase::Deferred,
        Phase::Stopped => pb::Phase::Stopped,
    };
    pb::ServiceReport {
        name: seen.name.clone(),
        image: seen.runs.image.clone(),
        digest: seen.runs.digest.clone().unwrap_or_default(),
        release_id: seen.runs.release_id.clone().unwrap_or_default(),
        phase: phase.into(),
        healthy: seen.healthy,
        reason: seen.reason.clone(),
        message: seen.message.clone(),
        rollout_id,
        attempt,
        progress_percent: seen.progress,
        restarts: seen.restarts,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_report_without_sequence_boot_or_phase_is_refused_by_name() {
        let good = pb::ReportRequest {
            boot_id: "b".to_owned(),
            seq: 1,
            services: vec![pb::ServiceReport {
                name: "cache".to_owned(),
                phase: pb::Phase::Running.into(),
                ..pb::ServiceReport::default()
            }],
            ..pb::ReportRequest::default()
        };
        assert!(report_from_pb(Uuid::nil(), good.clone()).is_ok());
        let field = |report| {
            report_from_pb(Uuid::nil(), report).expect_err("refused").field_violations()[0]
                .field
                .clone()
        };
        assert_eq!(field(pb::ReportRequest { seq: 0, ..good.clone() }), "seq");
        assert_eq!(field(pb::ReportRequest { boot_id: String::new(), ..good.clone() }), "boot_id");
        let mut unknown = good;
        unknown.services[0].phase = 99;
        assert_eq!(field(unknown), "services[0].phase");
    }

    proptest! {
        #[test]
        fn a_message_is_cut_between_characters(text in ".{0,2000}") {
            let kept = cut(text.repeat(4));
            prop_assert!(kept.len() <= MESSAGE_BYTES);
        }
    }
}
