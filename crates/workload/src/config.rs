//! The configuration of one service.

use crate::{Container, DevicePolicy, Violation, canonical_json, parse_json, policy};

/// The schema that this version reads.
pub const SCHEMA: i64 = 1;

/// The longest configuration.
pub const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// A configuration that was checked: what was given, and what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    canonical: String,
    container: Container,
}

impl Config {
    /// Reads a configuration and lists everything that is wrong with it. An empty text is `{}`.
    ///
    /// What only some devices allow is accepted here; [`Config::allowed_by`] is the device's check.
    pub fn parse(json: &str) -> Result<Self, Vec<Violation>> {
        if json.len() > MAX_CONFIG_BYTES {
            let message = format!(
                "the configuration has {} bytes; use at most {MAX_CONFIG_BYTES}",
                json.len()
            );
            return Err(vec![Violation::new("", message)]);
        }
        let value = parse_json(if json.is_empty() { "{}" } else { json })?;
        let container = Container::check(&value)?;
        Ok(Self { canonical: canonical_json(&value), container })
    }

    /// Returns what the configuration means, defaults filled in.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Returns the configuration as given, defaults not filled in, in canonical JSON.
    pub fn canonical_json(&self) -> &str {
        &self.canonical
    }

    /// Lists what the configuration asks for beyond a device's policy.
    pub fn allowed_by(&self, policy: &DevicePolicy) -> Result<(), Vec<Violation>> {
        let violations = policy::beyond(&self.container, policy);
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }
}
