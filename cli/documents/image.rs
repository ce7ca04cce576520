//! Images and tags.

use chrono::{DateTime, Utc};
use imageref::Repository;
use serde::Deserialize;
use serde_json::Value;

use crate::images::familiar;

/// An image.
#[derive(Debug, Clone, Deserialize)]
pub struct Image {
    /// Its number.
    pub id: i64,
    repository: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// A free word.
    #[serde(default)]
    pub category: Option<String>,
    /// Whether the registry's own team makes it.
    #[serde(default)]
    pub is_official: bool,
    /// `approved`, `pending` or `rejected`.
    pub approval_status: String,
    /// Who approved it.
    #[serde(default)]
    pub approved_by: Option<String>,
    /// When it was approved.
    #[serde(default)]
    pub approved_at: Option<DateTime<Utc>>,
    /// How many tags it has.
    #[serde(default)]
    pub tag_count: u64,
    /// What it does with unknown tags.
    #[serde(default)]
    pub unknown_tag: Option<String>,
    /// Its tags, or the first of them, as they came.
    #[serde(default)]
    pub tags: Vec<Value>,
    /// Where its tags go on.
    #[serde(default)]
    pub next_page_token: Option<String>,
    /// What could not be verified.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A version of an image.
#[derive(Debug, Clone, Deserialize)]
pub struct Tag {
    /// Its number.
    pub id: i64,
    /// The tag.
    pub tag: String,
    /// The digest.
    #[serde(default)]
    pub digest: Option<String>,
    /// Compressed size.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// The processor.
    #[serde(default)]
    pub architecture: Option<String>,
    /// The operating system.
    #[serde(default)]
    pub os: Option<String>,
    /// Whether it is the one to use.
    #[serde(default)]
    pub is_recommended: bool,
    /// Whether no new rollout may use it.
    #[serde(default)]
    pub is_deprecated: bool,
    /// What is known of its vulnerabilities.
    #[serde(default)]
    pub security_scan_status: Option<String>,
    /// How many there are.
    #[serde(default)]
    pub vulnerabilities_count: Option<u64>,
    /// What could not be verified.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Image {
    /// The name in the form that people write.
    pub fn familiar(&self) -> String {
        familiar(&self.repository)
    }

    /// Whether it is the image of a repository.
    pub fn is(&self, wanted: &Repository) -> bool {
        self.repository == wanted.as_str()
    }
}
