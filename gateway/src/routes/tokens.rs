//! Access tokens, as document 4 has them.

use axum::Json;
use chrono::{DateTime, Utc};
use proto::access::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::me::Role;
use crate::App;
use crate::answer::Created;
use crate::error::Fault;
use crate::extract::idempotency::IdempotencyHeader;
use crate::extract::{At, Body, IdempotencyKey, Members, Page, Query};
use crate::list::Listed;
use crate::relay::{Relay, read};
use crate::shape::{Actor, shown, stamp, whole};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_tokens, create_token)).routes(routes!(delete_token))
}

/// The most tokens that `access` lists at once.
const READ_AT_ONCE: i32 = 500;

/// An access token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 1, "name": "CI/CD Token", "role": "operator", "permissions": [],
    "subject": {"kind": "user", "id": "alice", "name": "alice"}, "prefix": "ghd_abc123",
    "created_at": "2024-01-15T12:00:00Z", "expires_at": "2024-12-31T23:59:59Z",
    "revoked_at": null, "last_used_at": null
}))]
struct Token {
    /// Its number.
    id: i64,
    /// What its maker called it.
    name: String,
    /// What it may do in Slipway.
    role: Option<Role>,
    /// What it may do with image repositories (`pull`, `push`). Empty: this version stores none.
    permissions: Vec<String>,
    /// Whose it is.
    subject: Actor,
    /// The first characters, to recognise it by.
    prefix: String,
    /// When it was made.
    created_at: Option<DateTime<Utc>>,
    /// When it ends; `null` = it does not.
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked; `null` = it was not.
    revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute; `null` = never.
    last_used_at: Option<DateTime<Utc>>,
}

impl TryFrom<pb::Token> for Token {
    type Error = Fault;

    fn try_from(token: pb::Token) -> Result<Self, Fault> {
        Ok(Self {
            role: Role::of(token.role()),
            id: token.id,
            name: token.name,
            permissions: Vec::new(),
            subject: whole("subject", token.subject)?.into(),
            prefix: token.prefix,
            created_at: shown(token.create_time),
            expires_at: shown(token.expire_time),
            revoked_at: shown(token.revoke_time),
            last_used_at: shown(token.last_use_time),
        })
    }
}

/// A new token with its secret.
#[derive(Debug, Serialize, ToSchema)]
struct TokenCreated {
    /// The token.
    #[serde(flatten)]
    about: Token,
    /// The bearer string, shown this once; `null` when the request repeats an earlier one.
    #[schema(example = "ghd_abc123...")]
    token: Option<String>,
}

/// Access tokens.
#[derive(Debug, Serialize, ToSchema)]
struct Tokens {
    /// Newest first.
    data: Vec<Token>,
    /// Which part of them this is.
    pagination: Pagination,
}

/// Which part of a list this is.
#[derive(Debug, Serialize, ToSchema)]
struct Pagination {
    /// The page, counted from 1.
    page: i32,
    /// At most this many on a page.
    limit: i32,
    /// How many there are in all.
    total: i32,
    /// How many pages that makes.
    pages: i32,
}

/// Which tokens.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TokensQuery {
    /// The page, counted from 1.
    page: Option<i64>,
    /// At most this many; 50 when it is left out, at the most 100.
    limit: Option<i64>,
    /// True = also revoked and expired ones.
    show_ended: Option<bool>,
}

/// A new token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "CI/CD Token", "role": "operator", "expires_at": "2024-12-31T23:59:59Z"
}))]
struct NewToken {
    /// What to call it, 1 to 100 characters.
    name: String,
    /// What it may do; never more than the caller.
    role: Option<Role>,
    /// Not in this version: it must be left out or empty. They speak about repositories of an image
    /// registry of Slipway's own.
    permissions: Option<Vec<String>>,
    /// Whose token it is: a user name. The caller's own when it is left out.
    user: Option<String>,
    /// True = the token is a program's: its subject is a service account named like the token.
    service_account: Option<bool>,
    /// When it ends; it does not when it is left out.
    expires_at: Option<DateTime<Utc>>,
}

impl Members for NewToken {
    const READ_ONLY: &'static [&'static str] =
        &["id", "subject", "prefix", "created_at", "revoked_at", "last_used_at"];
}

/// List tokens
///
/// Needs `admin`. Newest first, without their secrets.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "access", params(TokensQuery),
    responses((status = 200, description = "Tokens.", body = Tokens)),
)]
async fn list_tokens(
    relay: Relay,
    Query(query): Query<TokensQuery>,
) -> Result<Listed<Tokens>, Fault> {
    let page = Page::numbered(("page", query.page), ("limit", query.limit), (50, 100))?;
    let (tokens, total) = part(&relay, &page, query.show_ended.unwrap_or_default()).await?;
    let data = tokens.into_iter().map(Token::try_from).collect::<Result<_, _>>()?;
    let pages = (total + page.size - 1) / page.size;
    let pagination = Pagination { page: page.number(), limit: page.size, total, pages };
    Ok(Listed::numbered(Tokens { data, pagination }, "page", &page, total))
}

/// Reads one counted page of a list that `access` shows by token: what stands before it is read, too.
async fn part(relay: &Relay, page: &Page, ended: bool) -> Result<(Vec<pb::Token>, i32), Fault> {
    let mut skip = page.skip;
    let mut token = String::new();
    let mut found = Vec::new();
    loop {
        let missing = skip + page.size - i32::try_from(found.len()).unwrap_or(page.size);
        let request = pb::ListTokensRequest {
            page_size: missing.clamp(1, READ_AT_ONCE),
            page_token: token,
            show_ended: ended,
        };
        let answer =
            read(relay.tokens(), request, async |mut to, ask| to.list_tokens(ask).await).await?;
        let before = usize::try_from(skip).unwrap_or(0).min(answer.tokens.len());
        skip -= i32::try_from(before).unwrap_or(skip);
        found.extend(answer.tokens.into_iter().skip(before));
        token = answer.next_page_token;
        let enough = found.len() >= usize::try_from(page.size).unwrap_or(0);
        if enough || token.is_empty() {
            return Ok((found, answer.total_size));
        }
    }
}

/// Create a token
///
/// Needs `admin`. The bearer string is shown this once. A token never may more than the caller.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "access", request_body = NewToken,
    params(IdempotencyHeader),
    responses((status = 201, description = "Made.", body = TokenCreated)),
)]
async fn create_token(
    relay: Relay,
    IdempotencyKey(request_id): IdempotencyKey,
    Body(new): Body<NewToken>,
) -> Result<Created<TokenCreated>, Fault> {
    if new.permissions.is_some_and(|permissions| !permissions.is_empty()) {
        return Err(Fault::not_built(
            "permissions",
            "they speak about repositories, which this version does not keep; give a `role`",
        ));
    }
    let request = pb::CreateTokenRequest {
        name: new.name,
        role: new.role.map_or(pb::Role::Unspecified, Into::into).into(),
        user: new.user.unwrap_or_default(),
        service_account: new.service_account.unwrap_or_default(),
        expire_time: stamp(new.expires_at),
        request_id,
    };
    let created = relay.tokens().create_token(request).await?.into_inner();
    let about = Token::try_from(whole("token", created.token)?)?;
    let location = format!("/api/v1/tokens/{}", about.id);
    Ok(Created::new(location, TokenCreated { about, token: crate::shape::text(created.secret) }))
}

/// A revoked token.
#[derive(Debug, Serialize, ToSchema)]
struct TokenRevoked {
    /// For people.
    #[schema(example = "Token revoked")]
    message: String,
    /// As it is now.
    token: Token,
}

/// Revoke a token
///
/// Needs `admin`. It stops working everywhere within 10 s. Revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "access",
    params(("id" = i64, Path, description = "The token's number.", example = 1)),
    responses((status = 200, description = "Revoked.", body = TokenRevoked)),
)]
async fn delete_token(relay: Relay, At(id): At<i64>) -> Result<Json<TokenRevoked>, Fault> {
    let token = relay.tokens().revoke_token(pb::RevokeTokenRequest { id }).await?.into_inner();
    Ok(Json(TokenRevoked { message: "Token revoked".to_owned(), token: token.try_into()? }))
}
