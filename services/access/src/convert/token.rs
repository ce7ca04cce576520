//! Tokens and principals on the wire.

use proto::access::v1 as pb;
use runtime::auth::Principal;
use runtime::secret::Hash;
use runtime::{Problem, time};

use crate::role::Role;
use crate::token::{self, Owner, Token, Wish};

/// Reads a request for a token.
pub(crate) fn wish(request: &pb::CreateTokenRequest) -> Result<Wish, Problem> {
    Ok(Wish {
        name: token::name("name", &request.name)?,
        owner: owner(request)?,
        role: pb::Role::try_from(request.role)
            .ok()
            .and_then(Role::from_proto)
            .ok_or_else(|| Problem::invalid("role", "is missing; say what the token may do"))?,
        expires_at: request
            .expire_time
            .map(|end| time::from_timestamp("expire_time", end))
            .transpose()?,
    })
}

fn owner(request: &pb::CreateTokenRequest) -> Result<Owner, Problem> {
    match (request.user.as_str(), request.service_account) {
        ("", false) => Ok(Owner::Caller),
        ("", true) => Ok(Owner::Program),
        (_, true) => Err(Problem::invalid(
            "user",
            "is not for a service account, which is named like its token; leave it out",
        )),
        (user, false) => token::name("user", user).map(Owner::Person),
    }
}

/// Reads the hash out of a request to introspect.
pub(crate) fn introspected(request: &pb::IntrospectRequest) -> Result<Hash, Problem> {
    Hash::from_bytes(&request.token_hash).ok_or_else(|| {
        Problem::invalid("token_hash", "is not 32 bytes; send the SHA-256 of the bearer string")
    })
}

impl From<Token> for pb::Token {
    fn from(token: Token) -> Self {
        Self {
            id: token.id.0,
            name: token.name,
            subject: Some((&token.subject).into()),
            role: pb::Role::from(token.role).into(),
            prefix: token.prefix,
            create_time: Some(time::to_timestamp(token.created_at)),
            expire_time: token.expires_at.map(time::to_timestamp),
            revoke_time: token.revoked_at.map(time::to_timestamp),
            last_use_time: token.last_used_at.map(time::to_timestamp),
        }
    }
}

/// A caller as it is told who it is. One that holds everything without a role's list is told what an
/// admin holds.
pub(crate) fn principal(principal: &Principal) -> pb::Principal {
    let permissions = principal.permissions.clone().unwrap_or_else(|| Role::Admin.permissions());
    pb::Principal {
        actor: Some((&principal.actor).into()),
        role: principal.role.unwrap_or(pb::Role::Unspecified).into(),
        permissions: permissions.iter().cloned().collect(),
        expire_time: principal.expires.map(time::to_timestamp),
    }
}
