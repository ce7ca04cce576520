//! Image patterns: which pushes an update policy is for.

use std::fmt;

use crate::glob::{Glob, check_characters, check_path_glob, check_shape, has_wildcard};
use crate::grammar::looks_like_host;
use crate::text::as_text;
use crate::{Host, PatternError, Repository, Tag};

/// A pattern `repository[:tag]`, such as `redis:*` or `ghcr.io/acme/*:v*`.
///
/// - The tag part is after the last `:` that follows the last `/`; without one, any tag fits.
/// - The rest is matched against the whole repository: `*` stays within a component, `**` crosses.
///   In the tag `*` stands for anything.
/// - A host is recognised as in a name: the text before the first `/` when it is `localhost` or has
///   a `.` or a `:`, in any spelling. Without one the pattern is for Docker Hub, with or without
///   `library/`, so `iot*/agent` never fits `iot.example.com/agent`. A first component of `*` or
///   `**` alone fits hosts and owners alike: it is tried on the canonical and the familiar form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImagePattern {
    text: String,
    repository: RepositoryPart,
    tag: TagPart,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum RepositoryPart {
    Exact(Repository),
    OnHost { host: Host, path: Glob },
    Anywhere(Glob),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TagPart {
    Exact(Tag),
    Glob(Glob),
    Any,
}

/// How closely a pattern describes what it matches; the greater one wins.
///
/// The repository counts before the tag; a text without wildcards before one with them; more
/// characters that stand for themselves before fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Specificity {
    repository: (bool, usize),
    tag: (bool, usize),
}

impl ImagePattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        check_shape(text)?;
        if text.contains('@') {
            return Err(PatternError::Digest { pattern: text.to_owned() });
        }
        let (repository, tag) = split_tag(text);
        Ok(Self {
            text: text.to_owned(),
            repository: RepositoryPart::parse(text, repository)?,
            tag: TagPart::parse(text, tag)?,
        })
    }

    /// Returns the pattern as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Says whether an image fits. Without a tag it fits only where any tag does.
    pub fn matches(&self, repository: &Repository, tag: Option<&Tag>) -> bool {
        self.tag.matches(tag) && self.repository.matches(repository)
    }

    /// Says whether a repository fits, whatever the tag.
    pub fn matches_repository(&self, repository: &Repository) -> bool {
        self.repository.matches(repository)
    }

    /// Returns how closely the pattern describes what it matches.
    pub fn specificity(&self) -> Specificity {
        Specificity { repository: self.repository.specificity(), tag: self.tag.specificity() }
    }
}

/// Writes the pattern as given.
impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

as_text!(ImagePattern, PatternError);

impl RepositoryPart {
    fn parse(pattern: &str, text: &str) -> Result<Self, PatternError> {
        if !has_wildcard(text) {
            return Repository::parse(text).map(Self::Exact).map_err(PatternError::Name);
        }
        let (first, rest) = match text.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (text, None),
        };
        match rest {
            Some(path) if looks_like_host(first) && !has_wildcard(first) => {
                check_path_glob(pattern, path)?;
                let host = Host::parse(first).map_err(PatternError::Name)?;
                Ok(Self::OnHost { host, path: Glob::new(path) })
            }
            Some(path) if looks_like_host(first) => {
                check_host_glob(pattern, first)?;
                check_path_glob(pattern, path)?;
                Ok(Self::Anywhere(Glob::new(text)))
            }
            Some(_) | None => {
                check_path_glob(pattern, text)?;
                let path = Glob::new(text);
                if matches!((first, rest), ("**", _) | ("*", Some(_))) {
                    return Ok(Self::Anywhere(path));
                }
                Ok(Self::OnHost { host: Host::docker_hub(), path })
            }
        }
    }

    fn matches(&self, repository: &Repository) -> bool {
        match self {
            Self::Exact(exact) => exact == repository,
            Self::OnHost { host, path } => {
                host.as_str() == repository.registry()
                    && (path.matches(repository.path()) || path.matches(repository.short_path()))
            }
            Self::Anywhere(glob) => {
                glob.matches(repository.as_str()) || glob.matches(repository.familiar())
            }
        }
    }

    fn specificity(&self) -> (bool, usize) {
        match self {
            Self::Exact(repository) => (true, repository.as_str().len()),
            Self::OnHost { host, path } => (false, host.as_str().len() + 1 + path.literals()),
            Self::Anywhere(glob) => (false, glob.literals()),
        }
    }
}

impl TagPart {
    fn parse(pattern: &str, text: Option<&str>) -> Result<Self, PatternError> {
        let Some(text) = text else { return Ok(Self::Any) };
        if text.is_empty() {
            return Err(PatternError::EmptyTag { pattern: pattern.to_owned() });
        }
        if !has_wildcard(text) {
            return Tag::parse(text).map(Self::Exact).map_err(PatternError::Name);
        }
        check_characters(pattern, text, "tag", |c| {
            c.is_ascii_alphanumeric() || "_.-*".contains(c)
        })?;
        let glob = Glob::new(text);
        Ok(if glob.literals() == 0 { Self::Any } else { Self::Glob(glob) })
    }

    fn matches(&self, tag: Option<&Tag>) -> bool {
        match self {
            Self::Exact(exact) => tag == Some(exact),
            Self::Glob(glob) => tag.is_some_and(|tag| glob.matches(tag.as_str())),
            Self::Any => true,
        }
    }

    fn specificity(&self) -> (bool, usize) {
        match self {
            Self::Exact(tag) => (true, tag.as_str().len()),
            Self::Glob(glob) => (false, glob.literals()),
            Self::Any => (false, 0),
        }
    }
}

fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last_component = text.rfind('/').map_or(0, |at| at + 1);
    match text[last_component..].rfind(':') {
        Some(at) => {
            let (repository, tag) = text.split_at(last_component + at);
            (repository, Some(&tag[1..]))
        }
        None => (text, None),
    }
}

/// Checks a host with wildcards in it, which cannot be brought into its one spelling.
fn check_host_glob(pattern: &str, host: &str) -> Result<(), PatternError> {
    let accepts = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:[]*".contains(c);
    check_characters(pattern, host, "registry host", accepts)
}
