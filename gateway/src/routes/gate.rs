//! The gate: the rules by which references are admitted.

use chrono::{DateTime, Utc};
use proto::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::images::UnknownTag;
use crate::App;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::{Change, IfMatch, Members, Tagged};
use crate::relay::{Relay, read};
use crate::shape::shown;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_gate, update_gate))
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "unknown_tag": "auto_add", "verify_upstream": "warn",
    "internal_namespaces": [
        {"host": "docker.io", "namespace": "iotistic"},
        {"host": "ghcr.io", "namespace": "dsamborschi"}
    ],
    "repin": "auto", "updated_at": "2025-10-17T08:00:00Z", "etag": "1"
}))]
struct Gate {
    /// What happens to a push of a tag that an approved image does not list.
    unknown_tag: UnknownTag,
    /// Whether adding an image or a tag asks its registry first.
    verify_upstream: VerifyUpstream,
    /// Namespaces whose images are admitted unasked.
    internal_namespaces: Vec<InternalNamespace>,
    /// What happens when a known tag comes with a new digest.
    repin: Repin,
    /// When it last changed.
    updated_at: Option<DateTime<Utc>>,
    /// Changes with every change; `If-Match` takes it.
    etag: String,
}

impl From<pb::GateSettings> for Gate {
    fn from(gate: pb::GateSettings) -> Self {
        Self {
            unknown_tag: UnknownTag::of(gate.unknown_tag()).unwrap_or(UnknownTag::AutoAdd),
            verify_upstream: gate.verify_upstream().into(),
            repin: match gate.repin() {
                pb::Repin::Unspecified | pb::Repin::Auto => Repin::Auto,
            },
            internal_namespaces: gate.internal_namespaces.into_iter().map(Into::into).collect(),
            updated_at: shown(gate.update_time),
            etag: gate.etag,
        }
    }
}

/// Whether adding an image or a tag asks its registry first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum VerifyUpstream {
    /// Nothing is asked.
    Off,
    /// It is asked; what cannot be verified is added with a warning.
    Warn,
    /// It is asked; what cannot be verified is refused.
    Require,
}

impl From<pb::VerifyUpstream> for VerifyUpstream {
    fn from(verify: pb::VerifyUpstream) -> Self {
        match verify {
            pb::VerifyUpstream::Off => Self::Off,
            pb::VerifyUpstream::Unspecified | pb::VerifyUpstream::Warn => Self::Warn,
            pb::VerifyUpstream::Require => Self::Require,
        }
    }
}

impl From<VerifyUpstream> for pb::VerifyUpstream {
    fn from(verify: VerifyUpstream) -> Self {
        match verify {
            VerifyUpstream::Off => Self::Off,
            VerifyUpstream::Warn => Self::Warn,
            VerifyUpstream::Require => Self::Require,
        }
    }
}

/// What happens when a known tag comes with a new digest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Repin {
    /// The new digest is taken.
    Auto,
}

/// A namespace whose images need no approval.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InternalNamespace {
    /// The registry's host, literally.
    #[schema(example = "ghcr.io")]
    host: String,
    /// The first parts of the path; all below it is internal, too.
    #[schema(example = "dsamborschi")]
    namespace: String,
}

impl From<pb::InternalNamespace> for InternalNamespace {
    fn from(internal: pb::InternalNamespace) -> Self {
        Self { host: internal.host, namespace: internal.namespace }
    }
}

impl From<InternalNamespace> for pb::InternalNamespace {
    fn from(internal: InternalNamespace) -> Self {
        Self { host: internal.host, namespace: internal.namespace }
    }
}

/// What of the gate is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"unknown_tag": "request"}))]
struct ChangeGate {
    /// What happens to a push of a tag that an approved image does not list.
    unknown_tag: Option<UnknownTag>,
    /// Whether adding an image or a tag asks its registry first.
    verify_upstream: Option<VerifyUpstream>,
    /// Namespaces whose images are admitted unasked: all of them.
    internal_namespaces: Option<Vec<InternalNamespace>>,
    /// What happens when a known tag comes with a new digest.
    repin: Option<Repin>,
}

impl Members for ChangeGate {
    const READ_ONLY: &'static [&'static str] = &["updated_at", "etag"];
}

const MASK: [(&str, &str); 4] = [
    ("unknown_tag", "unknown_tag"),
    ("verify_upstream", "verify_upstream"),
    ("internal_namespaces", "internal_namespaces"),
    ("repin", "repin"),
];

/// Get the gate
///
/// Needs `viewer`. The rules by which pushes are admitted.
#[utoipa::path(
    get, path = "/api/v1/gate", tag = "gate",
    responses(
        (status = 200, description = "The rules in force.", body = Gate),
        (status = 304, description = "They are as `If-None-Match` knows them."),
    ),
)]
async fn get_gate(relay: Relay) -> Result<Tagged<Gate>, Fault> {
    let gate =
        read(relay.gate(), pb::GetGateRequest {}, async |mut to, ask| to.get_gate(ask).await);
    let gate = gate.await?;
    Ok(Tagged::whole(gate.etag.clone(), Gate::from(gate)))
}

/// Change the gate
///
/// Needs `admin`. Members that are left out stay; decisions already made stay as they are.
#[utoipa::path(
    put, path = "/api/v1/gate", tag = "gate", request_body = ChangeGate,
    params(IfMatchHeader),
    responses((status = 200, description = "The rules now in force.", body = Gate)),
)]
async fn update_gate(
    relay: Relay,
    if_match: IfMatch,
    Change(change, given): Change<ChangeGate>,
) -> Result<Tagged<Gate>, Fault> {
    let unknown_tag = change.unknown_tag.map_or(pb::UnknownTag::Unspecified, Into::into);
    let verify = change.verify_upstream.map_or(pb::VerifyUpstream::Unspecified, Into::into);
    let repin = change.repin.map_or(pb::Repin::Unspecified, |Repin::Auto| pb::Repin::Auto);
    let internal = change.internal_namespaces.unwrap_or_default();
    let gate = pb::GateSettings {
        unknown_tag: unknown_tag.into(),
        verify_upstream: verify.into(),
        internal_namespaces: internal.into_iter().map(Into::into).collect(),
        repin: repin.into(),
        etag: if_match.text(),
        update_time: None,
    };
    let update_mask = Some(given.mask(&MASK)?);
    let request = pb::UpdateGateRequest { gate: Some(gate), update_mask };
    let gate = relay.gate().update_gate(request).await?.into_inner();
    Ok(Tagged::whole(gate.etag.clone(), Gate::from(gate)))
}
