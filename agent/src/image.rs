//! An image as a target names it.

use imageref::Digest;
use serde::{Deserialize, Serialize};

/// A reference, and what it stands for: a digest, or a release where none is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The canonical reference with tag.
    pub reference: String,
    /// The digest; empty = not pinned, go by reference and release.
    pub digest: String,
    /// The release, where nothing is pinned.
    pub release_id: String,
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The reference cannot be read.
    #[error("`{0}` is no image reference: {1}")]
    Reference(String, imageref::Error),
    /// The digest cannot be read.
    #[error("`{0}` is no digest: {1}")]
    Digest(String, imageref::Error),
}

impl Image {
    /// Reads an image out of a message.
    ///
    /// # Errors
    ///
    /// When the reference or the digest is none.
    pub fn parse(reference: &str, digest: &str, release_id: &str) -> Result<Self, ImageError> {
        imageref::canonical(reference)
            .map_err(|error| ImageError::Reference(reference.to_owned(), error))?;
        if !digest.is_empty() {
            Digest::parse(digest).map_err(|error| ImageError::Digest(digest.to_owned(), error))?;
        }
        Ok(Self {
            reference: reference.to_owned(),
            digest: digest.to_owned(),
            release_id: release_id.to_owned(),
        })
    }

    /// What makes two images the same: the digest, else reference and release.
    #[must_use]
    pub fn identity(&self) -> String {
        if self.digest.is_empty() {
            return format!("{}@{}", self.reference, self.release_id);
        }
        self.digest.clone()
    }

    /// Says whether both stand for the same content.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.digest.as_str(), other.digest.as_str()) {
            ("", "") => self.reference == other.reference && self.release_id == other.release_id,
            (one, other) => one == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_image_is_its_digest_and_an_unpinned_one_its_release() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned = Image::parse("docker.io/library/redis:7", &digest, "").unwrap();
        let moved = Image::parse("docker.io/library/redis:7.2", &digest, "").unwrap();
        assert!(pinned.is_same(&moved));
        let first = Image::parse("docker.io/library/redis:7", "", "r1").unwrap();
        let again = Image::parse("docker.io/library/redis:7", "", "r2").unwrap();
        assert!(!first.is_same(&again) && !first.is_same(&pinned));
        assert_ne!(first.identity(), again.identity());
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(Image::parse("Not An Image", "", "").is_err());
        assert!(Image::parse("docker.io/library/redis:7", "sha256:12", "").is_err());
    }
}
