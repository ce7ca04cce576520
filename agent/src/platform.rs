//! What a device is, and which images it can run.

use std::fmt;

use proto::rollout::v1 as pb;
use serde::{Deserialize, Serialize};

/// An operating system and a processor, named as images name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, for instance `linux`.
    pub os: String,
    /// Processor, for instance `arm64`.
    pub architecture: String,
    /// Processor variant, for instance `v7`; empty = none.
    pub variant: String,
}

impl Platform {
    /// A platform without a variant.
    #[must_use]
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: String::new() }
    }

    /// The platform that this program was built for.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "aarch64" => ("arm64", ""),
            "x86" => ("386", ""),
            "arm" => ("arm", "v7"),
            other => (other, ""),
        };
        let mut platform = Self::new(std::env::consts::OS, architecture);
        variant.clone_into(&mut platform.variant);
        platform
    }

    /// Says whether a device of this platform runs an image of that one. A processor runs what was
    /// made for older variants of it.
    #[must_use]
    pub fn runs(&self, image: &Self) -> bool {
        self.os == image.os
            && self.architecture == image.architecture
            && (self.variant.is_empty() || image.variant <= self.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

impl From<Platform> for pb::DevicePlatform {
    fn from(platform: Platform) -> Self {
        Self { os: platform.os, architecture: platform.architecture, variant: platform.variant }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_runs_its_own_architecture_and_older_variants() {
        let v7 = Platform { variant: "v7".to_owned(), ..Platform::new("linux", "arm") };
        let v6 = Platform { variant: "v6".to_owned(), ..Platform::new("linux", "arm") };
        assert!(v7.runs(&v6) && !v6.runs(&v7));
        assert!(v7.runs(&Platform::new("linux", "arm")));
        assert!(!v7.runs(&Platform::new("linux", "arm64")));
        assert_eq!(v7.to_string(), "linux/arm/v7");
    }
}
