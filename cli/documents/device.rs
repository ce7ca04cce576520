//! Devices and fleets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::Check;
use crate::images::familiar;
use crate::output::Token;
use crate::output::words::{self, Word};

/// A device.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Its name, unique in its fleet.
    pub name: String,
    /// Its fleet.
    pub fleet: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is.
    pub platform: Option<Platform>,
    /// Its agent's version.
    pub agent_version: String,
    /// Whether it is connected.
    pub online: bool,
    /// When it was last heard.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// What it should run.
    pub target: Target,
    /// The generation that it last reported.
    pub reported_generation: i64,
    /// What it runs.
    pub services: Vec<Report>,
    /// Whether it runs what it should.
    pub in_sync: bool,
    /// Whether rollouts leave it out.
    pub pinned: bool,
    /// Why.
    pub pin_reason: String,
    /// Whether its credentials were ended.
    pub revoked: bool,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
}

/// What a device is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: String,
}

/// What a device should run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Target {
    /// Counts the changes.
    pub generation: i64,
    /// Changes with what is to run.
    pub etag: String,
    /// The services.
    pub services: Vec<Service>,
}

/// One service that should run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its image, with tag.
    pub image: String,
    /// The digest.
    pub digest: String,
    /// The container's configuration.
    pub config: Value,
    /// The update that is under way for it.
    pub rollout: Option<Update>,
}

/// An update that is under way.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Update {
    /// The rollout.
    pub id: String,
    /// Which try this is.
    pub attempt: u64,
}

/// One service as the device reports it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// The digest that it runs.
    pub digest: String,
    /// Where it stands.
    pub phase: String,
    /// Whether it is healthy.
    pub healthy: bool,
    /// Why: the constant.
    pub reason: String,
    /// What the device says.
    pub message: String,
}

/// Whether a device runs what it should, and what is in the way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Explained {
    /// The device.
    pub device: Device,
    /// What was asked, in order.
    pub checks: Vec<Check>,
    /// What is in the way, in a sentence.
    pub blocked_by: String,
}

/// A group of devices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Fleet {
    /// Its name.
    pub name: String,
    /// How many devices.
    pub device_count: u64,
    /// How many are connected.
    pub online_count: u64,
    /// How many run what they should.
    pub in_sync_count: u64,
    /// What its devices run when they have no target of their own.
    pub template: Vec<Service>,
}

impl Device {
    /// How it stands, in a word.
    pub fn word(&self) -> Word {
        let known = |word: &'static str, token| (word.into(), token);
        match self {
            Self { revoked: true, .. } => known("revoked", Token::Bad),
            Self { last_seen_at: None, online: false, .. } => known("never seen", Token::Wait),
            Self { online: false, .. } => known("offline", Token::Off),
            Self { in_sync: true, .. } => known("good", Token::Good),
            Self { target: Target { generation: 0, .. }, .. } => known("no target", Token::Wait),
            device if device.services.iter().any(Report::is_failing) => {
                known("failing", Token::Bad)
            }
            _ => known("changing", Token::Move),
        }
    }

    /// What it reports of a service.
    pub fn report(&self, name: &str) -> Option<&Report> {
        self.services.iter().find(|report| report.name == name)
    }
}

impl Platform {
    /// `linux/arm64/v8`.
    pub fn shown(&self) -> String {
        let parts = [&self.os, &self.architecture, &self.variant];
        let parts: Vec<_> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join("/")
    }
}

impl Service {
    /// Whether both run the same under the same name.
    pub fn is_as(&self, other: &Self) -> bool {
        self.name == other.name && self.image == other.image && self.digest == other.digest
    }

    /// The image as people write it.
    pub fn familiar(&self) -> String {
        familiar(&self.image)
    }
}

impl Report {
    /// Where it stands, in a word.
    pub fn word(&self) -> Word {
        words::phase(&self.phase, self.healthy)
    }

    /// Whether something is wrong with it.
    pub fn is_failing(&self) -> bool {
        self.word().1 == Token::Bad
    }

    /// The image as people write it.
    pub fn familiar(&self) -> String {
        familiar(&self.image)
    }

    /// Why, for people.
    pub fn why(&self) -> String {
        match (self.message.as_str(), self.reason.as_str()) {
            ("", reason) => reason.to_lowercase().replace('_', " "),
            (message, _) => message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_is_told_by_what_matters_most() {
        let seen = "2026-11-21T09:00:00Z";
        let report = |phase| json!([{"name": "a", "phase": phase, "healthy": false}]);
        for (device, word) in [
            (json!({"revoked": true, "online": true, "in_sync": true}), "revoked"),
            (json!({"online": false}), "never seen"),
            (json!({"online": false, "last_seen_at": seen, "in_sync": true}), "offline"),
            (json!({"online": true, "in_sync": true}), "good"),
            (json!({"online": true}), "no target"),
            (json!({"online": true, "target": {"generation": 1}}), "changing"),
            (
                json!({"online": true, "target": {"generation": 1}, "services": report("failed")}),
                "failing",
            ),
        ] {
            let told = serde_json::from_value::<Device>(device.clone()).unwrap();
            assert_eq!(told.word().0, word, "{device}");
        }
    }
}
