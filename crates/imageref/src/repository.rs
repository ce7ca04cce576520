//! Repositories: what an image is called, whatever its version.

use std::fmt;

use crate::grammar::{is_identifier, looks_like_host};
use crate::host::DOCKER_HUB;
use crate::parse::{LIBRARY, Parsed, check_path, parse, short_path};
use crate::text::as_text;
use crate::{Error, Host};

/// A repository in its one spelling: a host and a path, such as `docker.io/library/redis`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    text: String,
    host_length: usize,
}

impl Repository {
    /// Reads a repository in any spelling; a tag or digest is refused.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = parse(text)?;
        refuse_version(text, &parsed)?;
        Self::from_parsed(&parsed)
    }

    /// Puts a repository together from the fields of a request.
    ///
    /// Without `registry` the name is read as [`Repository::parse`] does, or as Docker Hub's when
    /// there is a `namespace`. The name may have components of its own (`grafana/grafana`) and may
    /// repeat the namespace or the registry, but not contradict the registry. Empty fields count as
    /// absent.
    pub fn from_parts(
        registry: Option<&str>,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Self, Error> {
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        let host = match registry.filter(|registry| !registry.is_empty()) {
            Some(registry) => Host::parse(registry)?,
            None if namespace.is_none() => return Self::parse(name),
            None => Host::docker_hub(),
        };
        let path = match namespace {
            Some(namespace) => below(namespace, name),
            None => without_host(&host, name)?.to_owned(),
        };
        Self::join(&host, &path).map_err(|error| {
            let whole = [namespace.unwrap_or(name), name];
            whole.into_iter().find_map(Error::of_whole).unwrap_or(error)
        })
    }

    pub(crate) fn from_parsed(parsed: &Parsed<'_>) -> Result<Self, Error> {
        if parsed.host().is_empty() {
            let (first, _) = parsed.raw_path().split_once('/').unwrap_or_default();
            return Err(Error::Host { host: first.to_owned() });
        }
        Self::join(&Host::parse(parsed.host())?, parsed.raw_path())
    }

    fn join(host: &Host, path: &str) -> Result<Self, Error> {
        if path.contains('@') {
            return Err(Error::DigestNotWanted { text: path.to_owned() });
        }
        if path.contains(':') {
            return Err(Error::TagNotWanted { text: path.to_owned() });
        }
        let library = if host.as_str() == DOCKER_HUB && !path.contains('/') { LIBRARY } else { "" };
        check_path(path, library.len())?;
        Ok(Self { text: format!("{host}/{library}{path}"), host_length: host.as_str().len() })
    }

    /// Returns the canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the registry's host.
    pub fn registry(&self) -> &str {
        &self.text[..self.host_length]
    }

    /// Returns the path below the host.
    pub fn path(&self) -> &str {
        &self.text[self.host_length + 1..]
    }

    /// Returns the path without its last component; `None` = there is only one.
    pub fn namespace(&self) -> Option<&str> {
        self.path().rsplit_once('/').map(|(namespace, _)| namespace)
    }

    /// Returns the last component of the path.
    pub fn name(&self) -> &str {
        self.path().rsplit_once('/').map_or(self.path(), |(_, name)| name)
    }

    /// Returns the shortest text that people write and that reads back as this repository.
    pub fn familiar(&self) -> &str {
        if self.registry() != DOCKER_HUB {
            return &self.text;
        }
        let short = short_path(self.path());
        match short.split_once('/') {
            None if is_identifier(short) => self.path(),
            Some((first, _)) if looks_like_host(first) => &self.text,
            Some(_) | None => short,
        }
    }

    /// Returns the path as Docker Hub shows it, without `library/`; elsewhere the path.
    pub(crate) fn short_path(&self) -> &str {
        if self.registry() == DOCKER_HUB { short_path(self.path()) } else { self.path() }
    }

    /// Says whether the repository lies below a path of a host, both in canonical spelling.
    ///
    /// Whole components count: `iotistic` holds `iotistic/agent`, not `iotistic-evil/agent`.
    pub fn in_namespace(&self, host: &str, namespace: &str) -> bool {
        self.registry() == host
            && !namespace.is_empty()
            && self.path().strip_prefix(namespace).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

as_text!(Repository, Error);

fn refuse_version(text: &str, parsed: &Parsed<'_>) -> Result<(), Error> {
    if parsed.digest().is_some() {
        return Err(Error::DigestNotWanted { text: text.to_owned() });
    }
    if parsed.tag().is_some() {
        return Err(Error::TagNotWanted { text: text.to_owned() });
    }
    Ok(())
}

fn below(namespace: &str, name: &str) -> String {
    match name.strip_prefix(namespace) {
        Some(rest) if rest.starts_with('/') => name.to_owned(),
        Some(_) | None => format!("{namespace}/{name}"),
    }
}

fn without_host<'a>(host: &Host, name: &'a str) -> Result<&'a str, Error> {
    let Some((first, rest)) = name.split_once('/') else { return Ok(name) };
    if !looks_like_host(first) {
        return Ok(name);
    }
    let in_name = Host::parse(first)?;
    if in_name == *host {
        return Ok(rest);
    }
    Err(Error::TwoHosts { in_name: in_name.to_string(), given: host.to_string() })
}
