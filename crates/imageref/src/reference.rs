//! References: a repository and which version of it.

use std::fmt;

use crate::parse::parse;
use crate::text::as_text;
use crate::{Digest, Error, Repository, Tag};

/// An image in its one spelling: `host/path[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// Reads a name in any spelling and brings it into the one that Slipway stores and compares.
///
/// No tag is invented: `redis` names no version, [`Reference::to_pull`] says what it would pull.
pub fn canonical(input: &str) -> Result<Reference, Error> {
    let parsed = parse(input)?;
    Ok(Reference {
        repository: Repository::from_parsed(&parsed)?,
        tag: parsed.tag().map(Tag::parse).transpose()?,
        digest: parsed.digest().map(Digest::parse).transpose()?,
    })
}

impl Reference {
    /// Makes a reference of its parts.
    pub fn new(repository: Repository, tag: Option<Tag>, digest: Option<Digest>) -> Self {
        Self { repository, tag, digest }
    }

    /// Reads a name as [`canonical`] does.
    pub fn parse(text: &str) -> Result<Self, Error> {
        canonical(text)
    }

    /// Returns the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns the registry's host.
    pub fn host(&self) -> &str {
        self.repository.registry()
    }

    /// Returns the path below the host.
    pub fn path(&self) -> &str {
        self.repository.path()
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Returns the digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns the same repository and digest under this tag.
    pub fn with_tag(self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self }
    }

    /// Returns the same repository and tag at this digest.
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// Returns the same repository and tag, not pinned.
    pub fn without_digest(self) -> Self {
        Self { digest: None, ..self }
    }

    /// Returns the parts.
    pub fn into_parts(self) -> (Repository, Option<Tag>, Option<Digest>) {
        (self.repository, self.tag, self.digest)
    }

    /// Returns what to pull: the digest where there is one, else the tag, else `latest`.
    pub fn to_pull(&self) -> Self {
        let repository = self.repository.clone();
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => Self::new(repository, None, Some(digest.clone())),
            (Some(tag), None) => Self::new(repository, Some(tag.clone()), None),
            (None, None) => Self::new(repository, Some(Tag::latest()), None),
        }
    }

    /// Returns the shortest text that people write and that reads back as this reference.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.repository.familiar(), Version(self))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.repository, Version(self))
    }
}

as_text!(Reference, Error);

impl From<Repository> for Reference {
    fn from(repository: Repository) -> Self {
        Self::new(repository, None, None)
    }
}

struct Version<'a>(&'a Reference);

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.0.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.0.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}
