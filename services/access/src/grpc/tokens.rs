//! `slipway.access.v1.Tokens`.

use prost::Message as _;
use proto::access::v1 as pb;
use proto::access::v1::tokens_server::Tokens;
use runtime::event::{Event, Resource};
use runtime::secret::{Hash, Secret};
use runtime::{Caller, Problem, id, page};
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::create::{self, Created};
use crate::token::{self, TokenId};
use crate::{App, Error, convert, store};

/// Serves the tokens.
#[derive(Debug, Clone)]
pub(crate) struct TokensRpc(pub(crate) App);

#[async_trait]
impl Tokens for TokensRpc {
    async fn create_token(
        &self,
        request: Request<pb::CreateTokenRequest>,
    ) -> Result<Response<pb::CreateTokenResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let wish = convert::wish(&request)?;
        let repeatable = repeatable(&request)?;
        let secret = Secret::generate(token::PREFIX);
        let mut tx = self.0.pool.begin().await.map_err(Error::from)?;
        let created = create::token(&mut tx, &self.0, &caller, &wish, repeatable, &secret).await?;
        self.0.outbox.commit(tx).await.map_err(Error::from)?;
        Ok(Response::new(match created {
            Created::New(token) => pb::CreateTokenResponse {
                token: Some(token.into()),
                secret: secret.expose().to_owned(),
            },
            Created::Before(token) => {
                pb::CreateTokenResponse { token: Some(token.into()), secret: String::new() }
            }
        }))
    }

    async fn list_tokens(
        &self,
        request: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let filters = format!("tokens {}", request.show_ended);
        let before = page::key(&request.page_token, &filters)?
            .map(|key| key.parse().map_err(|_| Problem::invalid("page_token", "is none of ours")))
            .transpose()?;
        let (now, ended) = (self.0.clock.now(), request.show_ended);
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let rows = store::token::list(&mut db, ended, now, before, size + 1).await?;
        let total = store::token::count(&mut db, ended, now).await?;
        let (tokens, next_page_token) = page::cut(rows, size, &filters, |row| row.id.to_string());
        Ok(Response::new(pb::ListTokensResponse {
            tokens: tokens.into_iter().map(pb::Token::from).collect(),
            next_page_token,
            total_size: i32::try_from(total).unwrap_or(i32::MAX),
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::Token>, Status> {
        let caller = Caller::of(&request);
        let id = TokenId(request.into_inner().id);
        let now = self.0.clock.now();
        let mut tx = self.0.pool.begin().await.map_err(Error::from)?;
        let token =
            store::token::find_for_update(&mut tx, id).await?.ok_or(Error::TokenNotFound(id))?;
        if token.revoked_at.is_some() {
            return Ok(Response::new(token.into()));
        }
        let revoked = store::token::revoke(&mut tx, id, now).await?;
        let resource = Resource::new("token", id, &revoked.name);
        let event = Event::by(&caller, "token.revoke", resource, now)
            .before(token.to_json())
            .after(revoked.to_json());
        self.0.outbox.append(&mut tx, &event).await.map_err(Error::from)?;
        self.0.outbox.commit(tx).await.map_err(Error::from)?;
        Ok(Response::new(revoked.into()))
    }

    async fn introspect(
        &self,
        request: Request<pb::IntrospectRequest>,
    ) -> Result<Response<pb::Principal>, Status> {
        let hash = convert::introspected(request.get_ref())?;
        let principal = self.0.introspection.bearer(hash).await?;
        Ok(Response::new(convert::principal(&principal)))
    }

    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::Principal>, Status> {
        let caller = Caller::of(&request);
        Ok(Response::new(convert::principal(caller.principal())))
    }
}

/// The request's id with a hash of all the rest; `None` when it has no id.
fn repeatable(request: &pb::CreateTokenRequest) -> Result<Option<(Uuid, Hash)>, Problem> {
    if request.request_id.is_empty() {
        return Ok(None);
    }
    let id = id::parse_uuid("request_id", &request.request_id)?;
    let rest = pb::CreateTokenRequest { request_id: String::new(), ..request.clone() };
    Ok(Some((id, Hash(Sha256::digest(rest.encode_to_vec()).into()))))
}
