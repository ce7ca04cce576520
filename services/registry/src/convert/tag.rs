//! Tags on the wire.

use chrono::{DateTime, Utc};
use imageref::Tag as TagName;
use proto::registry::v1 as pb;
use proto::types::v1 as types;
use runtime::{Problem, time};

use super::{digest, mask, required, unknown_path, unknown_value};
use crate::Error;
use crate::tag::{DEFAULT_ARCHITECTURE, DEFAULT_OS, NewTag, Platform, ScanStatus, Tag, TagChange};

/// More platforms than this no image has.
const MAX_PLATFORMS: usize = 200;
/// The most characters that the name of a processor or an operating system may have.
const MAX_PLATFORM_WORD: usize = 64;

impl From<Tag> for pb::Tag {
    fn from(tag: Tag) -> Self {
        Self {
            etag: tag.etag(),
            id: tag.id.0,
            image_id: tag.image_id.0,
            tag: tag.tag,
            digest: tag.digest.unwrap_or_default(),
            size_bytes: tag.size_bytes.unwrap_or_default(),
            architecture: tag.architecture,
            os: tag.os,
            push_time: tag.pushed_at.map(time::to_timestamp),
            is_recommended: tag.is_recommended,
            is_deprecated: tag.is_deprecated,
            security_scan_status: pb::ScanStatus::from(tag.security_scan_status).into(),
            vulnerabilities_count: tag.vulnerabilities_count,
            platforms: tag.platforms.into_iter().map(types::Platform::from).collect(),
            create_time: Some(time::to_timestamp(tag.created_at)),
            update_time: Some(time::to_timestamp(tag.updated_at)),
            verified: tag.verified,
            warnings: Vec::new(),
        }
    }
}

impl From<ScanStatus> for pb::ScanStatus {
    fn from(status: ScanStatus) -> Self {
        match status {
            ScanStatus::Unscanned => Self::Unscanned,
            ScanStatus::Queued => Self::Queued,
            ScanStatus::Passed => Self::Passed,
            ScanStatus::Warned => Self::Warned,
            ScanStatus::Failed => Self::Failed,
            ScanStatus::Stale => Self::Stale,
            ScanStatus::Error => Self::Error,
        }
    }
}

impl From<Platform> for types::Platform {
    fn from(platform: Platform) -> Self {
        Self {
            os: platform.os,
            architecture: platform.architecture,
            variant: platform.variant,
            digest: platform.digest,
            size_bytes: platform.size_bytes,
        }
    }
}

/// Reads a new tag.
pub(crate) fn new_tag(tag: Option<pb::Tag>) -> Result<NewTag, Error> {
    let tag = required("tag", tag)?;
    Ok(NewTag {
        tag: tag_name("tag.tag", &tag.tag)?,
        digest: digest("tag.digest", &tag.digest)?,
        platforms: Vec::new(),
        size_bytes: size("tag.size_bytes", tag.size_bytes)?,
        architecture: platform_word("tag.architecture", tag.architecture, DEFAULT_ARCHITECTURE)?,
        os: platform_word("tag.os", tag.os, DEFAULT_OS)?,
        pushed_at: push_time(tag.push_time)?,
        is_recommended: tag.is_recommended,
        is_deprecated: tag.is_deprecated,
        verified: false,
        is_auto_added: false,
    })
}

/// Reads a tag that an approval brings with it.
pub(crate) fn tag_to_add(tag: pb::TagToAdd) -> Result<NewTag, Error> {
    let name = tag_name("tags.tag", &tag.tag)?;
    let digest = digest("tags.digest", &tag.digest)?;
    Ok(NewTag::named(name, digest, platforms("tags.platforms", tag.platforms)?))
}

/// Reads what of a tag is to change.
pub(crate) fn tag_change(
    tag: Option<pb::Tag>,
    paths: Option<Vec<String>>,
) -> Result<(pb::Tag, TagChange), Error> {
    let tag = required("tag", tag)?;
    let mut change = TagChange::default();
    for path in mask(paths)? {
        match path.as_str() {
            "digest" => change.digest = Some(digest("tag.digest", &tag.digest)?),
            "size_bytes" => change.size_bytes = Some(size("tag.size_bytes", tag.size_bytes)?),
            "architecture" => {
                let word = tag.architecture.clone();
                change.architecture =
                    Some(platform_word("tag.architecture", word, DEFAULT_ARCHITECTURE)?);
            }
            "os" => change.os = Some(platform_word("tag.os", tag.os.clone(), DEFAULT_OS)?),
            "push_time" => change.pushed_at = Some(push_time(tag.push_time)?),
            "is_recommended" => change.is_recommended = Some(tag.is_recommended),
            "is_deprecated" => change.is_deprecated = Some(tag.is_deprecated),
            "security_scan_status" => {
                change.security_scan_status = Some(scan_status(tag.security_scan_status)?);
            }
            "vulnerabilities_count" => {
                change.vulnerabilities_count = Some(count(tag.vulnerabilities_count)?);
            }
            other => {
                let known = "`digest`, `size_bytes`, `architecture`, `os`, `push_time`, \
                             `is_recommended`, `is_deprecated`, `security_scan_status`, \
                             `vulnerabilities_count`";
                return Err(unknown_path(other, known).into());
            }
        }
    }
    Ok((tag, change))
}

/// Reads what a digest holds.
pub(crate) fn platforms(
    field: &'static str,
    platforms: Vec<types::Platform>,
) -> Result<Vec<Platform>, Error> {
    if platforms.len() > MAX_PLATFORMS {
        let message = format!("are more than {MAX_PLATFORMS}; no image has as many");
        return Err(Problem::invalid(field, message).into());
    }
    platforms
        .into_iter()
        .map(|platform| {
            let digest = digest(field, &platform.digest)?
                .ok_or_else(|| Problem::invalid(field, "have one without a digest; give it"))?;
            let variant = match platform.variant {
                none if none.is_empty() => none,
                some => platform_word(field, some, "")?,
            };
            Ok(Platform {
                os: platform_word(field, platform.os, DEFAULT_OS)?,
                architecture: platform_word(field, platform.architecture, DEFAULT_ARCHITECTURE)?,
                variant,
                digest: digest.to_string(),
                size_bytes: size(field, platform.size_bytes)?.unwrap_or_default(),
            })
        })
        .collect()
}

fn tag_name(field: &'static str, text: &str) -> Result<TagName, Error> {
    TagName::parse(text).map_err(|cause| Error::InvalidReference { field, cause })
}

/// Reads a size; 0 = it is not known.
fn size(field: &str, bytes: i64) -> Result<Option<i64>, Problem> {
    match bytes {
        ..0 => Err(Problem::invalid(field, "is negative; give 0 when it is not known")),
        0 => Ok(None),
        some => Ok(Some(some)),
    }
}

fn count(count: i32) -> Result<i32, Problem> {
    if count < 0 {
        return Err(Problem::invalid("tag.vulnerabilities_count", "is negative; count from 0"));
    }
    Ok(count)
}

fn push_time(time: Option<prost_types::Timestamp>) -> Result<Option<DateTime<Utc>>, Problem> {
    time.map(|time| time::from_timestamp("tag.push_time", time)).transpose()
}

/// Reads the name of a processor or an operating system.
fn platform_word(field: &str, word: String, default: &str) -> Result<String, Problem> {
    if word.is_empty() {
        return Ok(default.to_owned());
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if word.len() > MAX_PLATFORM_WORD || !word.chars().all(is_plain) {
        return Err(Problem::invalid(field, "names no platform; write one such as `amd64`"));
    }
    Ok(word)
}

fn scan_status(value: i32) -> Result<ScanStatus, Problem> {
    let field = "tag.security_scan_status";
    match pb::ScanStatus::try_from(value) {
        Ok(pb::ScanStatus::Unspecified) => {
            Err(Problem::invalid(field, "is missing; say what is known"))
        }
        Ok(pb::ScanStatus::Unscanned) => Ok(ScanStatus::Unscanned),
        Ok(pb::ScanStatus::Queued) => Ok(ScanStatus::Queued),
        Ok(pb::ScanStatus::Passed) => Ok(ScanStatus::Passed),
        Ok(pb::ScanStatus::Warned) => Ok(ScanStatus::Warned),
        Ok(pb::ScanStatus::Failed) => Ok(ScanStatus::Failed),
        Ok(pb::ScanStatus::Stale) => Ok(ScanStatus::Stale),
        Ok(pb::ScanStatus::Error) => Ok(ScanStatus::Error),
        Err(_) => Err(unknown_value(field)),
    }
}
