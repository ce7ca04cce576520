//! `PUT /images/:id`: fields and approval in one request.
//!
//! Two RPCs with two permissions stand behind it. Which of them a request needs is known once the
//! image has been read; whether the caller holds what they need is asked before the first one, so
//! that nothing is half done. Both are bound to the etag that was read.

use proto::access::v1::WhoAmIRequest;
use proto::reason;
use proto::registry::v1 as pb;
use runtime::auth::permission_missing;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shape::UnknownTag;
use crate::error::Fault;
use crate::extract::members::nothing_to_change;
use crate::extract::{Given, IfMatch, Members};
use crate::relay::{Relay, read};

/// How often a change is tried anew when others change the same image at the same time.
const TRIES: u32 = 3;

/// Whether an image may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// A person has yet to decide.
    Pending,
    /// It may run.
    Approved,
    /// It may not run.
    Rejected,
}

impl From<pb::ApprovalStatus> for Approval {
    fn from(status: pb::ApprovalStatus) -> Self {
        match status {
            pb::ApprovalStatus::Unspecified | pb::ApprovalStatus::Pending => Self::Pending,
            pb::ApprovalStatus::Approved => Self::Approved,
            pb::ApprovalStatus::Rejected => Self::Rejected,
        }
    }
}

impl From<Approval> for pb::ApprovalStatus {
    fn from(status: Approval) -> Self {
        match status {
            Approval::Pending => Self::Pending,
            Approval::Approved => Self::Approved,
            Approval::Rejected => Self::Rejected,
        }
    }
}

/// What of an image is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "description": "Updated description", "category": "database", "approval_status": "approved"
}))]
pub struct ChangeImage {
    /// For people; at most 2,000 characters.
    description: Option<String>,
    /// A free word.
    category: Option<String>,
    /// True = made by the registry's own team.
    is_official: Option<bool>,
    /// What happens to pushes of tags that it does not list; `null` = as the gate says.
    unknown_tag: Option<UnknownTag>,
    /// Whether it may run. A change of it needs the role `approver`.
    approval_status: Option<Approval>,
    /// Why, when `approval_status` becomes `rejected`; shown to whoever pushes it.
    reason: Option<String>,
}

impl Members for ChangeImage {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "image_name",
        "registry",
        "namespace",
        "repository",
        "approved_by",
        "approved_at",
        "created_at",
        "updated_at",
        "tag_count",
        "tags",
        "next_page_token",
        "etag",
        "verified",
        "warnings",
    ];
}

impl ChangeImage {
    /// The image with the new values, and the names of those that differ.
    fn over(&self, image: &pb::Image, given: &Given) -> (pb::Image, Vec<String>) {
        let mut next = image.clone();
        let mut paths = Vec::new();
        if given.has("description") {
            next.description = self.description.clone().unwrap_or_default();
            paths.extend((next.description != image.description).then_some("description"));
        }
        if given.has("category") {
            next.category = self.category.clone().unwrap_or_default();
            paths.extend((next.category != image.category).then_some("category"));
        }
        if let Some(is_official) = self.is_official {
            next.is_official = is_official;
            paths.extend((is_official != image.is_official).then_some("is_official"));
        }
        if given.has("unknown_tag") {
            let value = self.unknown_tag.map_or(pb::UnknownTag::Unspecified, Into::into);
            next.set_unknown_tag(value);
            paths.extend((next.unknown_tag != image.unknown_tag).then_some("unknown_tag"));
        }
        (next, paths.into_iter().map(str::to_owned).collect())
    }

    /// The approval status that the image does not have yet.
    fn decision(&self, image: &pb::Image) -> Option<Approval> {
        self.approval_status.filter(|status| *status != Approval::from(image.approval_status()))
    }
}

/// Changes an image.
///
/// # Errors
///
/// Whatever the processes say; `STALE_ETAG` when the image is not as the caller has seen it.
pub async fn update(
    relay: &Relay,
    id: i64,
    if_match: &IfMatch,
    change: &ChangeImage,
    given: &Given,
) -> Result<pb::Image, Fault> {
    let fields = ["description", "category", "is_official", "unknown_tag", "approval_status"];
    if !fields.iter().any(|name| given.has(name)) {
        return Err(nothing_to_change());
    }
    let mut attempt = 1;
    loop {
        let ask = pb::GetImageRequest { id };
        let image = read(relay.images(), ask, async |mut to, ask| to.get_image(ask).await).await?;
        if_match.require(&image.etag)?;
        match apply(relay, image, change, given).await {
            Err(fault)
                if fault.problem().reason() == reason::STALE_ETAG
                    && if_match.0.is_none()
                    && attempt < TRIES =>
            {
                attempt += 1;
            }
            done => return done,
        }
    }
}

async fn apply(
    relay: &Relay,
    mut image: pb::Image,
    change: &ChangeImage,
    given: &Given,
) -> Result<pb::Image, Fault> {
    let (next, paths) = change.over(&image, given);
    let decision = change.decision(&image);
    require(relay, !paths.is_empty() || decision.is_none(), decision.is_some()).await?;
    if !paths.is_empty() {
        let update_mask = Some(prost_types::FieldMask { paths });
        let request = pb::UpdateImageRequest { image: Some(next), update_mask };
        image = relay.images().update_image(request).await?.into_inner();
    }
    let Some(decision) = decision else { return Ok(image) };
    decide(relay, image, decision, change.reason.clone().unwrap_or_default()).await
}

async fn decide(
    relay: &Relay,
    image: pb::Image,
    decision: Approval,
    reason: String,
) -> Result<pb::Image, Fault> {
    let mut images = relay.images();
    let pb::Image { id, etag, .. } = image;
    let decided = match decision {
        Approval::Approved => {
            let request = pb::ApproveImageRequest { id, etag, ..Default::default() };
            images.approve_image(request).await
        }
        Approval::Pending | Approval::Rejected => {
            let pending = decision == Approval::Pending;
            let request =
                pb::RejectImageRequest { id, etag, reason, pending, ..Default::default() };
            images.reject_image(request).await
        }
    };
    Ok(decided?.into_inner())
}

/// Refuses a caller that lacks one of the permissions that the request needs.
async fn require(relay: &Relay, write: bool, approve: bool) -> Result<(), Fault> {
    let who =
        read(relay.tokens(), WhoAmIRequest {}, async |mut to, ask| to.who_am_i(ask).await).await?;
    let needed = [("images.write", write), ("images.approve", approve)];
    let missing = needed
        .into_iter()
        .filter(|(_, needed)| *needed)
        .find(|(name, _)| !who.permissions.iter().any(|held| held == name));
    let Some((permission, _)) = missing else { return Ok(()) };
    Err(permission_missing("caller", permission).into())
}
