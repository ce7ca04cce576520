//! Receivers: the addresses that registries send webhooks to.

mod shape;

use axum::Json;
use axum::extract::State;
use proto::approval::v1 as pb;
use runtime::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::{At, Body, Members, Page, Query};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{text, whole};

use shape::{Delivery, Receiver, ResponseMode, Vendor};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_receivers, create_receiver))
        .routes(routes!(get_receiver, delete_receiver))
        .routes(routes!(list_deliveries))
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PartQuery {
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// Receivers.
#[derive(Debug, Serialize, ToSchema)]
struct Receivers {
    /// By name.
    receivers: Vec<Receiver>,
    /// How many there are in all.
    total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// List receivers
///
/// Needs `viewer`. By name; the tokens of their URLs are shown to nobody.
#[utoipa::path(
    get, path = "/api/v1/receivers", tag = "receivers", params(PartQuery),
    responses((status = 200, description = "Receivers.", body = Receivers)),
)]
async fn list_receivers(
    relay: Relay,
    Query(query): Query<PartQuery>,
) -> Result<Listed<Receivers>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), (50, 500))?;
    let request = pb::ListReceiversRequest { page_size: page.size, page_token: page.token.clone() };
    let answer =
        read(relay.receivers(), request, async |mut to, ask| to.list_receivers(ask).await).await?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let receivers = answer.receivers.into_iter().map(Receiver::from).collect();
    let body = Receivers { receivers, total, next_page_token: text(next.clone()) };
    Ok(Listed::part(body, &page, &next, total))
}

/// A new receiver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "ghcr", "vendor": "github", "secret": "0f4c9e2d8b7a6151",
    "registries": ["ghcr.io"], "repositories": ["acme/**"]
}))]
struct NewReceiver {
    /// What to call it; unique.
    name: String,
    /// What it is sent.
    vendor: Vendor,
    /// Must be left out: the vendor settles how requests are authenticated.
    auth: Option<String>,
    /// What requests are checked against: 16 to 200 characters, the same at the sender.
    secret: Option<String>,
    /// True = requests without a secret are taken.
    allow_unauthenticated: Option<bool>,
    /// The hosts it may speak for; the vendor's own when it is left out, `*` = any.
    registries: Option<Vec<String>>,
    /// The repositories it may speak for: `*` within a part of the path, `**` across; all when it is
    /// left out.
    repositories: Option<Vec<String>>,
    /// How it answers refused pushes; as suits the vendor when it is left out.
    response_mode: Option<ResponseMode>,
    /// True = where no upstream lists the host, the sender is believed and the rollout goes by tag.
    payload_trust: Option<bool>,
    /// True = it is the receiver of `/api/v1/webhooks/docker-registry`.
    is_default: Option<bool>,
}

impl Members for NewReceiver {
    const READ_ONLY: &'static [&'static str] =
        &["id", "has_secret", "created_at", "last_delivery_at", "refused_since", "last_refusal"];
}

/// A new receiver with the address to give to the sender.
#[derive(Debug, Serialize, ToSchema)]
struct ReceiverCreated {
    /// The receiver.
    #[serde(flatten)]
    about: Receiver,
    /// The secret part of the URL, shown this once.
    url_token: String,
    /// The URL to give to the sender, shown this once.
    #[schema(example = "https://slipway.example/api/v1/webhooks/receivers/whr_x2…")]
    url: String,
}

/// Add a receiver
///
/// Needs `operator`. Its URL holds a secret token that is shown this once. Docker Hub signs nothing, so
/// for a `dockerhub` receiver that token is the credential and no `secret` is taken; whoever learns the
/// URL can send. Therefore such a push is never believed by itself: the tag is looked up at the
/// registry, and the gate decides.
#[utoipa::path(
    post, path = "/api/v1/receivers", tag = "receivers", request_body = NewReceiver,
    responses(
        (status = 201, description = "Added.", body = ReceiverCreated,
         headers(("Location" = String))),
        (status = 409, description = "The name is taken.", body = crate::error::FlatError),
    ),
)]
async fn create_receiver(
    State(app): State<App>,
    relay: Relay,
    Body(new): Body<NewReceiver>,
) -> Result<Created<ReceiverCreated>, Fault> {
    if new.auth.is_some() {
        return Err(Problem::invalid(
            "auth",
            "is settled by the vendor: `github` and `generic` sign with the `secret`, the URL of a \
             `dockerhub` receiver is its credential; leave it out",
        )
        .into());
    }
    let mode = new.response_mode.map_or(pb::ResponseMode::Unspecified, Into::into);
    let receiver = pb::Receiver {
        name: new.name,
        vendor: pb::Vendor::from(new.vendor).into(),
        allow_unauthenticated: new.allow_unauthenticated.unwrap_or_default(),
        registries: new.registries.unwrap_or_default(),
        repositories: new.repositories.unwrap_or_default(),
        response_mode: mode.into(),
        payload_trust: new.payload_trust.unwrap_or_default(),
        is_default: new.is_default.unwrap_or_default(),
        ..pb::Receiver::default()
    };
    let secret = new.secret.unwrap_or_default();
    let request = pb::CreateReceiverRequest { receiver: Some(receiver), secret };
    let created = relay.receivers().create_receiver(request).await?.into_inner();
    let about = Receiver::from(whole("receiver", created.receiver)?);
    let location = format!("/api/v1/receivers/{}", about.id);
    let url_token = created.url_token;
    let url = format!("{}/api/v1/webhooks/receivers/{url_token}", app.public_url);
    Ok(Created::new(location, ReceiverCreated { about, url_token, url }))
}

/// Get a receiver
///
/// Needs `viewer`. Says, too, why its last requests were refused.
#[utoipa::path(
    get, path = "/api/v1/receivers/{id}", tag = "receivers",
    params(("id" = String, Path, description = "The receiver's id.")),
    responses((status = 200, description = "The receiver.", body = Receiver)),
)]
async fn get_receiver(relay: Relay, At(id): At<String>) -> Result<Json<Receiver>, Fault> {
    let request = pb::GetReceiverRequest { id };
    let receiver =
        read(relay.receivers(), request, async |mut to, ask| to.get_receiver(ask).await).await?;
    Ok(Json(receiver.into()))
}

/// A removed receiver.
#[derive(Debug, Serialize, ToSchema)]
struct ReceiverDeleted {
    /// For people.
    #[schema(example = "Receiver deleted successfully")]
    message: String,
    /// As it was.
    receiver: Receiver,
}

/// Remove a receiver
///
/// Needs `operator`. Its URL answers 404 from then on; its deliveries and pushes stay.
#[utoipa::path(
    delete, path = "/api/v1/receivers/{id}", tag = "receivers",
    params(("id" = String, Path, description = "The receiver's id.")),
    responses((status = 200, description = "Removed.", body = ReceiverDeleted)),
)]
async fn delete_receiver(relay: Relay, At(id): At<String>) -> Result<Json<ReceiverDeleted>, Fault> {
    let request = pb::DeleteReceiverRequest { id };
    let receiver = relay.receivers().delete_receiver(request).await?.into_inner();
    Ok(Json(ReceiverDeleted {
        message: "Receiver deleted successfully".to_owned(),
        receiver: receiver.into(),
    }))
}

/// What a receiver was sent.
#[derive(Debug, Serialize, ToSchema)]
struct Deliveries {
    /// Newest first.
    deliveries: Vec<Delivery>,
    /// How many there are in all.
    total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// List what a receiver was sent
///
/// Needs `viewer`. Newest first, credentials masked.
#[utoipa::path(
    get, path = "/api/v1/receivers/{id}/deliveries", tag = "receivers",
    params(("id" = String, Path, description = "The receiver's id."), PartQuery),
    responses((status = 200, description = "Deliveries.", body = Deliveries)),
)]
async fn list_deliveries(
    relay: Relay,
    At(receiver_id): At<String>,
    Query(query): Query<PartQuery>,
) -> Result<Listed<Deliveries>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), (50, 500))?;
    let request = pb::ListDeliveriesRequest {
        receiver_id,
        page_size: page.size,
        page_token: page.token.clone(),
    };
    let answer =
        read(relay.receivers(), request, async |mut to, ask| to.list_deliveries(ask).await)
            .await
            .map_err(|fault| fault.renamed(&[("receiver_id", "id")]))?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let deliveries = answer.deliveries.into_iter().map(Delivery::from).collect();
    let body = Deliveries { deliveries, total, next_page_token: text(next.clone()) };
    Ok(Listed::part(body, &page, &next, total))
}
