//! Which registries a thing speaks for.

use std::fmt;

use crate::text::as_text;
use crate::{Error, Host};

/// Any host (`*`), or one by name in any spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This host.
    Only(Host),
}

impl HostPattern {
    /// Reads `*` or a host.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "*" => Ok(Self::Any),
            host => Host::parse(host).map(Self::Only),
        }
    }

    /// Says whether a host, in canonical spelling, is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only.as_str() == host,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.pad("*"),
            Self::Only(host) => host.fmt(f),
        }
    }
}

as_text!(HostPattern, Error);
