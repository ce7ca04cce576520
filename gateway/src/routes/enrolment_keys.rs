//! Keys that devices enrol with.

use axum::Json;
use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
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
use crate::shape::{shown, stamp, text, whole};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_enrolment_keys, create_enrolment_key))
        .routes(routes!(delete_enrolment_key))
}

/// A key that devices enrol with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c11", "name": "line-3", "fleet": "north",
    "quota": 50, "used": 3, "expires_at": "2027-01-01T00:00:00Z", "revoked_at": null,
    "created_at": "2026-11-21T09:00:00Z"
}))]
struct EnrolmentKey {
    /// Its id.
    id: String,
    /// What it is called; unique.
    name: String,
    /// The fleet that its devices join.
    fleet: String,
    /// How many devices may use it; `null` = any number.
    quota: Option<i32>,
    /// How many did.
    used: i32,
    /// When it ends; `null` = it does not.
    expires_at: Option<DateTime<Utc>>,
    /// When it was ended; `null` = it was not.
    revoked_at: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: Option<DateTime<Utc>>,
}

impl From<pb::EnrolmentKey> for EnrolmentKey {
    fn from(key: pb::EnrolmentKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            fleet: key.fleet,
            quota: (key.quota != 0).then_some(key.quota),
            used: key.used,
            expires_at: shown(key.expire_time),
            revoked_at: shown(key.revoke_time),
            created_at: shown(key.create_time),
        }
    }
}

/// A new key with its secret.
#[derive(Debug, Serialize, ToSchema)]
struct EnrolmentKeyCreated {
    /// The key.
    #[serde(flatten)]
    about: EnrolmentKey,
    /// What a device enrols with, shown this once.
    #[schema(example = "gde_x2…")]
    key: String,
}

/// Keys.
#[derive(Debug, Serialize, ToSchema)]
struct EnrolmentKeys {
    /// Newest first.
    enrolment_keys: Vec<EnrolmentKey>,
    /// How many there are in all.
    total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EnrolmentKeysQuery {
    /// At most this many; 50 when it is left out, at the most 500.
    limit: Option<i64>,
    /// Go on where the page before ended: its `next_page_token`.
    page_token: Option<String>,
}

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "line-3", "fleet": "north", "quota": 50}))]
struct NewEnrolmentKey {
    /// What to call it; unique.
    name: String,
    /// The fleet that its devices join.
    fleet: String,
    /// How many devices may use it; any number when it is left out.
    quota: Option<i32>,
    /// When it ends; it does not when it is left out.
    expires_at: Option<DateTime<Utc>>,
}

impl Members for NewEnrolmentKey {
    const READ_ONLY: &'static [&'static str] = &["id", "used", "revoked_at", "created_at"];
}

/// List enrolment keys
///
/// Needs `viewer`. Newest first, without their secrets.
#[utoipa::path(
    get, path = "/api/v1/enrolment-keys", tag = "devices", params(EnrolmentKeysQuery),
    responses((status = 200, description = "Keys.", body = EnrolmentKeys)),
)]
async fn list_enrolment_keys(
    relay: Relay,
    Query(query): Query<EnrolmentKeysQuery>,
) -> Result<Listed<EnrolmentKeys>, Fault> {
    let page = Page::read((query.limit, None, query.page_token), (50, 500))?;
    let request =
        pb::ListEnrolmentKeysRequest { page_size: page.size, page_token: page.token.clone() };
    let answer =
        read(relay.devices(), request, async |mut to, ask| to.list_enrolment_keys(ask).await);
    let answer = answer.await?;
    let (next, total) = (answer.next_page_token, answer.total_size);
    let body = EnrolmentKeys {
        enrolment_keys: answer.keys.into_iter().map(EnrolmentKey::from).collect(),
        total,
        next_page_token: text(next.clone()),
    };
    Ok(Listed::part(body, &page, &next, total))
}

/// Make an enrolment key
///
/// Needs `operator`. The secret stands in `key` and is shown this once.
#[utoipa::path(
    post, path = "/api/v1/enrolment-keys", tag = "devices", request_body = NewEnrolmentKey,
    responses((status = 201, description = "Made.", body = EnrolmentKeyCreated)),
)]
async fn create_enrolment_key(
    relay: Relay,
    Body(new): Body<NewEnrolmentKey>,
) -> Result<Created<EnrolmentKeyCreated>, Fault> {
    let request = pb::CreateEnrolmentKeyRequest {
        name: new.name,
        fleet: new.fleet,
        quota: new.quota.unwrap_or_default(),
        expire_time: stamp(new.expires_at),
    };
    let created = relay.devices().create_enrolment_key(request).await?.into_inner();
    let about = EnrolmentKey::from(whole("key", created.key)?);
    let location = format!("/api/v1/enrolment-keys/{}", about.id);
    Ok(Created::new(location, EnrolmentKeyCreated { about, key: created.secret }))
}

/// An ended key.
#[derive(Debug, Serialize, ToSchema)]
struct EnrolmentKeyEnded {
    /// For people.
    #[schema(example = "Enrolment key ended")]
    message: String,
    /// As it is now.
    enrolment_key: EnrolmentKey,
}

/// End an enrolment key
///
/// Needs `operator`. Devices that enrolled with it stay. Ending it again changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/enrolment-keys/{id}", tag = "devices",
    params(("id" = String, Path, description = "The key's id.")),
    responses((status = 200, description = "Ended.", body = EnrolmentKeyEnded)),
)]
async fn delete_enrolment_key(
    relay: Relay,
    At(id): At<String>,
) -> Result<Json<EnrolmentKeyEnded>, Fault> {
    let request = pb::RevokeEnrolmentKeyRequest { id };
    let key = relay.devices().revoke_enrolment_key(request).await?.into_inner();
    Ok(Json(EnrolmentKeyEnded {
        message: "Enrolment key ended".to_owned(),
        enrolment_key: key.into(),
    }))
}
