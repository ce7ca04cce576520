//! Rollouts as JSON.

use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
use serde::Serialize;
use utoipa::ToSchema;

use super::status::{State, Status};
use crate::routes::policies::Policy;
use crate::shape::{Actor, Platform, shown, text};

/// A release on its way to the devices of a policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c13", "image": "docker.io/library/redis:7.5-alpine",
    "repository": "docker.io/library/redis", "tag": "7.5-alpine",
    "digest": "sha256:8b81dd37ff027bec4e516d41acfbe9fe2460070dc6d4a4570a2ac5b9d59df065",
    "pinned": true, "platforms": [], "push_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c12",
    "policy_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11", "policy_name": "redis-staged",
    "policy": null, "status": "in_progress", "state": "running", "state_reason": null,
    "state_detail": null, "next": "batch 2 begins at 09:05 when batch 1 stays healthy",
    "current_batch": 1, "device_count": 10, "excluded_count": 1,
    "batches": [{"number": 1, "size": 1, "state": "soaking", "gated": false,
        "tally": {"queued": 0, "active": 0, "succeeded": 1, "failed": 0, "deferred": 0,
                  "skipped": 0, "cancelled": 0, "reverting": 0, "reverted": 0,
                  "revert_failed": 0},
        "started_at": "2026-11-21T09:00:00Z", "completed_at": "2026-11-21T09:01:10Z",
        "soak_ends_at": "2026-11-21T09:05:00Z"}],
    "tally": {"queued": 9, "active": 0, "succeeded": 1, "failed": 0, "deferred": 0, "skipped": 0,
              "cancelled": 0, "reverting": 0, "reverted": 0, "revert_failed": 0},
    "actor": {"kind": "receiver", "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c10", "name": "default"},
    "created_at": "2026-11-21T09:00:00Z", "started_at": "2026-11-21T09:00:00Z",
    "ended_at": null, "updated_at": "2026-11-21T09:01:10Z", "etag": "4"
}))]
pub struct Rollout {
    /// Its id.
    pub id: String,
    /// What it brings: the canonical reference with tag.
    pub image: String,
    /// The canonical repository.
    pub repository: String,
    /// The tag; `null` = by digest only.
    pub tag: Option<String>,
    /// The digest; `null` = devices go by the tag.
    pub digest: Option<String>,
    /// True = devices run the digest.
    pub pinned: bool,
    /// What the digest holds; empty = not known.
    pub platforms: Vec<Platform>,
    /// The push that brought it.
    pub push_id: Option<String>,
    /// The policy that it follows.
    pub policy_id: String,
    /// The policy's name, or its pattern when it has none.
    pub policy_name: String,
    /// The policy as it was when the rollout was made; `null` in lists.
    pub policy: Option<Policy>,
    /// Where it stands.
    pub status: Status,
    /// The same, finer.
    pub state: State,
    /// Why it stands there, a constant in UPPER_SNAKE; `null` = it is plain.
    pub state_reason: Option<String>,
    /// The same in a sentence; `null` = it is plain.
    pub state_detail: Option<String>,
    /// What comes next, in a sentence; `null` = nothing.
    pub next: Option<String>,
    /// The newest batch that has begun; `null` = none has.
    pub current_batch: Option<i32>,
    /// Its steps.
    pub batches: Vec<Batch>,
    /// How many devices it takes.
    pub device_count: i32,
    /// How many devices were selected and left out.
    pub excluded_count: i32,
    /// How its devices stand.
    pub tally: Tally,
    /// Who asked for it.
    pub actor: Option<Actor>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it started; `null` = it has not.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended; `null` = it has not.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// Changes with every change; `If-Match` takes it.
    pub etag: String,
}

impl From<pb::Rollout> for Rollout {
    fn from(rollout: pb::Rollout) -> Self {
        let status = Status::of(&rollout);
        let state = State::from(rollout.state());
        let release = rollout.release.unwrap_or_default();
        let image = match (release.tag.as_str(), release.digest.as_str()) {
            ("", "") => release.repository.clone(),
            ("", digest) => format!("{}@{digest}", release.repository),
            (tag, _) => format!("{}:{tag}", release.repository),
        };
        let batches: Vec<_> = rollout.batches.into_iter().map(Batch::from).collect();
        let begun = batches.iter().filter(|batch| batch.state != BatchState::Waiting);
        Self {
            status,
            state,
            id: rollout.id,
            image,
            repository: release.repository,
            tag: text(release.tag),
            pinned: !release.digest.is_empty(),
            digest: text(release.digest),
            platforms: release.platforms.into_iter().map(Platform::from).collect(),
            push_id: text(release.push_id),
            policy_id: rollout.policy_id,
            policy_name: rollout.policy_name,
            policy: rollout.policy.map(Policy::from),
            state_reason: text(rollout.state_reason),
            state_detail: text(rollout.state_detail),
            next: text(rollout.next),
            current_batch: begun.map(|batch| batch.number).max(),
            batches,
            device_count: rollout.device_count,
            excluded_count: rollout.excluded_count,
            tally: rollout.tally.unwrap_or_default().into(),
            actor: rollout.actor.map(Actor::from),
            created_at: shown(rollout.create_time),
            started_at: shown(rollout.start_time),
            ended_at: shown(rollout.end_time),
            updated_at: shown(rollout.update_time),
            etag: rollout.etag,
        }
    }
}

impl Rollout {
    /// As lists show it.
    #[must_use]
    pub fn listed(rollout: pb::Rollout) -> Self {
        Self { policy: None, ..Self::from(rollout) }
    }
}

/// One step of a rollout.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RolloutBatch)]
pub struct Batch {
    /// From 1.
    pub number: i32,
    /// How many devices.
    size: i32,
    /// Where it stands.
    state: BatchState,
    /// True = a person must promote it.
    gated: bool,
    /// How its devices stand.
    tally: Tally,
    /// When it began; `null` = it has not.
    started_at: Option<DateTime<Utc>>,
    /// When it was complete; `null` = it is not.
    completed_at: Option<DateTime<Utc>>,
    /// When its soak ends; `null` = not known.
    soak_ends_at: Option<DateTime<Utc>>,
}

impl From<pb::Batch> for Batch {
    fn from(batch: pb::Batch) -> Self {
        Self {
            state: batch.state().into(),
            number: batch.number,
            size: batch.size,
            gated: batch.gated,
            tally: batch.tally.unwrap_or_default().into(),
            started_at: shown(batch.start_time),
            completed_at: shown(batch.complete_time),
            soak_ends_at: shown(batch.soak_end_time),
        }
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BatchState {
    /// Not begun.
    Waiting,
    /// Devices are being sent it.
    Running,
    /// Complete and being watched.
    Soaking,
    /// Complete.
    Complete,
    /// The rollout turned or ended before it was complete: nothing more is sent.
    Stopped,
}

impl From<pb::batch::State> for BatchState {
    fn from(state: pb::batch::State) -> Self {
        match state {
            pb::batch::State::Unspecified | pb::batch::State::Waiting => Self::Waiting,
            pb::batch::State::Running => Self::Running,
            pb::batch::State::Soaking => Self::Soaking,
            pb::batch::State::Complete => Self::Complete,
            pb::batch::State::Stopped => Self::Stopped,
        }
    }
}

/// How many devices stand where.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Tally {
    /// Not yet sent.
    queued: i32,
    /// Sent, moving or being checked.
    active: i32,
    /// Updated and healthy.
    succeeded: i32,
    /// Failed, timed out, rejected.
    failed: i32,
    /// Offline, or put off for another reason.
    deferred: i32,
    /// Left out.
    skipped: i32,
    /// Withdrawn, superseded.
    cancelled: i32,
    /// On their way back.
    reverting: i32,
    /// Back.
    reverted: i32,
    /// Could not go back.
    revert_failed: i32,
}

impl From<pb::Tally> for Tally {
    fn from(tally: pb::Tally) -> Self {
        Self {
            queued: tally.queued,
            active: tally.active,
            succeeded: tally.succeeded,
            failed: tally.failed,
            deferred: tally.deferred,
            skipped: tally.skipped,
            cancelled: tally.cancelled,
            reverting: tally.reverting,
            reverted: tally.reverted,
            revert_failed: tally.revert_failed,
        }
    }
}

/// A rollout in figures.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RolloutStatistics)]
pub struct Statistics {
    /// How many devices it takes.
    total: i32,
    /// How they stand.
    #[serde(flatten)]
    tally: Tally,
    /// The share of devices with which it is done, whatever came of them, in percent.
    progress_percent: f64,
}

impl From<&Rollout> for Statistics {
    fn from(rollout: &Rollout) -> Self {
        let (total, tally) = (rollout.device_count, rollout.tally);
        let lost = tally.failed + tally.reverted + tally.revert_failed;
        let done = tally.succeeded + lost + tally.skipped + tally.cancelled;
        let share = f64::from(done) / f64::from(total.max(1));
        Self { total, tally, progress_percent: (share * 1_000.0).round() / 10.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(tally: pb::Tally) -> Rollout {
        let release = pb::Release {
            repository: "docker.io/library/redis".to_owned(),
            digest: "sha256:aa".to_owned(),
            ..pb::Release::default()
        };
        let batch = |number, state: pb::batch::State| pb::Batch {
            number,
            state: state.into(),
            ..pb::Batch::default()
        };
        Rollout::from(pb::Rollout {
            release: Some(release),
            device_count: 3,
            tally: Some(tally),
            batches: vec![
                batch(1, pb::batch::State::Complete),
                batch(2, pb::batch::State::Running),
                batch(3, pb::batch::State::Waiting),
            ],
            ..pb::Rollout::default()
        })
    }

    #[test]
    fn figures_count_what_is_decided() {
        let none = Statistics::from(&rollout(pb::Tally { queued: 3, ..pb::Tally::default() }));
        assert_eq!(none.progress_percent, 0.0);
        let tally = pb::Tally { succeeded: 1, failed: 1, active: 1, ..pb::Tally::default() };
        let some = Statistics::from(&rollout(tally));
        assert_eq!(some.progress_percent, 66.7);
    }

    #[test]
    fn a_rollout_shows_its_newest_batch_and_an_image_that_can_be_pulled() {
        let shown = rollout(pb::Tally::default());
        assert_eq!(shown.current_batch, Some(2));
        assert_eq!(shown.image, "docker.io/library/redis@sha256:aa");
        assert!(shown.pinned && shown.tag.is_none());
    }
}
