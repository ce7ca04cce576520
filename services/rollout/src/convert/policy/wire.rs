//! A policy as the wire carries it.

use proto::rollout::v1 as pb;
use runtime::time;

use crate::batch::Size;
use crate::convert::etag;
use crate::policy::{BatchRule, OnFailure, Policy, Quota, Selector, Strategy};

/// A policy as the wire carries it, with every rule as it is in force.
#[must_use]
pub fn policy_to_pb(policy: &Policy) -> pb::Policy {
    let rules = &policy.rules;
    let signed = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    pb::Policy {
        id: policy.id.to_string(),
        name: policy.name.clone().unwrap_or_default(),
        priority: policy.priority,
        image_pattern: policy.image_pattern.clone(),
        strategy: match policy.strategy {
            Strategy::Auto => pb::Strategy::Auto,
            Strategy::Staged => pb::Strategy::Staged,
            Strategy::Manual => pb::Strategy::Manual,
            Strategy::Scheduled => pb::Strategy::Scheduled,
        }
        .into(),
        enabled: policy.enabled,
        device_selector: rules.selector.as_ref().map(selector_to_pb),
        batches: rules.batches.iter().map(batch_to_pb).collect(),
        batch_size: policy.batch_size.map_or(0, signed),
        batch_delay: policy.batch_delay.map(time::to_duration),
        max_in_flight: Some(pb::DeviceQuota {
            quota: Some(match rules.max_in_flight {
                Quota::Percent(percent) => pb::device_quota::Quota::Percent(percent),
                Quota::Count(count) => pb::device_quota::Quota::Count(signed(count)),
            }),
        }),
        max_failure_ratio: Some(rules.max_failure_ratio),
        max_failures: signed(rules.max_failures),
        max_consecutive: Some(signed(rules.max_consecutive)),
        min_sample: Some(signed(rules.min_sample)),
        on_failure: match rules.on_failure {
            OnFailure::Rollback => pb::OnFailure::Rollback,
            OnFailure::Pause => pb::OnFailure::Pause,
            OnFailure::Cancel => pb::OnFailure::Cancel,
        }
        .into(),
        device_soak: Some(time::to_duration(rules.device_soak)),
        timers: Some(pb::Timers {
            ack: Some(time::to_duration(rules.timers.ack)),
            pull: Some(time::to_duration(rules.timers.pull)),
            install: Some(time::to_duration(rules.timers.install)),
            verify: Some(time::to_duration(rules.timers.verify)),
            total: Some(time::to_duration(rules.timers.total)),
        }),
        retry: Some(pb::RetryRule {
            max: Some(signed(rules.retry.max)),
            backoff: Some(time::to_duration(rules.retry.backoff)),
        }),
        start_time: rules.start_at.map(time::to_timestamp),
        auto_advance: rules.auto_advance,
        dead_man: Some(time::to_duration(rules.dead_man)),
        offline_ttl: Some(time::to_duration(rules.offline_ttl)),
        revision: policy.revision,
        create_time: Some(time::to_timestamp(policy.created_at)),
        update_time: Some(time::to_timestamp(policy.updated_at)),
        etag: etag(policy.revision),
    }
}

fn selector_to_pb(selector: &Selector) -> pb::DeviceSelector {
    pb::DeviceSelector {
        fleet: selector.fleet.clone().unwrap_or_default(),
        labels: selector.labels.clone().into_iter().collect(),
        ids: selector.ids.iter().map(ToString::to_string).collect(),
        exclude: selector.exclude.iter().map(ToString::to_string).collect(),
    }
}

fn batch_to_pb(batch: &BatchRule) -> pb::BatchRule {
    pb::BatchRule {
        size: Some(match batch.size {
            Size::Percent(percent) => pb::batch_rule::Size::Percent(percent),
            Size::Count(count) => {
                pb::batch_rule::Size::Count(i32::try_from(count).unwrap_or(i32::MAX))
            }
        }),
        soak: Some(time::to_duration(batch.soak)),
        success_threshold: batch.success_threshold,
        manual_gate: batch.manual_gate,
    }
}
