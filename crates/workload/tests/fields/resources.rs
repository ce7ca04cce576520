//! How much it gets, and what of the device.

use workload::GpuChoice;

use crate::{container, refused};

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
    assert_eq!(container(r#"{"mem_limit": "6m"}"#).mem_limit, Some(6_291_456));
    refused(r#"{"shm_size": 0}"#, "shm_size", "use at least 1");
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
