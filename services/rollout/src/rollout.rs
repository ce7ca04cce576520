//! Rollouts: what they bring, where they stand, and which command is allowed where.

use std::time::Duration;

use chrono::{DateTime, Utc};
use runtime::Actor;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::policy::Policy;
use crate::target::Image;

runtime::id! {
    /// A rollout.
    RolloutId: Uuid
}

/// One image of a multi-platform index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Processor.
    pub architecture: String,
    /// Processor variant; empty = none.
    #[serde(default)]
    pub variant: String,
    /// The digest of its manifest.
    #[serde(default)]
    pub digest: String,
    /// Its size in bytes; 0 = not known.
    #[serde(default)]
    pub size_bytes: i64,
}

/// An admitted release.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// The canonical repository.
    pub repository: String,
    /// The tag; empty = by digest only.
    pub tag: String,
    /// The digest; `None` = not pinned.
    pub digest: Option<String>,
    /// What the digest holds; empty = not known.
    pub platforms: Vec<Platform>,
    /// The push that brought it.
    pub push: Uuid,
}

impl Release {
    /// What a service runs that has it.
    #[must_use]
    pub fn image(&self) -> Image {
        let tag = if self.tag.is_empty() { String::new() } else { format!(":{}", self.tag) };
        Image {
            image: format!("{}{tag}", self.repository),
            digest: self.digest.clone(),
            release_id: self.digest.is_none().then(|| self.push.to_string()),
        }
    }

    /// What to show, for instance `redis:7.5-alpine`.
    #[must_use]
    pub fn title(&self) -> String {
        let familiar = imageref::Repository::parse(&self.repository)
            .map_or_else(|_| self.repository.clone(), |known| known.familiar().to_owned());
        match (&*self.tag, &self.digest) {
            ("", Some(digest)) => format!("{familiar}@{}", digest.get(..19).unwrap_or(digest)),
            ("", None) => familiar,
            (tag, _) => format!("{familiar}:{tag}"),
        }
    }
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum State {
    /// Waits for its start.
    Pending,
    /// Goes forward.
    Running,
    /// Stopped.
    Paused,
    /// All sent; waits for the last devices.
    Settling,
    /// Ended well.
    Succeeded,
    /// Devices go back.
    RollingBack,
    /// All went back.
    RolledBack,
    /// Not all could.
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

impl State {
    /// Every state, in the order of the proto.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Running,
        Self::Paused,
        Self::Settling,
        Self::Succeeded,
        Self::RollingBack,
        Self::RolledBack,
        Self::RollbackIncomplete,
        Self::Cancelling,
        Self::Cancelled,
        Self::Superseded,
        Self::Failed,
    ];

    /// The word that the column and the API carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Settling => "settling",
            Self::Succeeded => "succeeded",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::RollbackIncomplete => "rollback_incomplete",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
        }
    }

    /// Whether it has ended and never changes any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::RolledBack
                | Self::RollbackIncomplete
                | Self::Cancelled
                | Self::Superseded
                | Self::Failed
        )
    }

    /// Whether it may still send its release to devices, so that a newer release takes its place.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Running | Self::Paused | Self::Settling)
    }

    /// Whether devices may be on their way back, so that a newer release waits.
    #[must_use]
    pub fn is_turning(self) -> bool {
        matches!(self, Self::RollingBack | Self::Cancelling)
    }
}

/// A command to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Begin.
    Start,
    /// Let this batch begin.
    Promote(u32),
    /// Stop sending.
    Pause,
    /// Go on.
    Resume,
    /// End; `revert` = devices go back.
    Cancel {
        /// Devices go back.
        revert: bool,
    },
    /// Take every device back.
    RollBack,
    /// Try failed devices again.
    Retry,
}

/// How long a soft cancel waits for devices before it is over.
pub const CANCEL_PATIENCE: Duration = Duration::from_secs(600);

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Its id.
    pub id: RolloutId,
    /// What it brings.
    pub release: Release,
    /// The policy as it was.
    pub policy: Policy,
    /// Where it stands.
    pub state: State,
    /// Why, UPPER_SNAKE; empty = plain.
    pub state_reason: String,
    /// The same for people.
    pub state_detail: String,
    /// A person started it.
    pub start_requested: bool,
    /// A cancel takes devices back.
    pub cancel_reverts: bool,
    /// Since when devices go back, or a cancel waits.
    pub turned_at: Option<DateTime<Utc>>,
    /// Failures up to here no longer count.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Why its approval was taken back; empty = it was not.
    pub revoked_reason: String,
    /// How many devices it takes.
    pub device_count: u32,
    /// How many were left out.
    pub excluded_count: u32,
    /// Who asked for it.
    pub actor: Actor,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Grows with every change.
    pub version: i64,
}

impl Rollout {
    /// How many devices may move at once.
    #[must_use]
    pub fn max_in_flight(&self) -> u32 {
        self.policy.rules.max_in_flight.of(self.device_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_of_one_kind() {
        for state in State::ALL {
            let kinds = [state.is_terminal(), state.is_live(), state.is_turning()];
            assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{state:?}");
        }
    }

    #[test]
    fn an_unpinned_release_is_told_apart_by_its_push() {
        let release = Release {
            repository: "docker.io/library/redis".to_owned(),
            tag: "7.5-alpine".to_owned(),
            digest: None,
            platforms: Vec::new(),
            push: Uuid::from_u128(1),
        };
        assert_eq!(release.title(), "redis:7.5-alpine");
        assert_eq!(release.image().image, "docker.io/library/redis:7.5-alpine");
        assert!(release.image().release_id.is_some());
    }
}
