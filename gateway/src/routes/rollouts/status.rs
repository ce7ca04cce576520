//! The words for where rollouts stand: the documents', and the finer ones behind them.

use proto::rollout::v1 as pb;
use proto::rollout::v1::rollout::State as Wire;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RolloutStatus)]
pub enum Status {
    /// It waits for a person to start it.
    Pending,
    /// It waits for its time.
    Scheduled,
    /// It goes forward, or devices go back.
    InProgress,
    /// Stopped for a while, by a person or by itself.
    Paused,
    /// Ended well.
    Completed,
    /// Never began, or could not go back whole.
    Failed,
    /// Ended by a person, or by a newer release.
    Cancelled,
    /// All devices went back.
    RolledBack,
}

impl Status {
    /// What the wire says.
    #[must_use]
    pub fn of(rollout: &pb::Rollout) -> Self {
        let strategy = rollout.policy.as_ref().map(pb::Policy::strategy);
        match rollout.state() {
            Wire::Pending if strategy == Some(pb::Strategy::Scheduled) => Self::Scheduled,
            Wire::Unspecified | Wire::Pending => Self::Pending,
            Wire::Running | Wire::Settling | Wire::RollingBack => Self::InProgress,
            Wire::Paused => Self::Paused,
            Wire::Succeeded => Self::Completed,
            Wire::RolledBack => Self::RolledBack,
            Wire::RollbackIncomplete | Wire::Failed => Self::Failed,
            Wire::Cancelling | Wire::Cancelled | Wire::Superseded => Self::Cancelled,
        }
    }
}

/// Which rollouts a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WantedRollouts)]
pub enum Wanted {
    /// Those that wait for their start, scheduled ones too.
    Pending,
    /// Those that go forward, or back.
    InProgress,
    /// Those that are stopped for a while.
    Paused,
    /// Those that ended well.
    Completed,
    /// Those that never began, or could not go back whole.
    Failed,
    /// Those that were ended.
    Cancelled,
    /// Those whose devices all went back.
    RolledBack,
}

impl Wanted {
    /// The states that RPCs take for it.
    #[must_use]
    pub fn states(self) -> Vec<i32> {
        let states: &[Wire] = match self {
            Self::Pending => &[Wire::Pending],
            Self::InProgress => &[Wire::Running, Wire::Settling, Wire::RollingBack],
            Self::Paused => &[Wire::Paused],
            Self::Completed => &[Wire::Succeeded],
            Self::Failed => &[Wire::Failed, Wire::RollbackIncomplete],
            Self::Cancelled => &[Wire::Cancelling, Wire::Cancelled, Wire::Superseded],
            Self::RolledBack => &[Wire::RolledBack],
        };
        states.iter().map(|state| i32::from(*state)).collect()
    }
}

/// Where a rollout stands, finer than the documents' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RolloutState)]
pub enum State {
    /// Waits for its start.
    Pending,
    /// Goes forward.
    Running,
    /// Stopped for a while.
    Paused,
    /// All batches are sent; it waits for the last devices.
    Settling,
    /// Ended well.
    Succeeded,
    /// Devices go back.
    RollingBack,
    /// All went back.
    RolledBack,
    /// Not all could go back.
    RollbackIncomplete,
    /// Ends once no device moves.
    Cancelling,
    /// Ended by a person.
    Cancelled,
    /// A newer release took its place.
    Superseded,
    /// Never began.
    Failed,
}

impl From<Wire> for State {
    fn from(state: Wire) -> Self {
        match state {
            Wire::Unspecified | Wire::Pending => Self::Pending,
            Wire::Running => Self::Running,
            Wire::Paused => Self::Paused,
            Wire::Settling => Self::Settling,
            Wire::Succeeded => Self::Succeeded,
            Wire::RollingBack => Self::RollingBack,
            Wire::RolledBack => Self::RolledBack,
            Wire::RollbackIncomplete => Self::RollbackIncomplete,
            Wire::Cancelling => Self::Cancelling,
            Wire::Cancelled => Self::Cancelled,
            Wire::Superseded => Self::Superseded,
            Wire::Failed => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state of the wire, with the documents' word for it and the filter that finds it.
    const WORDS: [(Wire, Status, Wanted); 12] = [
        (Wire::Pending, Status::Pending, Wanted::Pending),
        (Wire::Running, Status::InProgress, Wanted::InProgress),
        (Wire::Settling, Status::InProgress, Wanted::InProgress),
        (Wire::RollingBack, Status::InProgress, Wanted::InProgress),
        (Wire::Paused, Status::Paused, Wanted::Paused),
        (Wire::Succeeded, Status::Completed, Wanted::Completed),
        (Wire::Failed, Status::Failed, Wanted::Failed),
        (Wire::RollbackIncomplete, Status::Failed, Wanted::Failed),
        (Wire::Cancelling, Status::Cancelled, Wanted::Cancelled),
        (Wire::Cancelled, Status::Cancelled, Wanted::Cancelled),
        (Wire::Superseded, Status::Cancelled, Wanted::Cancelled),
        (Wire::RolledBack, Status::RolledBack, Wanted::RolledBack),
    ];

    #[test]
    fn every_state_has_the_documents_word_and_is_found_by_it() {
        for (state, status, wanted) in WORDS {
            let rollout = pb::Rollout { state: state.into(), ..pb::Rollout::default() };
            assert_eq!(Status::of(&rollout), status, "{state:?}");
            assert!(wanted.states().contains(&state.into()), "{state:?}");
        }
        let found: usize = [
            Wanted::Pending,
            Wanted::InProgress,
            Wanted::Paused,
            Wanted::Completed,
            Wanted::Failed,
            Wanted::Cancelled,
            Wanted::RolledBack,
        ]
        .into_iter()
        .map(|wanted| wanted.states().len())
        .sum();
        assert_eq!(found, WORDS.len(), "no state is found twice");
    }

    #[test]
    fn a_scheduled_rollout_is_scheduled_until_it_starts() {
        let policy =
            pb::Policy { strategy: pb::Strategy::Scheduled.into(), ..pb::Policy::default() };
        let rollout = |state: Wire| pb::Rollout {
            state: state.into(),
            policy: Some(policy.clone()),
            ..pb::Rollout::default()
        };
        assert_eq!(Status::of(&rollout(Wire::Pending)), Status::Scheduled);
        assert_eq!(Status::of(&rollout(Wire::Running)), Status::InProgress);
    }
}
