//! The vendors whose webhooks are understood: one line each in [`VENDORS`].
//!
//! A further vendor is a parser under `parse/`, a line here, a value of `Vendor` in the proto, and
//! its fixtures under `tests/fixtures`.

use std::fmt;

use proto::approval::v1 as pb;
use serde_json::Value;

use crate::headers::Headers;
use crate::parse::{self, Parsed};

/// How a vendor shows that a request is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// It signs nothing: the secret is the token in the URL.
    UrlToken,
    /// HMAC-SHA256 over the raw bytes in `X-Hub-Signature-256`.
    HubSignature,
}

/// How refused pushes are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum ResponseMode {
    /// 403 and 404.
    Strict,
    /// 200 and 202.
    Ack,
}

/// What is particular to a vendor.
struct Line {
    vendor: pb::Vendor,
    /// As stored and as the REST API writes it.
    word: &'static str,
    parser: fn(&Headers, &Value) -> Parsed,
    scheme: Scheme,
    response_mode: ResponseMode,
    /// The hosts that its receivers speak for when they name none.
    hosts: &'static [&'static str],
}

#[rustfmt::skip]
static VENDORS: &[Line] = &[
    Line { vendor: pb::Vendor::Generic, word: "generic", parser: parse::generic::parse, scheme: Scheme::HubSignature, response_mode: ResponseMode::Strict, hosts: &["docker.io", "ghcr.io"] },
    Line { vendor: pb::Vendor::Dockerhub, word: "dockerhub", parser: parse::dockerhub::parse, scheme: Scheme::UrlToken, response_mode: ResponseMode::Strict, hosts: &["docker.io"] },
    Line { vendor: pb::Vendor::Github, word: "github", parser: parse::github::parse, scheme: Scheme::HubSignature, response_mode: ResponseMode::Strict, hosts: &["ghcr.io"] },
];

/// A vendor that the program knows.
#[derive(Clone, Copy)]
pub(crate) struct Vendor(&'static Line);

impl Vendor {
    /// The vendor that the proto names.
    pub(crate) fn from_pb(vendor: pb::Vendor) -> Option<Self> {
        VENDORS.iter().find(|line| line.vendor == vendor).map(Self)
    }

    /// The vendor that a stored word names.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        VENDORS.iter().find(|line| line.word == word).map(Self)
    }

    /// All of them.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        VENDORS.iter().map(|line| line.word)
    }

    pub(crate) fn to_pb(self) -> pb::Vendor {
        self.0.vendor
    }

    pub(crate) fn word(self) -> &'static str {
        self.0.word
    }

    pub(crate) fn scheme(self) -> Scheme {
        self.0.scheme
    }

    pub(crate) fn response_mode(self) -> ResponseMode {
        self.0.response_mode
    }

    pub(crate) fn hosts(self) -> &'static [&'static str] {
        self.0.hosts
    }

    /// Reads a body that is JSON.
    pub(crate) fn parse(self, headers: &Headers, body: &Value) -> Parsed {
        (self.0.parser)(headers, body)
    }
}

impl PartialEq for Vendor {
    fn eq(&self, other: &Self) -> bool {
        self.word() == other.word()
    }
}

impl Eq for Vendor {}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_of_the_proto_has_its_line() {
        for number in 1.. {
            let Ok(vendor) = pb::Vendor::try_from(number) else { break };
            let known = Vendor::from_pb(vendor).unwrap_or_else(|| panic!("{vendor:?} has no line"));
            assert_eq!(Vendor::from_word(known.word()), Some(known));
            assert_eq!(known.to_pb(), vendor);
        }
        assert_eq!(Vendor::from_pb(pb::Vendor::Unspecified), None);
    }
}
