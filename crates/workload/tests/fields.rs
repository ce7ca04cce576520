//! Every field of a configuration: what it takes, what it means, what it refuses and where.

use std::time::Duration;

use workload::{
    Config, Container, GpuChoice, HealthcheckTest, Mount, NetworkMode, ProbeTarget, Protocol,
    Restart, Strategy,
};

fn container(json: &str) -> Container {
    match Config::parse(json) {
        Ok(config) => config.container().clone(),
        Err(violations) => panic!("{json}: {violations:?}"),
    }
}

/// Asserts the one thing that is wrong.
fn refused(json: &str, path: &str, message: &str) {
    let Err(violations) = Config::parse(json) else { panic!("{json} is accepted") };
    let [violation] = violations.as_slice() else { panic!("{json}: {violations:?}") };
    assert_eq!(violation.path, path, "{json}: {violation}");
    assert!(violation.message.contains(message), "{json}: {violation}");
    // A sentence that says what to do.
    assert!(violation.message.contains([';', ',']), "no next step: {violation}");
    assert!(!violation.message.ends_with('.'), "{violation}");
}

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
fn sizes_are_as_people_write_them() {
    for (value, bytes) in [
        (r#""64m""#, 64 << 20),
        (r#""64mb""#, 64 << 20),
        (r#""1g""#, 1 << 30),
        (r#""1gb""#, 1 << 30),
        (r#""8192k""#, 8 << 20),
        (r#""8192kb""#, 8 << 20),
        (r#""7000000b""#, 7_000_000),
        ("7000000", 7_000_000),
    ] {
        let found = container(&format!(r#"{{"mem_limit": {value}, "shm_size": {value}}}"#));
        assert_eq!((found.mem_limit, found.shm_size), (Some(bytes), Some(bytes)), "{value}");
    }
    for bad in [
        r#""""#,
        r#""64""#,
        r#""m""#,
        r#""64M""#,
        r#""64 m""#,
        r#""1.5g""#,
        r#""-1m""#,
        r#""64mib""#,
        r#""1g1m""#,
    ] {
        refused(&format!(r#"{{"mem_limit": {bad}}}"#), "mem_limit", "not a size");
    }
    refused(r#"{"mem_limit": "9999999999g"}"#, "mem_limit", "too large");
    refused(r#"{"mem_limit": "5m"}"#, "mem_limit", "use at least 6291456");
    refused(r#"{"mem_limit": -1}"#, "mem_limit", "out of bounds");
    refused(r#"{"mem_limit": 1.5}"#, "mem_limit", "not a whole number");
    refused(r#"{"shm_size": 0}"#, "shm_size", "use at least 1");
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

#[test]
fn limits_are_checked() {
    let found = container(
        r#"{"ulimits": {"nofile": {"soft": 1024, "hard": 4096}, "core": {"soft": 0, "hard": -1}},
            "cpus": 0.5, "pids_limit": 64}"#,
    );
    assert_eq!((found.ulimits["nofile"].soft, found.ulimits["core"].hard), (1024, -1));
    assert_eq!((found.nano_cpus, found.pids_limit), (Some(500_000_000), 64));
    assert_eq!(container(r#"{"cpus": 2}"#).nano_cpus, Some(2_000_000_000));
    let ulimit = |json: &str| format!(r#"{{"ulimits": {{"nofile": {json}}}}}"#);
    refused(&ulimit("1024"), "ulimits.nofile", "a number, not an object");
    refused(&ulimit(r#"{"soft": 1}"#), "ulimits.nofile.hard", "missing");
    refused(&ulimit(r#"{"soft": 2, "hard": 1}"#), "ulimits.nofile", "over `hard`");
    refused(&ulimit(r#"{"soft": -1, "hard": 1}"#), "ulimits.nofile", "over `hard`");
    refused(&ulimit(r#"{"soft": -2, "hard": 1}"#), "ulimits.nofile.soft", "out of bounds");
    refused(r#"{"ulimits": {"files": {"soft": 1, "hard": 1}}}"#, "ulimits.files", "not a limit");
    for (value, message) in [
        ("0", "cannot be given"),
        ("-1", "cannot be given"),
        ("2000", "cannot be given"),
        (r#""0.5""#, "text, not a number"),
    ] {
        refused(&format!(r#"{{"cpus": {value}}}"#), "cpus", message);
    }
    for value in ["0", "-1", "4194305"] {
        refused(&format!(r#"{{"pids_limit": {value}}}"#), "pids_limit", "out of bounds");
    }
}

#[test]
fn ports_are_published_in_their_long_form() {
    let found = container(
        r#"{"ports": [{"target": 80, "published": 8080},
                      {"target": 53, "published": 53, "host_ip": "127.0.0.1", "protocol": "udp"},
                      {"target": 53, "published": 53, "protocol": "tcp"},
                      {"target": 53, "published": 53, "host_ip": "127.0.0.2", "protocol": "udp"},
                      {"target": 80, "published": 8080, "host_ip": "::"}]}"#,
    );
    assert_eq!((found.ports[0].target, found.ports[0].published), (80, 8080));
    assert_eq!(found.ports[0].host_ip.to_string(), "0.0.0.0");
    assert_eq!((found.ports[0].protocol, found.ports[1].protocol), (Protocol::Tcp, Protocol::Udp));
    assert_eq!(found.ports[1].host_ip.to_string(), "127.0.0.1");
    let port = |rest: &str| format!(r#"{{"ports": [{{"target": 80, "published": 80{rest}}}]}}"#);
    refused(r#"{"ports": ["80:80"]}"#, "ports[0]", "text, not an object; write its long form");
    refused(r#"{"ports": {"80": 80}}"#, "ports", "an object, not a list");
    refused(r#"{"ports": [{"target": 80}]}"#, "ports[0].published", "missing");
    refused(r#"{"ports": [{"published": 80}]}"#, "ports[0].target", "missing");
    for bad in ["0", "65536", "-1"] {
        let json = format!(r#"{{"ports": [{{"target": {bad}, "published": 80}}]}}"#);
        refused(&json, "ports[0].target", "out of bounds");
    }
    for bad in [r#""80""#, r#""80-90""#, "80.5", "true"] {
        let json = format!(r#"{{"ports": [{{"target": 80, "published": {bad}}}]}}"#);
        refused(&json, "ports[0].published", "not a whole number");
    }
    refused(&port(r#", "protocol": "sctp""#), "ports[0].protocol", "use `tcp` or `udp`");
    refused(&port(r#", "host_ip": "lan""#), "ports[0].host_ip", "not an IP address");
    for second in ["", r#", "host_ip": "10.0.0.7""#, r#", "protocol": "tcp""#] {
        let json = format!(
            r#"{{"ports": [{{"target": 1, "published": 80}}, {{"target": 2, "published": 80{second}}}]}}"#
        );
        refused(&json, "ports[1].published", "published twice");
    }
    for network in ["none", "host"] {
        let json = format!(
            r#"{{"network_mode": "{network}", "ports": [{{"target": 1, "published": 1}}]}}"#
        );
        refused(&json, "ports", "publishes no ports");
    }
}

#[test]
fn mounts_are_named_volumes_paths_and_memory() {
    let found = container(
        r#"{"volumes": [{"type": "volume", "source": "data_1", "target": "/data"},
                        {"type": "bind", "source": "/srv/in", "target": "/in", "read_only": true},
                        {"type": "tmpfs", "target": "/scratch"}],
            "tmpfs": ["/tmp", "/run"]}"#,
    );
    assert_eq!(found.volumes[0].mount, Mount::Volume("data_1".to_owned()));
    assert!(!found.volumes[0].read_only && found.volumes[1].read_only);
    assert!(matches!(&found.volumes[1].mount, Mount::Bind(path) if path.as_str() == "/srv/in"));
    assert_eq!(found.volumes[2].mount, Mount::Tmpfs);
    assert_eq!(found.tmpfs.len(), 2);
    refused(r#"{"volumes": ["data:/data"]}"#, "volumes[0]", "text, not an object");
    refused(r#"{"tmpfs": "/tmp"}"#, "tmpfs", "text, not a list");
    refused(r#"{"tmpfs": ["/tmp:size=1m", "tmp"]}"#, "tmpfs[1]", "not an absolute path");
    let volume = |fields: &str| format!(r#"{{"volumes": [{{{fields}}}]}}"#);
    for (fields, path, message) in [
        (r#""target": "/a", "source": "ab""#, "type", "missing"),
        (r#""type": "npipe", "target": "/a""#, "type", "use `volume`, `bind` or `tmpfs`"),
        (r#""type": "volume", "target": "/a""#, "source", "missing"),
        (r#""type": "bind", "target": "/a""#, "source", "missing"),
        (r#""type": "tmpfs", "target": "/a", "source": "x""#, "source", "memory has no source"),
        (r#""type": "tmpfs""#, "target", "missing"),
        (r#""type": "tmpfs", "target": "/""#, "target", "mount below it"),
        (r#""type": "tmpfs", "target": "a""#, "target", "not an absolute path"),
        (r#""type": "tmpfs", "target": "/a/../b""#, "target", "not an absolute path"),
        (r#""type": "volume", "source": "/data", "target": "/a""#, "source", "not a volume's name"),
        (r#""type": "volume", "source": "a", "target": "/a""#, "source", "not a volume's name"),
        (r#""type": "volume", "source": "../x", "target": "/a""#, "source", "not a volume's name"),
        (r#""type": "bind", "source": "./x", "target": "/a""#, "source", "not an absolute path"),
        (
            r#""type": "bind", "source": "/x/../y", "target": "/a""#,
            "source",
            "not an absolute path",
        ),
        (
            r#""type": "tmpfs", "target": "/a", "read_only": "yes""#,
            "read_only",
            "not true or false",
        ),
        (r#""type": "tmpfs", "target": "/a", "bind": {}"#, "bind", "not a field here"),
    ] {
        refused(&volume(fields), &format!("volumes[0].{path}"), message);
    }
    let twice = r#"{"tmpfs": ["/a"], "volumes": [{"type": "volume", "source": "ab", "target": "/a"}],
                    "secrets": [{"name": "a", "target": "/b"}, {"name": "b", "target": "/c"}]}"#;
    refused(twice, "volumes[0].target", "`tmpfs[0]` is mounted at `/a` too");
    refused(
        r#"{"secrets": [{"name": "a"}, {"name": "b", "target": "/run/secrets/a"}]}"#,
        "secrets[1].target",
        "`secrets[0].target` is mounted",
    );
}

#[test]
fn an_engine_socket_is_never_mounted() {
    let bind = |source: &str| {
        format!(r#"{{"volumes": [{{"type": "bind", "source": "{source}", "target": "/s"}}]}}"#)
    };
    for socket in [
        "/",
        "/run",
        "/var",
        "/var/run",
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/run/podman",
        "/run/podman/podman.sock",
        "/run/containerd",
        "/var/run/containerd/containerd.sock",
        "/run/user",
        "/run/user/1000",
        "/run/user/1000/podman",
        "/run/user/1000/docker.sock",
        "/srv/docker.sock",
        "/run/crio",
    ] {
        refused(&bind(socket), "volumes[0].source", "engine's socket");
    }
    for fine in
        ["/run/dbus", "/var/lib/app", "/run/user/1000/pulse", "/srv/docker.sock.d", "/runner"]
    {
        container(&bind(fine));
    }
}

#[test]
fn networks_and_dependencies_are_named() {
    for (word, mode) in [
        ("slipway", NetworkMode::Slipway),
        ("none", NetworkMode::None),
        ("host", NetworkMode::Host),
    ] {
        assert_eq!(container(&format!(r#"{{"network_mode": "{word}"}}"#)).network_mode, mode);
    }
    refused(r#"{"network_mode": "bridge"}"#, "network_mode", "use `slipway`, `none` or `host`");
    refused(r#"{"network_mode": "service:db"}"#, "network_mode", "is not known here");
    let found = container(
        r#"{"depends_on": {"db": {"condition": "healthy"}, "mq": {"condition": "service_started"}}}"#,
    );
    let words: Vec<String> =
        found.depends_on.iter().map(|(name, condition)| format!("{name} {condition:?}")).collect();
    assert_eq!(words, ["db Healthy", "mq Started"]);
    refused(r#"{"depends_on": ["db"]}"#, "depends_on", "a list, not an object");
    refused(r#"{"depends_on": {"db": {}}}"#, "depends_on.db.condition", "missing");
    refused(r#"{"depends_on": {"db": null}}"#, "depends_on.db", "null, not an object");
    refused(
        r#"{"depends_on": {"db": {"condition": "service_completed_successfully"}}}"#,
        "depends_on.db.condition",
        "is not known here",
    );
    refused(
        r#"{"depends_on": {"db": {"condition": "started", "restart": true}}}"#,
        "depends_on.db.restart",
        "not a field here",
    );
    refused(
        r#"{"depends_on": {"Db": {"condition": "started"}}}"#,
        "depends_on.Db",
        "not a service name",
    );
}

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
fn capabilities_devices_and_gpus_are_named() {
    let found = container(
        r#"{"cap_drop": ["ALL"], "cap_add": ["CAP_NET_ADMIN", "SYS_TIME"],
            "devices": [{"source": "/dev/ttyUSB0"},
                        {"source": "/dev/i2c-1", "target": "/dev/i2c", "permissions": "rw"}],
            "gpus": [{"count": 1}, {"count": "all", "driver": "nvidia"}, {"device_ids": ["0", "3"]}]}"#,
    );
    let names: Vec<&str> = found.cap_add.iter().map(|capability| capability.name()).collect();
    assert_eq!((names, found.cap_drop[0].name()), (vec!["NET_ADMIN", "SYS_TIME"], "ALL"));
    assert_eq!(found.devices[0].target, found.devices[0].source);
    assert_eq!(
        (found.devices[0].permissions.as_str(), found.devices[1].permissions.as_str()),
        ("rwm", "rw")
    );
    assert_eq!(found.devices[1].target.as_str(), "/dev/i2c");
    assert_eq!(found.gpus[0].choice, GpuChoice::Count(1));
    assert_eq!(
        (&found.gpus[1].choice, found.gpus[1].driver.as_deref()),
        (&GpuChoice::All, Some("nvidia"))
    );
    assert_eq!(found.gpus[2].choice, GpuChoice::Ids(vec!["0".into(), "3".into()]));
    for (json, path, message) in [
        (r#""cap_add": ["net_admin"]"#, "cap_add[0]", "not a capability"),
        (r#""cap_add": ["CAP_CAP_KILL"]"#, "cap_add[0]", "not a capability"),
        (r#""cap_drop": ["X"]"#, "cap_drop[0]", "not a capability"),
        (r#""cap_drop": "ALL""#, "cap_drop", "text, not a list"),
        (r#""devices": ["/dev/a:/dev/a"]"#, "devices[0]", "text, not an object"),
        (r#""devices": [{"target": "/dev/a"}]"#, "devices[0].source", "missing"),
        (r#""devices": [{"source": "/etc/a"}]"#, "devices[0].source", "not below `/dev`"),
        (
            r#""devices": [{"source": "/dev/../etc/a"}]"#,
            "devices[0].source",
            "not an absolute path",
        ),
        (
            r#""devices": [{"source": "/dev/a", "permissions": "rr"}]"#,
            "devices[0].permissions",
            "once",
        ),
        (
            r#""devices": [{"source": "/dev/a", "permissions": ""}]"#,
            "devices[0].permissions",
            "once",
        ),
        (r#""gpus": "all""#, "gpus", "text, not a list"),
        (r#""gpus": [{}]"#, "gpus[0]", "neither `count` nor `device_ids`"),
        (r#""gpus": [{"count": 1, "device_ids": ["0"]}]"#, "gpus[0]", "keep one"),
        (r#""gpus": [{"count": 0}]"#, "gpus[0].count", "out of bounds"),
        (r#""gpus": [{"count": "two"}]"#, "gpus[0].count", "use `all`"),
        (r#""gpus": [{"device_ids": []}]"#, "gpus[0].device_ids", "the list is empty"),
        (r#""gpus": [{"count": 1, "driver": ""}]"#, "gpus[0].driver", "the text is empty"),
    ] {
        refused(&format!("{{{json}}}"), path, message);
    }
}

#[test]
fn logging_and_secrets_are_bounded() {
    let found = container(
        r#"{"logging": {"max_size": "1m", "max_file": 1},
            "secrets": [{"name": "db-password"}, {"name": "key.pem", "target": "/etc/key.pem"}]}"#,
    );
    assert_eq!((found.logging.max_size, found.logging.max_file), (1 << 20, 1));
    assert_eq!(found.secrets[0].target.as_str(), "/run/secrets/db-password");
    assert_eq!(found.secrets[1].target.as_str(), "/etc/key.pem");
    for (json, path, message) in [
        (r#""logging": {"max_size": "1b"}"#, "logging.max_size", "at least 1024"),
        (r#""logging": {"max_file": 0}"#, "logging.max_file", "out of bounds"),
        (r#""logging": {"driver": "syslog"}"#, "logging.driver", "not a field here"),
        (r#""secrets": ["a"]"#, "secrets[0]", "text, not an object"),
        (r#""secrets": [{"target": "/a"}]"#, "secrets[0].name", "missing"),
        (r#""secrets": [{"name": "../a"}]"#, "secrets[0].name", "not a secret's name"),
        (r#""secrets": [{"name": ""}]"#, "secrets[0].name", "not a secret's name"),
        (
            r#""secrets": [{"name": "a", "target": "a"}]"#,
            "secrets[0].target",
            "not an absolute path",
        ),
    ] {
        refused(&format!("{{{json}}}"), path, message);
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
