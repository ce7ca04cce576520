//! Tags of images, as document 1 has them.

use axum::Json;
use chrono::{DateTime, Utc};
use proto::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::{At, Body, Change, IfMatch, Members, Tagged};
use crate::relay::Relay;
use crate::shape::{Platform, number, shown, stamp, text};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_tag)).routes(routes!(update_tag, delete_tag))
}

/// One version of an image.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "image_id": 1, "tag": "7-alpine", "digest": null, "size_bytes": null,
    "architecture": "amd64", "os": "linux", "pushed_at": null, "is_recommended": true,
    "is_deprecated": false, "security_scan_status": "unscanned", "vulnerabilities_count": 0,
    "platforms": [], "created_at": "2025-10-17T08:00:00Z", "updated_at": "2025-10-17T08:00:00Z",
    "verified": false, "warnings": [], "etag": "1"
}))]
pub struct Tag {
    /// Its number.
    pub id: i64,
    /// The image's number.
    pub image_id: i64,
    /// The tag; unique within the image.
    pub tag: String,
    /// What it points at; `null` = not known.
    pub digest: Option<String>,
    /// Compressed size; `null` = not known.
    pub size_bytes: Option<i64>,
    /// The processor.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// When it was pushed; `null` = not known.
    pub pushed_at: Option<DateTime<Utc>>,
    /// True = the one to use; at most one tag of an image is.
    pub is_recommended: bool,
    /// True = no new rollout may use it.
    pub is_deprecated: bool,
    /// What is known of its vulnerabilities.
    pub security_scan_status: ScanStatus,
    /// How many there are.
    pub vulnerabilities_count: i32,
    /// What the digest holds, when it is an index.
    pub platforms: Vec<Platform>,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// True = the registry confirmed it when it was added.
    pub verified: bool,
    /// What could not be verified, when it was just added.
    pub warnings: Vec<String>,
    /// Changes with every change; `If-Match` takes it.
    pub etag: String,
}

impl From<pb::Tag> for Tag {
    fn from(tag: pb::Tag) -> Self {
        Self {
            security_scan_status: ScanStatus::from(tag.security_scan_status()),
            id: tag.id,
            image_id: tag.image_id,
            tag: tag.tag,
            digest: text(tag.digest),
            size_bytes: number(tag.size_bytes),
            architecture: tag.architecture,
            os: tag.os,
            pushed_at: shown(tag.push_time),
            is_recommended: tag.is_recommended,
            is_deprecated: tag.is_deprecated,
            vulnerabilities_count: tag.vulnerabilities_count,
            platforms: tag.platforms.into_iter().map(Platform::from).collect(),
            created_at: shown(tag.create_time),
            updated_at: shown(tag.update_time),
            verified: tag.verified,
            warnings: tag.warnings,
            etag: tag.etag,
        }
    }
}

/// What is known of a tag's vulnerabilities. Set by hand it is a note; it never opens a scan gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScanStatus {
    /// Nobody looked.
    Unscanned,
    /// A scan is waiting or running.
    Queued,
    /// Nothing over the threshold.
    Passed,
    /// Something to look at, nothing that denies.
    Warned,
    /// Something that denies.
    Failed,
    /// The report is too old.
    Stale,
    /// The scan did not work.
    Error,
}

impl From<pb::ScanStatus> for ScanStatus {
    fn from(status: pb::ScanStatus) -> Self {
        match status {
            pb::ScanStatus::Unspecified | pb::ScanStatus::Unscanned => Self::Unscanned,
            pb::ScanStatus::Queued => Self::Queued,
            pb::ScanStatus::Passed => Self::Passed,
            pb::ScanStatus::Warned => Self::Warned,
            pb::ScanStatus::Failed => Self::Failed,
            pb::ScanStatus::Stale => Self::Stale,
            pb::ScanStatus::Error => Self::Error,
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

/// A new tag.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "tag": "7.5-alpine", "is_recommended": false, "architecture": "amd64", "os": "linux"
}))]
struct NewTag {
    /// The tag.
    tag: String,
    /// What it points at: `sha256:` and 64 hex digits. One that is cut off with dots is left out, with
    /// a warning.
    digest: Option<String>,
    /// Compressed size.
    size_bytes: Option<i64>,
    /// The processor; `amd64` when it is left out.
    architecture: Option<String>,
    /// The operating system; `linux` when it is left out.
    os: Option<String>,
    /// When it was pushed.
    pushed_at: Option<DateTime<Utc>>,
    /// True = the one to use; the mark is taken from the tag that had it.
    is_recommended: Option<bool>,
    /// True = no new rollout may use it.
    is_deprecated: Option<bool>,
}

impl Members for NewTag {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "image_id",
        "platforms",
        "created_at",
        "updated_at",
        "verified",
        "warnings",
        "etag",
    ];
}

/// What of a tag is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "is_recommended": true, "is_deprecated": false, "security_scan_status": "passed",
    "vulnerabilities_count": 0
}))]
struct ChangeTag {
    /// What it points at.
    digest: Option<String>,
    /// Compressed size.
    size_bytes: Option<i64>,
    /// The processor.
    architecture: Option<String>,
    /// The operating system.
    os: Option<String>,
    /// When it was pushed.
    pushed_at: Option<DateTime<Utc>>,
    /// True = the one to use; the mark is taken from the tag that had it.
    is_recommended: Option<bool>,
    /// True = no new rollout may use it.
    is_deprecated: Option<bool>,
    /// What is known of its vulnerabilities: a note.
    security_scan_status: Option<ScanStatus>,
    /// How many there are.
    vulnerabilities_count: Option<i32>,
}

impl Members for ChangeTag {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "image_id",
        "tag",
        "platforms",
        "created_at",
        "updated_at",
        "verified",
        "warnings",
        "etag",
    ];
}

const MASK: [(&str, &str); 9] = [
    ("digest", "digest"),
    ("size_bytes", "size_bytes"),
    ("architecture", "architecture"),
    ("os", "os"),
    ("pushed_at", "push_time"),
    ("is_recommended", "is_recommended"),
    ("is_deprecated", "is_deprecated"),
    ("security_scan_status", "security_scan_status"),
    ("vulnerabilities_count", "vulnerabilities_count"),
];

/// A removed tag.
#[derive(Debug, Serialize, ToSchema)]
struct TagDeleted {
    /// For people.
    #[schema(example = "Tag deleted successfully")]
    message: String,
    /// As it was.
    tag: Tag,
}

/// Add a tag to an image
///
/// Needs `operator`. A recommended tag takes the mark from the one that had it. A tag that a push has
/// added is taken over with what is given.
#[utoipa::path(
    post, path = "/api/v1/images/{id}/tags", tag = "tags", request_body = NewTag,
    params(("id" = i64, Path, description = "The image's number.", example = 1)),
    responses(
        (status = 201, description = "Added.", body = Tag, headers(("Location" = String))),
        (status = 409, description = "It is there already; `details.tag_id` names it.",
         body = crate::error::FlatError),
    ),
)]
async fn create_tag(
    relay: Relay,
    At(image_id): At<i64>,
    Body(new): Body<NewTag>,
) -> Result<Created<Tag>, Fault> {
    let (digest, warning) = printed(new.digest.unwrap_or_default());
    let tag = pb::Tag {
        tag: new.tag,
        digest,
        size_bytes: new.size_bytes.unwrap_or_default(),
        architecture: new.architecture.unwrap_or_default(),
        os: new.os.unwrap_or_default(),
        push_time: stamp(new.pushed_at),
        is_recommended: new.is_recommended.unwrap_or_default(),
        is_deprecated: new.is_deprecated.unwrap_or_default(),
        ..pb::Tag::default()
    };
    let request = pb::CreateTagRequest { image_id, tag: Some(tag) };
    let mut tag = relay.images().create_tag(request).await?.into_inner();
    tag.warnings.extend(warning);
    let location = format!("/api/v1/images/{}/tags/{}", tag.image_id, tag.id);
    let etag = tag.etag.clone();
    Ok(Created::new(location, Tag::from(tag)).tagged(etag))
}

/// A digest as documents print it, cut off with dots, names nothing: it counts as not given.
fn printed(digest: String) -> (String, Option<String>) {
    if !digest.ends_with("...") && !digest.ends_with('…') {
        return (digest, None);
    }
    let warning = format!("`digest`: `{digest}` is cut off and was left out; give all 64 digits");
    (String::new(), Some(warning))
}

/// Change a tag
///
/// Needs `operator`. Members that are left out stay. Recommending a tag takes the mark from the one
/// that had it; deprecating one stops new rollouts of it.
#[utoipa::path(
    put, path = "/api/v1/images/{image_id}/tags/{tag_id}", tag = "tags",
    request_body = ChangeTag,
    params(
        ("image_id" = i64, Path, description = "The image's number.", example = 1),
        ("tag_id" = i64, Path, description = "The tag's number.", example = 1),
        IfMatchHeader,
    ),
    responses((status = 200, description = "As it is now.", body = Tag)),
)]
async fn update_tag(
    relay: Relay,
    At((image_id, id)): At<(i64, i64)>,
    if_match: IfMatch,
    Change(change, given): Change<ChangeTag>,
) -> Result<Tagged<Tag>, Fault> {
    let scan = change.security_scan_status.map_or(pb::ScanStatus::Unscanned, Into::into);
    let tag = pb::Tag {
        id,
        image_id,
        etag: if_match.text(),
        digest: change.digest.unwrap_or_default(),
        size_bytes: change.size_bytes.unwrap_or_default(),
        architecture: change.architecture.unwrap_or_default(),
        os: change.os.unwrap_or_default(),
        push_time: stamp(change.pushed_at),
        is_recommended: change.is_recommended.unwrap_or_default(),
        is_deprecated: change.is_deprecated.unwrap_or_default(),
        security_scan_status: scan.into(),
        vulnerabilities_count: change.vulnerabilities_count.unwrap_or_default(),
        ..pb::Tag::default()
    };
    let update_mask = Some(given.mask(&MASK)?);
    let request = pb::UpdateTagRequest { tag: Some(tag), update_mask };
    let tag = relay.images().update_tag(request).await?.into_inner();
    Ok(Tagged::new(tag.etag.clone(), Tag::from(tag)))
}

/// Remove a tag
///
/// Needs `operator`. Devices that run it go on; a push of it counts as a push of an unknown tag.
#[utoipa::path(
    delete, path = "/api/v1/images/{image_id}/tags/{tag_id}", tag = "tags",
    params(
        ("image_id" = i64, Path, description = "The image's number.", example = 1),
        ("tag_id" = i64, Path, description = "The tag's number.", example = 3),
    ),
    responses((status = 200, description = "Removed.", body = TagDeleted)),
)]
async fn delete_tag(
    relay: Relay,
    At((image_id, id)): At<(i64, i64)>,
) -> Result<Json<TagDeleted>, Fault> {
    let request = pb::DeleteTagRequest { image_id, id };
    let tag = relay.images().delete_tag(request).await?.into_inner();
    Ok(Json(TagDeleted { message: "Tag deleted successfully".to_owned(), tag: tag.into() }))
}
