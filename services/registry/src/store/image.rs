//! `registry.images`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::Error;
use crate::image::{ApprovalStatus, Image, ImageId, NewImage, UnknownTag};

/// What names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// Its number.
    Id(ImageId),
    /// Its canonical repository.
    Repository(String),
}

/// Which images a list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub approval_status: Option<ApprovalStatus>,
    pub category: Option<String>,
    /// A part of the repository or description, whatever the case.
    pub search: Option<String>,
}

/// A category and how many images have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Category {
    pub category: String,
    pub count: i64,
}

impl Key {
    fn columns(&self) -> (Option<i64>, Option<&str>) {
        match self {
            Self::Id(id) => (Some(id.0), None),
            Self::Repository(repository) => (None, Some(repository)),
        }
    }
}

/// Finds an image.
pub(crate) async fn find(db: &mut PgConnection, key: &Key) -> Result<Option<Image>, Error> {
    let (id, repository) = key.columns();
    let image = sqlx::query_as!(
        Image,
        r#"select id, repository, registry, namespace, image_name, description, category,
            is_official, approval_status, approved_by, approved_at, rejection_reason, unknown_tag,
            verified, created_at, updated_at, version,
            (select count(*) from registry.image_tags where image_id = images.id) as "tag_count!"
        from registry.images where id = $1 or repository = $2"#,
        id,
        repository,
    )
    .fetch_optional(db)
    .await?;
    Ok(image)
}

/// Finds an image and keeps others from changing it or its tags until the transaction ends.
pub(crate) async fn lock(db: &mut PgConnection, key: &Key) -> Result<Option<Image>, Error> {
    let (id, repository) = key.columns();
    let found = sqlx::query_scalar!(
        "select id from registry.images where id = $1 or repository = $2 for update",
        id,
        repository,
    )
    .fetch_optional(&mut *db)
    .await?;
    match found {
        Some(id) => find(db, &Key::Id(id.into())).await,
        None => Ok(None),
    }
}

/// Lists images by number, one more than asked for when there are more.
pub(crate) async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    after: i64,
    skip: i64,
    size: i64,
) -> Result<Vec<Image>, Error> {
    let images = sqlx::query_as!(
        Image,
        r#"select id, repository, registry, namespace, image_name, description, category,
            is_official, approval_status, approved_by, approved_at, rejection_reason, unknown_tag,
            verified, created_at, updated_at, version,
            (select count(*) from registry.image_tags where image_id = images.id) as "tag_count!"
        from registry.images
        where id > $1
            and ($2::text is null or approval_status = $2)
            and ($3::text is null or category = $3)
            and ($4::text is null
                or repository ilike '%' || $4 || '%' or description ilike '%' || $4 || '%')
        order by id offset $5 limit $6::bigint + 1"#,
        after,
        filter.approval_status as Option<ApprovalStatus>,
        filter.category.as_deref(),
        filter.search.as_deref().map(like_escaped),
        skip,
        size,
    )
    .fetch_all(db)
    .await?;
    Ok(images)
}

/// Counts the images of a list.
pub(crate) async fn count(db: &mut PgConnection, filter: &Filter) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from registry.images
        where ($1::text is null or approval_status = $1)
            and ($2::text is null or category = $2)
            and ($3::text is null
                or repository ilike '%' || $3 || '%' or description ilike '%' || $3 || '%')"#,
        filter.approval_status as Option<ApprovalStatus>,
        filter.category.as_deref(),
        filter.search.as_deref().map(like_escaped),
    )
    .fetch_one(db)
    .await?;
    Ok(count)
}

/// Lists the categories in use.
pub(crate) async fn categories(db: &mut PgConnection) -> Result<Vec<Category>, Error> {
    let categories = sqlx::query_as!(
        Category,
        r#"select category, count(*) as "count!" from registry.images
        where category <> '' group by category order by count(*) desc, category"#
    )
    .fetch_all(db)
    .await?;
    Ok(categories)
}

/// Adds an image. Whoever calls has [queued](super::queue_for) for the repository and looked.
pub(crate) async fn insert(
    db: &mut PgConnection,
    new: NewImage,
    now: DateTime<Utc>,
) -> Result<Image, Error> {
    let (status, approved_at) = (new.decision.status(), new.decision.approved_at(now));
    let (approved_by, rejection_reason) = new.decision.into_columns();
    let id = sqlx::query_scalar!(
        "insert into registry.images
            (repository, registry, namespace, image_name, description, category, is_official,
             approval_status, approved_by, approved_at, rejection_reason, unknown_tag, verified,
             created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
        returning id",
        new.repository.as_str(),
        new.repository.registry(),
        new.repository.namespace().unwrap_or_default(),
        new.repository.name(),
        new.description,
        new.category,
        new.is_official,
        status as ApprovalStatus,
        approved_by,
        approved_at,
        rejection_reason,
        new.unknown_tag as Option<UnknownTag>,
        new.verified,
        now,
    )
    .fetch_one(&mut *db)
    .await?;
    require(db, id.into()).await
}

/// Writes a changed image.
pub(crate) async fn update(db: &mut PgConnection, image: &Image) -> Result<Image, Error> {
    sqlx::query!(
        "update registry.images
        set description = $2, category = $3, is_official = $4, approval_status = $5,
            approved_by = $6, approved_at = $7, rejection_reason = $8, unknown_tag = $9,
            updated_at = $10, version = version + 1
        where id = $1",
        image.id.0,
        image.description,
        image.category,
        image.is_official,
        image.approval_status as ApprovalStatus,
        image.approved_by,
        image.approved_at,
        image.rejection_reason,
        image.unknown_tag as Option<UnknownTag>,
        image.updated_at,
    )
    .execute(&mut *db)
    .await?;
    require(db, image.id).await
}

/// Removes an image with its tags.
pub(crate) async fn delete(db: &mut PgConnection, id: ImageId) -> Result<(), Error> {
    sqlx::query!("delete from registry.images where id = $1", id.0).execute(db).await?;
    Ok(())
}

/// An image that must be there.
pub(crate) async fn require(db: &mut PgConnection, id: ImageId) -> Result<Image, Error> {
    find(db, &Key::Id(id)).await?.ok_or(Error::ImageNotFound(id))
}

/// A text that `like` takes for itself.
fn like_escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}
