//! Rollouts, their batches and devices.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::Check;
use crate::client::read;
use crate::failure::Result;
use crate::images::familiar;
use crate::output::words::{self, Word};

/// A release on its way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Rollout {
    /// Its id.
    pub id: String,
    /// The canonical repository.
    pub repository: String,
    /// The tag; may be empty.
    pub tag: String,
    /// The digest it brings.
    pub digest: String,
    /// The status, in the API's words.
    pub status: String,
    /// The state, which is finer.
    pub state: String,
    /// Why it stands there: the constant.
    pub state_reason: String,
    /// Why it stands there, in a sentence.
    pub state_detail: String,
    /// What comes next, in a sentence.
    pub next: String,
    /// The policy it follows.
    pub policy_name: String,
    /// How many devices it takes.
    pub device_count: u64,
    /// How many devices were left out.
    pub excluded_count: u64,
    /// How its devices stand.
    pub tally: Tally,
    /// Its steps.
    pub batches: Vec<Batch>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// How devices stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Not yet sent.
    pub queued: u64,
    /// Sent, moving or being checked.
    pub active: u64,
    /// Updated and healthy.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
    /// Offline.
    pub deferred: u64,
    /// Left out.
    pub skipped: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// On their way back.
    pub reverting: u64,
    /// Back.
    pub reverted: u64,
    /// Could not go back.
    pub revert_failed: u64,
}

/// One step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// From 1.
    pub number: u64,
    /// How many devices.
    pub size: u64,
    /// `waiting`, `running`, `soaking`, `complete` or `stopped`.
    pub state: String,
    /// How its devices stand.
    pub tally: Tally,
    /// When its soak ends.
    pub soak_ends_at: Option<DateTime<Utc>>,
    /// Whether a person must promote it.
    pub gated: bool,
}

/// A device's part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Part {
    /// The device.
    pub device_id: String,
    /// Its name.
    pub device_name: String,
    /// Where it stands.
    pub status: String,
    /// Its batch.
    pub batch_number: u64,
    /// Which try this is.
    pub attempt: u64,
    /// Why: the constant.
    pub reason: String,
    /// What the device said.
    pub message: String,
    /// When the next try begins.
    pub retry_at: Option<DateTime<Utc>>,
}

/// What a rollout waits for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Explained {
    /// The rollout.
    pub rollout: Rollout,
    /// Every condition of the next step.
    pub checks: Vec<Check>,
    /// The one that holds it.
    pub blocked_by: String,
    /// The line to type next.
    pub next_step: String,
}

impl Rollout {
    /// Reads a rollout's page: the rollout stands in a member of its own.
    pub fn of(document: &Value) -> Result<Self> {
        read(document.get("rollout").unwrap_or(document))
    }

    /// What comes next, or how it ended, in a sentence.
    pub fn outlook(&self) -> &str {
        if self.next.is_empty() { &self.state_detail } else { &self.next }
    }

    /// The image with its tag, as people write it.
    pub fn image(&self) -> String {
        match self.tag.as_str() {
            "" => familiar(&self.repository),
            tag => familiar(&format!("{}:{tag}", self.repository)),
        }
    }

    /// Where it stands, in a word.
    pub fn word(&self) -> Word {
        words::rollout(&self.status, &self.state, self.stopped_itself())
    }

    /// Whether it is paused, and by itself.
    pub fn stopped_itself(&self) -> bool {
        self.status == "paused" && self.state_reason != proto::reason::OPERATOR
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        let ends = ["completed", "failed", "cancelled", "rolled_back"];
        ends.contains(&&*self.status) && self.state != "cancelling"
    }

    /// Whether it has ended well.
    pub fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    /// Whether devices go back, or went.
    pub fn goes_back(&self) -> bool {
        ["rolling_back", "rolled_back", "rollback_incomplete"].contains(&&*self.state)
    }
}

impl Tally {
    /// All failures, whatever came of them.
    pub fn failures(self) -> u64 {
        self.failed + self.revert_failed
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            active: self.active + other.active,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            deferred: self.deferred + other.deferred,
            skipped: self.skipped + other.skipped,
            cancelled: self.cancelled + other.cancelled,
            reverting: self.reverting + other.reverting,
            reverted: self.reverted + other.reverted,
            revert_failed: self.revert_failed + other.revert_failed,
        }
    }
}

impl Part {
    /// Where it stands, in a word.
    pub fn word(&self) -> Word {
        words::assignment(&self.status)
    }

    /// Its name; its id where it has none.
    pub fn name(&self) -> &str {
        if self.device_name.is_empty() { &self.device_id } else { &self.device_name }
    }

    /// Whether the release failed here, wherever the device stands since.
    pub fn has_failed(&self) -> bool {
        match self.status.as_str() {
            "failed" => true,
            "reverting" | "rolled_back" => !self.reason.is_empty(),
            _ => false,
        }
    }

    /// Why, for people.
    pub fn why(&self) -> String {
        match (self.message.as_str(), self.reason.as_str()) {
            ("", reason) => reason.to_lowercase().replace('_', " "),
            (message, _) => message.to_owned(),
        }
    }
}
