//! What holds for every configuration.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use workload::{
    Config, DevicePattern, DevicePolicy, HostPath, ServiceName, Violation, canonical_json,
    parse_json, spec_hash,
};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z\\PC\u{0}]{0,8}".prop_map(Value::from),
        "(10s|64m|/a|/dev/x|tcp|NET_ADMIN|CMD|volume|bind)".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Fields of ours, mostly.
fn key() -> impl Strategy<Value = String> {
    const FIELDS: [&str; 40] = [
        "command",
        "entrypoint",
        "working_dir",
        "user",
        "stop_signal",
        "environment",
        "labels",
        "extra_hosts",
        "ulimits",
        "shm_size",
        "hostname",
        "init",
        "tmpfs",
        "stop_grace_period",
        "restart",
        "ports",
        "target",
        "published",
        "protocol",
        "volumes",
        "type",
        "source",
        "read_only",
        "network_mode",
        "depends_on",
        "condition",
        "healthcheck",
        "test",
        "interval",
        "mem_limit",
        "cpus",
        "cap_add",
        "devices",
        "gpus",
        "count",
        "logging",
        "secrets",
        "x-slipway",
        "probes",
        "image",
    ];
    prop_oneof![9 => prop::sample::select(&FIELDS[..]).prop_map(str::to_owned), 1 => any::<String>()]
}

/// Writes JSON with the keys of every object in reverse and white space everywhere.
fn write_otherwise(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(write_otherwise).collect();
            format!("[\n {} ]", items.join(" ,\t"))
        }
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{} : {}", json!(key), write_otherwise(value)))
                .collect();
            members.reverse();
            format!("{{ {}\r\n}}", members.join(" , "))
        }
    }
}

fn check_messages(violations: &[Violation]) -> Result<(), TestCaseError> {
    prop_assert!(!violations.is_empty(), "a refusal says why");
    for violation in violations {
        prop_assert!(!violation.message.is_empty());
        prop_assert!(!violation.to_string().chars().any(char::is_control), "{violation:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn parsing_any_text_ends_in_a_value_or_in_reasons(text in any::<String>()) {
        if let Err(violations) = Config::parse(&text) {
            check_messages(&violations)?;
        }
        let _ = (HostPath::parse(&text), DevicePattern::parse(&text), ServiceName::parse(&text));
    }

    #[test]
    fn parsing_any_json_ends_in_a_value_or_in_reasons(
        members in prop::collection::vec((key(), any_json()), 0..6)
    ) {
        let value = Value::Object(members.into_iter().collect::<Map<_, _>>());
        match Config::parse(&value.to_string()) {
            Ok(config) => {
                prop_assert_eq!(config.canonical_json(), canonical_json(&value));
                let _ = config.allowed_by(&DevicePolicy::default());
            }
            Err(violations) => check_messages(&violations)?,
        }
    }

    #[test]
    fn canonical_json_does_not_depend_on_how_the_text_was_written(value in any_json()) {
        let text = canonical_json(&value);
        let again = parse_json(&write_otherwise(&value)).expect("the text is JSON");
        prop_assert_eq!(canonical_json(&again), text.as_str());
        let again = parse_json(&text).expect("canonical JSON is JSON");
        prop_assert_eq!(canonical_json(&again), text);
    }

    #[test]
    fn a_configuration_reads_the_same_from_its_canonical_text(
        variables in prop::collection::btree_map("[A-Z]{1,4}", "\\PC{0,8}", 0..5),
        published in prop::collection::btree_set(1..=65535u16, 0..4),
        cpus in 1..400u32,
        command in prop::collection::vec("\\PC{0,6}", 0..3),
    ) {
        let ports: Vec<Value> =
            published.iter().map(|port| json!({"target": 80, "published": port})).collect();
        let value = json!({
            "environment": variables, "ports": ports, "cpus": f64::from(cpus) / 100.0,
            "command": command,
        });
        let config = Config::parse(&write_otherwise(&value)).expect("the configuration is valid");
        let again = Config::parse(config.canonical_json()).expect("the canonical text is valid");
        prop_assert_eq!(spec_hash("image", &config), spec_hash("image", &again));
        prop_assert_eq!(config, again);
    }
}
