//! Asking for a rollout by hand: a push like those that registries tell of, through the same gate.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use proto::approval::v1 as approval;
use proto::approval::v1::push::{Outcome, State};
use proto::reason;
use proto::rollout::v1 as pb;
use runtime::{Code, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::current;
use super::shape::Rollout;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::idempotency::IdempotencyHeader;
use crate::extract::{Body, IdempotencyKey, Members};
use crate::relay::Relay;
use crate::routes::policies::DeviceSelector;
use crate::routes::pushes::PushEvent;

/// What to bring to which devices.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "image": "redis:7.5-alpine", "policy_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11",
    "device_selector": {"fleet": "north"}
}))]
pub struct NewRollout {
    /// The image with tag, digest or both.
    image: String,
    /// The policy to follow; the one that a webhook would use when it is left out.
    policy_id: Option<String>,
    /// Of the policy's devices only these; all of them when it is left out.
    device_selector: Option<DeviceSelector>,
}

impl Members for NewRollout {}

/// What became of a request that is no rollout, or not yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutAsked {
    /// For people.
    #[schema(example = "Image 'memcached' is not in the approved registry")]
    message: String,
    /// The push that the request made.
    #[serde(flatten)]
    push: PushEvent,
}

/// Ask for a rollout
///
/// Needs `operator`. The image is admitted like a push. 201: a rollout was made. 202: a person must
/// approve it first (`review_id`), or a part of Slipway or a registry does not answer; it then goes on
/// by itself. 200: there is nothing to roll out; `outcome` says why. 403 or 404: the image may not run.
#[utoipa::path(
    post, path = "/api/v1/rollouts", tag = "rollouts", request_body = NewRollout,
    params(IdempotencyHeader),
    responses(
        (status = 201, description = "A rollout.", body = Rollout, headers(("Location" = String))),
        (status = 202, description = "It waits.", body = RolloutAsked,
         headers(("Location" = String))),
        (status = 200, description = "Nothing to roll out.", body = RolloutAsked),
        (status = 403, description = "The image may not run.", body = crate::error::FlatError),
    ),
)]
pub async fn create_rollout(
    relay: Relay,
    IdempotencyKey(request_id): IdempotencyKey,
    Body(new): Body<NewRollout>,
) -> Result<Response, Fault> {
    let request = approval::SubmitPushRequest {
        reference: new.image,
        policy_id: new.policy_id.unwrap_or_default(),
        device_selector: new.device_selector.map(pb::DeviceSelector::from),
        request_id,
    };
    let push = relay.pushes().submit_push(request).await?.into_inner();
    match (push.state(), push.outcome()) {
        (State::Done, Outcome::Rollout) => {
            let rollout = current(&relay, push.rollout_id).await?;
            let (location, etag) =
                (format!("/api/v1/rollouts/{}", rollout.id), rollout.etag.clone());
            Ok(Created::new(location, Rollout::from(rollout)).tagged(etag).into_response())
        }
        (State::Denied, _) => Err(refused(push)),
        (State::Held | State::Waiting | State::Received | State::Unspecified, _) => waiting(push),
        (State::Done | State::Ignored, _) => Ok(Json(asked(push)?).into_response()),
    }
}

/// Where to look what becomes of it: at the review, else at the push.
fn waiting(push: approval::Push) -> Result<Response, Fault> {
    let location = match push.review_id.as_str() {
        "" => format!("/api/v1/pushes/{}", push.id),
        review => format!("/api/v1/approval-requests/{review}"),
    };
    let mut response = (StatusCode::ACCEPTED, Json(asked(push)?)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn asked(push: approval::Push) -> Result<RolloutAsked, Fault> {
    let last = push.reasons.last().map(|reason| reason.message.clone());
    let message = last.unwrap_or_else(|| "It is stored and goes on by itself".to_owned());
    Ok(RolloutAsked { message, push: PushEvent::try_from(push)? })
}

/// The first reason decided.
fn refused(push: approval::Push) -> Fault {
    let why = push.reasons.into_iter().next().unwrap_or_default();
    let code = match why.code.as_str() {
        reason::INVALID_ARGUMENT | reason::INVALID_REFERENCE => Code::InvalidArgument,
        reason::POLICY_NOT_FOUND | reason::TAG_NOT_LISTED | reason::TAG_NOT_FOUND => Code::NotFound,
        _ => Code::PermissionDenied,
    };
    let problem = Problem::passed_on(code, why.code, why.message).with("push_id", push.id);
    match push.review_id.as_str() {
        "" => problem.into(),
        review => problem.with("review_id", review).into(),
    }
}

#[cfg(test)]
mod tests {
    use proto::types::v1::Reason;

    use super::*;

    #[test]
    fn a_refusal_has_the_first_reason_and_the_documents_status() {
        for (code, status) in [
            (reason::IMAGE_REJECTED, 403),
            (reason::TAG_DEPRECATED, 403),
            (reason::TAG_NOT_LISTED, 404),
            (reason::POLICY_NOT_FOUND, 404),
            (reason::INVALID_ARGUMENT, 400),
        ] {
            let why = |code: &str| Reason { code: code.to_owned(), message: "why".to_owned() };
            let push = approval::Push {
                id: "push-1".to_owned(),
                reasons: vec![why(code), why("LATER")],
                ..approval::Push::default()
            };
            let fault = refused(push);
            assert_eq!((fault.status().as_u16(), fault.problem().reason()), (status, code));
            assert_eq!(fault.problem().metadata()["push_id"], "push-1");
            assert!(!fault.problem().metadata().contains_key("review_id"));
        }
    }
}
