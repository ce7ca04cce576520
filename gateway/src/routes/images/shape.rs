//! Images as JSON.

use chrono::{DateTime, Utc};
use proto::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::update::Approval;
use crate::routes::tags::Tag;
use crate::shape::{shown, text};

/// A repository at a registry.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "image_name": "redis", "registry": "docker.io", "namespace": "library",
    "description": "Redis in-memory data structure store", "category": "database",
    "is_official": true, "approval_status": "approved", "approved_by": "alice",
    "approved_at": "2025-10-17T08:00:00Z", "created_at": "2025-10-17T08:00:00Z",
    "updated_at": "2025-10-17T08:00:00Z", "tag_count": 4,
    "repository": "docker.io/library/redis", "unknown_tag": null, "verified": true,
    "warnings": [], "etag": "1"
}))]
pub struct Image {
    /// Its number.
    pub id: i64,
    /// The last part of the repository's path.
    pub image_name: String,
    /// The registry's host.
    pub registry: String,
    /// The parts of the path before the name; `null` = there are none.
    pub namespace: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// A free word.
    pub category: Option<String>,
    /// True = made by the registry's own team.
    pub is_official: bool,
    /// Whether it may run.
    pub approval_status: Approval,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When it was approved.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// How many tags it has.
    pub tag_count: i32,
    /// The canonical repository.
    pub repository: String,
    /// What happens to pushes of tags that it does not list; `null` = as the gate says.
    pub unknown_tag: Option<UnknownTag>,
    /// True = the registry confirmed that it exists when it was added.
    pub verified: bool,
    /// What could not be verified, when it was just added.
    pub warnings: Vec<String>,
    /// Changes with every change; `If-Match` takes it.
    pub etag: String,
}

impl From<pb::Image> for Image {
    fn from(image: pb::Image) -> Self {
        Self {
            approval_status: Approval::from(image.approval_status()),
            unknown_tag: UnknownTag::of(image.unknown_tag()),
            id: image.id,
            image_name: image.image_name,
            registry: image.registry,
            namespace: text(image.namespace),
            description: text(image.description),
            category: text(image.category),
            is_official: image.is_official,
            approved_by: text(image.approved_by),
            approved_at: shown(image.approve_time),
            created_at: shown(image.create_time),
            updated_at: shown(image.update_time),
            tag_count: image.tag_count,
            repository: image.repository,
            verified: image.verified,
            warnings: image.warnings,
            etag: image.etag,
        }
    }
}

/// What happens to a push of a tag that an approved image does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownTag {
    /// The tag is added and the push goes on.
    AutoAdd,
    /// The push is held and a person is asked.
    Request,
    /// The push is denied.
    Deny,
}

impl UnknownTag {
    /// What the wire says; `None` = nothing in particular.
    pub fn of(value: pb::UnknownTag) -> Option<Self> {
        match value {
            pb::UnknownTag::Unspecified => None,
            pb::UnknownTag::AutoAdd => Some(Self::AutoAdd),
            pb::UnknownTag::Request => Some(Self::Request),
            pb::UnknownTag::Deny => Some(Self::Deny),
        }
    }
}

impl From<UnknownTag> for pb::UnknownTag {
    fn from(value: UnknownTag) -> Self {
        match value {
            UnknownTag::AutoAdd => Self::AutoAdd,
            UnknownTag::Request => Self::Request,
            UnknownTag::Deny => Self::Deny,
        }
    }
}

/// Images.
#[derive(Debug, Serialize, ToSchema)]
pub struct Images {
    /// By id.
    pub images: Vec<Image>,
    /// How many match in all.
    pub total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl From<pb::ListImagesResponse> for Images {
    fn from(answer: pb::ListImagesResponse) -> Self {
        Self {
            images: answer.images.into_iter().map(Image::from).collect(),
            total: answer.total_size,
            next_page_token: text(answer.next_page_token),
        }
    }
}

/// An image with its tags.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageDetail {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// Its tags, by id.
    pub tags: Vec<Tag>,
    /// Where to go on with the tags; not there when all are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

impl ImageDetail {
    /// Puts them together.
    pub fn of(image: pb::Image, tags: pb::ListTagsResponse) -> Self {
        Self {
            image: image.into(),
            tags: tags.tags.into_iter().map(Tag::from).collect(),
            next_page_token: text(tags.next_page_token),
        }
    }
}

/// A removed image.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageDeleted {
    /// For people.
    #[schema(example = "Image deleted successfully")]
    pub message: String,
    /// As it was.
    pub image: Image,
}

/// The categories in use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"categories": [
    {"category": "database", "count": 5}, {"category": "runtime", "count": 2}
]}))]
pub struct Categories {
    /// Most images first.
    pub categories: Vec<Category>,
}

/// A category.
#[derive(Debug, Serialize, ToSchema)]
pub struct Category {
    /// Its word.
    pub category: String,
    /// How many images have it.
    pub count: i32,
}

impl From<pb::ListCategoriesResponse> for Categories {
    fn from(answer: pb::ListCategoriesResponse) -> Self {
        let shown = |category: pb::list_categories_response::Category| Category {
            category: category.category,
            count: category.count,
        };
        Self { categories: answer.categories.into_iter().map(shown).collect() }
    }
}
