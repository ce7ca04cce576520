//! What can go wrong, and what callers are told.

use proto::reason;
use runtime::{Actor, Code, Problem, database};

use crate::role::Role;
use crate::token::TokenId;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not valid.
    #[error(transparent)]
    Invalid(Problem),
    /// There is no such token.
    #[error("there is no token {0}; list the tokens to see which there are")]
    TokenNotFound(TokenId),
    /// The subject has a live token of that name.
    #[error("`{subject}` has a token named `{name}`; choose another name or revoke that one")]
    TokenExists {
        /// Whose it is.
        subject: Actor,
        /// What it is called.
        name: String,
    },
    /// The token asked for would grant more than the caller has.
    #[error(
        "a token of the role `{role}` would grant `{permission}`, which you do not hold; ask an admin"
    )]
    RoleTooHigh {
        /// The role asked for.
        role: Role,
        /// The first permission that the caller does not hold.
        permission: String,
    },
    /// The token asked for would be somebody else's.
    #[error("only an admin makes tokens for others; leave `user` out, or ask an admin for `{0}`'s")]
    OthersToken(String),
    /// The same request id came with another request.
    #[error("the request id was used for another token; make a new id")]
    RequestIdReused,
    /// Nobody bears this token.
    #[error("nobody bears this token; check it, or make a new one")]
    TokenUnknown,
    /// The token has ended.
    #[error("the token has ended; make a new one")]
    TokenExpired,
    /// The token was revoked.
    #[error("the token was revoked; make a new one")]
    TokenRevoked,
    /// A secret that was brought along is none.
    #[error(
        "this is no secret of a token; make one that begins with `ghd_` and has 32 random bytes"
    )]
    WeakSecret,
    /// A row holds what it cannot.
    #[error("`access.{table}` row {key} has an unknown `{column}`")]
    Row {
        /// The table.
        table: &'static str,
        /// The row.
        key: i64,
        /// The column.
        column: &'static str,
    },
    /// The database did not do what it was asked.
    #[error("a statement failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Invalid(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let told = |code, reason| Self::new(code, reason, message);
        match error {
            Error::Invalid(problem) => problem,
            Error::TokenNotFound(id) => {
                told(Code::NotFound, reason::TOKEN_NOT_FOUND).with("token_id", id)
            }
            Error::TokenExists { name, .. } => {
                told(Code::AlreadyExists, reason::TOKEN_EXISTS).with("name", name)
            }
            Error::RoleTooHigh { permission, .. } => {
                told(Code::PermissionDenied, reason::PERMISSION_MISSING)
                    .with("permission", permission)
            }
            Error::OthersToken(user) => {
                told(Code::PermissionDenied, reason::PERMISSION_MISSING).with("user", user)
            }
            Error::RequestIdReused => told(Code::FailedPrecondition, reason::REQUEST_ID_REUSED),
            Error::TokenUnknown => told(Code::Unauthenticated, reason::TOKEN_UNKNOWN),
            Error::TokenExpired => told(Code::Unauthenticated, reason::TOKEN_EXPIRED),
            Error::TokenRevoked => told(Code::Unauthenticated, reason::TOKEN_REVOKED),
            Error::WeakSecret => told(Code::InvalidArgument, reason::INVALID_ARGUMENT),
            Error::Row { .. } => Self::internal(&error),
            Error::Database(error) => database::problem(&error),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}
