//! When it is healthy.

use std::time::Duration;

use workload::{HealthcheckTest, ProbeTarget, Strategy};

use crate::{container, refused};

#[test]
fn healthchecks_are_lists_with_times() {
    let check = |json: &str| {
        container(&format!(r#"{{"healthcheck": {json}}}"#)).healthcheck.expect("it is given")
    };
    let found = check("{}");
    assert_eq!(found.test, None);
    assert_eq!((found.interval, found.timeout), (Duration::from_secs(30), Duration::from_secs(5)));
    assert_eq!((found.retries, found.start_period), (3, Duration::ZERO));
    let found = check(
        r#"{"test": ["CMD", "curl", "-f", "http://localhost"], "interval": "1m", "timeout": "2s",
            "retries": 5, "start_period": "40s"}"#,
    );
    assert!(matches!(&found.test, Some(HealthcheckTest::Command(words)) if words.len() == 3));
    assert_eq!((found.interval, found.retries), (Duration::from_secs(60), 5));
    assert_eq!(found.start_period, Duration::from_secs(40));
    let shell = check(r#"{"test": ["CMD-SHELL", "true || false"]}"#).test;
    assert_eq!(shell, Some(HealthcheckTest::Shell("true || false".to_owned())));
    assert_eq!(check(r#"{"test": ["NONE"]}"#).test, Some(HealthcheckTest::Disabled));
    for (json, path, message) in [
        (r#"{"test": "curl"}"#, "test", "text, not a list"),
        (r#"{"test": []}"#, "test", "the list is empty"),
        (r#"{"test": ["curl", "-f"]}"#, "test", "is not a test"),
        (r#"{"test": ["CMD"]}"#, "test", "is not a test"),
        (r#"{"test": ["CMD-SHELL", "a", "b"]}"#, "test", "is not a test"),
        (r#"{"test": ["NONE", "a"]}"#, "test", "is not a test"),
        (r#"{"interval": "0s"}"#, "interval", "at least `1s`"),
        (r#"{"timeout": "999ms"}"#, "timeout", "at least `1s`"),
        (r#"{"interval": 30}"#, "interval", "not text"),
        (r#"{"retries": 0}"#, "retries", "out of bounds"),
        (r#"{"retries": "3"}"#, "retries", "not a whole number"),
        (r#"{"start_interval": "5s"}"#, "start_interval", "not a field here"),
    ] {
        refused(&format!(r#"{{"healthcheck": {json}}}"#), &format!("healthcheck.{path}"), message);
    }
}

#[test]
fn updates_have_a_strategy_and_probes() {
    let found = container(
        r#"{"ports": [{"target": 80, "published": 8080}],
            "x-slipway": {"strategy": "start-stop", "restart_limit": 0, "probes": [
                {"http": {"port": 8080, "path": "/health?deep=1"}, "interval": "5s", "timeout": "1s", "failures": 2},
                {"http": {"port": 8080}}, {"tcp": {"port": 8080}}, {"exec": ["check", "--fast"]}]}}"#,
    )
    .update;
    assert_eq!((found.strategy, found.restart_limit), (Strategy::StartStop, 0));
    let path = "/health?deep=1".to_owned();
    assert_eq!(found.probes[0].target, ProbeTarget::Http { port: 8080, path });
    assert_eq!((found.probes[0].interval, found.probes[0].failures), (Duration::from_secs(5), 2));
    assert_eq!(found.probes[0].timeout, Duration::from_secs(1));
    assert_eq!(found.probes[1].target, ProbeTarget::Http { port: 8080, path: "/".to_owned() });
    assert_eq!(found.probes[2].target, ProbeTarget::Tcp { port: 8080 });
    assert_eq!((found.probes[2].interval, found.probes[2].failures), (Duration::from_secs(10), 3));
    assert_eq!(found.probes[2].timeout, Duration::from_secs(3));
    assert_eq!(found.probes[3].port(), None);
    for (json, path, message) in [
        (r#"{"strategy": "rolling"}"#, "strategy", "use `stop-start` or `start-stop`"),
        (r#"{"restart_limit": -1}"#, "restart_limit", "out of bounds"),
        (r#"{"probe": {}}"#, "probe", "not a field here"),
        (r#"{"probes": [{}]}"#, "probes[0]", "tries nothing"),
        (r#"{"probes": [{"tcp": {"port": 1}, "exec": ["a"]}]}"#, "probes[0]", "one thing"),
        (r#"{"probes": [{"exec": []}]}"#, "probes[0].exec", "the list is empty"),
        (r#"{"probes": [{"exec": "a"}]}"#, "probes[0].exec", "text, not a list"),
        (r#"{"probes": [{"tcp": {}}]}"#, "probes[0].tcp.port", "missing"),
        (
            r#"{"probes": [{"http": {"port": 1, "path": "x"}}]}"#,
            "probes[0].http.path",
            "not a path",
        ),
        (
            r#"{"probes": [{"http": {"port": 1, "path": "/a b"}}]}"#,
            "probes[0].http.path",
            "not a path",
        ),
        (r#"{"probes": [{"http": "http://localhost"}]}"#, "probes[0].http", "text, not an object"),
        (r#"{"probes": [{"tcp": {"port": 1}}]}"#, "probes[0]", "TCP port 1 is not published"),
        (
            r#"{"probes": [{"exec": ["a"], "interval": "0s"}]}"#,
            "probes[0].interval",
            "at least `1s`",
        ),
        (r#"{"probes": [{"exec": ["a"], "failures": 0}]}"#, "probes[0].failures", "out of bounds"),
    ] {
        refused(&format!(r#"{{"x-slipway": {json}}}"#), &format!("x-slipway.{path}"), message);
    }
    let udp = r#"{"ports": [{"target": 1, "published": 1, "protocol": "udp"}],
                  "x-slipway": {"probes": [{"tcp": {"port": 1}}]}}"#;
    refused(udp, "x-slipway.probes[0]", "not published");
    container(r#"{"network_mode": "host", "x-slipway": {"probes": [{"tcp": {"port": 1}}]}}"#);
}
