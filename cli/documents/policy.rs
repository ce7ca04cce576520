//! Policies, and what they would do.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::output::{text, time};

/// A rule that turns a push into a rollout.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// What it is called; may be empty.
    pub name: String,
    /// Higher ones are asked first.
    pub priority: i64,
    /// Which images.
    pub image_pattern: String,
    /// How rollouts go forward.
    pub update_strategy: String,
    /// False = it matches nothing.
    pub enabled: bool,
    device_selector: Option<Selector>,
    batches: Vec<Batch>,
    batch_size: Option<u64>,
    batch_delay_minutes: Option<f64>,
    max_in_flight: Value,
    max_failure_ratio: Option<f64>,
    max_failures: Option<u64>,
    max_consecutive: Option<u64>,
    on_failure: String,
    soak_device_seconds: Option<u64>,
    /// When a scheduled rollout starts.
    pub start_at: Option<DateTime<Utc>>,
    /// Counts the changes.
    pub revision: u64,
    /// When it last changed.
    pub updated_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Selector {
    fleet: String,
    labels: BTreeMap<String, String>,
    ids: Vec<String>,
    exclude: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Batch {
    percent: Option<f64>,
    count: Option<u64>,
    soak_seconds: Option<u64>,
    gate: String,
}

/// What a policy would do with an image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Preview {
    /// How many devices would be updated.
    pub devices: u64,
    /// In which steps.
    pub batches: Vec<PreviewBatch>,
    /// Who is selected and left out; the first of them.
    pub excluded: Vec<Excluded>,
    /// How many are left out.
    pub excluded_count: u64,
}

/// A step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PreviewBatch {
    /// From 1.
    pub number: u64,
    /// How many devices.
    pub size: u64,
    devices: Vec<Named>,
}

/// A device that is left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Excluded {
    device: Named,
    /// Why: the constant.
    pub reason: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

impl Policy {
    /// What it is called, or its pattern.
    pub fn title(&self) -> &str {
        if self.name.is_empty() { &self.image_pattern } else { &self.name }
    }

    /// Which devices, for people.
    pub fn devices(&self) -> String {
        let Some(selector) = &self.device_selector else { return "the whole fleet".to_owned() };
        let mut parts = Vec::new();
        if !selector.fleet.is_empty() {
            parts.push(format!("fleet {}", selector.fleet));
        }
        parts.extend(selector.labels.iter().map(|(name, value)| format!("{name}={value}")));
        if !selector.ids.is_empty() {
            parts.push(format!("{} by id", text::count(selector.ids.len() as u64, "device")));
        }
        if !selector.exclude.is_empty() {
            parts.push(format!("without {}", selector.exclude.len()));
        }
        parts.join(", ")
    }

    /// Its steps, for people.
    pub fn steps(&self) -> String {
        if self.update_strategy == "auto" {
            return "all at once".to_owned();
        }
        if let Some(size) = self.batch_size {
            return format!("{} each", text::count(size, "device"));
        }
        if self.batches.is_empty() {
            return "10 %, 50 %, 100 %".to_owned();
        }
        let delay = self.delay();
        let step = |batch: &Batch| {
            let size = match (batch.percent, batch.count) {
                (Some(percent), _) => format!("{percent} %"),
                (None, Some(count)) => text::count(count, "device"),
                (None, None) => "?".to_owned(),
            };
            let soak = match batch.soak_seconds.map(time::seconds) {
                Some(soak) if Some(&soak) != delay.as_ref() => format!(" watched {soak}"),
                Some(_) | None => String::new(),
            };
            let gate = if batch.gate == "manual" { " then asks you" } else { "" };
            format!("{size}{soak}{gate}")
        };
        self.batches.iter().map(step).collect::<Vec<_>>().join(", ")
    }

    /// How long a complete step is watched.
    pub fn delay(&self) -> Option<String> {
        let minutes = self.batch_delay_minutes?;
        Some(time::seconds((minutes * 60.0).round() as u64))
    }

    /// What stops a rollout, and what then happens.
    pub fn stops(&self) -> String {
        let mut parts = Vec::new();
        if let Some(ratio) = self.max_failure_ratio {
            parts.push(format!("more than {} % failed", (ratio * 1_000.0).round() / 10.0));
        }
        if let Some(failures) = self.max_failures {
            parts.push(format!("{} failed", text::count(failures, "device")));
        }
        if let Some(row) = self.max_consecutive.filter(|row| *row > 0) {
            parts.push(format!("{row} in a row"));
        }
        let then = match self.on_failure.as_str() {
            "rollback" => "devices go back",
            "pause" => "it pauses",
            "cancel" => "it ends, devices keep what they have",
            other => other,
        };
        format!("{}: then {then}", parts.join(", or "))
    }

    /// How many devices may move at once.
    pub fn at_once(&self) -> String {
        match &self.max_in_flight {
            Value::String(share) => share.clone(),
            Value::Null => String::new(),
            number => number.to_string(),
        }
    }

    /// How long a device must stay healthy.
    pub fn device_soak(&self) -> String {
        self.soak_device_seconds.map(time::seconds).unwrap_or_default()
    }
}

impl PreviewBatch {
    /// The first and the last device, as far as they are told.
    pub fn span(&self) -> String {
        match self.devices.as_slice() {
            [] => String::new(),
            [one] => one.name.clone(),
            [first, .., last] if self.devices.len() as u64 == self.size => {
                format!("{} .. {}", first.name, last.name)
            }
            [first, ..] => format!("{} ..", first.name),
        }
    }
}

impl Excluded {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.device.name
    }

    /// Why, for people.
    pub fn why(&self) -> String {
        match self.reason.as_str() {
            "NO_MATCHING_SERVICE" => "it runs no service of this image".to_owned(),
            "ALREADY_RUNNING" => "it runs this already".to_owned(),
            "PINNED" => "it is pinned".to_owned(),
            "INCOMPATIBLE" => "the image is not made for its processor".to_owned(),
            other => other.to_lowercase().replace('_', " "),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(members: Value) -> Policy {
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn devices_steps_and_stops_read_as_sentences() {
        let staged = policy(json!({
            "update_strategy": "staged", "batch_delay_minutes": 30.0,
            "device_selector": {"fleet": "north", "labels": {"line": "3"}},
            "batches": [{"percent": 10.0, "soak_seconds": 1800}, {"percent": 100.0, "gate": "manual", "soak_seconds": 60}],
            "max_failure_ratio": 0.2, "max_consecutive": 3, "on_failure": "rollback",
        }));
        assert_eq!(staged.devices(), "fleet north, line=3");
        assert_eq!(staged.steps(), "10 %, 100 % watched 60 s then asks you");
        assert_eq!(staged.stops(), "more than 20 % failed, or 3 in a row: then devices go back");
        let auto = policy(json!({"update_strategy": "auto"}));
        assert_eq!(
            (auto.devices(), auto.steps()),
            ("the whole fleet".into(), "all at once".into())
        );
        let sized = policy(json!({"update_strategy": "staged", "batch_size": 3}));
        assert_eq!(sized.steps(), "3 devices each");
    }
}
