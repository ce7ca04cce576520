//! Receivers and deliveries as JSON.

use chrono::{DateTime, Utc};
use proto::approval::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::routes::pushes::Decision;
use crate::shape::{shown, text};

/// The shape of what a receiver is sent, and how it is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// Docker Hub and GitHub bodies, told apart by their headers and members.
    Generic,
    /// Docker Hub. It signs nothing: the secret is the URL.
    Dockerhub,
    /// GitHub and GHCR: HMAC-SHA256 in `X-Hub-Signature-256`.
    Github,
}

impl From<Vendor> for pb::Vendor {
    fn from(vendor: Vendor) -> Self {
        match vendor {
            Vendor::Generic => Self::Generic,
            Vendor::Dockerhub => Self::Dockerhub,
            Vendor::Github => Self::Github,
        }
    }
}

impl From<pb::Vendor> for Vendor {
    fn from(vendor: pb::Vendor) -> Self {
        match vendor {
            pb::Vendor::Unspecified | pb::Vendor::Generic => Self::Generic,
            pb::Vendor::Dockerhub => Self::Dockerhub,
            pb::Vendor::Github => Self::Github,
        }
    }
}

/// How a receiver answers refused pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// With 403 and 404.
    Strict,
    /// With 200 or 202, for senders that switch a webhook off after refusals.
    Ack,
}

impl From<ResponseMode> for pb::ResponseMode {
    fn from(mode: ResponseMode) -> Self {
        match mode {
            ResponseMode::Strict => Self::Strict,
            ResponseMode::Ack => Self::Ack,
        }
    }
}

impl From<pb::ResponseMode> for ResponseMode {
    fn from(mode: pb::ResponseMode) -> Self {
        match mode {
            pb::ResponseMode::Unspecified | pb::ResponseMode::Strict => Self::Strict,
            pb::ResponseMode::Ack => Self::Ack,
        }
    }
}

/// An address that registries send webhooks to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-0000-7000-8000-000000000001", "name": "ghcr", "vendor": "github",
    "has_secret": true, "allow_unauthenticated": false, "registries": ["ghcr.io"],
    "repositories": ["acme/**"], "response_mode": "strict", "payload_trust": false,
    "is_default": false, "created_at": "2026-11-21T09:00:00Z", "last_delivery_at": null,
    "refused_since": 0, "last_refusal": null
}))]
pub struct Receiver {
    /// Its id.
    pub id: String,
    /// What it is called; unique.
    pub name: String,
    /// What it is sent.
    pub vendor: Vendor,
    /// True = requests are checked against a secret.
    pub has_secret: bool,
    /// True = requests without a secret are taken.
    pub allow_unauthenticated: bool,
    /// The hosts it may speak for.
    pub registries: Vec<String>,
    /// The repositories it may speak for.
    pub repositories: Vec<String>,
    /// How it answers refused pushes.
    pub response_mode: ResponseMode,
    /// True = where no upstream lists the host, the sender is believed.
    pub payload_trust: bool,
    /// True = it is the receiver of `/api/v1/webhooks/docker-registry`.
    pub is_default: bool,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// When it last took a delivery; `null` = never.
    pub last_delivery_at: Option<DateTime<Utc>>,
    /// How many requests were refused for their credentials since it last took one.
    pub refused_since: i32,
    /// Why the last one was refused; `null` = none was.
    pub last_refusal: Option<String>,
}

impl From<pb::Receiver> for Receiver {
    fn from(receiver: pb::Receiver) -> Self {
        Self {
            vendor: receiver.vendor().into(),
            response_mode: receiver.response_mode().into(),
            id: receiver.id,
            name: receiver.name,
            has_secret: receiver.has_secret,
            allow_unauthenticated: receiver.allow_unauthenticated,
            registries: receiver.registries,
            repositories: receiver.repositories,
            payload_trust: receiver.payload_trust,
            is_default: receiver.is_default,
            created_at: shown(receiver.create_time),
            last_delivery_at: shown(receiver.last_delivery_time),
            refused_since: receiver.refused_since,
            last_refusal: text(receiver.last_refusal),
        }
    }
}

/// One request that a receiver was sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// When it came.
    pub created_at: Option<DateTime<Utc>>,
    /// The sender's address.
    pub peer_ip: Option<String>,
    /// Its headers, in order; credentials are masked.
    pub headers: Vec<Header>,
    /// Its body as text; `null` = it is no longer kept.
    pub body: Option<String>,
    /// The worst decision of its pushes; `null` = not yet decided.
    pub decision: Option<Decision>,
    /// Its pushes.
    pub push_ids: Vec<String>,
    /// Why nothing was decided; `null` = something was.
    pub note: Option<String>,
}

/// One header.
#[derive(Debug, Serialize, ToSchema)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl From<pb::Delivery> for Delivery {
    fn from(delivery: pb::Delivery) -> Self {
        let header = |header: pb::Header| Header {
            name: header.name,
            value: String::from_utf8_lossy(&header.value).into_owned(),
        };
        Self {
            decision: Decision::of(delivery.decision()),
            id: delivery.id,
            created_at: shown(delivery.create_time),
            peer_ip: text(delivery.peer_ip),
            headers: delivery.headers.into_iter().map(header).collect(),
            body: text(String::from_utf8_lossy(&delivery.body).into_owned()),
            push_ids: delivery.push_ids,
            note: text(delivery.note),
        }
    }
}
