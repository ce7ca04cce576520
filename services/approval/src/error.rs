//! What can go wrong, and what callers are told.

use std::time::Duration;

use proto::reason;
use runtime::seal::SealError;
use runtime::{Code, Problem, database};

use crate::delivery::DeliveryId;
use crate::finding::Reason;
use crate::push::PushId;
use crate::review::{ReviewId, ReviewState};
use crate::verify::Refusal;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not valid.
    #[error(transparent)]
    Invalid(Problem),
    /// A field holds no reference, or the wrong kind of one.
    #[error("`{field}`: {cause}")]
    InvalidReference {
        /// The field.
        field: String,
        /// What is wrong with it.
        cause: String,
    },
    /// There is no such receiver.
    #[error("there is no receiver {0}; list the receivers to find it")]
    ReceiverNotFound(String),
    /// A receiver has the name.
    #[error("a receiver named `{0}` is there already; choose another name")]
    ReceiverExists(String),
    /// There is a default receiver.
    #[error("there is a default receiver already; remove it first")]
    DefaultReceiverExists,
    /// A delivery does not show that it comes from who knows the secret.
    #[error("{0}")]
    BadSignature(BadSignature),
    /// A delivery is not what the vendor sends.
    #[error("{note}")]
    MalformedBody {
        /// What is wrong.
        note: String,
        /// The delivery.
        delivery: DeliveryId,
        /// Whether it came before.
        replayed: bool,
    },
    /// A delivery is too large.
    #[error("the body has {0} bytes; at most 1 MiB is taken")]
    BodyTooLarge(usize),
    /// Too much is sent.
    #[error("{who} sends too fast; try again in {} s", wait.as_secs() + 1)]
    TooManyDeliveries {
        /// The receiver, or the sender's address.
        who: &'static str,
        /// When there is room again.
        wait: Duration,
    },
    /// A vendor's delivery id came with other events.
    #[error("the delivery `{0}` came before with other events; look at what sends it")]
    DeliveryIdReused(String),
    /// The same delivery is being stored.
    #[error("the same delivery is being stored; try again soon")]
    DeliveryBusy,
    /// There is no such push.
    #[error("there is no push {0}; list the pushes to find it")]
    PushNotFound(PushId),
    /// A request id came with another request.
    #[error("the request id came before with another request; use a new one")]
    RequestIdReused,
    /// There is no such review.
    #[error("there is no review {0}; list the reviews to find it")]
    ReviewNotFound(ReviewId),
    /// The review has ended.
    #[error("review `{id}` is {}{}; nothing is left to decide", state.0.word(), by(reviewed_by))]
    ReviewDecided {
        /// The review.
        id: ReviewId,
        /// How it ended.
        state: Ended,
        /// Who decided; empty = nobody.
        reviewed_by: String,
    },
    /// The voter asked for it.
    #[error("review `{0}` asks for another person: you asked for this image")]
    SelfReview(ReviewId),
    /// The voter has seen something else.
    #[error("review `{id}` is about digest `{digest}` now; look at it again, then vote")]
    EvidenceChanged {
        /// The review.
        id: ReviewId,
        /// Its digest.
        digest: String,
        /// Its evidence.
        evidence_hash: String,
    },
    /// An image of a target may not run.
    #[error("`{field}`: {}{}", why.0.message, asks(review.as_ref()))]
    NotAdmitted {
        /// The field that names it.
        field: String,
        /// Why.
        why: Why,
        /// The review that was opened.
        review: Option<ReviewId>,
    },
    /// Somebody else took a push over.
    #[error("the claim was lost; whoever holds it goes on")]
    ClaimLost,
    /// A secret does not open.
    #[error("a secret of a receiver does not open")]
    Sealed(#[source] SealError),
    /// A row is not as this program writes it.
    #[error("`{table}.{column}` of `{key}` is not what this program writes")]
    UnexpectedRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        key: String,
    },
    /// The database did not do what it was asked.
    #[error("a statement failed")]
    Database(#[source] sqlx::Error),
}

/// Why a delivery is not believed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BadSignature(pub(crate) Refusal);

/// How a review ended.
#[derive(Debug)]
pub struct Ended(pub(crate) ReviewState);

/// Why an image may not run.
#[derive(Debug)]
pub struct Why(pub(crate) Reason);

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
        let told = |code, reason| Self::new(code, reason, message.clone());
        match error {
            Error::Invalid(problem) => problem,
            Error::InvalidReference { field, .. } => {
                told(Code::InvalidArgument, reason::INVALID_REFERENCE).at(field)
            }
            Error::ReceiverNotFound(_) => told(Code::NotFound, reason::RECEIVER_NOT_FOUND),
            Error::ReceiverExists(_) => {
                told(Code::AlreadyExists, reason::RECEIVER_EXISTS).at("receiver.name")
            }
            Error::DefaultReceiverExists => {
                told(Code::AlreadyExists, reason::RECEIVER_EXISTS).at("receiver.is_default")
            }
            Error::BadSignature(_) => told(Code::Unauthenticated, reason::BAD_SIGNATURE),
            Error::MalformedBody { delivery, replayed, .. } => {
                told(Code::InvalidArgument, reason::MALFORMED_BODY)
                    .with("delivery_id", delivery)
                    .with("replayed", replayed)
            }
            Error::BodyTooLarge(_) => told(Code::InvalidArgument, reason::BODY_TOO_LARGE),
            Error::TooManyDeliveries { wait, .. } => {
                told(Code::ResourceExhausted, reason::TOO_MANY_DELIVERIES).retry_after(wait)
            }
            Error::DeliveryIdReused(_) => told(Code::AlreadyExists, reason::DELIVERY_ID_REUSED),
            Error::DeliveryBusy => Self::unavailable(reason::DELIVERY_BUSY, message),
            Error::PushNotFound(_) => told(Code::NotFound, reason::PUSH_NOT_FOUND),
            Error::RequestIdReused => told(Code::FailedPrecondition, reason::REQUEST_ID_REUSED),
            Error::ReviewNotFound(_) => told(Code::NotFound, reason::REVIEW_NOT_FOUND),
            Error::ReviewDecided { id, state, reviewed_by } => {
                told(Code::FailedPrecondition, reason::REVIEW_DECIDED)
                    .with("review_id", id)
                    .with("state", state.0.word())
                    .with("reviewed_by", reviewed_by)
            }
            Error::SelfReview(id) => {
                told(Code::PermissionDenied, reason::SELF_REVIEW).with("review_id", id)
            }
            Error::EvidenceChanged { id, digest, evidence_hash } => {
                told(Code::FailedPrecondition, reason::EVIDENCE_CHANGED)
                    .with("review_id", id)
                    .with("digest", digest)
                    .with("evidence_hash", evidence_hash)
            }
            Error::NotAdmitted { field, why, review } => {
                let problem = Self::new(Code::PermissionDenied, why.0.code, message).at(field);
                match review {
                    Some(id) => problem.with("review_id", id),
                    None => problem,
                }
            }
            Error::ClaimLost | Error::Sealed(_) | Error::UnexpectedRow { .. } => {
                Self::internal(&error)
            }
            Error::Database(error) => database::problem(&error),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}

fn by(reviewed_by: &str) -> String {
    if reviewed_by.is_empty() { String::new() } else { format!(" by `{reviewed_by}`") }
}

fn asks(review: Option<&ReviewId>) -> String {
    review.map_or_else(String::new, |id| format!("; approve it with `slipway review approve {id}`"))
}
