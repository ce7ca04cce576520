//! What a device allows services to do to it.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::violation::show;
use crate::{Capability, Container, HostPath, Mount, NetworkMode, Violation};

/// What the owner of a device allows, in a file that only root writes. The default allows nothing.
///
/// The server never sees it: a stolen server cannot take a host that does not allow it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DevicePolicy {
    /// True = services may be on the device's own network.
    pub host_network: bool,
    /// True = services may use GPUs.
    pub gpus: bool,
    /// The paths that services may mount.
    pub binds: Vec<Bind>,
    /// The device files that services may use.
    pub devices: Vec<DevicePattern>,
    /// The capabilities that services may add.
    pub cap_add: Vec<Capability>,
}

/// A path that services may mount, with everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// The path.
    pub path: HostPath,
    /// True = only to read; the default.
    #[serde(default = "read_only")]
    pub read_only: bool,
}

/// Device files by path; a `*` at the end stands for the rest of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePattern {
    path: HostPath,
    is_prefix: bool,
}

impl DevicePattern {
    /// Reads a pattern such as `/dev/ttyUSB*`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        match HostPath::parse(path) {
            Ok(path) if path.as_str().starts_with("/dev/") && !path.as_str().contains('*') => {
                Ok(Self { path, is_prefix })
            }
            Ok(_) | Err(_) => {
                let text = show(text);
                Err(format!("{text} is not a device file; write one such as `/dev/ttyUSB*`"))
            }
        }
    }

    fn matches(&self, path: &HostPath) -> bool {
        match path.as_str().strip_prefix(self.path.as_str()) {
            Some(rest) => rest.is_empty() || self.is_prefix && !rest.contains('/'),
            None => false,
        }
    }
}

impl<'de> Deserialize<'de> for DevicePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Lists what a container asks for beyond a policy.
pub(crate) fn beyond(container: &Container, policy: &DevicePolicy) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |path: String, what: &str| {
        let message = format!(
            "this device's policy does not allow {what}; remove it, or have the device's owner \
             allow it"
        );
        violations.push(Violation::new(path, message));
    };
    if container.network_mode == NetworkMode::Host && !policy.host_network {
        refuse("network_mode".to_owned(), "the host's network");
    }
    for (i, volume) in container.volumes.iter().enumerate() {
        if let Mount::Bind(source) = &volume.mount
            && !policy.allows_bind(source, volume.read_only)
        {
            let how = if volume.read_only { "reading" } else { "writing" };
            refuse(format!("volumes[{i}].source"), &format!("{how} `{source}`"));
        }
    }
    for (i, device) in container.devices.iter().enumerate() {
        if !policy.devices.iter().any(|pattern| pattern.matches(&device.source)) {
            refuse(format!("devices[{i}].source"), &format!("`{}`", device.source));
        }
    }
    for (i, capability) in container.cap_add.iter().enumerate() {
        if !policy.cap_add.iter().any(|allowed| [*capability, Capability::ALL].contains(allowed)) {
            refuse(format!("cap_add[{i}]"), &format!("capability `{capability}`"));
        }
    }
    if !container.gpus.is_empty() && !policy.gpus {
        refuse("gpus".to_owned(), "GPUs");
    }
    violations
}

impl DevicePolicy {
    fn allows_bind(&self, source: &HostPath, read_only: bool) -> bool {
        self.binds.iter().any(|bind| source.is_within(&bind.path) && (read_only || !bind.read_only))
    }
}

fn read_only() -> bool {
    true
}
