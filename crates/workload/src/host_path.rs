//! Paths, on the device and within a container.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::violation::show;

/// An absolute path with one spelling: no `.`, no `..`, no empty component, no `/` at the end.
///
/// It says nothing about symbolic links: who opens it must.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPath(String);

/// The text is no path in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is not an absolute path in its plain form; write it from `/`, without `.`, `..`, `//` or a \
     `/` at the end",
    show(.0)
)]
pub struct HostPathError(String);

impl HostPath {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, HostPathError> {
        let plain = |rest: &str| rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
        match text.strip_prefix('/') {
            Some(rest) if rest.is_empty() || plain(rest) => {
                if text.chars().any(char::is_control) {
                    return Err(HostPathError(text.to_owned()));
                }
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(HostPathError(text.to_owned())),
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// Says whether the path is `other` or lies below it.
    pub fn is_within(&self, other: &HostPath) -> bool {
        other.is_root()
            || self
                .0
                .strip_prefix(other.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Says whether an engine's socket lies at the path or below it.
    ///
    /// Whoever holds such a socket is root on the device.
    pub fn reaches_engine_socket(&self) -> bool {
        let name = self.0.rsplit('/').next().unwrap_or_default();
        if ENGINE_SOCKETS.contains(&name) {
            return true;
        }
        // `/var/run` is `/run` by another name.
        let run = match self.0.strip_prefix("/var") {
            Some(rest) if rest == "/run" || rest.starts_with("/run/") => rest,
            Some(_) | None => &self.0,
        };
        let parts: Vec<&str> = run.split('/').filter(|part| !part.is_empty()).collect();
        matches!(
            parts.as_slice(),
            [] | ["var" | "run"]
                | ["run", "docker" | "podman" | "containerd" | "crio" | "user"]
                | ["run", "user", _]
                | ["run", "user", _, "docker" | "podman" | "containerd"]
        )
    }
}

const ENGINE_SOCKETS: [&str; 4] = ["docker.sock", "podman.sock", "containerd.sock", "crio.sock"];

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
