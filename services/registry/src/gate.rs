//! The gate: the rules by which references are admitted.

use chrono::{DateTime, Utc};
use imageref::{Namespace, Repository};
use serde::Serialize;

use crate::Error;
use crate::image::UnknownTag;

/// Whether adding an image or a tag asks the upstream first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum VerifyUpstream {
    /// Nothing is asked.
    Off,
    /// What cannot be verified is added with a warning.
    Warn,
    /// What cannot be verified is refused.
    Require,
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Gate {
    pub unknown_tag: UnknownTag,
    pub verify_upstream: VerifyUpstream,
    /// What lies below is admitted unasked.
    pub internal_namespaces: Vec<Namespace>,
    pub updated_at: DateTime<Utc>,
    #[serde(skip)]
    pub version: i64,
}

/// New values; `None` = as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct GateChange {
    pub unknown_tag: Option<UnknownTag>,
    pub verify_upstream: Option<VerifyUpstream>,
    pub internal_namespaces: Option<Vec<Namespace>>,
}

impl Gate {
    /// Changes with every change of the gate.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Refuses a caller that has seen another version; an empty etag has seen any.
    pub(crate) fn require_etag(&self, etag: &str) -> Result<(), Error> {
        if etag.is_empty() || etag == self.etag() {
            return Ok(());
        }
        Err(Error::StaleEtag { noun: "gate", name: "gate".to_owned(), etag: self.etag() })
    }

    /// The internal namespace that a repository lies in.
    pub(crate) fn internal(&self, repository: &Repository) -> Option<&Namespace> {
        self.internal_namespaces.iter().find(|namespace| namespace.contains(repository))
    }

    /// The gate with new values; `None` when they are what it has.
    pub(crate) fn changed(&self, change: GateChange, now: DateTime<Utc>) -> Option<Self> {
        let mut gate = self.clone();
        if let Some(unknown_tag) = change.unknown_tag {
            gate.unknown_tag = unknown_tag;
        }
        if let Some(verify_upstream) = change.verify_upstream {
            gate.verify_upstream = verify_upstream;
        }
        if let Some(namespaces) = change.internal_namespaces {
            gate.internal_namespaces = namespaces;
        }
        if gate == *self {
            return None;
        }
        gate.updated_at = now;
        Some(gate)
    }
}
