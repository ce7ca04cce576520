//! Devices, as operators define them and as they were last heard.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use runtime::Problem;
use serde::{Deserialize, Serialize};

use crate::assignment::{Observation, Phase};
use crate::target::Target;

runtime::id! {
    /// A device.
    DeviceId: Uuid
}

runtime::id! {
    /// An enrolment key.
    #[derive(sqlx::Type)]
    #[sqlx(transparent)]
    KeyId: Uuid
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hardware {
    /// Operating system; empty = not known.
    pub os: String,
    /// Processor; empty = not known.
    pub architecture: String,
    /// Processor variant; empty = none.
    pub variant: String,
}

/// A device as an operator defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What to call it.
    pub name: String,
    /// Its fleet.
    pub fleet: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is.
    pub hardware: Hardware,
    /// Its agent's version.
    pub agent_version: String,
    /// Whether rollouts leave it out.
    pub pinned: bool,
    /// Why.
    pub pin_reason: String,
    /// When its credentials were ended.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Grows with every change by an operator.
    pub version: i64,
}

/// A device with what it should run and what it was last heard to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The device.
    pub device: Device,
    /// What it should run.
    pub target: Target,
    /// Whether it is connected, or was heard of lately.
    pub online: bool,
    /// When it was last heard.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// The generation it last reported.
    pub reported_generation: i64,
    /// What it runs, as it last reported.
    pub services: Vec<Observation>,
    /// Whether it reports what its target says, healthy.
    pub in_sync: bool,
}

/// Whether a report says that the device runs its target, all of it, healthy.
#[must_use]
pub fn in_sync(target: &Target, generation: i64, services: &[Observation]) -> bool {
    generation == target.generation
        && target.services.iter().all(|wanted| {
            services.iter().any(|seen| {
                seen.name == wanted.name
                    && seen.phase == Phase::Running
                    && seen.healthy
                    && seen.runs(&wanted.runs)
            })
        })
}

/// How long names of fleets and devices, keys and values of labels may be.
const NAME_LENGTH: usize = 63;
const LABELS: usize = 64;

/// Checks a fleet's name.
///
/// # Errors
///
/// A violation of `field`.
pub fn check_fleet(field: &str, name: &str) -> Result<(), Problem> {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if (1..=NAME_LENGTH).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Problem::invalid(field, "is no fleet name; use 1 to 63 of `a-z`, `0-9`, `-` and `_`"))
}

/// Checks a device's name.
///
/// # Errors
///
/// A violation of `field`.
pub fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    if !name.is_empty()
        && name.chars().count() <= NAME_LENGTH
        && !name.chars().any(char::is_control)
    {
        return Ok(());
    }
    Err(Problem::invalid(field, "is no name; use 1 to 63 characters without control characters"))
}

/// Checks labels.
///
/// # Errors
///
/// A violation of `field`.
pub fn check_labels(field: &str, labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    if labels.len() > LABELS {
        return Err(Problem::invalid(field, format!("has more than {LABELS} labels")));
    }
    for (key, value) in labels {
        let fits =
            |text: &str| text.chars().count() <= NAME_LENGTH && !text.chars().any(char::is_control);
        if key.is_empty() || !fits(key) || !fits(value) {
            return Err(Problem::invalid(
                field,
                format!(
                    "`{}` is no label; keys and values have at most 63 characters",
                    key.escape_debug()
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Service;
    use crate::target::tests::pinned;

    #[test]
    fn names_of_fleets_are_plain() {
        assert!(check_fleet("fleet", "north-1").is_ok());
        for bad in ["", "North", "a b", "ü", &"x".repeat(64)] {
            assert!(check_fleet("fleet", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_device_is_in_sync_when_it_runs_all_of_its_newest_target() {
        let runs = pinned("docker.io/library/redis:7", '1');
        let service = Service {
            name: "cache".to_owned(),
            runs: runs.clone(),
            config: String::new(),
            update: None,
        };
        let target = Target::default().replaced(vec![service]);
        let mut seen = Observation {
            name: "cache".to_owned(),
            runs,
            phase: Phase::Running,
            healthy: true,
            reason: String::new(),
            message: String::new(),
            about: None,
            progress: 0,
            restarts: 0,
        };
        assert!(in_sync(&target, 1, std::slice::from_ref(&seen)));
        assert!(!in_sync(&target, 0, std::slice::from_ref(&seen)));
        assert!(!in_sync(&target, 1, &[]));
        seen.healthy = false;
        assert!(!in_sync(&target, 1, &[seen]));
    }
}
