//! Policies.

mod wire;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use imageref::ImagePattern;
use proto::rollout::v1 as pb;
use runtime::problem::Violation;
use runtime::{Problem, id, time};

use crate::batch::Size;
use crate::device::{check_fleet, check_labels};
use crate::policy::{
    BatchRule, DEFAULT_SOAK, OnFailure, Policy, PolicyId, Quota, Retry, Rules, Selector, Strategy,
    Timers,
};

pub use wire::policy_to_pb;

/// The longest name.
const NAME_LENGTH: usize = 100;
/// The most batches that can be listed.
const BATCHES: usize = 100;

/// Reads a policy out of a request.
///
/// # Errors
///
/// Every field that does not hold what it may, named below `policy`.
pub fn policy_from_pb(
    policy: pb::Policy,
    id: PolicyId,
    now: DateTime<Utc>,
) -> Result<Policy, Problem> {
    let mut reader = Reader::default();
    let strategy = reader.strategy(&policy);
    reader.pattern(&policy.image_pattern);
    reader.name(&policy.name);
    let defaults = Rules::default();
    let rules = Rules {
        selector: reader.selector(policy.device_selector.as_ref()),
        batches: reader.batches(&policy, strategy),
        max_in_flight: reader
            .quota(policy.max_in_flight.as_ref())
            .unwrap_or(defaults.max_in_flight),
        max_failure_ratio: reader.ratio(policy.max_failure_ratio, defaults.max_failure_ratio),
        max_failures: reader.count("max_failures", policy.max_failures),
        max_consecutive: policy
            .max_consecutive
            .map_or(defaults.max_consecutive, |n| reader.count("max_consecutive", n)),
        min_sample: policy
            .min_sample
            .map_or(defaults.min_sample, |n| reader.count("min_sample", n)),
        on_failure: match policy.on_failure() {
            pb::OnFailure::Unspecified | pb::OnFailure::Rollback => OnFailure::Rollback,
            pb::OnFailure::Pause => OnFailure::Pause,
            pb::OnFailure::Cancel => OnFailure::Cancel,
        },
        device_soak: reader.duration("device_soak", policy.device_soak, defaults.device_soak),
        timers: reader.timers(policy.timers.unwrap_or_default()),
        retry: reader.retry(policy.retry.as_ref()),
        start_at: reader.start_at(&policy, strategy),
        auto_advance: policy.auto_advance,
        dead_man: reader.duration("dead_man", policy.dead_man, defaults.dead_man),
        offline_ttl: reader.duration("offline_ttl", policy.offline_ttl, defaults.offline_ttl),
    };
    let read = Policy {
        id,
        name: Some(policy.name).filter(|name| !name.is_empty()),
        priority: policy.priority,
        image_pattern: policy.image_pattern,
        strategy,
        enabled: policy.enabled,
        batch_size: Some(reader.count("batch_size", policy.batch_size)).filter(|size| *size > 0),
        batch_delay: policy
            .batch_delay
            .map(|delay| reader.duration("batch_delay", Some(delay), DEFAULT_SOAK)),
        rules,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    reader.finish(read)
}

/// Reads a device selector out of a request.
///
/// # Errors
///
/// Every field that does not hold what it may.
pub fn selector_from_pb(
    selector: Option<&pb::DeviceSelector>,
) -> Result<Option<Selector>, Problem> {
    let mut reader = Reader::default();
    let read = reader.selector(selector);
    reader.finish(read)
}

/// Reads a request and collects what is wrong with it.
#[derive(Default)]
struct Reader {
    violations: Vec<Violation>,
}

impl Reader {
    fn finish<T>(self, read: T) -> Result<T, Problem> {
        if self.violations.is_empty() {
            return Ok(read);
        }
        Err(Problem::violations(self.violations))
    }

    fn wrong(&mut self, field: impl Into<String>, description: impl Into<String>) {
        let violation = Violation { field: field.into(), description: description.into() };
        self.violations.push(violation);
    }

    fn absorb(&mut self, result: Result<(), Problem>) {
        if let Err(problem) = result {
            self.violations.extend(problem.field_violations().iter().cloned());
        }
    }

    fn strategy(&mut self, policy: &pb::Policy) -> Strategy {
        match policy.strategy() {
            pb::Strategy::Auto => Strategy::Auto,
            pb::Strategy::Staged => Strategy::Staged,
            pb::Strategy::Manual => Strategy::Manual,
            pb::Strategy::Scheduled => Strategy::Scheduled,
            pb::Strategy::Unspecified => {
                self.wrong(
                    "policy.strategy",
                    "is missing; it is one of `auto`, `staged`, `manual`, `scheduled`",
                );
                Strategy::Staged
            }
        }
    }

    fn pattern(&mut self, pattern: &str) {
        if let Err(error) = ImagePattern::parse(pattern) {
            self.wrong("policy.image_pattern", error.to_string());
        }
    }

    fn name(&mut self, name: &str) {
        if name.chars().count() > NAME_LENGTH || name.chars().any(char::is_control) {
            self.wrong(
                "policy.name",
                format!(
                    "is no name; use at most {NAME_LENGTH} characters without control characters"
                ),
            );
        }
    }

    fn selector(&mut self, selector: Option<&pb::DeviceSelector>) -> Option<Selector> {
        let selector = selector?;
        let field = "policy.device_selector";
        let labels = selector.labels.clone().into_iter().collect();
        self.absorb(check_labels(&format!("{field}.labels"), &labels));
        if !selector.fleet.is_empty() {
            self.absorb(check_fleet(&format!("{field}.fleet"), &selector.fleet));
        }
        let read = Selector {
            fleet: Some(selector.fleet.clone()).filter(|fleet| !fleet.is_empty()),
            labels,
            ids: self.ids(&format!("{field}.ids"), &selector.ids),
            exclude: self.ids(&format!("{field}.exclude"), &selector.exclude),
        };
        if read == Selector::default() {
            self.wrong(
                field,
                "selects nothing; name a fleet, labels or ids, or leave it out for the whole fleet",
            );
        }
        Some(read)
    }

    fn ids(&mut self, field: &str, ids: &[String]) -> BTreeSet<uuid::Uuid> {
        let mut read = BTreeSet::new();
        for (index, text) in ids.iter().enumerate() {
            match id::parse_uuid(&format!("{field}[{index}]"), text) {
                Ok(id) => {
                    read.insert(id);
                }
                Err(problem) => self.absorb(Err(problem)),
            }
        }
        read
    }

    fn batches(&mut self, policy: &pb::Policy, strategy: Strategy) -> Vec<BatchRule> {
        let field = "policy.batches";
        if strategy == Strategy::Auto && (!policy.batches.is_empty() || policy.batch_size != 0) {
            self.wrong(field, "are not for `auto`, which has one batch; use `staged`");
        }
        if !policy.batches.is_empty() && policy.batch_size != 0 {
            self.wrong(field, "and `batch_size` exclude each other; give one of them");
        }
        if policy.batches.len() > BATCHES {
            self.wrong(field, format!("are more than {BATCHES}; use larger ones"));
        }
        let delay = policy.batch_delay;
        let mut read = Vec::with_capacity(policy.batches.len());
        let mut share = 0.0;
        for (index, batch) in policy.batches.iter().enumerate() {
            let at = |name: &str| format!("{field}[{index}].{name}");
            let size = match batch.size {
                Some(pb::batch_rule::Size::Percent(percent))
                    if percent > share && percent <= 100.0 =>
                {
                    share = percent;
                    Size::Percent(percent)
                }
                Some(pb::batch_rule::Size::Percent(_)) => {
                    self.wrong(at("percent"), "must grow from batch to batch, up to 100");
                    continue;
                }
                Some(pb::batch_rule::Size::Count(count)) => {
                    Size::Count(self.at_least_one(&at("count"), count))
                }
                None => {
                    self.wrong(at("percent"), "is missing; say `percent` or `count`");
                    continue;
                }
            };
            let soak = batch.soak.or(delay);
            read.push(BatchRule {
                size,
                soak: self.duration(&format!("batches[{index}].soak"), soak, DEFAULT_SOAK),
                success_threshold: self
                    .threshold(&at("success_threshold"), batch.success_threshold),
                manual_gate: batch.manual_gate,
            });
        }
        read
    }

    fn threshold(&mut self, field: &str, threshold: f64) -> f64 {
        if threshold == 0.0 {
            return 1.0;
        }
        if !(threshold > 0.0 && threshold <= 1.0) {
            self.wrong(field, "is not between 0 and 1");
        }
        threshold
    }

    fn quota(&mut self, quota: Option<&pb::DeviceQuota>) -> Option<Quota> {
        let field = "policy.max_in_flight";
        match quota?.quota {
            Some(pb::device_quota::Quota::Percent(percent))
                if percent > 0.0 && percent <= 100.0 =>
            {
                Some(Quota::Percent(percent))
            }
            Some(pb::device_quota::Quota::Percent(_)) => {
                self.wrong(field, "is no share; write for instance `20%`");
                None
            }
            Some(pb::device_quota::Quota::Count(count)) => {
                Some(Quota::Count(self.at_least_one(field, count)))
            }
            None => None,
        }
    }

    fn ratio(&mut self, ratio: Option<f64>, default: f64) -> f64 {
        match ratio {
            None => default,
            Some(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            Some(_) => {
                self.wrong("policy.max_failure_ratio", "is not between 0 and 1");
                default
            }
        }
    }

    fn count(&mut self, field: &str, count: i32) -> u32 {
        u32::try_from(count).unwrap_or_else(|_| {
            self.wrong(format!("policy.{field}"), "is negative; give 0 or more");
            0
        })
    }

    fn at_least_one(&mut self, field: &str, count: i32) -> u32 {
        match u32::try_from(count) {
            Ok(count) if count > 0 => count,
            _ => {
                self.wrong(field, "is no number of devices; give 1 or more");
                1
            }
        }
    }

    fn duration(
        &mut self,
        field: &str,
        duration: Option<prost_types::Duration>,
        default: Duration,
    ) -> Duration {
        let field = format!("policy.{field}");
        match duration.map(|duration| time::from_duration(&field, duration)) {
            None => default,
            Some(Ok(duration)) if duration <= Duration::from_secs(366 * 86_400) => duration,
            Some(Ok(_)) => {
                self.wrong(field, "is longer than a year");
                default
            }
            Some(Err(problem)) => {
                self.absorb(Err(problem));
                default
            }
        }
    }

    fn timers(&mut self, timers: pb::Timers) -> Timers {
        let defaults = Timers::default();
        Timers {
            ack: self.duration("timers.ack", timers.ack, defaults.ack),
            pull: self.duration("timers.pull", timers.pull, defaults.pull),
            install: self.duration("timers.install", timers.install, defaults.install),
            verify: self.duration("timers.verify", timers.verify, defaults.verify),
            total: self.duration("timers.total", timers.total, defaults.total),
        }
    }

    fn retry(&mut self, retry: Option<&pb::RetryRule>) -> Retry {
        let defaults = Retry::default();
        let Some(retry) = retry else { return defaults };
        Retry {
            max: retry.max.map_or(defaults.max, |max| self.count("retry.max", max)),
            backoff: self.duration("retry.backoff", retry.backoff, defaults.backoff),
        }
    }

    fn start_at(&mut self, policy: &pb::Policy, strategy: Strategy) -> Option<DateTime<Utc>> {
        let field = "policy.start_time";
        match (strategy, policy.start_time) {
            (Strategy::Scheduled, None) => {
                self.wrong(field, "is missing; say when a scheduled rollout starts");
                None
            }
            (Strategy::Scheduled, Some(start)) => match time::from_timestamp(field, start) {
                Ok(start) => Some(start),
                Err(problem) => {
                    self.absorb(Err(problem));
                    None
                }
            },
            (_, Some(_)) => {
                self.wrong(field, "is only for `scheduled`; leave it out");
                None
            }
            (_, None) => None,
        }
    }
}

/// Puts the fields that a mask names over a stored policy.
///
/// # Errors
///
/// A violation of `update_mask` when it is empty or names a field that cannot be changed.
pub fn update_policy(
    stored: &Policy,
    change: pb::Policy,
    mask: &[String],
) -> Result<pb::Policy, Problem> {
    if mask.is_empty() {
        return Err(Problem::invalid("update_mask", "is empty; name the fields to change"));
    }
    let mut next = policy_to_pb(stored);
    for field in mask {
        match field.as_str() {
            "name" => next.name.clone_from(&change.name),
            "priority" => next.priority = change.priority,
            "image_pattern" => next.image_pattern.clone_from(&change.image_pattern),
            "strategy" => next.strategy = change.strategy,
            "enabled" => next.enabled = change.enabled,
            "device_selector" => next.device_selector.clone_from(&change.device_selector),
            "batches" => next.batches.clone_from(&change.batches),
            "batch_size" => next.batch_size = change.batch_size,
            "batch_delay" => next.batch_delay = change.batch_delay,
            "max_in_flight" => next.max_in_flight = change.max_in_flight,
            "max_failure_ratio" => next.max_failure_ratio = change.max_failure_ratio,
            "max_failures" => next.max_failures = change.max_failures,
            "max_consecutive" => next.max_consecutive = change.max_consecutive,
            "min_sample" => next.min_sample = change.min_sample,
            "on_failure" => next.on_failure = change.on_failure,
            "device_soak" => next.device_soak = change.device_soak,
            "timers" => next.timers = change.timers,
            "retry" => next.retry = change.retry,
            "start_time" => next.start_time = change.start_time,
            "auto_advance" => next.auto_advance = change.auto_advance,
            "dead_man" => next.dead_man = change.dead_man,
            "offline_ttl" => next.offline_ttl = change.offline_ttl,
            other => {
                return Err(Problem::invalid(
                    "update_mask",
                    format!("names `{}`, which cannot be changed", other.escape_debug()),
                ));
            }
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(policy: pb::Policy) -> Result<Policy, Problem> {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        policy_from_pb(policy, PolicyId::new(now), now)
    }

    fn staged() -> pb::Policy {
        pb::Policy {
            image_pattern: "redis:*".to_owned(),
            strategy: pb::Strategy::Staged.into(),
            enabled: true,
            ..pb::Policy::default()
        }
    }

    #[test]
    fn a_policy_comes_back_as_it_went() {
        let policy = read(staged()).unwrap();
        let again = read(policy_to_pb(&policy)).unwrap();
        assert_eq!((again.rules, again.strategy), (policy.rules, policy.strategy));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut policy = staged();
        policy.image_pattern = "redis@sha256:1".to_owned();
        policy.strategy = 0;
        policy.max_failure_ratio = Some(2.0);
        policy.batches = vec![pb::BatchRule::default()];
        let problem = read(policy).expect_err("refused");
        let fields: Vec<_> =
            problem.field_violations().iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "policy.strategy",
                "policy.image_pattern",
                "policy.batches[0].percent",
                "policy.max_failure_ratio",
            ]
        );
    }

    #[test]
    fn a_selector_that_selects_nothing_is_refused_and_none_is_the_whole_fleet() {
        assert_eq!(read(staged()).unwrap().rules.selector, None);
        let mut empty = staged();
        empty.device_selector = Some(pb::DeviceSelector::default());
        let problem = read(empty).expect_err("refused");
        assert_eq!(problem.field_violations()[0].field, "policy.device_selector");
    }

    #[test]
    fn a_scheduled_policy_says_when_and_others_do_not() {
        let mut scheduled = staged();
        scheduled.strategy = pb::Strategy::Scheduled.into();
        assert!(read(scheduled.clone()).is_err());
        scheduled.start_time = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
        assert!(read(scheduled.clone()).is_ok());
        scheduled.strategy = pb::Strategy::Staged.into();
        assert!(read(scheduled).is_err());
    }

    #[test]
    fn a_mask_changes_what_it_names_and_nothing_else() {
        let policy = read(staged()).unwrap();
        let change = pb::Policy { priority: 7, enabled: false, ..pb::Policy::default() };
        let next = update_policy(&policy, change.clone(), &["priority".to_owned()]).unwrap();
        assert_eq!(
            (next.priority, next.enabled, next.image_pattern.as_str()),
            (7, true, "redis:*")
        );
        assert!(update_policy(&policy, change.clone(), &[]).is_err());
        assert!(update_policy(&policy, change, &["revision".to_owned()]).is_err());
    }
}
