//! Which repositories a thing speaks for.

use std::fmt;

use crate::glob::{Glob, check_path_glob, check_shape, has_wildcard};
use crate::grammar::looks_like_host;
use crate::text::as_text;
use crate::{Host, PatternError, Repository};

/// A pattern over repositories, for use beside a [`crate::HostPattern`].
///
/// `*` stays within a component, `**` (the default) crosses; the whole text must fit. Without a
/// host the path is matched, on Docker Hub with or without `library/`: `acme/*`, `redis`. With a
/// host first (`ghcr.io/acme/*`) only that host's repositories match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryGlob {
    text: String,
    host: Option<Host>,
    path: Glob,
}

impl RepositoryGlob {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        check_shape(text)?;
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if looks_like_host(first) && !has_wildcard(first) => {
                (Some(Host::parse(first).map_err(PatternError::Name)?), rest)
            }
            Some(_) | None => (None, text),
        };
        check_path_glob(text, path)?;
        Ok(Self { text: text.to_owned(), host, path: Glob::new(path) })
    }

    /// Says whether a repository is meant.
    pub fn matches(&self, repository: &Repository) -> bool {
        self.host.as_ref().is_none_or(|host| host.as_str() == repository.registry())
            && (self.path.matches(repository.path()) || self.path.matches(repository.short_path()))
    }
}

/// Every repository.
impl Default for RepositoryGlob {
    fn default() -> Self {
        Self { text: "**".to_owned(), host: None, path: Glob::new("**") }
    }
}

/// Writes the pattern as given.
impl fmt::Display for RepositoryGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

as_text!(RepositoryGlob, PatternError);
