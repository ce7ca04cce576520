//! The states of an assignment.

use serde::{Deserialize, Serialize};

/// Where a try stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
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

/// What a state means to its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Not sent.
    Queued,
    /// Sent and not decided.
    Active,
    /// Works.
    Succeeded,
    /// Does not work.
    Failed,
    /// Put off.
    Deferred,
    /// Left out.
    Skipped,
    /// Withdrawn.
    Cancelled,
    /// Goes back although it worked.
    Reverting,
    /// Went back although it worked.
    Reverted,
    /// Could not go back.
    RevertFailed,
}

impl State {
    /// Every state, in the order of the proto.
    pub const ALL: [Self; 18] = [
        Self::Queued,
        Self::Offered,
        Self::Acked,
        Self::Downloading,
        Self::Staged,
        Self::Installing,
        Self::Verifying,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Rejected,
        Self::Deferred,
        Self::Skipped,
        Self::Superseded,
        Self::Cancelled,
        Self::Reverting,
        Self::Reverted,
        Self::RevertFailed,
    ];

    /// The word that the column and the API carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Offered => "offered",
            Self::Acked => "acked",
            Self::Downloading => "downloading",
            Self::Staged => "staged",
            Self::Installing => "installing",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Rejected => "rejected",
            Self::Deferred => "deferred",
            Self::Skipped => "skipped",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Reverting => "reverting",
            Self::Reverted => "reverted",
            Self::RevertFailed => "revert_failed",
        }
    }

    /// Whether the device has been sent something and has yet to finish it.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Offered
                | Self::Acked
                | Self::Downloading
                | Self::Staged
                | Self::Installing
                | Self::Verifying
                | Self::Reverting
        )
    }

    /// Whether the device may have begun to swap.
    #[must_use]
    pub fn is_swapped(self) -> bool {
        matches!(self, Self::Installing | Self::Verifying)
    }

    /// Whether it never changes any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        !self.is_active() && !matches!(self, Self::Queued | Self::Deferred)
    }

    /// What it means to the batch, when `failed` says whether the release failed there.
    #[must_use]
    pub fn standing(self, failed: bool) -> Standing {
        match self {
            _ if failed && self != Self::RevertFailed => Standing::Failed,
            Self::Queued => Standing::Queued,
            Self::Offered
            | Self::Acked
            | Self::Downloading
            | Self::Staged
            | Self::Installing
            | Self::Verifying => Standing::Active,
            Self::Succeeded => Standing::Succeeded,
            // A try that failed with more to come is history; the current one stands for the device.
            Self::Failed | Self::TimedOut | Self::Rejected => Standing::Failed,
            Self::Deferred => Standing::Deferred,
            Self::Skipped => Standing::Skipped,
            Self::Superseded | Self::Cancelled => Standing::Cancelled,
            Self::Reverting => Standing::Reverting,
            Self::Reverted => Standing::Reverted,
            Self::RevertFailed => Standing::RevertFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_device_stays_failed_while_it_goes_back() {
        assert_eq!(State::Reverting.standing(true), Standing::Failed);
        assert_eq!(State::Reverted.standing(true), Standing::Failed);
        assert_eq!(State::Reverted.standing(false), Standing::Reverted);
        assert_eq!(State::RevertFailed.standing(true), Standing::RevertFailed);
    }
}
