//! Whether what is added exists at its registry, and what follows when it does not.

use crate::Error;
use crate::gate::VerifyUpstream;
use crate::resolve::ResolveError;

/// What is known about something that is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verification {
    /// Whether the registry confirmed it.
    pub verified: bool,
    /// What could not be verified, in sentences.
    pub warnings: Vec<String>,
}

/// Judges a registry's answer by the gate's setting. `None` = nothing was asked.
pub(crate) fn judge(
    setting: VerifyUpstream,
    answer: Option<Result<(), ResolveError>>,
) -> Result<Verification, Error> {
    let error = match answer {
        Some(Ok(())) => return Ok(Verification { verified: true, warnings: Vec::new() }),
        Some(Err(error)) => error,
        None => return Ok(Verification::default()),
    };
    match setting {
        VerifyUpstream::Off => Ok(Verification::default()),
        VerifyUpstream::Warn => {
            let warning = format!("added without verification: {error}");
            Ok(Verification { verified: false, warnings: vec![warning] })
        }
        VerifyUpstream::Require => Err(match error {
            ResolveError::NotFound { .. } => Error::NotUpstream(error.to_string()),
            ResolveError::NotConfigured { .. }
            | ResolveError::Unreachable { .. }
            | ResolveError::RateLimited { .. }
            | ResolveError::Refused { .. } => error.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proto::reason;
    use runtime::Problem;

    use super::*;

    fn not_found() -> ResolveError {
        ResolveError::NotFound { host: "docker.io".to_owned(), what: "x".to_owned() }
    }

    fn unreachable() -> ResolveError {
        ResolveError::Unreachable { host: "docker.io".to_owned(), detail: "no".to_owned() }
    }

    fn not_configured() -> ResolveError {
        ResolveError::NotConfigured { host: "docker.io".to_owned() }
    }

    #[test]
    fn what_exists_is_verified_under_any_setting() {
        for setting in [VerifyUpstream::Warn, VerifyUpstream::Require] {
            let verification = judge(setting, Some(Ok(()))).unwrap();
            assert_eq!((verification.verified, verification.warnings.len()), (true, 0));
        }
    }

    #[test]
    fn what_cannot_be_verified_is_added_with_a_warning_or_refused() {
        for (error, refused_with) in [
            (not_found(), reason::UPSTREAM_NOT_FOUND),
            (unreachable(), reason::UPSTREAM_UNREACHABLE),
            (not_configured(), reason::UPSTREAM_NOT_CONFIGURED),
        ] {
            let warned = judge(VerifyUpstream::Warn, Some(Err(error.clone()))).unwrap();
            assert_eq!((warned.verified, warned.warnings.len()), (false, 1));
            let refused = judge(VerifyUpstream::Require, Some(Err(error.clone()))).unwrap_err();
            assert_eq!(Problem::from(refused).reason(), refused_with);
            let off = judge(VerifyUpstream::Off, None).unwrap();
            assert_eq!(off, Verification::default());
        }
    }
}
