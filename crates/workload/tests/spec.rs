//! Canonical JSON and the hash of a specification.

use serde_json::Value;
use workload::{Config, canonical_json, parse_json, spec_hash};

const DIGEST: &str = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn canonical(json: &str) -> String {
    canonical_json(&parse_json(json).unwrap_or_else(|violations| panic!("{json}: {violations:?}")))
}

#[test]
fn canonical_json_has_sorted_keys_and_no_white_space() {
    let cases = [
        (r#" { "b" : 1 , "a" : [ true , null , -0.5e1 ] } "#, r#"{"a":[true,null,-5.0],"b":1}"#),
        (r#"{"a":{"d":1,"c":{}},"B":[],"é":0,"":2}"#, r#"{"":2,"B":[],"a":{"c":{},"d":1},"é":0}"#),
        (r#""\u0041\/\u000a\"\\\u00e9""#, r#""A/\n\"\\é""#),
        ("18446744073709551615", "18446744073709551615"),
        ("[[],[{}]]", "[[],[{}]]"),
        // Read and written again, a number is the same.
        ("-3.901104677340911e-287", "-3.901104677340911e-287"),
        ("0.1", "0.1"),
    ];
    for (json, expected) in cases {
        assert_eq!(canonical(json), expected);
        assert_eq!(canonical(expected), expected, "it is stable");
    }
}

#[test]
fn the_configuration_is_kept_as_given() {
    let config = Config::parse(r#"{"schema": 1, "restart": "no", "init": true}"#).expect("valid");
    assert_eq!(config.canonical_json(), r#"{"init":true,"restart":"no","schema":1}"#);
    assert_eq!(Config::parse("").expect("valid").canonical_json(), "{}");
}

/// These hashes name containers on devices. A change here recreates every one of them.
#[test]
fn hashes_are_frozen() {
    let full = r#"{
        "schema": 1,
        "command": ["serve", "--port", "80"], "environment": {"B": "2", "A": "é\n"},
        "ports": [{"target": 80, "published": 8080}],
        "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
        "cpus": 0.5, "mem_limit": "64m", "pids_limit": 100,
        "depends_on": {"db": {"condition": "healthy"}},
        "x-slipway": {"strategy": "start-stop", "probes": [{"http": {"port": 8080}}]}
    }"#;
    let cases = [
        (DIGEST, "{}", "b3d40ae899a779eee5511eef362dd0ab9c2c21fb4142dbb56ceb51de7d7149cf"),
        (DIGEST, "", "b3d40ae899a779eee5511eef362dd0ab9c2c21fb4142dbb56ceb51de7d7149cf"),
        (
            DIGEST,
            r#"{"init":true}"#,
            "c1ce69e85b1cbaa06526dd4f0366c90e10a4e5765fb0bd415910e0c5f1fabcdb",
        ),
        (DIGEST, full, "31724ac44d38385bb7d4a1d76019896a8652cd0957f86f9b01d1b1be3c081ffe"),
        (
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "{}",
            "6d4f30469ec787a9a58cc9134ad9e0ee953e494e90528cceee2ea68e4d6b3cbd",
        ),
    ];
    for (image, json, expected) in cases {
        let config = Config::parse(json).unwrap_or_else(|violations| panic!("{violations:?}"));
        assert_eq!(spec_hash(image, &config), expected, "{image} {json}");
    }
}

#[test]
fn the_hash_follows_the_meaning_of_the_text_and_nothing_else() {
    let hash = |image: &str, json: &str| spec_hash(image, &Config::parse(json).expect("valid"));
    let one = hash(DIGEST, r#"{"init": false, "environment": {"A": "1", "B": "2"}}"#);
    assert_eq!(
        one,
        hash(DIGEST, "{\"environment\":{\"B\":\"2\",\"\\u0041\":\"1\"},\n\"init\":false}")
    );
    let others = [
        hash(DIGEST, r#"{"init": false, "environment": {"A": "1"}}"#),
        hash(DIGEST, r#"{"init": true, "environment": {"A": "1", "B": "2"}}"#),
        hash("other", r#"{"init": false, "environment": {"A": "1", "B": "2"}}"#),
        // A default that is given is not the same text as one that is not.
        hash(DIGEST, "{}"),
        hash(DIGEST, r#"{"init": true}"#),
    ];
    for (i, other) in others.iter().enumerate() {
        assert_ne!(&one, other);
        assert!(!others[..i].contains(other), "{i}");
    }
}

#[test]
fn json_with_a_key_twice_is_refused_wherever_it_is() {
    let paths = |json: &str| -> Vec<String> {
        let Err(violations) = parse_json(json) else { panic!("{json} is accepted") };
        violations.into_iter().map(|violation| violation.path).collect()
    };
    assert_eq!(paths(r#"{"a":1,"a":1}"#), ["a"]);
    assert_eq!(paths(r#"[{"a":{"b":1,"b":2}},{"c":1,"c":2}]"#), ["[0].a.b", "[1].c"]);
    assert_eq!(paths(r#"{"a":{"x y":1,"x y":2,"x y":3}}"#), [r#"a["x y"]"#, r#"a["x y"]"#]);
    assert!(matches!(parse_json(r#"{"a":{"b":1},"c":{"b":1}}"#), Ok(Value::Object(_))));
    for bad in ["", "{", "{}x", "[1,]", "{\"a\"}", "nul", "1e999", "\"\u{1}\"", "NaN"] {
        assert_eq!(paths(bad), [""], "{bad}");
    }
}
