//! What a policy is made of, as a caller writes it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
use proto::rollout::v1::{batch_rule, device_quota};
use runtime::Problem;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

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

/// One step of a staged rollout: `percent` or `count`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"percent": 10, "soak_seconds": 1800}))]
pub struct BatchRule {
    /// Up to this share of all devices, cumulative: 10, 50, 100.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain_number")]
    percent: Option<f64>,
    /// This many devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i32>,
    /// How long the complete batch is watched before the next one begins.
    soak_seconds: Option<u64>,
    /// The share of the batch that must have succeeded for it to count as complete; 1 when it is left
    /// out.
    success_threshold: Option<f64>,
    /// `manual` = a person promotes the next batch.
    gate: Option<Gate>,
}

/// What opens the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Gate {
    /// Time and success.
    Auto,
    /// A person.
    Manual,
}

impl BatchRule {
    fn into_pb(self, at: usize) -> Result<pb::BatchRule, Fault> {
        let size = match (self.percent, self.count) {
            (Some(_), Some(_)) => {
                let message = "and `percent` exclude each other; give one of them";
                return Err(Problem::invalid(format!("batches[{at}].count"), message).into());
            }
            (Some(percent), None) => Some(batch_rule::Size::Percent(percent)),
            (None, Some(count)) => Some(batch_rule::Size::Count(count)),
            (None, None) => None,
        };
        Ok(pb::BatchRule {
            size,
            soak: duration(self.soak_seconds),
            success_threshold: self.success_threshold.unwrap_or_default(),
            manual_gate: self.gate == Some(Gate::Manual),
        })
    }
}

impl From<pb::BatchRule> for BatchRule {
    fn from(batch: pb::BatchRule) -> Self {
        let (percent, count) = match batch.size {
            Some(batch_rule::Size::Percent(percent)) => (Some(percent), None),
            Some(batch_rule::Size::Count(count)) => (None, Some(count)),
            None => (None, None),
        };
        Self {
            percent,
            count,
            soak_seconds: crate::shape::seconds(batch.soak),
            success_threshold: Some(batch.success_threshold),
            gate: Some(if batch.manual_gate { Gate::Manual } else { Gate::Auto }),
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

/// A number of devices, or a share of them: `50` or `"20%"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quota {
    /// A share.
    Percent(f64),
    /// A number.
    Count(i32),
}

impl From<Quota> for pb::DeviceQuota {
    fn from(quota: Quota) -> Self {
        Self {
            quota: Some(match quota {
                Quota::Percent(percent) => device_quota::Quota::Percent(percent),
                Quota::Count(count) => device_quota::Quota::Count(count),
            }),
        }
    }
}

impl Quota {
    /// What the wire says.
    pub fn of(quota: pb::DeviceQuota) -> Option<Self> {
        quota.quota.map(|quota| match quota {
            device_quota::Quota::Percent(percent) => Self::Percent(percent),
            device_quota::Quota::Count(count) => Self::Count(count),
        })
    }
}

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Percent(percent) => serializer.serialize_str(&format!("{percent}%")),
            Self::Count(count) => serializer.serialize_i32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuotaVisitor)
    }
}

struct QuotaVisitor;

impl Visitor<'_> for QuotaVisitor {
    type Value = Quota;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of devices such as `50`, or a share such as `\"20%\"`")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Quota, E> {
        i32::try_from(count)
            .map(Quota::Count)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Quota, E> {
        Err(E::invalid_value(de::Unexpected::Signed(count), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quota, E> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        percent
            .filter(|percent| percent.is_finite())
            .map(Quota::Percent)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// A duration in minutes, whole or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minutes(pub prost_types::Duration);

impl Serialize for Minutes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = self.0.seconds as f64 + f64::from(self.0.nanos) / 1e9;
        plain_number(&Some(seconds / 60.0), serializer)
    }
}

impl<'de> Deserialize<'de> for Minutes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let minutes = f64::deserialize(deserializer)?;
        // More than this is refused by the policy's own rules anyhow.
        let longest = 1e9;
        if !(0.0..=longest).contains(&minutes) {
            return Err(de::Error::custom("is negative, or no number of minutes at all"));
        }
        let millis = (minutes * 60_000.0).round() as i64;
        let nanos = i32::try_from(millis % 1_000).unwrap_or(0) * 1_000_000;
        Ok(Self(prost_types::Duration { seconds: millis / 1_000, nanos }))
    }
}

/// Writes whole numbers without a fraction.
fn plain_number<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        None => serializer.serialize_none(),
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            serializer.serialize_i64(*number as i64)
        }
        Some(number) => serializer.serialize_f64(*number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_number_or_a_share() {
        let read = serde_json::from_str::<Quota>;
        assert_eq!(read("50").unwrap(), Quota::Count(50));
        assert_eq!(read("\"20%\"").unwrap(), Quota::Percent(20.0));
        assert_eq!(read("\"12.5 %\"").unwrap(), Quota::Percent(12.5));
        for odd in ["\"20\"", "0.2", "-1", "\"%\"", "\"NaN%\"", "[]", "99999999999"] {
            let error = read(odd).expect_err(odd).to_string();
            assert!(error.contains("such as"), "{odd}: {error}");
        }
        let shown = [Quota::Percent(20.0), Quota::Percent(12.5), Quota::Count(50)];
        assert_eq!(serde_json::to_string(&shown).unwrap(), "[\"20%\",\"12.5%\",50]");
    }

    #[test]
    fn minutes_may_have_a_fraction_and_come_back_as_they_went() {
        for text in ["5", "0.5", "0", "1440"] {
            let minutes: Minutes = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&minutes).unwrap(), text);
        }
        let half = serde_json::from_str::<Minutes>("0.5").unwrap();
        assert_eq!(half.0, prost_types::Duration { seconds: 30, nanos: 0 });
        assert!(serde_json::from_str::<Minutes>("-1").is_err());
    }

    #[test]
    fn windows_are_refused_and_not_passed_over() {
        let rule = |text: &str| serde_json::from_str::<PolicyRule>(text).unwrap().into_pb();
        let fault = rule("{\"windows\": [{\"weekly\": \"sun\"}]}").expect_err("refused");
        assert_eq!((fault.status().as_u16(), fault.problem().reason()), (501, "NOT_BUILT"));
        assert!(rule("{\"windows\": null}").is_ok() && rule("{\"windows\": []}").is_ok());
    }

    #[test]
    fn a_batch_is_a_share_or_a_number_and_not_both() {
        let both = BatchRule { percent: Some(10.0), count: Some(1), ..BatchRule::default() };
        let fault = both.into_pb(2).expect_err("refused");
        assert_eq!(fault.problem().field_violations()[0].field, "batches[2].count");
    }
}
