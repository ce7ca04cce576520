//! What a container was made from, as one hash.

use sha2::{Digest, Sha256};

use crate::{Config, SCHEMA};

/// Returns the hex SHA-256 over schema, image and configuration: the label `slipway.spec`.
///
/// `image` is the platform's digest, or the id of the release where nothing is pinned. The
/// configuration counts as given. A container whose hash is the wanted one is left alone, so a
/// version that computes another hash for the same input would recreate every container of every
/// device: the hashes in the tests are frozen.
pub fn spec_hash(image: &str, config: &Config) -> String {
    // Canonical JSON has no raw line break, so the parts cannot run into each other.
    hex::encode(Sha256::digest(format!("{SCHEMA}\n{image}\n{}", config.canonical_json())))
}
