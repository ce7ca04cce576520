//! Reviews.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::images::familiar;

/// A question to a person.
#[derive(Debug, Clone, Deserialize)]
pub struct Review {
    /// Its id.
    pub id: String,
    /// `pending`, `approved` or `rejected`.
    pub status: String,
    /// The finer state.
    #[serde(default)]
    pub state_detail: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    tag: Option<String>,
    /// The digest that asked.
    #[serde(default)]
    pub digest: Option<String>,
    /// What the digest holds.
    #[serde(default)]
    pub platforms: Vec<Platform>,
    /// Who asked.
    #[serde(default)]
    pub requested_by: Option<String>,
    /// When it was asked first.
    #[serde(default)]
    pub requested_at: Option<DateTime<Utc>>,
    /// When it ends undecided.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// How many pushes asked.
    #[serde(default)]
    pub occurrences: u64,
    /// How many pushes it holds.
    #[serde(default)]
    pub held_pushes: u64,
    /// Who decided.
    #[serde(default)]
    pub reviewed_by: Option<String>,
    /// When it was decided.
    #[serde(default)]
    pub reviewed_at: Option<DateTime<Utc>>,
    /// What the approver noted.
    #[serde(default)]
    pub notes: Option<String>,
    /// Why it was rejected.
    #[serde(default)]
    pub rejection_reason: Option<String>,
    /// What a vote is bound to.
    #[serde(default)]
    pub evidence_hash: Option<String>,
}

/// One image of a multi-platform index.
#[derive(Debug, Clone, Deserialize)]
pub struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// A review after a decision, and what it set going.
#[derive(Debug, Clone, Deserialize)]
pub struct Decision {
    /// The review.
    #[serde(flatten)]
    pub review: Review,
    /// The pushes it held.
    #[serde(default)]
    pub redriven: Vec<Redriven>,
}

/// A push that was held.
#[derive(Debug, Clone, Deserialize)]
pub struct Redriven {
    /// Where it stands.
    #[serde(default)]
    pub state: String,
    /// What came of it.
    #[serde(default)]
    pub outcome: Option<String>,
}

impl Review {
    /// The image with its tag, as people write it.
    pub fn image(&self) -> String {
        match self.tag.as_deref().filter(|tag| !tag.is_empty()) {
            Some(tag) => familiar(&format!("{}:{tag}", self.repository)),
            None => familiar(&self.repository),
        }
    }

    /// The canonical repository.
    pub fn repository(&self) -> String {
        self.repository.clone()
    }

    /// What is asked.
    pub fn question(&self) -> &'static str {
        if self.scope == "tag" { "new tag" } else { "new image" }
    }
}

impl Platform {
    /// `linux/arm64/v8`.
    pub fn shown(&self) -> String {
        match self.variant.as_deref().filter(|variant| !variant.is_empty()) {
            Some(variant) => format!("{}/{}/{variant}", self.os, self.architecture),
            None => format!("{}/{}", self.os, self.architecture),
        }
    }
}
