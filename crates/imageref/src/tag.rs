//! Tags.

use std::fmt;

use crate::Error;
use crate::grammar::is_tag;
use crate::text::as_text;

/// A tag: the movable name of a version, such as `7-alpine`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Reads a tag.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if is_tag(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::of_whole(text).unwrap_or_else(|| Error::Tag { tag: text.to_owned() }))
    }

    /// Returns the tag that engines mean when none is given.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(Tag, Error);
