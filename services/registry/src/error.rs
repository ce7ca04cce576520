//! What can go wrong, and what callers are told.

use proto::reason;
use runtime::{Code, Problem, database};

use crate::image::ImageId;
use crate::resolve::ResolveError;
use crate::tag::TagId;
use crate::upstream::UpstreamId;

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
        field: &'static str,
        /// What is wrong with it.
        #[source]
        cause: imageref::Error,
    },
    /// The thing changed since the caller read it.
    #[error("{noun} `{name}` has changed since it was read; read it again, then repeat the change")]
    StaleEtag {
        /// What kind of thing.
        noun: &'static str,
        /// Which one.
        name: String,
        /// Its etag.
        etag: String,
    },
    /// There is no such image.
    #[error("there is no image {0}; list the images to find it")]
    ImageNotFound(ImageId),
    /// The image was removed after what is asked for had been done.
    #[error(
        "image `{0}` was removed after this review had been carried out; nothing is left to do"
    )]
    ImageRemoved(String),
    /// The repository has an image.
    #[error("image `{repository}` is there already, as number {id}; change that one")]
    ImageExists {
        /// Its number.
        id: ImageId,
        /// The repository.
        repository: String,
    },
    /// Update policies match the image.
    #[error(
        "image `{repository}` has enabled update policies: {policies}; disable or remove them first"
    )]
    ImageHasPolicies {
        /// The repository.
        repository: String,
        /// The policies' names or patterns.
        policies: String,
        /// The policies' ids.
        ids: String,
    },
    /// It cannot be known whether update policies match the image.
    #[error(
        "it cannot be checked whether update policies use the image, because `rollout` does not answer; try again soon"
    )]
    RolloutUnreachable(#[source] Problem),
    /// The image has no such tag.
    #[error("image {image} has no tag {tag}; list its tags to find it")]
    TagNotFound {
        /// The image's number.
        image: ImageId,
        /// The tag's number.
        tag: TagId,
    },
    /// The image has the tag.
    #[error("tag `{tag}` is there already, as number {id}; change that one")]
    TagExists {
        /// Its number.
        id: TagId,
        /// The tag.
        tag: String,
    },
    /// There is no such upstream.
    #[error("there is no upstream {0}; list the upstreams to find it")]
    UpstreamNotFound(UpstreamId),
    /// Another upstream has the same name, URL or host.
    #[error(
        "upstream `{name}`, number {id}, has the same {field}; change that one or use another {field}"
    )]
    UpstreamExists {
        /// Its number.
        id: UpstreamId,
        /// Its name.
        name: String,
        /// `name`, `url` or `host`.
        field: &'static str,
    },
    /// A registry elsewhere did not say what a tag is.
    #[error(transparent)]
    Resolve(ResolveError),
    /// The gate wants what is added to be at its registry, and it is not.
    #[error("the gate requires verification, and {0}")]
    NotUpstream(String),
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

impl From<ResolveError> for Error {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(error)
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
            Error::StaleEtag { etag, .. } => {
                told(Code::Aborted, reason::STALE_ETAG).with("etag", etag)
            }
            Error::ImageNotFound(_) | Error::ImageRemoved(_) => {
                told(Code::NotFound, reason::IMAGE_NOT_FOUND)
            }
            Error::ImageExists { id, .. } => {
                told(Code::AlreadyExists, reason::IMAGE_EXISTS).with("image_id", id)
            }
            Error::ImageHasPolicies { policies, ids, .. } => {
                told(Code::FailedPrecondition, reason::IMAGE_HAS_POLICIES)
                    .with("policies", policies)
                    .with("policy_ids", ids)
            }
            Error::RolloutUnreachable(problem) => {
                tracing::warn!(error = ?problem, "`rollout` could not be asked for policies");
                Self::unavailable(reason::ROLLOUT_UNREACHABLE, message)
            }
            Error::TagNotFound { .. } => told(Code::NotFound, reason::TAG_NOT_FOUND),
            Error::TagExists { id, .. } => {
                told(Code::AlreadyExists, reason::TAG_EXISTS).with("tag_id", id)
            }
            Error::UpstreamNotFound(_) => told(Code::NotFound, reason::UPSTREAM_NOT_FOUND),
            Error::UpstreamExists { id, field, .. } => {
                told(Code::AlreadyExists, reason::UPSTREAM_EXISTS)
                    .with("upstream_id", id)
                    .with("field", field)
            }
            Error::Resolve(error) => resolve_problem(&error, &message),
            Error::NotUpstream(_) => told(Code::FailedPrecondition, reason::UPSTREAM_NOT_FOUND),
            Error::Database(error) => database::problem(&error),
        }
    }
}

fn resolve_problem(error: &ResolveError, message: &str) -> Problem {
    match error {
        ResolveError::NotConfigured { host } => {
            Problem::new(Code::FailedPrecondition, reason::UPSTREAM_NOT_CONFIGURED, message)
                .with("host", host)
        }
        ResolveError::NotFound { host, .. } => {
            Problem::new(Code::NotFound, reason::TAG_NOT_FOUND, message).with("host", host)
        }
        ResolveError::Unreachable { host, .. } => {
            Problem::unavailable(reason::UPSTREAM_UNREACHABLE, message).with("host", host)
        }
        ResolveError::RateLimited { host, wait } => {
            Problem::new(Code::ResourceExhausted, reason::UPSTREAM_RATE_LIMITED, message)
                .with("host", host)
                .retry_after(*wait)
        }
        ResolveError::Refused { host } => {
            Problem::new(Code::PermissionDenied, reason::UPSTREAM_REFUSED, message)
                .with("host", host)
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Problem::from(error).into()
    }
}
