//! What a registry elsewhere answered.

use std::time::Duration;

use imageref::Digest;

use crate::tag::Platform;

/// What a tag is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Of the manifest or index.
    pub digest: Digest,
    pub media_type: String,
    /// What it holds; empty = not known.
    pub platforms: Vec<Platform>,
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nobody may be asked.
    #[error("no upstream lists the host `{host}`; add one to have its tags resolved")]
    NotConfigured {
        /// The host that the reference names.
        host: String,
    },
    /// The registry does not know it.
    #[error("the registry of `{host}` does not know `{what}`; push it there or correct the name")]
    NotFound {
        /// The host.
        host: String,
        /// What it does not know.
        what: String,
    },
    /// No answer, a broken one, or an error of the registry's own.
    #[error("the registry of `{host}` does not answer as it should: {detail}; try again soon")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        detail: String,
    },
    /// The registry asks to wait.
    #[error("the registry of `{host}` asks to wait {} s before the next question", wait.as_secs())]
    RateLimited {
        /// The host.
        host: String,
        /// How long.
        wait: Duration,
    },
    /// The registry wants credentials.
    #[error(
        "the registry of `{host}` refuses to answer without credentials; \
         make the repository public or use another upstream for the host"
    )]
    Refused {
        /// The host.
        host: String,
    },
}

impl ResolveError {
    /// The word for metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::NotConfigured { .. } => "not_configured",
            Self::NotFound { .. } => "not_found",
            Self::Unreachable { .. } => "unreachable",
            Self::RateLimited { .. } => "rate_limited",
            Self::Refused { .. } => "refused",
        }
    }
}

/// How a try of an upstream came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contact {
    /// Whether it speaks the distribution API.
    pub ok: bool,
    /// What it answered, in a sentence.
    pub detail: String,
    /// How long that took.
    pub latency: Duration,
}

impl Contact {
    /// Makes it of what was answered.
    pub(crate) fn new(outcome: Result<String, ResolveError>, latency: Duration) -> Self {
        match outcome {
            Ok(detail) => Self { ok: true, detail, latency },
            Err(error) => Self { ok: false, detail: error.to_string(), latency },
        }
    }
}
