//! Namespaces: all repositories below one path of one host.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::parse::check_path;
use crate::{Error, Host, Repository};

/// A part of a registry, such as `iotistic` on `docker.io`: every repository below it.
///
/// Serialised as an object with `host` and `namespace`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Namespace {
    host: Host,
    path: String,
}

impl Namespace {
    /// Makes a namespace of a host, in any spelling, and a path without `/` at its ends.
    pub fn new(host: &str, path: &str) -> Result<Self, Error> {
        let host = Host::parse(host)?;
        check_path(path, 0).map_err(|error| Error::of_whole(path).unwrap_or(error))?;
        Ok(Self { host, path: path.to_owned() })
    }

    /// Returns the host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Says whether a repository lies below.
    pub fn contains(&self, repository: &Repository) -> bool {
        repository.in_namespace(self.host.as_str(), &self.path)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    host: String,
    namespace: String,
}

impl TryFrom<Parts> for Namespace {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self, Error> {
        Self::new(&parts.host, &parts.namespace)
    }
}

impl From<Namespace> for Parts {
    fn from(namespace: Namespace) -> Self {
        Self { host: namespace.host.to_string(), namespace: namespace.path }
    }
}
