//! Images, as document 1 has them.

mod shape;
mod update;

use imageref::Repository;
use proto::reason;
use proto::registry::v1 as pb;
use runtime::{Code, Problem};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::{At, Body, Change, IfMatch, Members, Page, Query, Tagged};
use crate::list::Listed;
use crate::relay::{Relay, read};

use shape::{Categories, ImageDeleted, ImageDetail, Images};
pub use shape::{Image, UnknownTag};
use update::{Approval, ChangeImage};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_images, create_image))
        .routes(routes!(list_categories))
        .routes(routes!(get_image, update_image, delete_image))
}

/// How many images or tags are shown when nothing is said, and at the most.
const PAGE: (i32, i32) = (1_000, 1_000);

/// Which images.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ImagesQuery {
    /// Only images with this status.
    status: Option<Approval>,
    /// Only images of this category.
    #[param(example = "database")]
    category: Option<String>,
    /// Only images whose repository or description contains this, whatever the case.
    #[param(example = "redis")]
    search: Option<String>,
    /// At most this many; 1,000 when it is left out, and at the most.
    limit: Option<i64>,
    /// Leave out this many; at most 10,000.
    offset: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// Which tags of an image.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ImageQuery {
    /// At most this many tags; 1,000 when it is left out, and at the most.
    limit: Option<i64>,
    /// Go on with the tags where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// A new image.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "image_name": "portainer-ce", "registry": "docker.io", "namespace": "portainer",
    "description": "Lightweight container management UI", "category": "management",
    "is_official": false
}))]
struct NewImage {
    /// The last part of the repository's path; it may have the parts before it, too
    /// (`grafana/grafana`).
    image_name: String,
    /// The registry's host; `docker.io` when it is left out.
    registry: Option<String>,
    /// The parts of the path before the name; `library` on `docker.io` when it is left out.
    namespace: Option<String>,
    /// For people; at most 2,000 characters.
    description: Option<String>,
    /// A free word.
    category: Option<String>,
    /// True = made by the registry's own team.
    is_official: Option<bool>,
    /// What happens to pushes of tags that it does not list; as the gate says when it is left out.
    unknown_tag: Option<UnknownTag>,
}

impl Members for NewImage {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "repository",
        "approved_by",
        "approved_at",
        "created_at",
        "updated_at",
        "tag_count",
        "etag",
        "verified",
        "warnings",
    ];
}

/// List images
///
/// Needs `viewer`. All images by id, whatever their status, unless a filter is given.
#[utoipa::path(
    get, path = "/api/v1/images", tag = "images", params(ImagesQuery),
    responses((status = 200, description = "Images.", body = Images)),
)]
async fn list_images(
    relay: Relay,
    Query(query): Query<ImagesQuery>,
) -> Result<Listed<Images>, Fault> {
    let page = Page::read((query.limit, query.offset, query.page_token), PAGE)?;
    let status = query.status.map_or(pb::ApprovalStatus::Unspecified, Into::into);
    let request = pb::ListImagesRequest {
        page_size: page.size,
        page_token: page.token.clone(),
        approval_status: status.into(),
        category: query.category.unwrap_or_default(),
        search: query.search.unwrap_or_default(),
        skip: page.skip,
    };
    let answer =
        read(relay.images(), request, async |mut to, ask| to.list_images(ask).await).await?;
    let (next, total) = (answer.next_page_token.clone(), answer.total_size);
    Ok(Listed::part(Images::from(answer), &page, &next, total))
}

/// List categories
///
/// Needs `viewer`. The categories in use with the number of images in each, most images first.
#[utoipa::path(
    get, path = "/api/v1/images/categories", tag = "images",
    responses((status = 200, description = "Categories.", body = Categories)),
)]
async fn list_categories(relay: Relay) -> Result<Listed<Categories>, Fault> {
    let request = pb::ListCategoriesRequest {};
    let answer =
        read(relay.images(), request, async |mut to, ask| to.list_categories(ask).await).await?;
    let total = answer.categories.len();
    Ok(Listed::whole(Categories::from(answer), total))
}

/// Get an image with its tags
///
/// Needs `viewer`. Up to 1,000 tags come with it; `next_page_token` leads to more.
#[utoipa::path(
    get, path = "/api/v1/images/{id}", tag = "images",
    params(("id" = i64, Path, description = "The image's number.", example = 1), ImageQuery),
    responses((status = 200, description = "The image.", body = ImageDetail)),
)]
async fn get_image(
    relay: Relay,
    At(id): At<i64>,
    Query(query): Query<ImageQuery>,
) -> Result<Tagged<ImageDetail>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), PAGE)?;
    let tags = pb::ListTagsRequest { image_id: id, page_size: page.size, page_token: page.token };
    let image = pb::GetImageRequest { id };
    let (image, tags) = tokio::try_join!(
        read(relay.images(), image, async |mut to, ask| to.get_image(ask).await),
        read(relay.images(), tags, async |mut to, ask| to.list_tags(ask).await),
    )?;
    Ok(Tagged::new(image.etag.clone(), ImageDetail::of(image, tags)))
}

/// Add an image
///
/// Needs `operator`. It is approved at once when the caller may approve (`admin`), else it is
/// `pending` with a review that an approver decides. Where the gate verifies, the registry is asked
/// whether it has the repository; what could not be verified stands in `warnings`.
#[utoipa::path(
    post, path = "/api/v1/images", tag = "images", request_body = NewImage,
    responses(
        (status = 201, description = "Added.", body = Image, headers(("Location" = String))),
        (status = 409, description = "It is there already; `details.image_id` names it.",
         body = crate::error::FlatError),
    ),
)]
async fn create_image(relay: Relay, Body(new): Body<NewImage>) -> Result<Created<Image>, Fault> {
    let request = pb::CreateImageRequest {
        repository: repository(&new)?.to_string(),
        description: new.description.unwrap_or_default(),
        category: new.category.unwrap_or_default(),
        is_official: new.is_official.unwrap_or_default(),
        unknown_tag: new.unknown_tag.map_or(pb::UnknownTag::Unspecified, Into::into).into(),
    };
    let image = relay.images().create_image(request).await?.into_inner();
    let (location, etag) = (format!("/api/v1/images/{}", image.id), image.etag.clone());
    Ok(Created::new(location, Image::from(image)).tagged(etag))
}

fn repository(new: &NewImage) -> Result<Repository, Fault> {
    Repository::from_parts(new.registry.as_deref(), new.namespace.as_deref(), &new.image_name)
        .map_err(|error| {
            let message = format!("`image_name`: {error}");
            Problem::new(Code::InvalidArgument, reason::INVALID_REFERENCE, message)
                .at("image_name")
                .into()
        })
}

/// Change an image
///
/// Needs `operator` for the description and what stands beside it, `approver` for
/// `approval_status`, and both for both: who lacks one of them changes nothing. Members that are left
/// out stay; an answer of `GET` can be sent back as it is.
#[utoipa::path(
    put, path = "/api/v1/images/{id}", tag = "images", request_body = ChangeImage,
    params(("id" = i64, Path, description = "The image's number.", example = 1), IfMatchHeader),
    responses((status = 200, description = "As it is now.", body = Image)),
)]
async fn update_image(
    relay: Relay,
    At(id): At<i64>,
    if_match: IfMatch,
    Change(change, given): Change<ChangeImage>,
) -> Result<Tagged<Image>, Fault> {
    let image = update::update(&relay, id, &if_match, &change, &given).await?;
    Ok(Tagged::new(image.etag.clone(), Image::from(image)))
}

/// Remove an image
///
/// Needs `operator`. Its tags go with it. Refused while an enabled update policy matches it.
#[utoipa::path(
    delete, path = "/api/v1/images/{id}", tag = "images",
    params(("id" = i64, Path, description = "The image's number.", example = 10), IfMatchHeader),
    responses(
        (status = 200, description = "Removed.", body = ImageDeleted),
        (status = 409, description = "Update policies match it; `details.policies` names them.",
         body = crate::error::FlatError),
    ),
)]
async fn delete_image(
    relay: Relay,
    At(id): At<i64>,
    if_match: IfMatch,
) -> Result<axum::Json<ImageDeleted>, Fault> {
    let request = pb::DeleteImageRequest { id, etag: if_match.text() };
    let image = relay.images().delete_image(request).await?.into_inner();
    Ok(axum::Json(ImageDeleted {
        message: "Image deleted successfully".to_owned(),
        image: image.into(),
    }))
}
