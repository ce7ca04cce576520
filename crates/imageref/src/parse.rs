//! The docker-style reading of a name, as engines do it.

use std::borrow::Cow;
use std::fmt;

use crate::grammar::{MAX_PATH, host_and_port, is_identifier, is_path, is_tag, looks_like_host};
use crate::host::DOCKER_HUB;
use crate::{Digest, Error, digest};

/// The namespace of Docker Hub's own images.
pub(crate) const LIBRARY: &str = "library/";

/// Another name of Docker Hub that engines know.
const DOCKER_INDEX: &str = "index.docker.io";

/// A name as engines read it, borrowed from the input.
///
/// Not for comparing: two spellings of one image stay two. [`crate::canonical`] folds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<'a> {
    host: &'a str,
    in_library: bool,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parsed<'a> {
    /// Returns the registry host, `docker.io` when the input has none.
    ///
    /// Empty for the one oddity that the grammar allows: text that looks like a host and is not
    /// one, but would do as a path (`foo_bar.com/app`).
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// Returns the repository's path, `library/` included.
    pub fn path(&self) -> Cow<'a, str> {
        if self.in_library {
            Cow::Owned(format!("{LIBRARY}{}", self.path))
        } else {
            Cow::Borrowed(self.path)
        }
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// Returns the digest.
    pub fn digest(&self) -> Option<&'a str> {
        self.digest
    }

    /// Returns the short form that engines show.
    ///
    /// Not always one that reads back as the same image; that of [`crate::Repository`] is.
    pub fn familiar(&self) -> String {
        let path = self.path();
        let name = if self.host == DOCKER_HUB { short_path(&path).to_owned() } else { self.name() };
        self.with_suffix(name)
    }

    /// Returns what engines pull: the digest where there is one, else the tag, else `latest`.
    pub fn to_pull(&self) -> Self {
        match (self.tag, self.digest) {
            (_, Some(_)) => Self { tag: None, ..*self },
            (Some(_), None) => *self,
            (None, None) => Self { tag: Some("latest"), ..*self },
        }
    }

    pub(crate) fn raw_path(&self) -> &'a str {
        self.path
    }

    fn name(&self) -> String {
        match self.host {
            "" => self.path.to_owned(),
            host => format!("{host}/{}", self.path()),
        }
    }

    fn with_suffix(&self, mut name: String) -> String {
        for (mark, part) in [(':', self.tag), ('@', self.digest)] {
            if let Some(part) = part {
                name.push(mark);
                name.push_str(part);
            }
        }
        name
    }
}

/// Writes the normalised name: host and path in full, no tag invented.
impl fmt::Display for Parsed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.with_suffix(self.name()))
    }
}

/// Reads a name as engines do.
///
/// The text before the first `/` is a host when it is `localhost`, has a `.` or a `:`, or has an
/// upper-case letter; else the name is Docker Hub's. A name without `/` is in its `library`.
pub fn parse(input: &str) -> Result<Parsed<'_>, Error> {
    read(input).map_err(|error| Error::of_whole(input).unwrap_or(error))
}

/// A content id or a name: what engines take where either will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyReference<'a> {
    /// A digest, or the 64 hexadecimal digits of one.
    Content(Digest),
    /// A name.
    Named(Parsed<'a>),
}

/// Reads a digest, a bare content id or a name.
pub fn parse_any(input: &str) -> Result<AnyReference<'_>, Error> {
    if is_identifier(input) {
        return Digest::parse(&format!("sha256:{input}")).map(AnyReference::Content);
    }
    match Digest::parse(input) {
        Ok(digest) => Ok(AnyReference::Content(digest)),
        Err(_) => parse(input).map(AnyReference::Named),
    }
}

/// Leaves out `library/` where only one component follows.
pub(crate) fn short_path(path: &str) -> &str {
    match path.strip_prefix(LIBRARY) {
        Some(name) if !name.contains('/') => name,
        Some(_) | None => path,
    }
}

fn read(input: &str) -> Result<Parsed<'_>, Error> {
    if is_identifier(input) {
        return Err(Error::Identifier);
    }
    let (host, rest) = split_host(input);
    let (path, tag, digest) = split_suffix(rest);
    let parsed = match host {
        Some(host) if host_and_port(host).is_some() => {
            let in_library = host == DOCKER_HUB && !path.contains('/');
            Parsed { host, in_library, path, tag, digest }
        }
        Some(host) if is_path(host) => {
            let path = &input[..host.len() + 1 + path.len()];
            Parsed { host: "", in_library: false, path, tag, digest }
        }
        Some(host) => return Err(Error::Host { host: host.to_owned() }),
        None => {
            let in_library = !path.contains('/');
            Parsed { host: DOCKER_HUB, in_library, path, tag, digest }
        }
    };
    check(&parsed)?;
    Ok(parsed)
}

fn split_host(input: &str) -> (Option<&str>, &str) {
    match input.split_once('/') {
        Some((DOCKER_INDEX, rest)) => (Some(DOCKER_HUB), rest),
        Some((first, rest))
            if looks_like_host(first) || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        Some(_) | None => (None, input),
    }
}

/// Splits `path[:tag][@digest]`: a path holds neither mark, so the first of them ends it.
fn split_suffix(text: &str) -> (&str, Option<&str>, Option<&str>) {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    match name.split_once(':') {
        Some((path, tag)) => (path, Some(tag), digest),
        None => (name, None, digest),
    }
}

fn check(parsed: &Parsed<'_>) -> Result<(), Error> {
    let implied = if parsed.in_library { LIBRARY.len() } else { 0 };
    check_path(parsed.path, implied)?;
    if let Some(tag) = parsed.tag
        && !is_tag(tag)
    {
        return Err(Error::Tag { tag: tag.to_owned() });
    }
    if let Some(digest) = parsed.digest {
        digest::check(digest)?;
    }
    Ok(())
}

/// Checks a path that `implied` more bytes go in front of.
pub(crate) fn check_path(path: &str, implied: usize) -> Result<(), Error> {
    if !is_path(path) {
        return Err(path_error(path));
    }
    let length = implied + path.len();
    if length > MAX_PATH { Err(Error::TooLong { length }) } else { Ok(()) }
}

fn path_error(path: &str) -> Error {
    if path.split('/').any(str::is_empty) {
        return Error::EmptyComponent { path: path.to_owned() };
    }
    if is_path(&path.to_ascii_lowercase()) {
        return Error::UpperCase { path: path.to_owned() };
    }
    let component = path.split('/').find(|component| !is_path(component)).unwrap_or(path);
    Error::Component { component: component.to_owned() }
}
