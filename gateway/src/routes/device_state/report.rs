//! A device's report as JSON.

use proto::rollout::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::Members;

/// What runs on a device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "boot_id": "5d1f2c1e", "seq": 42, "generation": 7, "etag": "9f86d081884c7d65",
    "services": [{
        "name": "cache", "image": "docker.io/library/redis:7-alpine",
        "digest": "sha256:8b81dd37ff027bec4e516d41acfbe9fe2460070dc6d4a4570a2ac5b9d59df065",
        "phase": "running", "healthy": true,
        "rollout_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c13", "attempt": 1
    }]
}))]
pub struct Report {
    /// Changes with every start of the device's kernel.
    boot_id: String,
    /// Rises with every report and is never used twice; from 1.
    seq: i64,
    /// The generation that the device has accepted.
    generation: i64,
    /// The etag of that target.
    #[serde(default)]
    etag: Option<String>,
    /// Every service of the target, and those still there.
    services: Vec<ServiceReport>,
    /// The agent's version.
    #[serde(default)]
    agent_version: Option<String>,
    /// How many reports the device had to drop while it was offline.
    #[serde(default)]
    dropped: Option<i32>,
}

impl Members for Report {}

impl From<Report> for pb::ReportRequest {
    fn from(report: Report) -> Self {
        Self {
            boot_id: report.boot_id,
            seq: report.seq,
            generation: report.generation,
            etag: report.etag.unwrap_or_default(),
            services: report.services.into_iter().map(pb::ServiceReport::from).collect(),
            agent_version: report.agent_version.unwrap_or_default(),
            dropped: report.dropped.unwrap_or_default(),
            traceparent: String::new(),
        }
    }
}

/// Where one service stands on the device.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeviceService)]
pub struct ServiceReport {
    /// Its name.
    pub name: String,
    /// The reference that it runs.
    #[serde(default)]
    pub image: Option<String>,
    /// The digest that it runs; `null` = not known.
    #[serde(default)]
    pub digest: Option<String>,
    /// The release that it runs, when the target gave one.
    #[serde(default)]
    pub release_id: Option<String>,
    /// Where it stands.
    pub phase: Phase,
    /// True = it runs and is healthy.
    #[serde(default)]
    pub healthy: bool,
    /// Why, a constant in UPPER_SNAKE; `null` = it is plain.
    #[serde(default)]
    pub reason: Option<String>,
    /// For people; at most 4,096 bytes, longer ones are cut.
    #[serde(default)]
    pub message: Option<String>,
    /// The rollout that this is about; `null` = none.
    #[serde(default)]
    pub rollout_id: Option<String>,
    /// The attempt that this is about.
    #[serde(default)]
    pub attempt: Option<i32>,
    /// How far a pull is, 0 to 100.
    #[serde(default)]
    pub progress_percent: Option<i32>,
    /// How often it was restarted since it began.
    #[serde(default)]
    pub restarts: Option<i32>,
}

impl From<ServiceReport> for pb::ServiceReport {
    fn from(service: ServiceReport) -> Self {
        Self {
            name: service.name,
            image: service.image.unwrap_or_default(),
            digest: service.digest.unwrap_or_default(),
            release_id: service.release_id.unwrap_or_default(),
            phase: pb::Phase::from(service.phase).into(),
            healthy: service.healthy,
            reason: service.reason.unwrap_or_default(),
            message: service.message.unwrap_or_default(),
            rollout_id: service.rollout_id.unwrap_or_default(),
            attempt: service.attempt.unwrap_or_default(),
            progress_percent: service.progress_percent.unwrap_or_default(),
            restarts: service.restarts.unwrap_or_default(),
        }
    }
}

impl From<pb::ServiceReport> for ServiceReport {
    fn from(service: pb::ServiceReport) -> Self {
        use crate::shape::text;
        let about = !service.rollout_id.is_empty();
        Self {
            phase: service.phase().into(),
            name: service.name,
            image: text(service.image),
            digest: text(service.digest),
            release_id: text(service.release_id),
            healthy: service.healthy,
            reason: text(service.reason),
            message: text(service.message),
            rollout_id: text(service.rollout_id),
            attempt: about.then_some(service.attempt),
            progress_percent: (service.progress_percent != 0).then_some(service.progress_percent),
            restarts: Some(service.restarts),
        }
    }
}

/// Where a service stands on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It pulls.
    Downloading,
    /// It has pulled, nothing is swapped yet.
    Staged,
    /// The old one stops, the new one starts.
    Installing,
    /// The new one runs and is being checked.
    Verifying,
    /// It runs as wanted.
    #[default]
    Running,
    /// It goes back.
    Reverting,
    /// It went back.
    Reverted,
    /// It failed, and the old one runs or nothing does.
    Failed,
    /// The device refuses it.
    Rejected,
    /// It waits: a lock, a lack of room.
    Deferred,
    /// It is meant to be, or is, off.
    Stopped,
}

impl From<Phase> for pb::Phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Downloading => Self::Downloading,
            Phase::Staged => Self::Staged,
            Phase::Installing => Self::Installing,
            Phase::Verifying => Self::Verifying,
            Phase::Running => Self::Running,
            Phase::Reverting => Self::Reverting,
            Phase::Reverted => Self::Reverted,
            Phase::Failed => Self::Failed,
            Phase::Rejected => Self::Rejected,
            Phase::Deferred => Self::Deferred,
            Phase::Stopped => Self::Stopped,
        }
    }
}

impl From<pb::Phase> for Phase {
    fn from(phase: pb::Phase) -> Self {
        match phase {
            pb::Phase::Downloading => Self::Downloading,
            pb::Phase::Staged => Self::Staged,
            pb::Phase::Installing => Self::Installing,
            pb::Phase::Verifying => Self::Verifying,
            pb::Phase::Unspecified | pb::Phase::Running => Self::Running,
            pb::Phase::Reverting => Self::Reverting,
            pb::Phase::Reverted => Self::Reverted,
            pb::Phase::Failed => Self::Failed,
            pb::Phase::Rejected => Self::Rejected,
            pb::Phase::Deferred => Self::Deferred,
            pb::Phase::Stopped => Self::Stopped,
        }
    }
}

/// A report is stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"stale": false, "last_seq": 42, "stale_services": []}))]
pub struct Reported {
    /// True = there was a newer one, or the attempt is over.
    stale: bool,
    /// The highest `seq` that is stored.
    last_seq: i64,
    /// The services whose attempt is over.
    stale_services: Vec<String>,
}

impl From<pb::ReportResponse> for Reported {
    fn from(answer: pb::ReportResponse) -> Self {
        Self {
            stale: answer.stale,
            last_seq: answer.last_seq,
            stale_services: answer.stale_services,
        }
    }
}
