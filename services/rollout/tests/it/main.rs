//! Tests of `rollout` from outside: its planning over random histories, its RPCs, its device link.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod approval;
mod devices;
mod gone;
mod harness;
mod histories;
mod link;
mod policies;
mod replicas;
mod rollouts;
