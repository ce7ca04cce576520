//! Pushes.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Actor, Check, Reason};
use crate::images::familiar;
use crate::output::words::{self, Word};

/// Something new at a registry.
#[derive(Debug, Clone, Deserialize)]
pub struct Push {
    /// Its id.
    #[serde(alias = "push_id")]
    pub id: String,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    tag: Option<String>,
    /// The digest.
    #[serde(default)]
    pub digest: Option<String>,
    /// Whether the rollout is pinned to the digest.
    #[serde(default)]
    pub pinned: bool,
    /// Who pushed.
    #[serde(default)]
    pub actor: Option<Actor>,
    /// Where it stands.
    pub state: String,
    /// What was decided.
    #[serde(default)]
    pub decision: Option<String>,
    /// What came of it.
    #[serde(default)]
    pub outcome: Option<String>,
    /// Why; the first one decided.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The rules asked.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// The review it is held for.
    #[serde(default)]
    pub review_id: Option<String>,
    /// The rollout it became.
    #[serde(default)]
    pub rollout_id: Option<String>,
    /// The push that it repeats.
    #[serde(default)]
    pub retry_of: Option<String>,
    /// When it is tried again by itself.
    #[serde(default)]
    pub retry_at: Option<DateTime<Utc>>,
    /// When it came.
    #[serde(default)]
    pub created_at: Option<DateTime<Utc>>,
}

impl Push {
    /// The image with its tag or digest, as people write it.
    pub fn image(&self) -> String {
        let part = |part: &Option<String>| part.clone().filter(|part| !part.is_empty());
        match (part(&self.tag), part(&self.digest)) {
            (Some(tag), _) => familiar(&format!("{}:{tag}", self.repository)),
            (None, Some(digest)) => format!("{}@{digest}", familiar(&self.repository)),
            (None, None) => familiar(&self.repository),
        }
    }

    /// What became of it, in a word.
    pub fn word(&self) -> Word {
        words::push(&self.state, self.decision.as_deref(), self.outcome.as_deref())
    }

    /// Why, in a sentence.
    pub fn why(&self) -> &str {
        self.reasons.first().map_or("", |reason| &reason.message)
    }
}
