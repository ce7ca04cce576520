//! Images: repositories that somebody decided about.

use chrono::{DateTime, Utc};
use imageref::Repository;
use serde::Serialize;

use crate::Error;

runtime::id! {
    /// The number of an image.
    ImageId: i64
}

/// Whether an image may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum ApprovalStatus {
    /// A person has yet to decide.
    Pending,
    /// It may run.
    Approved,
    /// It may not run.
    Rejected,
}

/// What happens to a tag that an approved image does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum UnknownTag {
    /// It is added.
    AutoAdd,
    /// A person is asked.
    Request,
    /// It is denied.
    Deny,
}

/// A repository at a registry, and what was decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Image {
    pub id: ImageId,
    /// The canonical repository; the next three are its parts.
    pub repository: String,
    pub registry: String,
    pub namespace: String,
    pub image_name: String,
    pub description: String,
    pub category: String,
    pub is_official: bool,
    pub approval_status: ApprovalStatus,
    pub approved_by: Option<String>,
    pub approved_at: Option<DateTime<Utc>>,
    pub rejection_reason: String,
    /// `None` = as the gate says.
    pub unknown_tag: Option<UnknownTag>,
    /// Whether the upstream confirmed that it exists when it was added.
    pub verified: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[serde(skip)]
    pub version: i64,
    #[serde(skip)]
    pub tag_count: i64,
}

/// An image before it has a number.
#[derive(Debug, Clone)]
pub(crate) struct NewImage {
    pub repository: Repository,
    pub description: String,
    pub category: String,
    pub is_official: bool,
    pub unknown_tag: Option<UnknownTag>,
    pub verified: bool,
    pub decision: Decision,
}

/// What somebody decides about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing yet.
    Pend,
    /// It may run.
    Approve {
        /// Who says so.
        by: String,
    },
    /// It may not run.
    Reject {
        /// Why, for whoever pushes it; empty = nobody said.
        reason: String,
    },
}

/// New values; `None` = as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageChange {
    pub description: Option<String>,
    pub category: Option<String>,
    pub is_official: Option<bool>,
    pub unknown_tag: Option<Option<UnknownTag>>,
}

impl Image {
    /// Changes with every change of the image.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Refuses a caller that has seen another version; an empty etag has seen any.
    pub(crate) fn require_etag(&self, etag: &str) -> Result<(), Error> {
        if etag.is_empty() || etag == self.etag() {
            return Ok(());
        }
        Err(Error::StaleEtag { noun: "image", name: self.repository.clone(), etag: self.etag() })
    }

    /// The image with new values; `None` when they are what it has.
    pub(crate) fn changed(&self, change: ImageChange, now: DateTime<Utc>) -> Option<Self> {
        let mut image = self.clone();
        if let Some(description) = change.description {
            image.description = description;
        }
        if let Some(category) = change.category {
            image.category = category;
        }
        if let Some(is_official) = change.is_official {
            image.is_official = is_official;
        }
        if let Some(unknown_tag) = change.unknown_tag {
            image.unknown_tag = unknown_tag;
        }
        if image == *self {
            return None;
        }
        image.updated_at = now;
        Some(image)
    }

    /// The image after a decision; `None` when it was decided so before.
    pub(crate) fn decided(&self, decision: Decision, now: DateTime<Utc>) -> Option<Self> {
        if self.approval_status == decision.status() {
            return None;
        }
        let mut image = self.clone();
        image.approval_status = decision.status();
        image.approved_at = decision.approved_at(now);
        (image.approved_by, image.rejection_reason) = decision.into_columns();
        image.updated_at = now;
        Some(image)
    }
}

impl Decision {
    /// The status it leads to.
    pub(crate) fn status(&self) -> ApprovalStatus {
        match self {
            Self::Pend => ApprovalStatus::Pending,
            Self::Approve { .. } => ApprovalStatus::Approved,
            Self::Reject { .. } => ApprovalStatus::Rejected,
        }
    }

    /// When it was approved, if it is.
    pub(crate) fn approved_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Approve { .. } => Some(now),
            Self::Pend | Self::Reject { .. } => None,
        }
    }

    /// Who approved it, and why it was rejected.
    pub(crate) fn into_columns(self) -> (Option<String>, String) {
        match self {
            Self::Pend => (None, String::new()),
            Self::Approve { by } => (Some(by), String::new()),
            Self::Reject { reason } => (None, reason),
        }
    }
}
