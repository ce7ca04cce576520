//! Ports, networks and dependencies.

use workload::{NetworkMode, Protocol};

use crate::{container, refused};

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
