//! Manifests and indexes, as far as their platforms go.

use imageref::{Algorithm, Digest};
use serde::Deserialize;
use sha2::{Sha256, Sha512};

use crate::tag::Platform;

/// What may be answered when a manifest is asked for.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// An index with more platforms than this is none of an image.
const MAX_PLATFORMS: usize = 200;

/// What a digest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub media_type: String,
    pub platforms: Vec<Platform>,
}

/// A manifest or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Document {
    /// An index, with what it holds.
    Index(Contents),
    /// A manifest, whose configuration names its platform.
    Manifest { media_type: String, config: Option<Digest> },
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    size: i64,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// Reads a manifest or index. The media type of the answer counts before the one in the body.
///
/// # Errors
///
/// A sentence that says what is wrong with it.
pub(super) fn read(body: &[u8], content_type: &str) -> Result<Document, String> {
    let raw: Raw = serde_json::from_slice(body)
        .map_err(|error| format!("it sent a manifest that cannot be read ({error})"))?;
    let media_type = match content_type {
        "" | "application/json" | "application/octet-stream" | "text/plain" => raw.media_type,
        said => said.to_owned(),
    };
    if let Some(manifests) = raw.manifests {
        let platforms = platforms(manifests)?;
        return Ok(Document::Index(Contents { media_type, platforms }));
    }
    let config = raw.config.and_then(|config| Digest::parse(&config.digest).ok());
    Ok(Document::Manifest { media_type, config })
}

/// Reads the platform out of an image's configuration; `None` = it names none.
pub(super) fn platform_of_config(
    config: &[u8],
    manifest: &Digest,
    manifest_bytes: usize,
) -> Option<Platform> {
    let raw: RawPlatform = serde_json::from_slice(config).ok()?;
    is_platform(&raw).then(|| Platform {
        os: raw.os,
        architecture: raw.architecture,
        variant: raw.variant,
        digest: manifest.to_string(),
        size_bytes: i64::try_from(manifest_bytes).unwrap_or(0),
    })
}

/// The digest that bytes have, by the algorithm of another one.
pub(super) fn digest_like(other: Algorithm, bytes: &[u8]) -> Digest {
    use sha2::Digest as _;

    let hex = match other {
        Algorithm::Sha256 => hex::encode(Sha256::digest(bytes)),
        Algorithm::Sha512 => hex::encode(Sha512::digest(bytes)),
    };
    Digest::parse(&format!("{}:{hex}", other.name())).expect("a hash in hex is a digest")
}

fn platforms(manifests: Vec<Descriptor>) -> Result<Vec<Platform>, String> {
    let mut platforms = Vec::new();
    for descriptor in manifests {
        // What is attached to an image (attestations, signatures) names no platform.
        let Some(raw) = descriptor.platform.filter(is_platform) else { continue };
        let digest = Digest::parse(&descriptor.digest)
            .map_err(|_| "its index names something that is no digest".to_owned())?;
        platforms.push(Platform {
            os: raw.os,
            architecture: raw.architecture,
            variant: raw.variant,
            digest: digest.to_string(),
            size_bytes: descriptor.size.max(0),
        });
    }
    if platforms.len() > MAX_PLATFORMS {
        return Err(format!("its index holds {} platforms", platforms.len()));
    }
    Ok(platforms)
}

fn is_platform(platform: &RawPlatform) -> bool {
    let is_word = |word: &str| {
        !matches!(word, "" | "unknown")
            && word.len() <= 64
            && word.chars().all(|c| c.is_ascii_graphic())
    };
    is_word(&platform.os)
        && is_word(&platform.architecture)
        && (platform.variant.is_empty() || is_word(&platform.variant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn index(manifests: &serde_json::Value) -> Result<Document, String> {
        let body = serde_json::json!({"schemaVersion": 2, "manifests": manifests});
        read(body.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json")
    }

    #[test]
    fn an_index_gives_its_platforms_without_attestations() {
        let manifests = serde_json::json!([
            {"digest": format!("sha256:{HEX}"), "size": 7,
             "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
            {"digest": format!("sha256:{HEX}"), "size": 7,
             "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": "not looked at", "size": 7},
        ]);
        let Ok(Document::Index(contents)) = index(&manifests) else { panic!("an index") };
        assert_eq!(contents.media_type, "application/vnd.oci.image.index.v1+json");
        assert_eq!(
            contents.platforms,
            [Platform {
                os: "linux".to_owned(),
                architecture: "arm".to_owned(),
                variant: "v7".to_owned(),
                digest: format!("sha256:{HEX}"),
                size_bytes: 7,
            }]
        );
    }

    #[test]
    fn a_broken_index_is_refused() {
        let platform = serde_json::json!({"os": "linux", "architecture": "amd64"});
        let broken = serde_json::json!([{"digest": "sha256:abc", "platform": platform}]);
        assert!(index(&broken).is_err());
        let entry = serde_json::json!({"digest": format!("sha256:{HEX}"), "platform": platform});
        assert!(index(&serde_json::Value::from(vec![entry; 201])).is_err());
        assert!(read(b"{\"manifests\": ", "").is_err());
        assert!(read(b"[]", "").is_err());
    }

    #[test]
    fn the_media_type_of_the_answer_counts_before_the_bodys() {
        let body = br#"{"mediaType": "application/vnd.oci.image.manifest.v1+json"}"#;
        let media_type = |content_type| match read(body, content_type) {
            Ok(Document::Manifest { media_type, config: None }) => media_type,
            other => panic!("{other:?}"),
        };
        assert_eq!(media_type("application/json"), "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(media_type("application/x"), "application/x");
    }

    #[test]
    fn a_configuration_names_its_platform() {
        let manifest = digest_like(Algorithm::Sha256, b"test");
        assert_eq!(manifest.hex(), HEX);
        let config = br#"{"os": "linux", "architecture": "arm64", "variant": "v8", "rootfs": {}}"#;
        let platform = platform_of_config(config, &manifest, 42).unwrap();
        assert_eq!((platform.architecture.as_str(), platform.size_bytes), ("arm64", 42));
        assert_eq!(platform_of_config(b"{}", &manifest, 42), None);
        assert_eq!(digest_like(Algorithm::Sha512, b"test").hex().len(), 128);
    }
}
