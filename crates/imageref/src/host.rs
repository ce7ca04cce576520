//! Registry hosts.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use crate::Error;
use crate::grammar::{host_and_port, looks_like_host};
use crate::text::as_text;

/// The canonical host of Docker Hub.
pub const DOCKER_HUB: &str = "docker.io";

/// Other hosts under which Docker Hub serves the same images.
const DOCKER_HUB_ALIASES: [&str; 4] =
    ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"];

/// The port that registries have when none is given.
const DEFAULT_PORT: u16 = 443;

/// The longest name that DNS knows.
const MAX_NAME: usize = 253;

/// A registry host in its one spelling: lower case, no `:443`, Docker Hub as `docker.io`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// Reads a host with or without port and brings it into its one spelling.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let host = normalise(text).map_err(|error| Error::of_whole(text).unwrap_or(error))?;
        Ok(Self(host.into_owned()))
    }

    /// Returns Docker Hub.
    pub fn docker_hub() -> Self {
        Self(DOCKER_HUB.to_owned())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(Host, Error);

fn normalise(text: &str) -> Result<Cow<'_, str>, Error> {
    if text == DOCKER_HUB {
        return Ok(Cow::Borrowed(DOCKER_HUB));
    }
    let malformed = || Error::Host { host: text.to_owned() };
    let (name, port) = host_and_port(text).ok_or_else(malformed)?;
    if name.len() > MAX_NAME {
        return Err(malformed());
    }
    let name = match name.strip_prefix('[') {
        Some(_) => normalise_address(name)?,
        None => name.to_ascii_lowercase(),
    };
    match port.map(parse_port).transpose()? {
        // Without its port a single label would read back as an owner on Docker Hub.
        Some(DEFAULT_PORT) if !looks_like_host(&name) => {
            Ok(Cow::Owned(format!("{name}:{DEFAULT_PORT}")))
        }
        Some(DEFAULT_PORT) | None if DOCKER_HUB_ALIASES.contains(&name.as_str()) => {
            Ok(Cow::Borrowed(DOCKER_HUB))
        }
        Some(DEFAULT_PORT) => Ok(Cow::Owned(name)),
        Some(port) => Ok(Cow::Owned(format!("{name}:{port}"))),
        None if looks_like_host(&name) => Ok(Cow::Owned(name)),
        None => Err(Error::UnqualifiedHost { host: text.to_owned() }),
    }
}

fn normalise_address(bracketed: &str) -> Result<String, Error> {
    let host = || bracketed.to_owned();
    let inner = bracketed.trim_start_matches('[').trim_end_matches(']');
    let address: Ipv6Addr = inner.parse().map_err(|_| Error::Host { host: host() })?;
    // One machine must not have two names, and the grammar has no dots within brackets.
    if address.to_ipv4_mapped().is_some() {
        return Err(Error::MappedAddress { host: host() });
    }
    Ok(format!("[{address}]"))
}

fn parse_port(digits: &str) -> Result<u16, Error> {
    match digits.parse::<u16>() {
        Ok(0) | Err(_) => Err(Error::Port { port: digits.to_owned() }),
        Ok(port) => Ok(port),
    }
}
