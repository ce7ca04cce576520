//! The gateway as a real HTTP server, in front of peers on real sockets that answer what a test told
//! them and note what they were asked.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is not as it says")]

mod client;
mod fleet_samples;
mod peer;
mod samples;
mod world;

mod device_state;
mod devices;
mod errors;
mod etags;
mod events;
mod images;
mod limits;
mod lists;
mod logs;
mod management;
mod openapi;
mod overview;
mod policies;
mod pushes;
mod receivers;
mod relaying;
mod reviews;
mod rollout_commands;
mod rollout_requests;
mod rollouts;
mod targets;
mod webhooks;
