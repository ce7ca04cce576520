//! Tags: the versions of an image.

use chrono::{DateTime, Utc};
use imageref::{Digest, Tag as TagName};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::image::ImageId;

runtime::id! {
    /// The number of a tag.
    TagId: i64
}

/// What is known of a tag's vulnerabilities. Set by hand it is a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum ScanStatus {
    Unscanned,
    Queued,
    Passed,
    Warned,
    Failed,
    Stale,
    Error,
}

/// One image of a multi-platform index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub os: String,
    pub architecture: String,
    /// Empty = none.
    pub variant: String,
    pub digest: String,
    /// 0 = not known.
    pub size_bytes: i64,
}

/// One version of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Tag {
    pub id: TagId,
    pub image_id: ImageId,
    pub tag: String,
    pub digest: Option<String>,
    pub size_bytes: Option<i64>,
    pub architecture: String,
    pub os: String,
    pub pushed_at: Option<DateTime<Utc>>,
    pub is_recommended: bool,
    pub is_deprecated: bool,
    pub security_scan_status: ScanStatus,
    pub vulnerabilities_count: i32,
    /// What the digest holds, when it is an index.
    pub platforms: Vec<Platform>,
    /// Whether the upstream confirmed it when it was added.
    pub verified: bool,
    /// Whether a push added it, and no person has added or changed it since.
    pub is_auto_added: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[serde(skip)]
    pub version: i64,
}

/// A tag before it has a number.
#[derive(Debug, Clone)]
pub(crate) struct NewTag {
    pub tag: TagName,
    pub digest: Option<Digest>,
    pub platforms: Vec<Platform>,
    pub size_bytes: Option<i64>,
    pub architecture: String,
    pub os: String,
    pub pushed_at: Option<DateTime<Utc>>,
    pub is_recommended: bool,
    pub is_deprecated: bool,
    pub verified: bool,
    /// Whether a push adds it.
    pub is_auto_added: bool,
}

/// New values; `None` = as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TagChange {
    pub digest: Option<Option<Digest>>,
    pub size_bytes: Option<Option<i64>>,
    pub architecture: Option<String>,
    pub os: Option<String>,
    pub pushed_at: Option<Option<DateTime<Utc>>>,
    pub is_recommended: Option<bool>,
    pub is_deprecated: Option<bool>,
    pub security_scan_status: Option<ScanStatus>,
    pub vulnerabilities_count: Option<i32>,
}

/// The processor of a tag when nobody says.
pub(crate) const DEFAULT_ARCHITECTURE: &str = "amd64";
/// The operating system of a tag when nobody says.
pub(crate) const DEFAULT_OS: &str = "linux";

impl NewTag {
    /// A tag of which only the name is known, with what it has now where that is known.
    pub(crate) fn named(tag: TagName, digest: Option<Digest>, platforms: Vec<Platform>) -> Self {
        let first = platforms.first();
        let architecture = first.map_or(DEFAULT_ARCHITECTURE, |platform| &platform.architecture);
        let os = first.map_or(DEFAULT_OS, |platform| &platform.os);
        Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            tag,
            digest,
            platforms,
            size_bytes: None,
            pushed_at: None,
            is_recommended: false,
            is_deprecated: false,
            verified: false,
            is_auto_added: false,
        }
    }
}

impl Tag {
    /// Changes with every change of the tag.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Refuses a caller that has seen another version; an empty etag has seen any.
    pub(crate) fn require_etag(&self, etag: &str) -> Result<(), Error> {
        if etag.is_empty() || etag == self.etag() {
            return Ok(());
        }
        Err(Error::StaleEtag { noun: "tag", name: self.tag.clone(), etag: self.etag() })
    }

    /// Whether a digest is the tag's own or one of its platforms'.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.digest.as_deref() == Some(digest.as_str())
            || self.platforms.iter().any(|platform| platform.digest == digest.as_str())
    }

    /// The tag with new values; `None` when they are what it has.
    pub(crate) fn changed(&self, change: TagChange, now: DateTime<Utc>) -> Option<Self> {
        let mut tag = self.clone();
        if let Some(digest) = change.digest {
            tag.digest = digest.map(|digest| digest.to_string());
            if tag.digest != self.digest {
                // They are what the digest before held.
                tag.platforms.clear();
            }
        }
        if let Some(size_bytes) = change.size_bytes {
            tag.size_bytes = size_bytes;
        }
        if let Some(architecture) = change.architecture {
            tag.architecture = architecture;
        }
        if let Some(os) = change.os {
            tag.os = os;
        }
        if let Some(pushed_at) = change.pushed_at {
            tag.pushed_at = pushed_at;
        }
        if let Some(is_recommended) = change.is_recommended {
            tag.is_recommended = is_recommended;
        }
        if let Some(is_deprecated) = change.is_deprecated {
            tag.is_deprecated = is_deprecated;
        }
        if let Some(security_scan_status) = change.security_scan_status {
            tag.security_scan_status = security_scan_status;
        }
        if let Some(vulnerabilities_count) = change.vulnerabilities_count {
            tag.vulnerabilities_count = vulnerabilities_count;
        }
        if tag != *self {
            tag.is_auto_added = false;
        }
        tag.touched(self, now)
    }

    /// The tag as a person adds it when a push has been faster: what is given counts.
    pub(crate) fn taken_over(&self, new: &NewTag, now: DateTime<Utc>) -> Self {
        let given = |word: &String, default: &str| (word != default).then(|| word.clone());
        let change = TagChange {
            digest: new.digest.clone().map(Some),
            size_bytes: new.size_bytes.map(Some),
            architecture: given(&new.architecture, DEFAULT_ARCHITECTURE),
            os: given(&new.os, DEFAULT_OS),
            pushed_at: new.pushed_at.map(Some),
            is_recommended: Some(new.is_recommended),
            is_deprecated: Some(new.is_deprecated),
            ..TagChange::default()
        };
        let mut tag = self.changed(change, now).unwrap_or_else(|| self.clone());
        if !new.platforms.is_empty() {
            tag.platforms.clone_from(&new.platforms);
        }
        tag.verified |= new.verified;
        tag.is_auto_added = false;
        tag.updated_at = now;
        tag
    }

    /// The tag with the digest it has now; `None` when that is known.
    pub(crate) fn pinned(
        &self,
        digest: &Digest,
        platforms: &[Platform],
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let mut tag = self.clone();
        tag.digest = Some(digest.to_string());
        if tag.digest != self.digest || !platforms.is_empty() {
            tag.platforms = platforms.to_vec();
        }
        if tag.digest != self.digest {
            // They were of the digest before.
            tag.size_bytes = None;
            tag.pushed_at = None;
            if tag.security_scan_status != ScanStatus::Unscanned {
                tag.security_scan_status = ScanStatus::Stale;
            }
        }
        tag.touched(self, now)
    }

    /// The tag without the mark, which another one takes.
    pub(crate) fn no_longer_recommended(&self, now: DateTime<Utc>) -> Self {
        Self { is_recommended: false, updated_at: now, ..self.clone() }
    }

    fn touched(mut self, before: &Self, now: DateTime<Utc>) -> Option<Self> {
        if self == *before {
            return None;
        }
        self.updated_at = now;
        Some(self)
    }
}
