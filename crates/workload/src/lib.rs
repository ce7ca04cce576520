//! What a device runs, checked the same on server and agent.
//!
//! A service on a device has an image and a [`Config`]: JSON, a subset of the compose service, in
//! its long forms only. The server refuses a bad one when a target is set, the agent before it
//! pulls; both with this crate, so they never differ.
//!
//! - [`Config::parse`] reads and checks one, and lists everything that is wrong with it.
//! - [`Config::allowed_by`] is the device's own word: what could reach the host (binds, devices,
//!   capabilities, the host's network) runs only as far as its [`DevicePolicy`] says.
//! - [`check_group`] checks services against each other and orders their start.
//! - [`spec_hash`] names what a container was made from. It covers the configuration as given, not
//!   as filled in, so a version with other defaults recreates nothing.
//!
//! Nothing here does I/O.

mod capability;
mod config;
mod conflict;
mod container;
mod dependency;
mod device;
mod group;
mod healthcheck;
mod host_path;
mod json;
mod logging;
mod network;
mod node;
mod policy;
mod port;
mod process;
mod refused;
mod secret;
mod service;
mod spec;
mod ulimit;
mod units;
mod update;
mod violation;
mod volume;

pub use capability::Capability;
pub use config::{Config, MAX_CONFIG_BYTES, SCHEMA};
pub use container::Container;
pub use dependency::Condition;
pub use device::{Device, Gpu, GpuChoice};
pub use group::{MAX_SERVICES, Service, check_group};
pub use healthcheck::{Healthcheck, HealthcheckTest};
pub use host_path::{HostPath, HostPathError};
pub use json::{canonical_json, parse_json};
pub use logging::Logging;
pub use network::NetworkMode;
pub use policy::{Bind, DevicePattern, DevicePolicy};
pub use port::{Port, Protocol};
pub use process::Restart;
pub use secret::Secret;
pub use service::{ServiceName, ServiceNameError};
pub use spec::spec_hash;
pub use ulimit::Ulimit;
pub use update::{Probe, ProbeTarget, Strategy, Update};
pub use violation::Violation;
pub use volume::{Mount, Volume};
