//! What a policy is made of, as a caller writes it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::batch::BatchRule;
use super::quantity::{Minutes, Quota};
use crate::error::Fault;
use crate::extract::Members;
use crate::shape::{duration, stamp};

/// A rule that turns a push into a rollout. When it is added, `image_pattern` and `update_strategy`
/// are needed; what is left out has its default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({
    "image_pattern": "redis:*", "update_strategy": "staged", "batch_size": 3,
    "batch_delay_minutes": 5, "enabled": true
}))]
pub struct PolicyRule {
    /// What to call it; unique.
    name: Option<String>,
    /// Higher ones are asked first.
    priority: Option<i32>,
    /// `repository:tag` with `*` as a wildcard; in the repository `**` crosses `/`.
    image_pattern: Option<String>,
    /// How rollouts go forward.
    update_strategy: Option<Strategy>,
    /// False = it matches nothing. True when it is left out.
    enabled: Option<bool>,
    /// Which devices; the whole fleet when it is left out.
    device_selector: Option<DeviceSelector>,
    /// The steps; 10, 50 and 100 percent when neither they nor `batch_size` are given.
    batches: Option<Vec<BatchRule>>,
    /// Steps of this many devices each, instead of `batches`.
    batch_size: Option<i32>,
    /// How long a complete batch is watched when `batches` does not say it; 30 when it is left out.
    #[schema(value_type = Option<f64>)]
    batch_delay_minutes: Option<Minutes>,
    /// How many devices may move at once: `"20%"` (the default) or a number.
    #[schema(value_type = Option<Value>, example = "20%")]
    max_in_flight: Option<Quota>,
    /// The share of failed devices above which the rollout stops; 0.2 when it is left out.
    max_failure_ratio: Option<f64>,
    /// How many failed devices stop the rollout; no such limit when it is left out.
    max_failures: Option<i32>,
    /// How many failures in a row stop the rollout; 3 when it is left out, 0 = no such limit.
    max_consecutive: Option<i32>,
    /// How many decided devices make the ratio count early; 5 when it is left out.
    min_sample: Option<i32>,
    /// What stopping means; `rollback` when it is left out.
    on_failure: Option<OnFailure>,
    /// How long a device must stay healthy to have succeeded; 60 when it is left out.
    soak_device_seconds: Option<u64>,
    /// How long a device may take for each step.
    timers: Option<Timers>,
    /// How failed attempts are tried again.
    retry: Option<Retry>,
    /// When a scheduled rollout starts: for `scheduled`, where it is needed, and for nothing else.
    start_at: Option<DateTime<Utc>>,
    /// Not in this version: it must be left out. `start_at` says when a rollout starts.
    #[schema(value_type = Option<Value>)]
    windows: Option<Value>,
    /// Manual only: true = a person starts it, batches then advance by themselves.
    auto_advance: Option<bool>,
    /// How long after the swap a device waits for the server before it goes back by itself; 900 when
    /// it is left out.
    dead_man_seconds: Option<u64>,
    /// How long an offline device may stay away before it is left out; 604800 when it is left out.
    offline_ttl_seconds: Option<u64>,
}

impl Members for PolicyRule {
    const READ_ONLY: &'static [&'static str] =
        &["id", "revision", "etag", "created_at", "updated_at", "whole_fleet"];
}

/// The names of RPC and route.
pub const MASK: [(&str, &str); 22] = [
    ("name", "name"),
    ("priority", "priority"),
    ("image_pattern", "image_pattern"),
    ("update_strategy", "strategy"),
    ("enabled", "enabled"),
    ("device_selector", "device_selector"),
    ("batches", "batches"),
    ("batch_size", "batch_size"),
    ("batch_delay_minutes", "batch_delay"),
    ("max_in_flight", "max_in_flight"),
    ("max_failure_ratio", "max_failure_ratio"),
    ("max_failures", "max_failures"),
    ("max_consecutive", "max_consecutive"),
    ("min_sample", "min_sample"),
    ("on_failure", "on_failure"),
    ("soak_device_seconds", "device_soak"),
    ("timers", "timers"),
    ("retry", "retry"),
    ("start_at", "start_time"),
    ("auto_advance", "auto_advance"),
    ("dead_man_seconds", "dead_man"),
    ("offline_ttl_seconds", "offline_ttl"),
];

impl PolicyRule {
    /// As RPCs take it.
    ///
    /// # Errors
    ///
    /// When it asks for what this version does not do.
    pub fn into_pb(self) -> Result<pb::Policy, Fault> {
        if self.windows.is_some_and(|windows| windows != Value::Array(Vec::new())) {
            return Err(Fault::not_built(
                "windows",
                "this version has no maintenance windows; use `update_strategy: scheduled` with `start_at`",
            ));
        }
        let strategy = self.update_strategy.map_or(pb::Strategy::Unspecified, Into::into);
        let on_failure = self.on_failure.map_or(pb::OnFailure::Unspecified, Into::into);
        let batches = self.batches.unwrap_or_default().into_iter().enumerate();
        Ok(pb::Policy {
            name: self.name.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            image_pattern: self.image_pattern.unwrap_or_default(),
            strategy: strategy.into(),
            enabled: self.enabled.unwrap_or(true),
            device_selector: self.device_selector.map(Into::into),
            batches: batches.map(|(at, batch)| batch.into_pb(at)).collect::<Result<_, _>>()?,
            batch_size: self.batch_size.unwrap_or_default(),
            batch_delay: self.batch_delay_minutes.map(|Minutes(minutes)| minutes),
            max_in_flight: self.max_in_flight.map(Into::into),
            max_failure_ratio: self.max_failure_ratio,
            max_failures: self.max_failures.unwrap_or_default(),
            max_consecutive: self.max_consecutive,
            min_sample: self.min_sample,
            on_failure: on_failure.into(),
            device_soak: duration(self.soak_device_seconds),
            timers: self.timers.map(Into::into),
            retry: self.retry.map(Into::into),
            start_time: stamp(self.start_at),
            auto_advance: self.auto_advance.unwrap_or_default(),
            dead_man: duration(self.dead_man_seconds),
            offline_ttl: duration(self.offline_ttl_seconds),
            ..pb::Policy::default()
        })
    }
}

/// How a rollout goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One batch of all devices, at once; `max_in_flight` still holds.
    Auto,
    /// Batch after batch, each after the one before was watched.
    Staged,
    /// As staged, but a person starts it and promotes each batch.
    Manual,
    /// As staged, from `start_at` on.
    Scheduled,
}

impl From<Strategy> for pb::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Auto => Self::Auto,
            Strategy::Staged => Self::Staged,
            Strategy::Manual => Self::Manual,
            Strategy::Scheduled => Self::Scheduled,
        }
    }
}

impl From<pb::Strategy> for Strategy {
    fn from(strategy: pb::Strategy) -> Self {
        match strategy {
            pb::Strategy::Auto => Self::Auto,
            pb::Strategy::Unspecified | pb::Strategy::Staged => Self::Staged,
            pb::Strategy::Manual => Self::Manual,
            pb::Strategy::Scheduled => Self::Scheduled,
        }
    }
}

/// What happens when too many devices fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Devices go back to what they ran.
    Rollback,
    /// Nothing more is sent until a person says so.
    Pause,
    /// Nothing more is sent; devices keep what they have.
    Cancel,
}

impl From<OnFailure> for pb::OnFailure {
    fn from(on_failure: OnFailure) -> Self {
        match on_failure {
            OnFailure::Rollback => Self::Rollback,
            OnFailure::Pause => Self::Pause,
            OnFailure::Cancel => Self::Cancel,
        }
    }
}

impl From<pb::OnFailure> for OnFailure {
    fn from(on_failure: pb::OnFailure) -> Self {
        match on_failure {
            pb::OnFailure::Unspecified | pb::OnFailure::Rollback => Self::Rollback,
            pb::OnFailure::Pause => Self::Pause,
            pb::OnFailure::Cancel => Self::Cancel,
        }
    }
}

/// Which devices. All conditions given must hold; one at least must be given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"fleet": "north", "labels": {"line": "3"}}))]
pub struct DeviceSelector {
    /// Those of this fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<String>,
    /// Those with all these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    /// Those with one of these ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
    /// But not those with one of these ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<String>,
}

impl From<DeviceSelector> for pb::DeviceSelector {
    fn from(selector: DeviceSelector) -> Self {
        Self {
            fleet: selector.fleet.unwrap_or_default(),
            labels: selector.labels.into_iter().collect(),
            ids: selector.ids,
            exclude: selector.exclude,
        }
    }
}

impl From<pb::DeviceSelector> for DeviceSelector {
    fn from(selector: pb::DeviceSelector) -> Self {
        Self {
            fleet: crate::shape::text(selector.fleet),
            labels: selector.labels.into_iter().collect(),
            ids: selector.ids,
            exclude: selector.exclude,
        }
    }
}

/// How long a device may take for each step, in seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timers {
    /// From the offer to the first report, while the device is connected; 120.
    ack_seconds: Option<u64>,
    /// For the pull; 1800.
    pull_seconds: Option<u64>,
    /// For the swap; 600.
    install_seconds: Option<u64>,
    /// From running to healthy; 300.
    verify_seconds: Option<u64>,
    /// For one attempt in all; 7200.
    total_seconds: Option<u64>,
}

impl From<Timers> for pb::Timers {
    fn from(timers: Timers) -> Self {
        Self {
            ack: duration(timers.ack_seconds),
            pull: duration(timers.pull_seconds),
            install: duration(timers.install_seconds),
            verify: duration(timers.verify_seconds),
            total: duration(timers.total_seconds),
        }
    }
}

impl From<pb::Timers> for Timers {
    fn from(timers: pb::Timers) -> Self {
        use crate::shape::seconds;
        Self {
            ack_seconds: seconds(timers.ack),
            pull_seconds: seconds(timers.pull),
            install_seconds: seconds(timers.install),
            verify_seconds: seconds(timers.verify),
            total_seconds: seconds(timers.total),
        }
    }
}

/// How a failed attempt is tried again on the same device.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How many times more; 3 when it is left out.
    max: Option<i32>,
    /// The wait before the first, doubled each time; 15 when it is left out.
    backoff_seconds: Option<u64>,
}

impl From<Retry> for pb::RetryRule {
    fn from(retry: Retry) -> Self {
        Self { max: retry.max, backoff: duration(retry.backoff_seconds) }
    }
}

impl From<pb::RetryRule> for Retry {
    fn from(retry: pb::RetryRule) -> Self {
        Self { max: retry.max, backoff_seconds: crate::shape::seconds(retry.backoff) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_refused_and_not_passed_over() {
        let rule = |text: &str| serde_json::from_str::<PolicyRule>(text).unwrap().into_pb();
        let fault = rule("{\"windows\": [{\"weekly\": \"sun\"}]}").expect_err("refused");
        assert_eq!((fault.status().as_u16(), fault.problem().reason()), (501, "NOT_BUILT"));
        assert!(rule("{\"windows\": null}").is_ok() && rule("{\"windows\": []}").is_ok());
    }
}
