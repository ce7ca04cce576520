//! x
#![expect(clippy::unwrap_used, reason = "a test ends where its ground is not as it says")]
#![allow(dead_code)]
mod client; mod peer; mod samples; mod world;
mod fleet_samples;
mod rollouts; mod rollout_commands; mod rollout_requests; mod devices; mod targets; mod device_state;
