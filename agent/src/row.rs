//! What a report says about one service.

use proto::rollout::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::target::AttemptKey;

/// The longest message of a row.
pub const MAX_MESSAGE_BYTES: usize = 4_096;

/// Where one service stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub service: String,
    /// The reference it runs.
    pub reference: String,
    /// The digest it runs; empty = not known.
    pub digest: String,
    /// The release it runs, where the target gave one.
    pub release_id: String,
    /// Where it stands.
    pub standing: Standing,
    /// Whether it runs and is healthy.
    pub healthy: bool,
    /// A constant of `proto::reason`; empty = none.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The attempt it is about.
    pub attempt: Option<AttemptKey>,
    /// How far a pull is.
    pub progress: i32,
    /// How often it was restarted since it began.
    pub restarts: i32,
}

/// Where a service stands: the phases of the protocol that this agent reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It is, or waits to be, pulled.
    Downloading,
    /// It was pulled, nothing is swapped yet.
    Staged,
    /// The old one stops, the new one starts.
    Installing,
    /// The new one runs and is being checked.
    Verifying,
    /// It runs as wanted.
    Running,
    /// It goes back.
    Reverting,
    /// It went back.
    Reverted,
    /// It failed, and the old one runs or nothing does.
    Failed,
    /// The device refuses it.
    Rejected,
    /// It is off.
    Stopped,
}

impl Standing {
    /// Says whether an attempt that stands here will not move any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Reverted | Self::Failed | Self::Rejected => true,
            Self::Downloading
            | Self::Staged
            | Self::Installing
            | Self::Verifying
            | Self::Running
            | Self::Reverting
            | Self::Stopped => false,
        }
    }
}

impl From<Standing> for pb::Phase {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Downloading => Self::Downloading,
            Standing::Staged => Self::Staged,
            Standing::Installing => Self::Installing,
            Standing::Verifying => Self::Verifying,
            Standing::Running => Self::Running,
            Standing::Reverting => Self::Reverting,
            Standing::Reverted => Self::Reverted,
            Standing::Failed => Self::Failed,
            Standing::Rejected => Self::Rejected,
            Standing::Stopped => Self::Stopped,
        }
    }
}

impl From<Row> for pb::ServiceReport {
    fn from(row: Row) -> Self {
        let (rollout_id, attempt) =
            row.attempt.map_or_else(Default::default, |key| (key.rollout, key.number));
        Self {
            name: row.service,
            image: row.reference,
            digest: row.digest,
            release_id: row.release_id,
            phase: pb::Phase::from(row.standing).into(),
            healthy: row.healthy,
            reason: row.reason,
            message: shortened(row.message),
            rollout_id,
            attempt,
            progress_percent: row.progress,
            restarts: row.restarts,
        }
    }
}

/// Cuts a message to what a report may hold.
#[must_use]
pub fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        let end = message.floor_char_boundary(MAX_MESSAGE_BYTES - '…'.len_utf8());
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = "ä".repeat(MAX_MESSAGE_BYTES);
        let cut = shortened(long);
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with("ä…"));
        assert_eq!(shortened("short".to_owned()), "short");
    }
}
