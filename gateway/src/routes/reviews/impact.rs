//! What an approval would set going: the policy that its pushes would follow, and the devices.

use axum::Json;
use imageref::{ImagePattern, Repository, Tag};
use proto::approval::v1::push::State;
use proto::approval::v1::{GetReviewRequest, ListPushesRequest, Review};
use proto::rollout::v1 as pb;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Fault;
use crate::extract::At;
use crate::relay::{Relay, read};
use crate::routes::policies::{Policy, Preview};

/// What an approval would set going.
#[derive(Debug, Serialize, ToSchema)]
pub struct Impact {
    /// The image that asks, with the tag and digest of the review, else of the newest push that it
    /// holds.
    #[schema(example = "docker.io/portainer/portainer-ce:latest")]
    image: String,
    /// How many pushes it holds now.
    held_pushes: i32,
    /// The policy that a push of it would follow; `null` = none, so nothing would be rolled out.
    policy: Option<Policy>,
    /// The devices that it would reach; `null` = there is no policy, or no version has asked yet.
    reach: Option<Preview>,
}

/// Say what an approval would set going
///
/// Needs `viewer`. Nothing changes. `reach` is what `POST /api/v1/policies/preview` says of the policy
/// and the image.
#[utoipa::path(
    get, path = "/api/v1/approval-requests/{id}/impact", tag = "reviews",
    params(("id" = String, Path, description = "The approval request's id.")),
    responses((status = 200, description = "What it would set going.", body = Impact)),
)]
pub async fn get_review_impact(relay: Relay, At(id): At<String>) -> Result<Json<Impact>, Fault> {
    let ask = GetReviewRequest { id };
    let review = read(relay.reviews(), ask, async |mut to, ask| to.get_review(ask).await).await?;
    let review = with_version(&relay, review).await?;
    let image = reference(&review);
    let policy = followed(&relay, &review).await?;
    let reach = match &policy {
        Some(policy) if image != review.repository => {
            let policy = Some(policy.clone());
            let ask = pb::PreviewPolicyRequest { policy, reference: image.clone() };
            let preview =
                read(relay.policies(), ask, async |mut to, ask| to.preview_policy(ask).await);
            Some(Preview::from(preview.await?))
        }
        Some(_) | None => None,
    };
    let (held_pushes, policy) = (review.held_pushes, policy.map(Policy::from));
    Ok(Json(Impact { image, held_pushes, policy, reach }))
}

/// A review of an image as a whole names no version, but the pushes that it holds do.
async fn with_version(relay: &Relay, review: Review) -> Result<Review, Fault> {
    if review.held_pushes == 0 || !review.tag.is_empty() || !review.digest.is_empty() {
        return Ok(review);
    }
    let ask = ListPushesRequest {
        state: State::Held.into(),
        repository: review.repository.clone(),
        page_size: 50,
        ..ListPushesRequest::default()
    };
    let held = read(relay.pushes(), ask, async |mut to, ask| to.list_pushes(ask).await).await?;
    let newest = held.pushes.into_iter().find(|push| push.review_id == review.id);
    Ok(match newest {
        Some(push) => Review { tag: push.tag, digest: push.digest, ..review },
        None => review,
    })
}

fn reference(review: &Review) -> String {
    let mut image = review.repository.clone();
    for (mark, part) in [(':', &review.tag), ('@', &review.digest)] {
        if !part.is_empty() {
            image.push(mark);
            image.push_str(part);
        }
    }
    image
}

/// The first policy, in the order they are asked, that takes the image.
async fn followed(relay: &Relay, review: &Review) -> Result<Option<pb::Policy>, Fault> {
    let ask = pb::MatchRepositoryRequest { repository: review.repository.clone() };
    let matching =
        read(relay.policies(), ask, async |mut to, ask| to.match_repository(ask).await).await?;
    let tag = Tag::parse(&review.tag).ok();
    let takes = |policy: &pb::Policy| {
        let (Ok(pattern), Ok(repository)) =
            (ImagePattern::parse(&policy.image_pattern), Repository::parse(&review.repository))
        else {
            return false;
        };
        match &tag {
            Some(tag) => pattern.matches(&repository, Some(tag)),
            None => pattern.matches_repository(&repository),
        }
    };
    Ok(matching.policies.into_iter().find(takes))
}
