//! Devices as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proto::rollout::v1 as pb;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::routes::device_state::ServiceReport;
use crate::routes::targets::Target;
use crate::shape::{shown, text};

/// The members of a device that only the server writes.
pub const READ_ONLY: &[&str] = &[
    "id",
    "uuid",
    "platform",
    "agent_version",
    "online",
    "last_seen_at",
    "target",
    "reported_generation",
    "services",
    "in_sync",
    "pinned",
    "pin_reason",
    "revoked",
    "created_at",
    "updated_at",
    "etag",
];

/// A device of the fleet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0198f3a4-6c1e-7000-8000-0b9d2f7a4c14", "name": "north-001", "fleet": "north",
    "labels": {"line": "3"}, "platform": {"os": "linux", "architecture": "arm64", "variant": null},
    "agent_version": "0.1.0", "online": true, "last_seen_at": "2026-11-21T09:00:00Z",
    "target": {"generation": 7, "etag": "9f86d081884c7d65", "services": []},
    "reported_generation": 7, "services": [], "in_sync": true, "pinned": false, "pin_reason": null,
    "revoked": false, "created_at": "2026-11-20T09:00:00Z", "updated_at": "2026-11-20T09:00:00Z",
    "etag": "1"
}))]
pub struct Device {
    /// Its id.
    pub id: String,
    /// What it is called; unique within its fleet.
    pub name: String,
    /// Its fleet.
    pub fleet: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is, as it says; `null` = it has not said.
    pub platform: Option<Platform>,
    /// Its agent's version, as it says.
    pub agent_version: Option<String>,
    /// True = it is connected, or reported within three of its intervals.
    pub online: bool,
    /// When it was last heard; `null` = never.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// What it should run.
    pub target: Option<Target>,
    /// The generation that it last reported; 0 = none.
    pub reported_generation: i64,
    /// What it runs, as it last reported.
    pub services: Vec<ServiceReport>,
    /// True = it reports what its target says, healthy.
    pub in_sync: bool,
    /// True = rollouts leave it out.
    pub pinned: bool,
    /// Why it is pinned.
    pub pin_reason: Option<String>,
    /// True = its credentials were ended.
    pub revoked: bool,
    /// When it was added.
    pub created_at: Option<DateTime<Utc>>,
    /// When an operator last changed it.
    pub updated_at: Option<DateTime<Utc>>,
    /// Changes with every change by an operator; `If-Match` takes it.
    pub etag: String,
}

impl From<pb::Device> for Device {
    fn from(device: pb::Device) -> Self {
        Self {
            id: device.id,
            name: device.name,
            fleet: device.fleet,
            labels: device.labels.into_iter().collect(),
            platform: device.platform.map(Platform::from),
            agent_version: text(device.agent_version),
            online: device.online,
            last_seen_at: shown(device.last_seen_time),
            target: device.target.map(Target::from),
            reported_generation: device.reported_generation,
            services: device.services.into_iter().map(ServiceReport::from).collect(),
            in_sync: device.in_sync,
            pinned: device.pinned,
            pin_reason: text(device.pin_reason),
            revoked: device.revoked,
            created_at: shown(device.create_time),
            updated_at: shown(device.update_time),
            etag: device.etag,
        }
    }
}

/// What a device is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DevicePlatform)]
pub struct Platform {
    /// Operating system.
    #[schema(example = "linux")]
    os: String,
    /// Processor.
    #[schema(example = "arm64")]
    architecture: String,
    /// Processor variant.
    #[serde(default)]
    #[schema(example = "v8")]
    variant: Option<String>,
}

impl From<pb::DevicePlatform> for Platform {
    fn from(platform: pb::DevicePlatform) -> Self {
        Self {
            os: platform.os,
            architecture: platform.architecture,
            variant: text(platform.variant),
        }
    }
}

impl From<Platform> for pb::DevicePlatform {
    fn from(platform: Platform) -> Self {
        Self {
            os: platform.os,
            architecture: platform.architecture,
            variant: platform.variant.unwrap_or_default(),
        }
    }
}

/// Devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct Devices {
    /// By name.
    pub devices: Vec<Device>,
    /// How many match in all.
    pub total: i32,
    /// Where to go on; not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A device with its new token.
#[derive(Serialize, ToSchema)]
pub struct DeviceWithToken {
    /// The device's id, as its own routes name it.
    uuid: String,
    /// The device.
    #[serde(flatten)]
    device: Device,
    /// The bearer string of its calls, shown this once.
    #[schema(example = "gdd_x2…")]
    token: String,
}

impl DeviceWithToken {
    /// Puts them together.
    pub fn of(device: pb::Device, token: String) -> Self {
        Self { uuid: device.id.clone(), device: device.into(), token }
    }
}

/// A device after a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceChanged {
    /// For people.
    #[schema(example = "Device deleted successfully")]
    message: String,
    /// The device; as it was, when it was removed.
    device: Device,
}

impl DeviceChanged {
    /// Tells it.
    pub fn new(message: &str, device: pb::Device) -> Self {
        Self { message: message.to_owned(), device: device.into() }
    }
}
