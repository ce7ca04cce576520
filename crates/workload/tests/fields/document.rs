//! The document as a whole.

use std::time::Duration;

use workload::{Config, NetworkMode, Restart, Strategy};

use crate::{container, refused};

#[test]
fn an_empty_configuration_has_every_default() {
    let found = container("{}");
    assert_eq!(found, container(""));
    assert_eq!(found, container(r#"{"schema": 1}"#));
    assert_eq!((found.command, found.entrypoint, found.healthcheck), (None, None, None));
    assert_eq!((found.user, found.working_dir, found.stop_signal), (None, None, None));
    assert_eq!((found.hostname, found.shm_size), (None, None));
    assert!(found.environment.is_empty() && found.labels.is_empty() && found.ulimits.is_empty());
    assert!(found.ports.is_empty() && found.volumes.is_empty() && found.tmpfs.is_empty());
    assert!(found.cap_add.is_empty() && found.devices.is_empty() && found.gpus.is_empty());
    assert!(found.init && !found.read_only);
    assert_eq!(found.stop_grace_period, Duration::from_secs(10));
    assert_eq!(found.restart, Restart::UnlessStopped);
    assert_eq!(found.network_mode, NetworkMode::Slipway);
    assert_eq!((found.mem_limit, found.nano_cpus, found.pids_limit), (None, None, 512));
    assert_eq!((found.logging.max_size, found.logging.max_file), (10 * 1024 * 1024, 3));
    assert_eq!(found.update.strategy, Strategy::StopStart);
    assert_eq!((found.update.probes.len(), found.update.restart_limit), (0, 2));
}

#[test]
fn documents_are_objects_of_schema_1_within_their_size() {
    for (json, message) in [
        ("[]", "a list, not an object"),
        ("null", "null, not an object"),
        ("\"{}\"", "text, not an object"),
        ("{", "not JSON"),
        ("{} {}", "not JSON"),
        ("{'a': 1}", "not JSON"),
        (" ", "not JSON"),
    ] {
        refused(json, "", message);
    }
    refused(r#"{"schema": 2}"#, "schema", "schema 2 is not known here; use 1");
    refused(r#"{"schema": "1"}"#, "schema", "text, not a whole number");
    refused(r#"{"schema": 0}"#, "schema", "out of bounds");
    let sized = |bytes: usize| format!(r#"{{"environment":{{"A":"{}"}}}}"#, "x".repeat(bytes - 24));
    assert_eq!(sized(65_536).len(), 65_536);
    assert!(Config::parse(&sized(65_536)).is_ok());
    refused(&sized(65_537), "", "65537 bytes");
    refused(&format!("{}1{}", "[".repeat(1000), "]".repeat(1000)), "", "not JSON");
}

#[test]
fn unknown_fields_are_refused_with_their_path() {
    refused(r#"{"imagee": "x"}"#, "imagee", "`imagee` is not a field here");
    refused(r#"{"x-other": {}}"#, "x-other", "not a field here");
    refused(r#"{"a b": 1}"#, r#"["a b"]"#, "`a b` is not a field here");
    refused(
        r#"{"ports": [{"target": 80, "published": 80, "mode": "host"}]}"#,
        "ports[0].mode",
        "there are `target`, `published`, `host_ip` and `protocol`",
    );
    refused(r#"{"healthcheck": {"disable": true}}"#, "healthcheck.disable", "not a field here");
    refused(
        r#"{"x-slipway": {"probes": [{"http": {"port": 80, "host": "a"}}]}, "network_mode": "host"}"#,
        "x-slipway.probes[0].http.host",
        "not a field here",
    );
}

#[test]
fn some_fields_are_refused_by_name() {
    for field in [
        "image",
        "build",
        "privileged",
        "pid",
        "ipc",
        "userns",
        "userns_mode",
        "cgroup_parent",
        "runtime",
        "container_name",
        "links",
        "volumes_from",
        "env_file",
        "extends",
        "deploy",
        "sysctls",
    ] {
        let Err(violations) = Config::parse(&format!(r#"{{"{field}": null}}"#)) else {
            panic!("{field} is accepted")
        };
        assert_eq!((violations.len(), violations[0].path.as_str()), (1, field));
        let message = &violations[0].message;
        assert!(message.contains("remove it") || message.contains("write"), "{field}: {message}");
        assert!(!message.contains("not a field here"), "{field} has words of its own: {message}");
    }
}

#[test]
fn everything_that_is_wrong_is_listed_at_once() {
    let json = r#"{
        "image": "redis",
        "ports": [{"target": 0, "published": "80"}, {"published": 81}],
        "restart": "always",
        "volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/s"}],
        "mem_limit": "1x"
    }"#;
    let Err(violations) = Config::parse(json) else { panic!("it is accepted") };
    let mut paths: Vec<&str> = violations.iter().map(|violation| violation.path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "image",
        "mem_limit",
        "ports[0].published",
        "ports[0].target",
        "ports[1].target",
        "restart",
        "volumes[0].source",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn keys_given_twice_are_refused() {
    refused(r#"{"init": true, "init": false}"#, "init", "`init` is given twice");
    refused(
        r#"{"ports": [{"target": 1, "published": 1, "target": 2}]}"#,
        "ports[0].target",
        "given twice",
    );
    refused(r#"{"environment": {"A": "1", "\u0041": "2"}}"#, "environment.A", "given twice");
}
