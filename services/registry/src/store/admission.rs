//! All that a verdict needs, in one round trip.

use chrono::{DateTime, Utc};
use imageref::{Digest, Namespace, Reference};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::admit::Listing;
use crate::gate::{Gate, VerifyUpstream};
use crate::image::{ApprovalStatus, Image, UnknownTag};
use crate::tag::{Platform, ScanStatus, Tag};

/// What is known about a reference.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub gate: Gate,
    pub image: Option<Image>,
    pub tag: Option<Tag>,
    pub listing: Listing,
}

struct Row {
    gate_unknown_tag: UnknownTag,
    verify_upstream: VerifyUpstream,
    internal_namespaces: Json<Vec<Namespace>>,
    gate_updated_at: DateTime<Utc>,
    gate_version: i64,
    is_listed: bool,
    is_deprecated_too: bool,
    image_id: Option<i64>,
    repository: Option<String>,
    registry: Option<String>,
    namespace: Option<String>,
    image_name: Option<String>,
    description: Option<String>,
    category: Option<String>,
    is_official: Option<bool>,
    approval_status: Option<ApprovalStatus>,
    approved_by: Option<String>,
    approved_at: Option<DateTime<Utc>>,
    rejection_reason: Option<String>,
    unknown_tag: Option<UnknownTag>,
    verified: Option<bool>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    version: Option<i64>,
    tag_count: i64,
    tag_id: Option<i64>,
    tag: Option<String>,
    digest: Option<String>,
    size_bytes: Option<i64>,
    architecture: Option<String>,
    os: Option<String>,
    pushed_at: Option<DateTime<Utc>>,
    is_recommended: Option<bool>,
    is_deprecated: Option<bool>,
    security_scan_status: Option<ScanStatus>,
    vulnerabilities_count: Option<i32>,
    tag_verified: Option<bool>,
    is_auto_added: Option<bool>,
    tag_created_at: Option<DateTime<Utc>>,
    tag_updated_at: Option<DateTime<Utc>>,
    tag_version: Option<i64>,
    platforms: Json<Vec<Platform>>,
}

/// Reads what is known about a reference.
pub(crate) async fn read(db: &mut PgConnection, reference: &Reference) -> Result<Known, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select gate.unknown_tag as gate_unknown_tag, gate.verify_upstream,
            gate.internal_namespaces as "internal_namespaces: Json<Vec<Namespace>>",
            gate.updated_at as gate_updated_at, gate.version as gate_version,
            coalesce(listing.is_listed, false) as "is_listed!",
            coalesce(listing.is_deprecated_too, false) as "is_deprecated_too!",
            image.id as "image_id?", image.repository as "repository?",
            image.registry as "registry?", image.namespace as "namespace?",
            image.image_name as "image_name?", image.description as "description?",
            image.category as "category?", image.is_official as "is_official?",
            image.approval_status as "approval_status?: ApprovalStatus", image.approved_by,
            image.approved_at, image.rejection_reason as "rejection_reason?",
            image.unknown_tag as "unknown_tag?: UnknownTag", image.verified as "verified?",
            image.created_at as "created_at?", image.updated_at as "updated_at?",
            image.version as "version?",
            (select count(*) from registry.image_tags counted
             where counted.image_id = image.id) as "tag_count!",
            tag.id as "tag_id?", tag.tag as "tag?", tag.digest, tag.size_bytes,
            tag.architecture as "architecture?", tag.os as "os?", tag.pushed_at,
            tag.is_recommended as "is_recommended?", tag.is_deprecated as "is_deprecated?",
            tag.security_scan_status as "security_scan_status?: ScanStatus",
            tag.vulnerabilities_count as "vulnerabilities_count?",
            tag.verified as "tag_verified?", tag.is_auto_added as "is_auto_added?",
            tag.created_at as "tag_created_at?", tag.updated_at as "tag_updated_at?", tag.version as "tag_version?",
            (select coalesce(jsonb_agg(to_jsonb(platform) order by platform.place), '[]')
             from registry.image_tag_platforms platform
             where platform.tag_id = tag.id) as "platforms!: Json<Vec<Platform>>"
        from registry.gate gate
        left join registry.images image on image.repository = $1
        left join registry.image_tags tag on tag.image_id = image.id and tag.tag = $2
        left join lateral (
            select bool_or(not holder.is_deprecated) as is_listed,
                bool_or(holder.is_deprecated) as is_deprecated_too
            from (
                select own.is_deprecated from registry.image_tags own
                where own.image_id = image.id and own.digest = $3
                union all
                select owner.is_deprecated from registry.image_tag_platforms platform
                join registry.image_tags owner on owner.id = platform.tag_id
                where platform.digest = $3 and owner.image_id = image.id
            ) as holder
        ) as listing on true"#,
        reference.repository().as_str(),
        reference.tag().map(imageref::Tag::as_str),
        reference.digest().map(Digest::as_str),
    )
    .fetch_one(db)
    .await?;
    Ok(row.into())
}

impl From<Row> for Known {
    fn from(mut row: Row) -> Self {
        let listing = match (row.is_listed, row.is_deprecated_too) {
            (true, _) => Listing::Listed,
            (false, true) => Listing::Deprecated,
            (false, false) => Listing::Unlisted,
        };
        let gate = Gate {
            unknown_tag: row.gate_unknown_tag,
            verify_upstream: row.verify_upstream,
            internal_namespaces: std::mem::take(&mut row.internal_namespaces.0),
            updated_at: row.gate_updated_at,
            version: row.gate_version,
        };
        Self { gate, image: image(&mut row), tag: tag(row), listing }
    }
}

/// The image of the row; `None` = the join found none.
fn image(row: &mut Row) -> Option<Image> {
    Some(Image {
        id: row.image_id?.into(),
        repository: row.repository.take()?,
        registry: row.registry.take()?,
        namespace: row.namespace.take()?,
        image_name: row.image_name.take()?,
        description: row.description.take()?,
        category: row.category.take()?,
        is_official: row.is_official?,
        approval_status: row.approval_status?,
        approved_by: row.approved_by.take(),
        approved_at: row.approved_at,
        rejection_reason: row.rejection_reason.take()?,
        unknown_tag: row.unknown_tag,
        verified: row.verified?,
        created_at: row.created_at?,
        updated_at: row.updated_at?,
        version: row.version?,
        tag_count: row.tag_count,
    })
}

/// The tag of the row; `None` = the join found none.
fn tag(row: Row) -> Option<Tag> {
    Some(Tag {
        id: row.tag_id?.into(),
        image_id: row.image_id?.into(),
        tag: row.tag?,
        digest: row.digest,
        size_bytes: row.size_bytes,
        architecture: row.architecture?,
        os: row.os?,
        pushed_at: row.pushed_at,
        is_recommended: row.is_recommended?,
        is_deprecated: row.is_deprecated?,
        security_scan_status: row.security_scan_status?,
        vulnerabilities_count: row.vulnerabilities_count?,
        platforms: row.platforms.0,
        verified: row.tag_verified?,
        is_auto_added: row.is_auto_added?,
        created_at: row.tag_created_at?,
        updated_at: row.tag_updated_at?,
        version: row.tag_version?,
    })
}
