//! The one shape of errors: a code, a reason for programs, a sentence for people.
//!
//! A service maps its own error enum to a [`Problem`] in one exhaustive `match`; here a problem
//! becomes a gRPC status with rich details, and a status of another process becomes a problem
//! again. The gateway renders problems as HTTP.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use proto::reason;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

/// What kind of problem it is, and so who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request can never work; the caller mends it.
    InvalidArgument,
    /// It is not known who calls.
    Unauthenticated,
    /// The caller may not.
    PermissionDenied,
    /// There is no such thing.
    NotFound,
    /// There is such a thing already.
    AlreadyExists,
    /// The right request in the wrong state; the caller changes something first.
    FailedPrecondition,
    /// The thing changed since it was read; the caller reads it again.
    Aborted,
    /// Too many, too much; the caller waits.
    ResourceExhausted,
    /// Something needed is down; the caller tries again.
    Unavailable,
    /// It took too long.
    DeadlineExceeded,
    /// Not here.
    Unimplemented,
    /// A fault of ours.
    Internal,
}

impl Code {
    /// The HTTP status that says the same. Conflicts with a state are 409, not the 400 of the
    /// generic gRPC table, because the caller's next step differs.
    #[must_use]
    pub fn http_status(self, reason: &str) -> u16 {
        match self {
            Self::InvalidArgument if reason == reason::BODY_TOO_LARGE => 413,
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::FailedPrecondition if reason == reason::REQUEST_ID_REUSED => 422,
            Self::AlreadyExists | Self::FailedPrecondition => 409,
            Self::Aborted => 412,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    fn to_tonic(self) -> tonic::Code {
        match self {
            Self::InvalidArgument => tonic::Code::InvalidArgument,
            Self::Unauthenticated => tonic::Code::Unauthenticated,
            Self::PermissionDenied => tonic::Code::PermissionDenied,
            Self::NotFound => tonic::Code::NotFound,
            Self::AlreadyExists => tonic::Code::AlreadyExists,
            Self::FailedPrecondition => tonic::Code::FailedPrecondition,
            Self::Aborted => tonic::Code::Aborted,
            Self::ResourceExhausted => tonic::Code::ResourceExhausted,
            Self::Unavailable => tonic::Code::Unavailable,
            Self::DeadlineExceeded => tonic::Code::DeadlineExceeded,
            Self::Unimplemented => tonic::Code::Unimplemented,
            Self::Internal => tonic::Code::Internal,
        }
    }

    /// A server killed in the middle of a call shows as UNKNOWN, a connection that broke as
    /// CANCELLED: for the caller both mean that the peer is away.
    fn from_tonic(code: tonic::Code) -> Self {
        match code {
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Self::InvalidArgument,
            tonic::Code::Unauthenticated => Self::Unauthenticated,
            tonic::Code::PermissionDenied => Self::PermissionDenied,
            tonic::Code::NotFound => Self::NotFound,
            tonic::Code::AlreadyExists => Self::AlreadyExists,
            tonic::Code::FailedPrecondition => Self::FailedPrecondition,
            tonic::Code::Aborted => Self::Aborted,
            tonic::Code::ResourceExhausted => Self::ResourceExhausted,
            tonic::Code::DeadlineExceeded => Self::DeadlineExceeded,
            tonic::Code::Unimplemented => Self::Unimplemented,
            tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Cancelled => {
                Self::Unavailable
            }
            tonic::Code::Ok | tonic::Code::Internal | tonic::Code::DataLoss => Self::Internal,
        }
    }
}

/// A field that does not hold what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path, for instance `services[0].image`.
    pub field: String,
    /// What is wrong and what is right, in a sentence.
    pub description: String,
}

/// Something that went wrong, told so that a program and a person can go on.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem(Box<Detail>);

#[derive(Clone, PartialEq, Eq)]
struct Detail {
    code: Code,
    reason: Cow<'static, str>,
    message: String,
    violations: Vec<Violation>,
    metadata: BTreeMap<String, String>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// Tells a problem with a constant of [`proto::reason`], or one that another process gave, and a
    /// sentence.
    #[must_use]
    pub fn new(
        code: Code,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Detail {
            code,
            reason: reason.into(),
            message: message.into(),
            violations: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
        }))
    }

    /// Tells a problem whose constant came as data out of another process's answer.
    #[must_use]
    pub fn passed_on(code: Code, reason: String, message: impl Into<String>) -> Self {
        let mut problem = Self::new(code, reason::INTERNAL, message);
        problem.0.reason = Cow::Owned(reason);
        problem
    }

    /// Tells that one field does not hold what it may.
    #[must_use]
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::violations(vec![Violation { field: field.into(), description: description.into() }])
    }

    /// Tells that some fields do not hold what they may; the first one makes the sentence.
    #[must_use]
    pub fn violations(violations: Vec<Violation>) -> Self {
        let message = violations.first().map_or_else(
            || "the request is not valid".to_owned(),
            |first| format!("`{}`: {}", first.field, first.description),
        );
        let mut problem = Self::new(Code::InvalidArgument, reason::INVALID_ARGUMENT, message);
        problem.0.violations = violations;
        problem
    }

    /// Tells that something of ours broke. The cause is logged here, once, and never sent.
    #[must_use]
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Chain(cause), "a request failed by a fault of ours");
        Self::new(
            Code::Internal,
            reason::INTERNAL,
            "something went wrong on our side; the request id finds it in the logs",
        )
    }

    /// Tells that a dependency does not answer.
    #[must_use]
    pub fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, reason, message).retry_after(Duration::from_secs(1))
    }

    /// Adds a dynamic part for programs.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.0.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Names the field it is about, keeping code and reason.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        let description = self.0.message.clone();
        self.0.violations.push(Violation { field: field.into(), description });
        self
    }

    /// Says when it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The same problem in other words: for who calls its fields by other names.
    #[must_use]
    pub fn retold(&self, message: String, violations: Vec<Violation>) -> Self {
        Self(Box::new(Detail { message, violations, ..Detail::clone(&self.0) }))
    }

    /// What kind of problem it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The constant for programs.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that do not hold what they may.
    #[must_use]
    pub fn field_violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The dynamic parts for programs.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// When it is worth trying again.
    #[must_use]
    pub fn retry_time(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The HTTP status that says the same.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.0.code.http_status(&self.0.reason)
    }

    /// Whether the peer, not the request, was at fault, so that the same request may work later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.0.code, Code::Unavailable | Code::DeadlineExceeded | Code::Internal)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.0.code, self.0.reason, self.0.message)?;
        if !self.0.metadata.is_empty() {
            write!(f, " {:?}", self.0.metadata)?;
        }
        Ok(())
    }
}

impl Error for Problem {}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let detail = *problem.0;
        let mut details = ErrorDetails::with_error_info(
            detail.reason.as_ref(),
            reason::DOMAIN,
            detail.metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        for violation in detail.violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        if let Some(wait) = detail.retry_after {
            details.set_retry_info(Some(wait));
        }
        Status::with_error_details(detail.code.to_tonic(), detail.message, details)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let code = Code::from_tonic(status.code());
        let details = status.get_error_details();
        let (reason, metadata) = match details.error_info() {
            Some(info) => (Cow::Owned(info.reason.clone()), info.metadata.clone()),
            None => (Cow::Borrowed(plain_reason(code)), Default::default()),
        };
        let violations = details
            .bad_request()
            .map(|request| request.field_violations.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|violation| Violation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            })
            .collect();
        Self(Box::new(Detail {
            code,
            reason,
            message: status.message().to_owned(),
            violations,
            metadata: metadata.into_iter().collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }))
    }
}

/// The reason of a status that carries none: it was made by the transport, not by a handler.
fn plain_reason(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => reason::INVALID_ARGUMENT,
        Code::Unauthenticated => reason::TOKEN_UNKNOWN,
        Code::PermissionDenied => reason::PERMISSION_MISSING,
        Code::Unavailable => reason::PEER_UNREACHABLE,
        Code::DeadlineExceeded => reason::DEADLINE_EXCEEDED,
        Code::ResourceExhausted => reason::BODY_TOO_LARGE,
        Code::Unimplemented => reason::NOT_BUILT,
        Code::Aborted => reason::STALE_ETAG,
        Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition | Code::Internal => {
            reason::INTERNAL
        }
    }
}

/// An error with everything that caused it, on one line.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        f.write_str(&told)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            // Some errors tell their cause themselves.
            let text = error.to_string();
            if !told.ends_with(&text) {
                write!(f, ": {text}")?;
                told = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let io = || std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused");
        let error = sqlx_like("cannot connect: refused", io());
        assert_eq!(Chain(&error).to_string(), "cannot connect: refused");
        let error = sqlx_like("cannot connect", io());
        assert_eq!(Chain(&error).to_string(), "cannot connect: refused");
    }

    fn sqlx_like(text: &'static str, cause: std::io::Error) -> impl Error + 'static {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Told(&'static str, #[source] std::io::Error);
        Told(text, cause)
    }

    #[test]
    fn a_problem_survives_the_wire() {
        let problem = Problem::new(Code::FailedPrecondition, reason::REVIEW_DECIDED, "decided")
            .with("state", "APPROVED")
            .at("id")
            .retry_after(Duration::from_secs(3));
        let back = Problem::from(Status::from(problem.clone()));
        assert_eq!(back, problem);
    }

    #[test]
    fn a_killed_server_reads_as_away() {
        let problem = Problem::from(Status::unknown("transport error"));
        assert_eq!(problem.code(), Code::Unavailable);
        assert!(problem.is_transient());
        assert_eq!(problem.http_status(), 503);
    }

    #[test]
    fn only_a_reused_request_id_is_422() {
        let http = |reason| Code::FailedPrecondition.http_status(reason);
        assert_eq!(http(reason::REQUEST_ID_REUSED), 422);
        assert_eq!(http(reason::REVIEW_DECIDED), 409);
    }

    #[test]
    fn the_first_violation_makes_the_sentence() {
        let problem = Problem::invalid("services[0].image", "is empty; name an image");
        assert_eq!(problem.message(), "`services[0].image`: is empty; name an image");
        assert_eq!(problem.field_violations().len(), 1);
    }
}
