//! Pushes.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Actor, Check, Reason};
use crate::ids::short;
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
    /// Why: the first one decided, the last one says what came of it.
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

    /// Why it stands there, in a sentence: of a push that is done, what came of it.
    pub fn why(&self) -> String {
        if let (Some("rollout"), Some(rollout)) = (self.outcome.as_deref(), &self.rollout_id) {
            return format!("slipway rollout show {}", short(rollout));
        }
        let reason = match self.state.as_str() {
            "done" => self.reasons.last(),
            _ => self.reasons.first(),
        };
        reason.map_or_else(String::new, |reason| reason.message.clone())
    }

    /// [`why`](Self::why) behind a word, where there is one.
    pub fn because(&self) -> String {
        match self.why() {
            why if why.is_empty() => why,
            why => format!(": {why}"),
        }
    }
}
