//! `registry.image_tags` and `registry.image_tag_platforms`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::Error;
use crate::image::ImageId;
use crate::nearest::Candidate;
use crate::tag::{NewTag, Platform, ScanStatus, Tag, TagId};

/// How many tags are looked at for one to recommend.
const CANDIDATES: i64 = 1_000;

/// What names a tag of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    /// Its number.
    Id(TagId),
    /// Its name.
    Name(&'a str),
    /// The mark, which one tag at most has.
    Recommended,
}

struct Row {
    id: i64,
    image_id: i64,
    tag: String,
    digest: Option<String>,
    size_bytes: Option<i64>,
    architecture: String,
    os: String,
    pushed_at: Option<DateTime<Utc>>,
    is_recommended: bool,
    is_deprecated: bool,
    security_scan_status: ScanStatus,
    vulnerabilities_count: i32,
    verified: bool,
    is_auto_added: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    version: i64,
    platforms: Json<Vec<Platform>>,
}

impl From<Row> for Tag {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            image_id: row.image_id.into(),
            tag: row.tag,
            digest: row.digest,
            size_bytes: row.size_bytes,
            architecture: row.architecture,
            os: row.os,
            pushed_at: row.pushed_at,
            is_recommended: row.is_recommended,
            is_deprecated: row.is_deprecated,
            security_scan_status: row.security_scan_status,
            vulnerabilities_count: row.vulnerabilities_count,
            platforms: row.platforms.0,
            verified: row.verified,
            is_auto_added: row.is_auto_added,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// Finds a tag of an image.
pub(crate) async fn find(
    db: &mut PgConnection,
    image: ImageId,
    key: Key<'_>,
) -> Result<Option<Tag>, Error> {
    let (id, name, recommended) = match key {
        Key::Id(id) => (Some(id.0), None, false),
        Key::Name(name) => (None, Some(name), false),
        Key::Recommended => (None, None, true),
    };
    let row = sqlx::query_as!(
        Row,
        r#"select id, image_id, tag, digest, size_bytes, architecture, os, pushed_at,
            is_recommended, is_deprecated, security_scan_status, vulnerabilities_count, verified,
            is_auto_added, created_at, updated_at, version,
            (select coalesce(jsonb_agg(to_jsonb(platform) order by platform.place), '[]')
             from registry.image_tag_platforms platform
             where platform.tag_id = image_tags.id) as "platforms!: Json<Vec<Platform>>"
        from registry.image_tags
        where image_id = $1 and (id = $2 or tag = $3 or $4 and is_recommended)"#,
        image.0,
        id,
        name,
        recommended,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Tag::from))
}

/// A tag that must be there.
pub(crate) async fn require(
    db: &mut PgConnection,
    image: ImageId,
    id: TagId,
) -> Result<Tag, Error> {
    find(db, image, Key::Id(id)).await?.ok_or(Error::TagNotFound { image, tag: id })
}

/// Lists an image's tags by number, one more than asked for when there are more.
pub(crate) async fn list(
    db: &mut PgConnection,
    image: ImageId,
    after: i64,
    size: i64,
) -> Result<Vec<Tag>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, image_id, tag, digest, size_bytes, architecture, os, pushed_at,
            is_recommended, is_deprecated, security_scan_status, vulnerabilities_count, verified,
            is_auto_added, created_at, updated_at, version,
            (select coalesce(jsonb_agg(to_jsonb(platform) order by platform.place), '[]')
             from registry.image_tag_platforms platform
             where platform.tag_id = image_tags.id) as "platforms!: Json<Vec<Platform>>"
        from registry.image_tags
        where image_id = $1 and id > $2 order by id limit $3::bigint + 1"#,
        image.0,
        after,
        size,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Tag::from).collect())
}

/// Lists the tags that may be used instead of one that was refused, the newest first.
pub(crate) async fn candidates(
    db: &mut PgConnection,
    image: ImageId,
) -> Result<Vec<Candidate>, Error> {
    let candidates = sqlx::query_as!(
        Candidate,
        "select tag, is_recommended from registry.image_tags
        where image_id = $1 and not is_deprecated
        order by is_recommended desc, id desc limit $2",
        image.0,
        CANDIDATES,
    )
    .fetch_all(db)
    .await?;
    Ok(candidates)
}

/// Adds a tag. Whoever calls has [locked](super::image::lock) the image and looked.
pub(crate) async fn insert(
    db: &mut PgConnection,
    image: ImageId,
    new: &NewTag,
    now: DateTime<Utc>,
) -> Result<Tag, Error> {
    let id = sqlx::query_scalar!(
        "insert into registry.image_tags
            (image_id, tag, digest, size_bytes, architecture, os, pushed_at, is_recommended,
             is_deprecated, verified, is_auto_added, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
        returning id",
        image.0,
        new.tag.as_str(),
        new.digest.as_ref().map(imageref::Digest::as_str),
        new.size_bytes,
        new.architecture,
        new.os,
        new.pushed_at,
        new.is_recommended,
        new.is_deprecated,
        new.verified,
        new.is_auto_added,
        now,
    )
    .fetch_one(&mut *db)
    .await?;
    insert_platforms(db, id, &new.platforms).await?;
    require(db, image, id.into()).await
}

/// Writes a changed tag.
pub(crate) async fn update(db: &mut PgConnection, tag: &Tag) -> Result<Tag, Error> {
    sqlx::query!(
        "update registry.image_tags
        set digest = $2, size_bytes = $3, architecture = $4, os = $5, pushed_at = $6,
            is_recommended = $7, is_deprecated = $8, security_scan_status = $9,
            vulnerabilities_count = $10, verified = $11, is_auto_added = $12, updated_at = $13,
            version = version + 1
        where id = $1",
        tag.id.0,
        tag.digest,
        tag.size_bytes,
        tag.architecture,
        tag.os,
        tag.pushed_at,
        tag.is_recommended,
        tag.is_deprecated,
        tag.security_scan_status as ScanStatus,
        tag.vulnerabilities_count,
        tag.verified,
        tag.is_auto_added,
        tag.updated_at,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("delete from registry.image_tag_platforms where tag_id = $1", tag.id.0)
        .execute(&mut *db)
        .await?;
    insert_platforms(db, tag.id.0, &tag.platforms).await?;
    require(db, tag.image_id, tag.id).await
}

/// Removes a tag.
pub(crate) async fn delete(db: &mut PgConnection, id: TagId) -> Result<(), Error> {
    sqlx::query!("delete from registry.image_tags where id = $1", id.0).execute(db).await?;
    Ok(())
}

async fn insert_platforms(
    db: &mut PgConnection,
    tag: i64,
    platforms: &[Platform],
) -> Result<(), Error> {
    if platforms.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into registry.image_tag_platforms
            (tag_id, place, os, architecture, variant, digest, size_bytes)
        select $1, new.place - 1, new.os, new.architecture, new.variant, new.digest, new.size_bytes
        from rows from (
            jsonb_to_recordset($2)
                as (os text, architecture text, variant text, digest text, size_bytes bigint)
        ) with ordinality as new (os, architecture, variant, digest, size_bytes, place)",
        tag,
        Json(platforms) as Json<&[Platform]>,
    )
    .execute(db)
    .await?;
    Ok(())
}
