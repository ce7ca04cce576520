//! A device's part in a rollout as JSON.

use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
use proto::rollout::v1::assignment::State as Wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::shape::{shown, text};

/// A device's part in a rollout.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "device_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c14", "device_name": "north-001",
    "status": "failed", "state": "timed_out", "batch_number": 1, "attempt": 4,
    "reason": "TIMED_OUT", "message": "no report for 30 min", "updated_at": "2026-11-21T09:40:00Z",
    "retry_at": null, "deadline": null
}))]
pub struct RolloutDevice {
    /// The device.
    device_id: String,
    /// Its name.
    device_name: String,
    /// Where it stands.
    status: Status,
    /// The same, finer.
    state: State,
    /// Its batch, from 1.
    batch_number: i32,
    /// Which try this is, from 1; 0 = not sent yet.
    attempt: i32,
    /// Why, a constant in UPPER_SNAKE; `null` = it is plain.
    reason: Option<String>,
    /// What the device said, or what is known.
    message: Option<String>,
    /// When it last changed.
    updated_at: Option<DateTime<Utc>>,
    /// When the next try begins; `null` = none is due.
    retry_at: Option<DateTime<Utc>>,
    /// When the present step must be done; `null` = no timer runs.
    deadline: Option<DateTime<Utc>>,
}

impl From<pb::Assignment> for RolloutDevice {
    fn from(part: pb::Assignment) -> Self {
        let state = State::from(part.state());
        let device = part.device.unwrap_or_default();
        Self {
            device_id: device.id,
            device_name: device.name,
            status: state.status(),
            state,
            batch_number: part.batch_number,
            attempt: part.attempt,
            reason: text(part.reason),
            message: text(part.message),
            updated_at: shown(part.update_time),
            retry_at: shown(part.retry_time),
            deadline: shown(part.deadline),
        }
    }
}

/// Devices of a rollout.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutDevices {
    /// In batch order.
    pub devices: Vec<RolloutDevice>,
    /// How many match in all.
    pub total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl From<pb::ListAssignmentsResponse> for RolloutDevices {
    fn from(answer: pb::ListAssignmentsResponse) -> Self {
        Self {
            devices: answer.assignments.into_iter().map(RolloutDevice::from).collect(),
            total: answer.total_size,
            next_page_token: text(answer.next_page_token),
        }
    }
}

/// Where a device stands in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RolloutDeviceStatus)]
pub enum Status {
    /// Not yet sent.
    Pending,
    /// Sent.
    Scheduled,
    /// It pulls.
    Pulling,
    /// It swaps.
    Updating,
    /// It runs the release and is being checked.
    HealthChecking,
    /// It runs the release, healthy.
    Completed,
    /// It failed, refused, or did not answer in time.
    Failed,
    /// Offline, or put off for another reason.
    Deferred,
    /// Left out.
    Skipped,
    /// Withdrawn, or a newer release took its place.
    Cancelled,
    /// On its way back.
    Reverting,
    /// Back.
    RolledBack,
}

impl Status {
    /// The states that RPCs take for it.
    #[must_use]
    pub fn states(self) -> Vec<i32> {
        let all = (1..).map_while(|number| Wire::try_from(number).ok());
        all.filter(|wire| State::from(*wire).status() == self).map(i32::from).collect()
    }
}

/// Where a device stands in a rollout, finer than the documents' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RolloutDeviceState)]
pub enum State {
    /// Not yet sent.
    Queued,
    /// Sent.
    Offered,
    /// The device has it.
    Acked,
    /// It pulls.
    Downloading,
    /// It has pulled.
    Staged,
    /// It swaps.
    Installing,
    /// It runs the release and is being checked.
    Verifying,
    /// It runs the release, healthy.
    Succeeded,
    /// It failed.
    Failed,
    /// It did not answer in time.
    TimedOut,
    /// It refused.
    Rejected,
    /// Put off.
    Deferred,
    /// Left out.
    Skipped,
    /// A newer release took its place.
    Superseded,
    /// Withdrawn.
    Cancelled,
    /// On its way back.
    Reverting,
    /// Back.
    Reverted,
    /// Could not go back.
    RevertFailed,
}

impl State {
    /// The documents' word.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Queued => Status::Pending,
            Self::Offered | Self::Acked => Status::Scheduled,
            Self::Downloading => Status::Pulling,
            Self::Staged | Self::Installing => Status::Updating,
            Self::Verifying => Status::HealthChecking,
            Self::Succeeded => Status::Completed,
            Self::Failed | Self::TimedOut | Self::Rejected | Self::RevertFailed => Status::Failed,
            Self::Deferred => Status::Deferred,
            Self::Skipped => Status::Skipped,
            Self::Superseded | Self::Cancelled => Status::Cancelled,
            Self::Reverting => Status::Reverting,
            Self::Reverted => Status::RolledBack,
        }
    }

    /// The letter of a cell.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Queued => 'q',
            Self::Offered | Self::Acked => 'o',
            Self::Downloading => 'd',
            Self::Staged | Self::Installing => 'i',
            Self::Verifying => 'v',
            Self::Succeeded => 's',
            Self::Failed | Self::TimedOut | Self::Rejected => 'f',
            Self::Deferred => 'w',
            Self::Skipped => 'k',
            Self::Superseded | Self::Cancelled => 'c',
            Self::Reverting => 'r',
            Self::Reverted => 'b',
            Self::RevertFailed => 'x',
        }
    }
}

impl From<Wire> for State {
    fn from(state: Wire) -> Self {
        match state {
            Wire::Unspecified | Wire::Queued => Self::Queued,
            Wire::Offered => Self::Offered,
            Wire::Acked => Self::Acked,
            Wire::Downloading => Self::Downloading,
            Wire::Staged => Self::Staged,
            Wire::Installing => Self::Installing,
            Wire::Verifying => Self::Verifying,
            Wire::Succeeded => Self::Succeeded,
            Wire::Failed => Self::Failed,
            Wire::TimedOut => Self::TimedOut,
            Wire::Rejected => Self::Rejected,
            Wire::Deferred => Self::Deferred,
            Wire::Skipped => Self::Skipped,
            Wire::Superseded => Self::Superseded,
            Wire::Cancelled => Self::Cancelled,
            Wire::Reverting => Self::Reverting,
            Wire::Reverted => Self::Reverted,
            Wire::RevertFailed => Self::RevertFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_filter_by_a_word_finds_every_state_that_is_shown_by_it() {
        let all = [
            Status::Pending,
            Status::Scheduled,
            Status::Pulling,
            Status::Updating,
            Status::HealthChecking,
            Status::Completed,
            Status::Failed,
            Status::Deferred,
            Status::Skipped,
            Status::Cancelled,
            Status::Reverting,
            Status::RolledBack,
        ];
        let found = all.into_iter().flat_map(Status::states).collect::<BTreeSet<_>>();
        assert_eq!(found, (1..=i32::from(Wire::RevertFailed)).collect());
        let failed = [Wire::Failed, Wire::TimedOut, Wire::Rejected, Wire::RevertFailed];
        assert_eq!(Status::Failed.states(), failed.map(i32::from));
    }
}
