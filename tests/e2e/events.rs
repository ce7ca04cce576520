//! What happened, as it is told live and as it is kept.

mod audit;
mod stream;

use serde_json::Value;
use testbed::Slipway;
use testbed::steps::Rollout;

use crate::scene::{push, with_redis};

/// A push of a new tag of redis that becomes a rollout, in the first place of a new Slipway.
async fn after_a_push() -> (Slipway, Rollout) {
    let slipway = with_redis().await;
    let answer = push(&slipway.api, "redis", "7.5-alpine").await;
    let rollout = Rollout::of(&slipway.api, answer);
    (slipway, rollout)
}

/// What every event has: the members that the documents and the envelope promise.
#[track_caller]
fn is_envelope(event: &Value) {
    for name in ["id", "type", "time"] {
        assert!(event[name].is_string(), "{name} of {event}");
    }
    for name in ["kind", "id", "name"] {
        assert!(event["actor"][name].is_string(), "actor.{name} of {event}");
        assert!(event["resource"][name].is_string(), "resource.{name} of {event}");
    }
    let time = event["time"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{event}");
}
