//! Rollouts and their devices.

use chrono::{DateTime, Utc};
use imageref::{Digest, Repository};
use proto::rollout::v1 as pb;
use proto::types::v1 as types;
use runtime::{Problem, id, time};

use super::{etag, policy_to_pb};
use crate::assignment::State as Try;
use crate::plan::{self, Batch, Condition, Outcome, View};
use crate::rollout::{Platform, Release, Rollout, State};
use crate::store::assignment::Stored;
use crate::tally::Tally;

/// Reads an admitted release; `push` is its request id.
///
/// # Errors
///
/// The field that does not hold what it may.
pub fn release_from_pb(release: pb::Release, push: &str) -> Result<Release, Problem> {
    let repository = Repository::parse(&release.repository)
        .map_err(|error| Problem::invalid("release.repository", error.to_string()))?;
    let digest = match &*release.digest {
        "" => None,
        text => {
            let digest = Digest::parse(text)
                .map_err(|error| Problem::invalid("release.digest", error.to_string()))?;
            Some(digest.to_string())
        }
    };
    if digest.is_none() && release.tag.is_empty() {
        return Err(Problem::invalid("release", "has neither tag nor digest; give one"));
    }
    Ok(Release {
        repository: repository.as_str().to_owned(),
        tag: release.tag,
        digest,
        platforms: release.platforms.into_iter().map(Platform::from).collect(),
        push: id::parse_uuid("request_id", push)?,
    })
}

impl From<types::Platform> for Platform {
    fn from(platform: types::Platform) -> Self {
        Self {
            os: platform.os,
            architecture: platform.architecture,
            variant: platform.variant,
            digest: platform.digest,
            size_bytes: platform.size_bytes,
        }
    }
}

fn release_to_pb(release: &Release) -> pb::Release {
    pb::Release {
        repository: release.repository.clone(),
        tag: release.tag.clone(),
        digest: release.digest.clone().unwrap_or_default(),
        platforms: release
            .platforms
            .iter()
            .map(|platform| types::Platform {
                os: platform.os.clone(),
                architecture: platform.architecture.clone(),
                variant: platform.variant.clone(),
                digest: platform.digest.clone(),
                size_bytes: platform.size_bytes,
            })
            .collect(),
        push_id: release.push.to_string(),
    }
}

/// A rollout at a time, as the wire carries it.
#[must_use]
pub fn rollout_to_pb(view: &View<'_>, now: DateTime<Utc>) -> pb::Rollout {
    let rollout: &Rollout = view.rollout;
    let waiting = plan::waiting_reason(view);
    let reason = if rollout.state_reason.is_empty() { waiting } else { &rollout.state_reason };
    pb::Rollout {
        id: rollout.id.to_string(),
        release: Some(release_to_pb(&rollout.release)),
        policy_id: rollout.policy.id.to_string(),
        policy_name: rollout.policy.title().to_owned(),
        policy: Some(policy_to_pb(&rollout.policy)),
        state: state_to_pb(rollout.state).into(),
        state_reason: reason.to_owned(),
        state_detail: rollout.state_detail.clone(),
        batches: batches_to_pb(view, now),
        device_count: signed(rollout.device_count),
        tally: Some(tally_to_pb(&plan::total(view.batches))),
        actor: Some(types::Actor::from(&rollout.actor)),
        create_time: Some(time::to_timestamp(rollout.created_at)),
        start_time: rollout.started_at.map(time::to_timestamp),
        end_time: rollout.ended_at.map(time::to_timestamp),
        update_time: Some(time::to_timestamp(rollout.updated_at)),
        etag: etag(rollout.version),
        excluded_count: signed(rollout.excluded_count),
        next: next_sentence(view),
    }
}

fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn batches_to_pb(view: &View<'_>, now: DateTime<Utc>) -> Vec<pb::Batch> {
    let neighbour = |index: Option<usize>| index.and_then(|index| view.batches.get(index));
    let batches = view.batches.iter().enumerate().map(|(index, batch)| {
        let (before, after) = (neighbour(index.checked_sub(1)), neighbour(index.checked_add(1)));
        // It is watched for the sake of the next one.
        let is_watched = view.rollout.state.is_live()
            && after.is_some_and(|after| after.started_at.is_none())
            && batch.completed_at.is_some_and(|at| now < at + batch.soak);
        batch_to_pb(batch, before, view.rollout.state, is_watched)
    });
    batches.collect()
}

fn batch_to_pb(
    batch: &Batch,
    before: Option<&Batch>,
    rollout: State,
    is_watched: bool,
) -> pb::Batch {
    let state = match (batch.started_at, batch.completed_at) {
        (_, None) if !rollout.is_live() => pb::batch::State::Stopped,
        (None, _) => pb::batch::State::Waiting,
        (Some(_), None) => pb::batch::State::Running,
        (Some(_), Some(_)) if is_watched => pb::batch::State::Soaking,
        (Some(_), Some(_)) => pb::batch::State::Complete,
    };
    let gated = before.is_some_and(|before| before.manual_gate)
        && batch.promoted_at.is_none()
        && rollout.is_live();
    pb::Batch {
        number: signed(batch.number),
        size: signed(batch.tally.devices()),
        state: state.into(),
        tally: Some(tally_to_pb(&batch.tally)),
        start_time: batch.started_at.map(time::to_timestamp),
        complete_time: batch.completed_at.map(time::to_timestamp),
        soak_end_time: batch.completed_at.map(|at| time::to_timestamp(at + batch.soak)),
        gated: gated && batch.started_at.is_none(),
    }
}

fn tally_to_pb(tally: &Tally) -> pb::Tally {
    pb::Tally {
        queued: signed(tally.queued),
        active: signed(tally.active),
        succeeded: signed(tally.succeeded),
        failed: signed(tally.failed),
        deferred: signed(tally.deferred),
        skipped: signed(tally.skipped),
        cancelled: signed(tally.cancelled),
        reverting: signed(tally.reverting),
        reverted: signed(tally.reverted),
        revert_failed: signed(tally.revert_failed),
    }
}

/// What comes next, for people.
fn next_sentence(view: &View<'_>) -> String {
    let rollout = view.rollout;
    let all = plan::total(view.batches);
    match rollout.state {
        State::Pending if view.older_turning => "an older rollout goes back first".to_owned(),
        State::Pending => match rollout.policy.rules.start_at {
            Some(start) => format!("starts at {}", start.to_rfc3339()),
            None => format!("you: start it with `slipway rollout start {}`", rollout.id),
        },
        State::Running | State::Settling => running_sentence(view),
        State::Paused => format!("you: {}", rollout.state_detail),
        State::RollingBack => {
            format!("still to go back: {}", plan::devices(all.returning + all.succeeded))
        }
        State::Cancelling => {
            format!("still moving: {}", plan::devices(all.active + all.returning))
        }
        State::Succeeded if all.deferred > 0 => {
            format!("when they come back: {}", plan::devices_that_are("offline", all.deferred))
        }
        State::Succeeded
        | State::RolledBack
        | State::RollbackIncomplete
        | State::Cancelled
        | State::Superseded
        | State::Failed => String::new(),
    }
}

fn running_sentence(view: &View<'_>) -> String {
    let Some(current) = plan::current_batch(view.batches) else {
        return "the first batch begins".to_owned();
    };
    let open = current.tally.queued + current.tally.active;
    let away = current.tally.deferred;
    let Some(next) = plan::next_batch(view.batches, current) else {
        let all = plan::total(view.batches);
        let left = all.queued + all.active;
        return match left {
            0 if away > 0 => plan::devices_that_are("offline", away),
            left => format!("{} to go", plan::devices(left)),
        };
    };
    match current.completed_at {
        _ if open > 0 => {
            let more = plan::devices_that_are("more", open);
            format!("batch {} after {more} and the soak", next.number)
        }
        None if away > 0 => {
            let away = plan::devices_that_are("offline", away);
            format!("batch {} waits for {away}", next.number)
        }
        None => format!("batch {} waits for evidence", next.number),
        Some(_) if current.manual_gate && next.promoted_at.is_none() => format!(
            "you: promote batch {} with `slipway rollout promote {} {}`",
            next.number, view.rollout.id, next.number
        ),
        Some(at) => {
            let soaked = at + current.soak;
            format!("batch {} about {}", next.number, soaked.format("%H:%M:%S UTC"))
        }
    }
}

fn state_to_pb(state: State) -> pb::rollout::State {
    match state {
        State::Pending => pb::rollout::State::Pending,
        State::Running => pb::rollout::State::Running,
        State::Paused => pb::rollout::State::Paused,
        State::Settling => pb::rollout::State::Settling,
        State::Succeeded => pb::rollout::State::Succeeded,
        State::RollingBack => pb::rollout::State::RollingBack,
        State::RolledBack => pb::rollout::State::RolledBack,
        State::RollbackIncomplete => pb::rollout::State::RollbackIncomplete,
        State::Cancelling => pb::rollout::State::Cancelling,
        State::Cancelled => pb::rollout::State::Cancelled,
        State::Superseded => pb::rollout::State::Superseded,
        State::Failed => pb::rollout::State::Failed,
    }
}

/// Reads a state filter.
///
/// # Errors
///
/// A violation of `states`.
pub fn state_from_pb(state: i32) -> Result<State, Problem> {
    State::ALL
        .into_iter()
        .find(|known| i32::from(state_to_pb(*known)) == state)
        .ok_or_else(|| Problem::invalid("states", "names an unknown state"))
}

fn try_to_pb(state: Try) -> pb::assignment::State {
    match state {
        Try::Queued => pb::assignment::State::Queued,
        Try::Offered => pb::assignment::State::Offered,
        Try::Acked => pb::assignment::State::Acked,
        Try::Downloading => pb::assignment::State::Downloading,
        Try::Staged => pb::assignment::State::Staged,
        Try::Installing => pb::assignment::State::Installing,
        Try::Verifying => pb::assignment::State::Verifying,
        Try::Succeeded => pb::assignment::State::Succeeded,
        Try::Failed => pb::assignment::State::Failed,
        Try::TimedOut => pb::assignment::State::TimedOut,
        Try::Rejected => pb::assignment::State::Rejected,
        Try::Deferred => pb::assignment::State::Deferred,
        Try::Skipped => pb::assignment::State::Skipped,
        Try::Superseded => pb::assignment::State::Superseded,
        Try::Cancelled => pb::assignment::State::Cancelled,
        Try::Reverting => pb::assignment::State::Reverting,
        Try::Reverted => pb::assignment::State::Reverted,
        Try::RevertFailed => pb::assignment::State::RevertFailed,
    }
}

/// Reads a state filter of tries.
///
/// # Errors
///
/// A violation of `states`.
pub fn try_state_from_pb(state: i32) -> Result<Try, Problem> {
    Try::ALL
        .into_iter()
        .find(|known| i32::from(try_to_pb(*known)) == state)
        .ok_or_else(|| Problem::invalid("states", "names an unknown state"))
}

/// A device's part as the wire carries it.
#[must_use]
pub fn assignment_to_pb(stored: &Stored) -> pb::Assignment {
    let try_ = &stored.try_;
    let sent = try_.generation.is_some() || try_.attempt > 1;
    let deadline = [try_.step_deadline, try_.total_deadline].into_iter().flatten().min();
    pb::Assignment {
        device: Some(pb::DeviceRef {
            id: try_.device.to_string(),
            name: stored.device_name.clone(),
        }),
        batch_number: stored.batch_number,
        attempt: if sent { try_.attempt } else { 0 },
        state: try_to_pb(try_.state).into(),
        reason: try_.reason.clone(),
        message: try_.message.clone(),
        update_time: Some(time::to_timestamp(stored.updated_at)),
        retry_time: try_.retry_at.map(time::to_timestamp),
        deadline: deadline.map(time::to_timestamp),
    }
}

/// A condition as the wire carries it.
#[must_use]
pub fn check_to_pb(condition: &Condition) -> types::Check {
    let result = match condition.outcome {
        Outcome::Holds => types::check::Result::Pass,
        Outcome::Blocks => types::check::Result::Fail,
        Outcome::Waits => types::check::Result::Waiting,
        Outcome::Later => types::check::Result::Skipped,
    };
    types::Check {
        name: condition.name.to_owned(),
        result: result.into(),
        detail: condition.detail.clone(),
    }
}
