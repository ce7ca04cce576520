//! Who the caller is.

use axum::Json;
use chrono::{DateTime, Utc};
use proto::access::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::error::Fault;
use crate::relay::{Relay, read};
use crate::shape::{Actor, shown, whole};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_me))
}

/// What a bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but tokens and the audit log.
    Viewer,
    /// Viewer, and runs the fleet. Document 4 calls it `user`.
    #[serde(alias = "user")]
    Operator,
    /// Viewer, and decides what may run.
    Approver,
    /// Everything.
    Admin,
}

impl Role {
    /// What the wire says; `None` = a process of Slipway.
    pub fn of(role: pb::Role) -> Option<Self> {
        match role {
            pb::Role::Unspecified => None,
            pb::Role::Viewer => Some(Self::Viewer),
            pb::Role::Operator => Some(Self::Operator),
            pb::Role::Approver => Some(Self::Approver),
            pb::Role::Admin => Some(Self::Admin),
        }
    }
}

impl From<Role> for pb::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Approver => Self::Approver,
            Role::Admin => Self::Admin,
        }
    }
}

/// Who the caller is and what it may do.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// Who.
    #[serde(flatten)]
    actor: Actor,
    /// The role; `null` for a process of Slipway.
    role: Option<Role>,
    /// What the role grants, sorted.
    #[schema(example = json!(["images.read", "rollouts.read"]))]
    permissions: Vec<String>,
    /// When the credential ends; `null` = it does not.
    expires_at: Option<DateTime<Utc>>,
}

/// Say who calls
///
/// Any credential will do. What the caller may do stands in `permissions`.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "access",
    responses((status = 200, description = "The caller.", body = Me)),
)]
async fn get_me(relay: Relay) -> Result<Json<Me>, Fault> {
    let request = pb::WhoAmIRequest {};
    let who = read(relay.tokens(), request, async |mut to, ask| to.who_am_i(ask).await).await?;
    Ok(Json(Me {
        role: Role::of(who.role()),
        actor: whole("actor", who.actor)?.into(),
        permissions: who.permissions,
        expires_at: shown(who.expire_time),
    }))
}
