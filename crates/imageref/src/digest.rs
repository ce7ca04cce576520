//! Content digests.

use std::fmt;

use crate::Error;
use crate::grammar::is_lower_hex;
use crate::text::as_text;

/// A digest: an algorithm and its hexadecimal value, such as `sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    text: String,
    algorithm: Algorithm,
}

impl Digest {
    /// Reads a digest. Only whole, lower-case ones of a known algorithm are accepted.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let algorithm = check(text).map_err(|error| Error::of_whole(text).unwrap_or(error))?;
        Ok(Self { text: text.to_owned(), algorithm })
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the hexadecimal value.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

as_text!(Digest, Error);

/// The algorithm of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, what nearly every image has.
    Sha256,
    /// SHA-512, which the image specification allows too.
    Sha512,
}

impl Algorithm {
    /// Returns the name as it stands in a digest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns how many hexadecimal digits a value has.
    pub fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// Checks a digest in place.
pub(crate) fn check(text: &str) -> Result<Algorithm, Error> {
    let malformed = || Error::Digest { digest: text.to_owned() };
    let (name, hex) = text.split_once(':').ok_or_else(malformed)?;
    let algorithm = match name {
        "sha256" => Algorithm::Sha256,
        "sha512" => Algorithm::Sha512,
        "" => return Err(malformed()),
        _ => return Err(Error::Algorithm { algorithm: name.to_owned() }),
    };
    if !is_lower_hex(hex) {
        return Err(malformed());
    }
    let (wanted, length) = (algorithm.digits(), hex.len());
    if length != wanted {
        return Err(Error::DigestLength { algorithm: algorithm.name(), wanted, length });
    }
    Ok(algorithm)
}
