//! What runs, as whom, and how it ends.

use std::time::Duration;

use workload::Restart;

use crate::{container, refused};

#[test]
fn command_and_entrypoint_are_lists_without_a_shell() {
    for field in ["command", "entrypoint"] {
        let json = format!(r#"{{"{field}": ["a b", "$HOME", ""]}}"#);
        let found = container(&json);
        let words = if field == "command" { found.command } else { found.entrypoint };
        assert_eq!(words.expect("it is given"), ["a b", "$HOME", ""]);
        refused(&format!(r#"{{"{field}": "a b"}}"#), field, "text, not a list");
        refused(&format!(r#"{{"{field}": ["a", 1]}}"#), &format!("{field}[1]"), "not text");
        refused(&format!(r#"{{"{field}": ["a\u0000"]}}"#), &format!("{field}[0]"), "NUL");
        refused(&format!(r#"{{"{field}": null}}"#), field, "null, not a list");
    }
    assert_eq!(container(r#"{"command": []}"#).command, Some(Vec::new()));
}

#[test]
fn process_fields_are_checked() {
    let found = container(
        r#"{"working_dir": "/srv/app", "user": "1000:video", "stop_signal": "SIGINT",
            "stop_grace_period": "1m30s", "init": false, "read_only": true, "hostname": "edge-1.lan"}"#,
    );
    assert_eq!(found.working_dir.expect("it is given").as_str(), "/srv/app");
    assert_eq!(found.user.as_deref(), Some("1000:video"));
    assert_eq!(found.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(found.stop_grace_period, Duration::from_secs(90));
    assert!(!found.init && found.read_only);
    assert_eq!(found.hostname.as_deref(), Some("edge-1.lan"));
    for good in [r#""0""#, r#""root""#, r#""_apt:0""#, r#""a.b-c""#] {
        container(&format!(r#"{{"user": {good}}}"#));
    }
    assert!(container(r#"{"stop_signal": "15"}"#).stop_signal.is_some());
    for (field, value, message) in [
        ("working_dir", r#""srv""#, "not an absolute path"),
        ("working_dir", r#""/srv/../etc""#, "not an absolute path"),
        ("working_dir", r#""/srv/""#, "not an absolute path"),
        ("user", r#""""#, "not a user"),
        ("user", r#""a:b:c""#, "not a user"),
        ("user", r#""a b""#, "not a user"),
        ("user", r#""-1""#, "not a user"),
        ("user", "1000", "not text; write it in quotes"),
        ("stop_signal", r#""TERM""#, "not a signal"),
        ("stop_signal", r#""SIGNOPE""#, "not a signal"),
        ("stop_signal", r#""65""#, "not a signal"),
        ("stop_signal", r#""0""#, "not a signal"),
        ("init", r#""true""#, "text, not true or false"),
        ("read_only", "1", "a number, not true or false"),
        ("hostname", r#""Edge""#, "not a host name"),
        ("hostname", r#""a_b""#, "not a host name"),
        ("hostname", r#""a..b""#, "not a host name"),
        ("restart", r#""always""#, "use `unless-stopped`, `on-failure` or `no`"),
        ("restart", r#""on-failure:3""#, "is not known here"),
        ("restart", "false", "true or false, not text"),
    ] {
        refused(&format!(r#"{{"{field}": {value}}}"#), field, message);
    }
    for (word, meaning) in [
        ("unless-stopped", Restart::UnlessStopped),
        ("on-failure", Restart::OnFailure),
        ("no", Restart::Never),
    ] {
        assert_eq!(container(&format!(r#"{{"restart": "{word}"}}"#)).restart, meaning);
    }
}

#[test]
fn durations_are_as_people_write_them() {
    for (text, milliseconds) in [
        ("0s", 0),
        ("10s", 10_000),
        ("1m30s", 90_000),
        ("2h", 7_200_000),
        ("1h0m1s5ms", 3_601_005),
        ("500ms", 500),
        ("90m", 5_400_000),
        ("24h", 86_400_000),
    ] {
        let found = container(&format!(r#"{{"stop_grace_period": "{text}"}}"#));
        assert_eq!(found.stop_grace_period, Duration::from_millis(milliseconds), "{text}");
    }
    for bad in ["", "10", "s", "10 s", "1.5s", "-1s", "10S", "1s1m", "1s1s", "1d", "1m30", "1µs"] {
        let json = format!(r#"{{"stop_grace_period": "{bad}"}}"#);
        refused(&json, "stop_grace_period", "not a duration");
    }
    for long in ["24h1ms", "99999999999999999h", "18446744073709551615ms"] {
        refused(&format!(r#"{{"stop_grace_period": "{long}"}}"#), "stop_grace_period", "too long");
    }
    refused(
        r#"{"stop_grace_period": "99999999999999999999h"}"#,
        "stop_grace_period",
        "not a duration",
    );
    refused(r#"{"stop_grace_period": 10}"#, "stop_grace_period", "a number, not text");
}

#[test]
fn environment_labels_and_hosts_are_objects_of_text() {
    let found = container(
        r#"{"environment": {"A": "", "B_1": "$A ${B}", "com.example.x": "é"},
            "labels": {"com.example.team": "edge"},
            "extra_hosts": {"db.lan": "10.0.0.7", "v6": "fd00::1"}}"#,
    );
    assert_eq!(found.environment["B_1"], "$A ${B}");
    assert_eq!(found.labels["com.example.team"], "edge");
    assert_eq!(found.extra_hosts["v6"].to_string(), "fd00::1");
    refused(r#"{"environment": ["A=1"]}"#, "environment", "a list, not an object");
    refused(r#"{"environment": {"A": 1}}"#, "environment.A", "a number, not text");
    refused(r#"{"environment": {"A": null}}"#, "environment.A", "null, not text");
    refused(r#"{"environment": {"": "1"}}"#, r#"environment[""]"#, "not a variable's name");
    refused(r#"{"environment": {"A=B": "1"}}"#, r#"environment["A=B"]"#, "not a variable's name");
    refused(r#"{"environment": {"A": "\u0000"}}"#, "environment.A", "NUL");
    refused(r#"{"labels": {"slipway.spec": "x"}}"#, r#"labels["slipway.spec"]"#, "the agent's own");
    refused(r#"{"labels": {"slipway": "x"}}"#, "labels.slipway", "the agent's own");
    refused(r#"{"labels": {"": "x"}}"#, r#"labels[""]"#, "not a label's name");
    refused(r#"{"labels": {"a": true}}"#, "labels.a", "not text");
    assert_eq!(container(r#"{"labels": {"slipwayish": "x"}}"#).labels.len(), 1);
    refused(r#"{"extra_hosts": ["a:1.2.3.4"]}"#, "extra_hosts", "a list, not an object");
    refused(r#"{"extra_hosts": {"a": "host-gateway"}}"#, "extra_hosts.a", "not an IP address");
    refused(r#"{"extra_hosts": {"A": "1.2.3.4"}}"#, "extra_hosts.A", "not a host name");
}
