//! Policies as JSON.

use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
use serde::Serialize;
use utoipa::ToSchema;

use super::batch::BatchRule;
use super::quantity::{Minutes, Quota};
use super::rule::{DeviceSelector, OnFailure, Retry, Strategy, Timers};
use crate::shape::{seconds, shown, text};

/// A rule that turns a push into a rollout, with every rule as it is in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11", "name": "redis-staged", "priority": 0,
    "image_pattern": "redis:*", "update_strategy": "staged", "enabled": true,
    "device_selector": null, "whole_fleet": true, "batches": [], "batch_size": 3,
    "batch_delay_minutes": 5, "max_in_flight": "20%", "max_failure_ratio": 0.2,
    "max_failures": null, "max_consecutive": 3, "min_sample": 5, "on_failure": "rollback",
    "soak_device_seconds": 60,
    "timers": {"ack_seconds": 120, "pull_seconds": 1800, "install_seconds": 600,
               "verify_seconds": 300, "total_seconds": 7200},
    "retry": {"max": 3, "backoff_seconds": 15}, "start_at": null, "auto_advance": false,
    "dead_man_seconds": 900, "offline_ttl_seconds": 604800, "revision": 1,
    "created_at": "2026-11-21T09:00:00Z", "updated_at": "2026-11-21T09:00:00Z", "etag": "1"
}))]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// What it is called; `null` = it has no name.
    pub name: Option<String>,
    /// Higher ones are asked first.
    pub priority: i32,
    /// `repository:tag` with `*` as a wildcard.
    pub image_pattern: String,
    /// How rollouts go forward.
    pub update_strategy: Strategy,
    /// False = it matches nothing.
    pub enabled: bool,
    /// Which devices; `null` = the whole fleet.
    pub device_selector: Option<DeviceSelector>,
    /// True = it takes every device.
    pub whole_fleet: bool,
    /// The steps; empty = `batch_size`, or 10, 50 and 100 percent.
    pub batches: Vec<BatchRule>,
    /// Steps of this many devices each.
    pub batch_size: Option<i32>,
    /// How long a complete batch is watched when `batches` does not say it; `null` = 30.
    #[schema(value_type = Option<f64>)]
    pub batch_delay_minutes: Option<Minutes>,
    /// How many devices may move at once: a share such as `"20%"` or a number.
    #[schema(value_type = Option<Value>)]
    pub max_in_flight: Option<Quota>,
    /// The share of failed devices above which the rollout stops.
    pub max_failure_ratio: Option<f64>,
    /// How many failed devices stop the rollout; `null` = no such limit.
    pub max_failures: Option<i32>,
    /// How many failures in a row stop the rollout; 0 = no such limit.
    pub max_consecutive: Option<i32>,
    /// How many decided devices make the ratio count early.
    pub min_sample: Option<i32>,
    /// What stopping means.
    pub on_failure: OnFailure,
    /// How long a device must stay healthy to have succeeded.
    pub soak_device_seconds: Option<u64>,
    /// How long a device may take for each step.
    pub timers: Timers,
    /// How failed attempts are tried again.
    pub retry: Retry,
    /// When a scheduled rollout starts.
    pub start_at: Option<DateTime<Utc>>,
    /// Manual only: true = batches advance by themselves once a person has started it.
    pub auto_advance: bool,
    /// How long after the swap a device waits for the server before it goes back by itself.
    pub dead_man_seconds: Option<u64>,
    /// How long an offline device may stay away before it is left out.
    pub offline_ttl_seconds: Option<u64>,
    /// Counts the changes, from 1.
    pub revision: i64,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// Changes with every change; `If-Match` takes it.
    pub etag: String,
}

impl From<pb::Policy> for Policy {
    fn from(policy: pb::Policy) -> Self {
        let positive = |number: i32| (number != 0).then_some(number);
        Self {
            update_strategy: policy.strategy().into(),
            on_failure: policy.on_failure().into(),
            whole_fleet: policy.device_selector.is_none(),
            id: policy.id,
            name: text(policy.name),
            priority: policy.priority,
            image_pattern: policy.image_pattern,
            enabled: policy.enabled,
            device_selector: policy.device_selector.map(DeviceSelector::from),
            batches: policy.batches.into_iter().map(BatchRule::from).collect(),
            batch_size: positive(policy.batch_size),
            batch_delay_minutes: policy.batch_delay.map(Minutes),
            max_in_flight: policy.max_in_flight.and_then(Quota::of),
            max_failure_ratio: policy.max_failure_ratio,
            max_failures: positive(policy.max_failures),
            max_consecutive: policy.max_consecutive,
            min_sample: policy.min_sample,
            soak_device_seconds: seconds(policy.device_soak),
            timers: policy.timers.unwrap_or_default().into(),
            retry: policy.retry.unwrap_or_default().into(),
            start_at: shown(policy.start_time),
            auto_advance: policy.auto_advance,
            dead_man_seconds: seconds(policy.dead_man),
            offline_ttl_seconds: seconds(policy.offline_ttl),
            revision: policy.revision,
            created_at: shown(policy.create_time),
            updated_at: shown(policy.update_time),
            etag: policy.etag,
        }
    }
}

/// Policies.
#[derive(Debug, Serialize, ToSchema)]
pub struct Policies {
    /// In the order in which they are asked.
    pub policies: Vec<Policy>,
    /// How many there are in all.
    pub total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What a policy would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "devices": 10,
    "batches": [{"number": 1, "size": 1, "devices": [
        {"id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11", "name": "north-001"}
    ]}],
    "excluded": [{"device": {"id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c12", "name": "north-002"},
                  "reason": "ALREADY_RUNNING"}],
    "excluded_count": 1
}))]
pub struct Preview {
    /// How many devices would be updated.
    pub devices: i32,
    /// In which batches.
    pub batches: Vec<PreviewBatch>,
    /// Who is selected and left out; the first 100.
    pub excluded: Vec<Excluded>,
    /// How many are left out in all.
    pub excluded_count: i32,
}

/// A batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewBatch {
    /// From 1.
    pub number: i32,
    /// How many devices.
    pub size: i32,
    /// The first 100 of them.
    pub devices: Vec<DeviceRef>,
}

/// A device that is selected and left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct Excluded {
    /// The device.
    pub device: DeviceRef,
    /// Why: `NO_MATCHING_SERVICE`, `ALREADY_RUNNING`, `PINNED`, `INCOMPATIBLE`.
    pub reason: String,
}

/// A device, to show.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceRef {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl From<pb::DeviceRef> for DeviceRef {
    fn from(device: pb::DeviceRef) -> Self {
        Self { id: device.id, name: device.name }
    }
}

impl From<pb::PreviewPolicyResponse> for Preview {
    fn from(preview: pb::PreviewPolicyResponse) -> Self {
        let batch = |batch: pb::preview_policy_response::Batch| PreviewBatch {
            number: batch.number,
            size: batch.size,
            devices: batch.devices.into_iter().map(DeviceRef::from).collect(),
        };
        let excluded = |excluded: pb::preview_policy_response::Excluded| Excluded {
            device: excluded.device.unwrap_or_default().into(),
            reason: excluded.reason,
        };
        Self {
            devices: preview.devices,
            batches: preview.batches.into_iter().map(batch).collect(),
            excluded: preview.excluded.into_iter().map(excluded).collect(),
            excluded_count: preview.excluded_count,
        }
    }
}
