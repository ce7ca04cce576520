//! Registries elsewhere, as document 5 has them: bare lists, pages by `pageNum`, times as seconds.

use axum::Json;
use http::StatusCode;
use proto::registry::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::etag::IfMatchHeader;
use crate::extract::{At, Body, Change, Given, IfMatch, Members, Page, Query, Tagged};
use crate::list::Listed;
use crate::relay::{Relay, read};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_registries, create_registry))
        .routes(routes!(get_registry, update_registry, delete_registry))
        .routes(routes!(test_registry))
}

/// What the document calls differently.
const NAMES: [(&str, &str); 1] = [("is_default", "default")];

/// A registry elsewhere.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "name": "docker-hub", "url": "https://registry-1.docker.io", "username": null,
    "default": false, "created_at": 1705305600, "updated_at": 1705305600, "host": "docker.io",
    "allow_plain_http": false, "etag": "1"
}))]
struct Registry {
    /// Its number.
    id: i64,
    /// What it is called; unique.
    name: String,
    /// Where it answers, in normal form.
    url: String,
    /// The account; `null` in this version, which calls registries without one.
    username: Option<String>,
    /// True = imports that name no registry use this one. It never changes what a name means.
    default: bool,
    /// When it was added, in seconds since 1970.
    created_at: i64,
    /// When it last changed, in seconds since 1970.
    updated_at: i64,
    /// The host that references name.
    host: String,
    /// True = plain HTTP is meant.
    allow_plain_http: bool,
    /// Changes with every change; `If-Match` takes it.
    etag: String,
}

impl From<pb::Upstream> for Registry {
    fn from(upstream: pb::Upstream) -> Self {
        let seconds = |time: Option<prost_types::Timestamp>| time.map_or(0, |time| time.seconds);
        Self {
            id: upstream.id,
            name: upstream.name,
            url: upstream.url,
            username: None,
            default: upstream.is_default,
            created_at: seconds(upstream.create_time),
            updated_at: seconds(upstream.update_time),
            host: upstream.host,
            allow_plain_http: upstream.allow_plain_http,
            etag: upstream.etag,
        }
    }
}

/// Which registries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RegistriesQuery {
    /// The page, counted from 1.
    #[serde(rename = "pageNum")]
    #[param(rename = "pageNum", example = 1)]
    page_num: Option<i64>,
    /// At most this many; 10 when it is left out, at the most 500.
    #[serde(rename = "pageSize")]
    #[param(rename = "pageSize", example = 10)]
    page_size: Option<i64>,
}

/// A new registry.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "docker-hub", "url": "https://registry-1.docker.io", "default": false
}))]
struct NewRegistry {
    /// What to call it; unique.
    name: String,
    /// Where it answers.
    url: String,
    /// Not in this version: it must be left out or empty.
    username: Option<String>,
    /// Not in this version: it must be left out or empty.
    password: Option<String>,
    /// True = imports that name no registry use this one.
    default: Option<bool>,
    /// The host that references name; the URL's when it is left out.
    host: Option<String>,
    /// True = plain HTTP is meant; without it an `http:` URL is refused unless it is loopback.
    allow_plain_http: Option<bool>,
}

impl Members for NewRegistry {
    const READ_ONLY: &'static [&'static str] = &["id", "created_at", "updated_at", "etag"];
}

/// What of a registry is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "docker-hub", "default": true}))]
struct ChangeRegistry {
    /// What to call it; unique.
    name: Option<String>,
    /// Where it answers.
    url: Option<String>,
    /// Not in this version: it must be left out or empty.
    username: Option<String>,
    /// Not in this version: it must be left out or empty.
    password: Option<String>,
    /// True = imports that name no registry use this one.
    default: Option<bool>,
    /// The host that references name.
    host: Option<String>,
    /// True = plain HTTP is meant.
    allow_plain_http: Option<bool>,
}

impl Members for ChangeRegistry {
    const READ_ONLY: &'static [&'static str] = NewRegistry::READ_ONLY;
}

const MASK: [(&str, &str); 5] = [
    ("name", "name"),
    ("url", "url"),
    ("default", "is_default"),
    ("host", "host"),
    ("allow_plain_http", "allow_plain_http"),
];

/// Credentials that were silently dropped would be looked for where they are not.
fn refuse_credentials(username: Option<&str>, password: Option<&str>) -> Result<(), Fault> {
    for (field, value) in [("username", username), ("password", password)] {
        if value.is_some_and(|value| !value.is_empty()) {
            return Err(Fault::not_built(
                field,
                "this version calls registries without an account; leave it out",
            ));
        }
    }
    Ok(())
}

/// List registries
///
/// Needs `viewer`. By id.
#[utoipa::path(
    get, path = "/api/v1/image-registries", tag = "image-registries", params(RegistriesQuery),
    responses((status = 200, description = "Registries.", body = Vec<Registry>)),
)]
async fn list_registries(
    relay: Relay,
    Query(query): Query<RegistriesQuery>,
) -> Result<Listed<Vec<Registry>>, Fault> {
    let number = ("pageNum", query.page_num);
    let page = Page::numbered(number, ("pageSize", query.page_size), (10, 500))?;
    let request = pb::ListUpstreamsRequest {
        page_size: page.size,
        page_token: String::new(),
        skip: page.skip,
    };
    let answer =
        read(relay.upstreams(), request, async |mut to, ask| to.list_upstreams(ask).await).await?;
    let registries = answer.upstreams.into_iter().map(Registry::from).collect();
    Ok(Listed::numbered(registries, "pageNum", &page, answer.total_size))
}

/// Add a registry
///
/// Needs `admin`. One per name, host and URL.
#[utoipa::path(
    post, path = "/api/v1/image-registries", tag = "image-registries",
    request_body = NewRegistry,
    responses(
        (status = 201, description = "Added.", body = Registry, headers(("Location" = String))),
        (status = 409, description = "One with this name, host or URL is there already; \
         `details.upstream_id` and `details.field` say which.", body = crate::error::NestedError),
    ),
)]
async fn create_registry(
    relay: Relay,
    Body(new): Body<NewRegistry>,
) -> Result<Created<Registry>, Fault> {
    refuse_credentials(new.username.as_deref(), new.password.as_deref())?;
    let upstream = pb::Upstream {
        name: new.name,
        url: new.url,
        host: new.host.unwrap_or_default(),
        allow_plain_http: new.allow_plain_http.unwrap_or_default(),
        is_default: new.default.unwrap_or_default(),
        ..pb::Upstream::default()
    };
    let request = pb::CreateUpstreamRequest { upstream: Some(upstream) };
    let created = relay.upstreams().create_upstream(request).await.map_err(renamed)?.into_inner();
    let location = format!("/api/v1/image-registries/{}", created.id);
    let etag = created.etag.clone();
    Ok(Created::new(location, Registry::from(created)).tagged(etag))
}

/// Get a registry
///
/// Needs `viewer`.
#[utoipa::path(
    get, path = "/api/v1/image-registries/{id}", tag = "image-registries",
    params(("id" = i64, Path, description = "The registry's number.", example = 1)),
    responses(
        (status = 200, description = "The registry.", body = Registry),
        (status = 304, description = "It is as `If-None-Match` knows it."),
    ),
)]
async fn get_registry(relay: Relay, At(id): At<i64>) -> Result<Tagged<Registry>, Fault> {
    let upstream = current(&relay, id).await?;
    Ok(Tagged::whole(upstream.etag.clone(), Registry::from(upstream)))
}

async fn current(relay: &Relay, id: i64) -> Result<pb::Upstream, Fault> {
    let request = pb::GetUpstreamRequest { id };
    read(relay.upstreams(), request, async |mut to, ask| to.get_upstream(ask).await).await
}

/// Change a registry
///
/// Needs `admin`. Members that are left out stay.
#[utoipa::path(
    put, path = "/api/v1/image-registries/{id}", tag = "image-registries",
    request_body = ChangeRegistry,
    params(("id" = i64, Path, description = "The registry's number.", example = 1), IfMatchHeader),
    responses((status = 200, description = "As it is now.", body = Registry)),
)]
async fn update_registry(
    relay: Relay,
    At(id): At<i64>,
    if_match: IfMatch,
    Change(change, given): Change<ChangeRegistry>,
) -> Result<Tagged<Registry>, Fault> {
    let request = update_request(id, if_match, change, &given)?;
    let updated = relay.upstreams().update_upstream(request).await.map_err(renamed)?.into_inner();
    Ok(Tagged::whole(updated.etag.clone(), Registry::from(updated)))
}

fn update_request(
    id: i64,
    if_match: IfMatch,
    change: ChangeRegistry,
    given: &Given,
) -> Result<pb::UpdateUpstreamRequest, Fault> {
    refuse_credentials(change.username.as_deref(), change.password.as_deref())?;
    let upstream = pb::Upstream {
        id,
        etag: if_match.text(),
        name: change.name.unwrap_or_default(),
        url: change.url.unwrap_or_default(),
        host: change.host.unwrap_or_default(),
        allow_plain_http: change.allow_plain_http.unwrap_or_default(),
        is_default: change.default.unwrap_or_default(),
        ..pb::Upstream::default()
    };
    let update_mask = Some(given.mask(&MASK)?);
    Ok(pb::UpdateUpstreamRequest { upstream: Some(upstream), update_mask })
}

/// Remove a registry
///
/// Needs `admin`. Images stay. The answer has no body.
#[utoipa::path(
    delete, path = "/api/v1/image-registries/{id}", tag = "image-registries",
    params(("id" = i64, Path, description = "The registry's number.", example = 1), IfMatchHeader),
    responses((status = 200, description = "Removed.")),
)]
async fn delete_registry(
    relay: Relay,
    At(id): At<i64>,
    if_match: IfMatch,
) -> Result<StatusCode, Fault> {
    if if_match.0.is_some() {
        if_match.require(&current(&relay, id).await?.etag)?;
    }
    relay.upstreams().delete_upstream(pb::DeleteUpstreamRequest { id }).await?;
    Ok(StatusCode::OK)
}

/// How a try came out.
#[derive(Debug, Serialize, ToSchema)]
struct Tried {
    /// True = it speaks the distribution API.
    ok: bool,
    /// What it answered, in a sentence.
    detail: String,
    /// How long the answer took, in milliseconds.
    latency_ms: i64,
}

/// Try a registry
///
/// Needs `admin`. Asks the registry whether it speaks the distribution API. One that does not
/// answer is an answer (`ok: false`), not an error.
#[utoipa::path(
    post, path = "/api/v1/image-registries/{id}/test", tag = "image-registries",
    params(("id" = i64, Path, description = "The registry's number.", example = 1)),
    responses((status = 200, description = "How it came out.", body = Tried)),
)]
async fn test_registry(relay: Relay, At(id): At<i64>) -> Result<Json<Tried>, Fault> {
    let request = pb::TestUpstreamRequest { id };
    let tried = relay.upstreams().test_upstream(request).await?.into_inner();
    Ok(Json(Tried { ok: tried.ok, detail: tried.detail, latency_ms: tried.latency_ms }))
}

fn renamed(status: tonic::Status) -> Fault {
    Fault::from(status).renamed(&NAMES)
}
