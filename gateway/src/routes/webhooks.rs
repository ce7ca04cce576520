//! What registries call, as document 2 has it.

mod verdict;

use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use proto::approval::v1 as pb;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pushes::{Decision, PushEvent};
use crate::App;
use crate::error::Fault;
use crate::extract::{At, RawBody};
use crate::relay::{Relay, read};
use verdict::Verdict;

/// Marks an answer that was given before.
const REPLAY: HeaderName = HeaderName::from_static("idempotent-replay");

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(receive_default)).routes(routes!(receive))
}

/// What became of a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "error": "Image not approved",
    "message": "Image 'portainer/portainer-ce' is not in the approved registry",
    "action_required": "Admin must approve this image before deployment",
    "decision": "hold", "delivery_id": "0198f3a4-6c1d-7000-8000-3f2a9b1c0d55",
    "events": [{
        "push_id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11",
        "image": "portainer/portainer-ce:latest",
        "repository": "docker.io/portainer/portainer-ce", "registry": "docker.io", "tag": "latest",
        "digest": null,
        "actor": {"kind": "receiver", "id": "0198f3a4-0000-7000-8000-000000000001", "name": "default"},
        "decision": "hold", "state": "held", "pinned": false,
        "reasons": [{
            "code": "IMAGE_NOT_APPROVED",
            "message": "Image 'portainer/portainer-ce' is not in the approved registry"
        }],
        "review_id": "0198f3a4-6c1f-7000-8000-77aa00bb11cc"
    }]
}))]
struct WebhookAnswer {
    /// Why it was refused, in a few words; not there when it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What became of it, in a sentence.
    message: String,
    /// What a person must do.
    #[serde(skip_serializing_if = "Option::is_none")]
    action_required: Option<&'static str>,
    /// The worst of the decisions about its pushes.
    decision: Option<Decision>,
    /// The delivery's id.
    delivery_id: String,
    /// Its pushes, in the order of the body.
    events: Vec<PushEvent>,
}

/// Receive a webhook
///
/// For the default receiver: takes the bodies of Docker Hub, and of GitHub with its headers. In the
/// former `repo_name` may begin with a host that the receiver speaks for (`ghcr.io/acme/agent`). A
/// receiver with a secret checks the signature over the raw body.
#[utoipa::path(
    post, path = "/api/v1/webhooks/docker-registry", tag = "webhooks", security(()),
    request_body(
        content = serde_json::Value, description = "As the registry sends it.",
        example = json!({
            "repository": {"repo_name": "redis"}, "push_data": {"tag": "7.5-alpine"}
        }),
    ),
    responses(
        (status = 200, description = "Every push may run, or is nothing to decide.",
         body = WebhookAnswer),
        (status = 202, description = "Stored; it goes on by itself.", body = WebhookAnswer),
        (status = 403, description = "Held for a person, or denied.", body = WebhookAnswer),
        (status = 404, description = "The tag is not in the approved tags list; or there is no such \
            receiver.", body = WebhookAnswer),
    ),
)]
async fn receive_default(
    relay: Relay,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Fault> {
    submit(&relay, String::new(), &headers, body).await
}

/// Receive a webhook of a receiver
///
/// The token is the last part of the receiver's URL; it was shown when the receiver was added.
#[utoipa::path(
    post, path = "/api/v1/webhooks/receivers/{token}", tag = "webhooks", security(()),
    params(("token" = String, Path, description = "The token of the receiver's URL.")),
    request_body(content = serde_json::Value, description = "As the registry sends it."),
    responses(
        (status = 200, description = "Every push may run, or is nothing to decide. With \
            `response_mode: ack`, also what is denied.", body = WebhookAnswer),
        (status = 202, description = "Stored; it goes on by itself.", body = WebhookAnswer),
        (status = 403, description = "Held for a person, or denied.", body = WebhookAnswer),
        (status = 404, description = "The tag is not in the approved tags list; or there is no such \
            receiver.", body = WebhookAnswer),
    ),
)]
async fn receive(
    relay: Relay,
    At(token): At<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Fault> {
    submit(&relay, token, &headers, body).await
}

/// Hands a request on as it came. `approval` knows a repeated delivery, so it may be sent again.
async fn submit(
    relay: &Relay,
    receiver_token: String,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| pb::Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    let request = pb::SubmitDeliveryRequest {
        receiver_token,
        headers: headers.iter().map(header).collect(),
        body,
        peer_ip: relay.caller_ip(),
    };
    let pushes = relay.as_gateway().pushes();
    match read(pushes, request, async |mut to, ask| to.submit_delivery(ask).await).await {
        Ok(taken) => answer(taken),
        Err(fault) => Ok(refused(fault)),
    }
}

fn answer(taken: pb::SubmitDeliveryResponse) -> Result<Response, Fault> {
    let Verdict { status, error, message, action_required } = Verdict::of(&taken);
    let replayed = taken.replayed;
    let body = WebhookAnswer {
        error,
        message,
        action_required,
        decision: Decision::of(taken.decision()),
        delivery_id: taken.delivery_id,
        events: taken.pushes.into_iter().map(PushEvent::try_from).collect::<Result<_, _>>()?,
    };
    Ok(marked(replayed, (status, axum::Json(body)).into_response()))
}

/// A body that is none gets the same refusal again, too.
fn refused(fault: Fault) -> Response {
    let replayed = fault.problem().metadata().get("replayed").is_some_and(|text| text == "true");
    marked(replayed, fault.into_response())
}

fn marked(replayed: bool, mut response: Response) -> Response {
    if replayed {
        response.headers_mut().insert(REPLAY, HeaderValue::from_static("true"));
    }
    response
}
