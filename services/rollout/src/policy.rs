//! Update policies: a pattern of images, a choice of devices, and the rules by which a rollout goes
//! forward.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use imageref::{ImagePattern, Repository, Specificity, Tag};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::batch::{self, Size};

runtime::id! {
    /// A policy.
    PolicyId: Uuid
}

/// How a rollout goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Strategy {
    /// One batch of all devices, at once.
    Auto,
    /// Batch after batch.
    Staged,
    /// As staged, started and promoted by a person.
    Manual,
    /// As staged, from a time on.
    Scheduled,
}

impl Strategy {
    /// The word that the API and the column carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Staged => "staged",
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
        }
    }
}

/// What happens when too many devices fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Devices go back.
    #[default]
    Rollback,
    /// Nothing more is sent.
    Pause,
    /// It ends; devices keep what they have.
    Cancel,
}

/// Which devices. All conditions given must hold; a selector without any takes the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Selector {
    /// Those of this fleet.
    pub fleet: Option<String>,
    /// Those with all these labels.
    pub labels: BTreeMap<String, String>,
    /// Those with one of these ids; empty = any.
    pub ids: BTreeSet<Uuid>,
    /// But not these.
    pub exclude: BTreeSet<Uuid>,
}

impl Selector {
    /// Whether it takes devices of every fleet, whatever is excluded.
    #[must_use]
    pub fn is_fleetwide(&self) -> bool {
        self.fleet.is_none() && self.labels.is_empty() && self.ids.is_empty()
    }
}

/// One step of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BatchRule {
    /// How many devices.
    pub size: Size,
    /// How long the complete batch is watched.
    pub soak: Duration,
    /// The share that must have succeeded for it to be complete.
    pub success_threshold: f64,
    /// A person lets the next batch begin.
    pub manual_gate: bool,
}

/// A number of devices or a share of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// A share in percent.
    Percent(f64),
    /// A number.
    Count(u32),
}

impl Quota {
    /// How many of `devices` that is, at least one.
    #[must_use]
    pub fn of(self, devices: u32) -> u32 {
        match self {
            Self::Percent(percent) => batch::share(devices, percent).max(1),
            Self::Count(count) => count.max(1),
        }
    }
}

/// How long a device may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timers {
    /// From the offer to the first report.
    pub ack: Duration,
    /// For the pull.
    pub pull: Duration,
    /// For the swap.
    pub install: Duration,
    /// From running to healthy.
    pub verify: Duration,
    /// For one attempt in all.
    pub total: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            ack: minutes(2),
            pull: minutes(30),
            install: minutes(10),
            verify: minutes(5),
            total: minutes(120),
        }
    }
}

/// How failed attempts are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// How many times more.
    pub max: u32,
    /// The longest wait before the first; doubled each time.
    pub backoff: Duration,
}

impl Retry {
    /// The longest wait before any try.
    pub const LIMIT: Duration = Duration::from_secs(15 * 60);
}

impl Default for Retry {
    fn default() -> Self {
        Self { max: 3, backoff: Duration::from_secs(15) }
    }
}

/// Everything a policy says beside what it matches. A rollout keeps a copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Which devices; `None` = the whole fleet.
    pub selector: Option<Selector>,
    /// The steps as they were given; empty = `batch_size`, or 10, 50 and 100 percent.
    pub batches: Vec<BatchRule>,
    /// How many devices may move at once.
    pub max_in_flight: Quota,
    /// The share of failed devices above which the rollout stops.
    pub max_failure_ratio: f64,
    /// How many failed devices stop it; 0 = no such limit.
    pub max_failures: u32,
    /// How many failures in a row stop it; 0 = no such limit.
    pub max_consecutive: u32,
    /// How many decided devices make the ratio count early.
    pub min_sample: u32,
    /// What stopping means.
    pub on_failure: OnFailure,
    /// How long a device must stay healthy.
    pub device_soak: Duration,
    /// How long a device may take.
    pub timers: Timers,
    /// How failed attempts are tried again.
    pub retry: Retry,
    /// When a scheduled rollout starts.
    pub start_at: Option<DateTime<Utc>>,
    /// Manual: batches advance by themselves once it is started.
    pub auto_advance: bool,
    /// How long a device waits for the server after the swap.
    pub dead_man: Duration,
    /// How long an offline device may stay away.
    pub offline_ttl: Duration,
}

/// How long a complete batch is watched when nothing else is said.
pub const DEFAULT_SOAK: Duration = Duration::from_secs(30 * 60);

impl Default for Rules {
    fn default() -> Self {
        Self {
            selector: None,
            batches: Vec::new(),
            max_in_flight: Quota::Percent(20.0),
            max_failure_ratio: 0.2,
            max_failures: 0,
            max_consecutive: 3,
            min_sample: 5,
            on_failure: OnFailure::Rollback,
            device_soak: Duration::from_secs(60),
            timers: Timers::default(),
            retry: Retry::default(),
            start_at: None,
            auto_advance: false,
            dead_man: Duration::from_secs(15 * 60),
            offline_ttl: Duration::from_secs(7 * 86_400),
        }
    }
}

/// A rule that turns a push into a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// What to call it.
    pub name: Option<String>,
    /// Higher ones are asked first.
    pub priority: i32,
    /// Which images, as it was written.
    pub image_pattern: String,
    /// How rollouts go forward.
    pub strategy: Strategy,
    /// Whether it matches anything.
    pub enabled: bool,
    /// Steps of this many devices each.
    pub batch_size: Option<u32>,
    /// How long a complete batch is watched when the batches do not say it.
    pub batch_delay: Option<Duration>,
    /// The rest.
    pub rules: Rules,
    /// Counts the changes.
    pub revision: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Policy {
    /// What to show: its name, or its pattern.
    #[must_use]
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.image_pattern)
    }

    /// The steps it really takes.
    #[must_use]
    pub fn stages(&self) -> Vec<BatchRule> {
        let rule = |size| BatchRule {
            size,
            soak: self.batch_delay.unwrap_or(DEFAULT_SOAK),
            success_threshold: 1.0,
            manual_gate: self.strategy == Strategy::Manual && !self.rules.auto_advance,
        };
        match (self.strategy, self.batch_size) {
            (Strategy::Auto, _) => vec![rule(Size::Percent(100.0))],
            (_, Some(size)) => vec![rule(Size::Count(size))],
            (_, None) if self.rules.batches.is_empty() => {
                [10.0, 50.0, 100.0].map(|percent| rule(Size::Percent(percent))).to_vec()
            }
            (_, None) => {
                let gated = rule(Size::Count(1)).manual_gate;
                self.rules
                    .batches
                    .iter()
                    .map(|batch| BatchRule { manual_gate: batch.manual_gate || gated, ..*batch })
                    .collect()
            }
        }
    }

    /// How closely it describes this image; `None` when it does not match. The greater wins, after
    /// the priority.
    #[must_use]
    pub fn matches(&self, repository: &Repository, tag: Option<&Tag>) -> Option<Specificity> {
        let pattern = ImagePattern::parse(&self.image_pattern).ok()?;
        pattern.matches(repository, tag).then(|| pattern.specificity())
    }

    /// Whether it matches some tag of this repository.
    #[must_use]
    pub fn matches_repository(&self, repository: &Repository) -> bool {
        ImagePattern::parse(&self.image_pattern)
            .is_ok_and(|pattern| pattern.matches_repository(repository))
    }
}

/// Picks the policy for an image: the highest priority, then the closest pattern, then the oldest.
#[must_use]
pub fn pick<'a>(
    policies: &'a [Policy],
    repository: &Repository,
    tag: Option<&Tag>,
) -> Option<&'a Policy> {
    policies
        .iter()
        .filter_map(|policy| Some((policy.matches(repository, tag)?, policy)))
        .max_by(|(a, one), (b, other)| {
            one.priority.cmp(&other.priority).then(a.cmp(b)).then(other.id.cmp(&one.id))
        })
        .map(|(_, policy)| policy)
}

/// Sorts policies in the order they are asked.
pub fn sort(policies: &mut [Policy]) {
    let specificity =
        |policy: &Policy| ImagePattern::parse(&policy.image_pattern).ok().map(|p| p.specificity());
    policies.sort_by(|one, other| {
        other
            .priority
            .cmp(&one.priority)
            .then_with(|| specificity(other).cmp(&specificity(one)))
            .then_with(|| one.id.cmp(&other.id))
    });
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn policy(pattern: &str, strategy: Strategy) -> Policy {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        Policy {
            id: PolicyId::new(now),
            name: None,
            priority: 0,
            image_pattern: pattern.to_owned(),
            strategy,
            enabled: true,
            batch_size: None,
            batch_delay: None,
            rules: Rules::default(),
            revision: 1,
            created_at: now,
            updated_at: now,
        }
    }

    fn sizes(policy: &Policy, devices: u32) -> Vec<u32> {
        let rules: Vec<_> = policy.stages().iter().map(|stage| stage.size).collect();
        batch::sizes(&rules, devices).into_iter().map(|(_, size)| size).collect()
    }

    #[test]
    fn each_strategy_has_its_stages() {
        assert_eq!(sizes(&policy("redis:*", Strategy::Auto), 10), [10]);
        assert_eq!(sizes(&policy("redis:*", Strategy::Staged), 10), [1, 4, 5]);
        let mut three = policy("redis:*", Strategy::Staged);
        three.batch_size = Some(3);
        three.batch_delay = Some(Duration::from_secs(300));
        assert_eq!(sizes(&three, 10), [3, 3, 3, 1]);
        assert_eq!(three.stages()[0].soak, Duration::from_secs(300));
    }

    #[test]
    fn manual_batches_are_gated_unless_they_advance_by_themselves() {
        let mut manual = policy("redis:*", Strategy::Manual);
        assert!(manual.stages().iter().all(|stage| stage.manual_gate));
        manual.rules.auto_advance = true;
        assert!(manual.stages().iter().all(|stage| !stage.manual_gate));
    }

    #[test]
    fn priority_beats_closeness_and_closeness_beats_age() {
        let redis = Repository::parse("redis").unwrap();
        let tag = Tag::parse("7.5-alpine").unwrap();
        let wide = policy("*:*", Strategy::Auto);
        let close = policy("redis:7*", Strategy::Auto);
        let other = policy("postgres:*", Strategy::Auto);
        let mut all = vec![wide.clone(), close.clone(), other];
        assert_eq!(pick(&all, &redis, Some(&tag)).map(|p| p.id), Some(close.id));
        all[0].priority = 1;
        assert_eq!(pick(&all, &redis, Some(&tag)).map(|p| p.id), Some(wide.id));
        sort(&mut all);
        assert_eq!(all[0].id, wide.id);
        assert_eq!(all[1].image_pattern, "postgres:*");
    }

    #[test]
    fn in_flight_is_at_least_one() {
        assert_eq!(Quota::Percent(20.0).of(3), 1);
        assert_eq!(Quota::Percent(20.0).of(11), 3);
        assert_eq!(Quota::Count(50).of(3), 50);
    }
}
