//! Whether a policy is already what a document would make of it.

use serde_json::{Map, Value, json};

/// What the API documents for members that a document leaves out.
fn defaults() -> Value {
    json!({
        "priority": 0, "enabled": true, "max_in_flight": "20%", "max_failure_ratio": 0.2,
        "max_consecutive": 3, "min_sample": 5, "on_failure": "rollback", "soak_device_seconds": 60,
        "timers": {
            "ack_seconds": 120, "pull_seconds": 1800, "install_seconds": 600,
            "verify_seconds": 300, "total_seconds": 7200,
        },
        "retry": {"max": 3, "backoff_seconds": 15},
        "auto_advance": false, "dead_man_seconds": 900, "offline_ttl_seconds": 604_800,
    })
}

/// Whether the policy is so already. A false no costs a revision, nothing else.
pub fn is_same(rule: &Value, known: &Value) -> bool {
    equal(&filled(rule, &defaults()), known)
}

/// A document with what it leaves out.
fn filled(rule: &Value, default: &Value) -> Value {
    match (rule, default) {
        (Value::Null, default) => default.clone(),
        (Value::Object(rule), Value::Object(default)) => {
            let mut whole = rule.clone();
            for (name, default) in default {
                whole.insert(name.clone(), filled(&member(rule, name), default));
            }
            Value::Object(whole)
        }
        (rule, _) => rule.clone(),
    }
}

/// Equal as the API takes it: what is empty is not there, and 5 is 5.0.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one
            .keys()
            .chain(other.keys())
            .all(|name| equal(&member(one, name), &member(other, name))),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other || (is_nothing(one) && is_nothing(other)),
    }
}

fn member(members: &Map<String, Value>, name: &str) -> Value {
    members.get(name).cloned().unwrap_or_default()
}

/// An empty list is one that was left out.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_counts_as_its_default() {
        let rule = json!({"name": "redis", "image_pattern": "redis:*", "retry": {"max": 3}});
        let mut known = filled(&rule, &defaults());
        known["batches"] = json!([]);
        assert!(is_same(&rule, &known));
        for (name, value) in [
            ("priority", json!(1)),
            ("batches", json!([{"percent": 5}])),
            ("retry", json!({"max": 3, "backoff_seconds": 20})),
            ("device_selector", json!({"fleet": "north"})),
        ] {
            let mut other = known.clone();
            other[name] = value;
            assert!(!is_same(&rule, &other), "{name}");
        }
    }
}
