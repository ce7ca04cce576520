//! Images on the wire.

use proto::registry::v1 as pb;
use runtime::{Problem, time};

use super::{description, mask, repository, required, unknown_path, unknown_value, word};
use crate::Error;
use crate::image::{ApprovalStatus, Decision, Image, ImageChange, NewImage, UnknownTag};
use crate::store::image::{Category, Filter};

impl From<Image> for pb::Image {
    fn from(image: Image) -> Self {
        Self {
            etag: image.etag(),
            id: image.id.0,
            repository: image.repository,
            registry: image.registry,
            namespace: image.namespace,
            image_name: image.image_name,
            description: image.description,
            category: image.category,
            is_official: image.is_official,
            approval_status: pb::ApprovalStatus::from(image.approval_status).into(),
            approved_by: image.approved_by.unwrap_or_default(),
            approve_time: image.approved_at.map(time::to_timestamp),
            create_time: Some(time::to_timestamp(image.created_at)),
            update_time: Some(time::to_timestamp(image.updated_at)),
            tag_count: i32::try_from(image.tag_count).unwrap_or(i32::MAX),
            unknown_tag: image
                .unknown_tag
                .map_or(pb::UnknownTag::Unspecified, pb::UnknownTag::from)
                .into(),
            verified: image.verified,
            warnings: Vec::new(),
        }
    }
}

impl From<ApprovalStatus> for pb::ApprovalStatus {
    fn from(status: ApprovalStatus) -> Self {
        match status {
            ApprovalStatus::Pending => Self::Pending,
            ApprovalStatus::Approved => Self::Approved,
            ApprovalStatus::Rejected => Self::Rejected,
        }
    }
}

impl From<UnknownTag> for pb::UnknownTag {
    fn from(unknown_tag: UnknownTag) -> Self {
        match unknown_tag {
            UnknownTag::AutoAdd => Self::AutoAdd,
            UnknownTag::Request => Self::Request,
            UnknownTag::Deny => Self::Deny,
        }
    }
}

impl From<Category> for pb::list_categories_response::Category {
    fn from(category: Category) -> Self {
        let count = i32::try_from(category.count).unwrap_or(i32::MAX);
        Self { category: category.category, count }
    }
}

/// Reads the request for a new image. Nothing is decided or verified yet.
pub(crate) fn new_image(request: pb::CreateImageRequest) -> Result<NewImage, Error> {
    Ok(NewImage {
        repository: repository("repository", &request.repository)?,
        unknown_tag: unknown_tag("unknown_tag", request.unknown_tag)?,
        description: description("description", request.description)?,
        category: word("category", request.category)?,
        is_official: request.is_official,
        verified: false,
        decision: Decision::Pend,
    })
}

/// Reads what of an image is to change.
pub(crate) fn image_change(
    image: Option<pb::Image>,
    paths: Option<Vec<String>>,
) -> Result<(pb::Image, ImageChange), Problem> {
    let image = required("image", image)?;
    let mut change = ImageChange::default();
    for path in mask(paths)? {
        match path.as_str() {
            "description" => {
                let text = description("image.description", image.description.clone())?;
                change.description = Some(text);
            }
            "category" => change.category = Some(word("image.category", image.category.clone())?),
            "is_official" => change.is_official = Some(image.is_official),
            "unknown_tag" => {
                change.unknown_tag = Some(unknown_tag("image.unknown_tag", image.unknown_tag)?);
            }
            other => {
                let known = "`description`, `category`, `is_official`, `unknown_tag`";
                return Err(unknown_path(other, known));
            }
        }
    }
    Ok((image, change))
}

/// Reads which images a list holds.
pub(crate) fn image_filter(request: &pb::ListImagesRequest) -> Result<Filter, Problem> {
    let approval_status = match pb::ApprovalStatus::try_from(request.approval_status) {
        Ok(pb::ApprovalStatus::Unspecified) => None,
        Ok(pb::ApprovalStatus::Pending) => Some(ApprovalStatus::Pending),
        Ok(pb::ApprovalStatus::Approved) => Some(ApprovalStatus::Approved),
        Ok(pb::ApprovalStatus::Rejected) => Some(ApprovalStatus::Rejected),
        Err(_) => return Err(unknown_value("approval_status")),
    };
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(Filter {
        approval_status,
        category: some(word("category", request.category.clone())?),
        search: some(word("search", request.search.clone())?),
    })
}

/// Reads what happens to unknown tags; `None` = it is not said.
pub(super) fn unknown_tag(field: &str, value: i32) -> Result<Option<UnknownTag>, Problem> {
    match pb::UnknownTag::try_from(value) {
        Ok(pb::UnknownTag::Unspecified) => Ok(None),
        Ok(pb::UnknownTag::AutoAdd) => Ok(Some(UnknownTag::AutoAdd)),
        Ok(pb::UnknownTag::Request) => Ok(Some(UnknownTag::Request)),
        Ok(pb::UnknownTag::Deny) => Ok(Some(UnknownTag::Deny)),
        Err(_) => Err(unknown_value(field)),
    }
}
