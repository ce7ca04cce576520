//! What a device allows.

use workload::{Bind, Capability, Config, DevicePattern, DevicePolicy, HostPath};

/// Everything that could reach the host.
const GREEDY: &str = r#"{
    "network_mode": "host",
    "volumes": [{"type": "volume", "source": "data", "target": "/data"},
                {"type": "bind", "source": "/srv/app", "target": "/a"},
                {"type": "bind", "source": "/srv/app/in", "target": "/b", "read_only": true}],
    "devices": [{"source": "/dev/ttyUSB0"}],
    "cap_drop": ["ALL"],
    "cap_add": ["NET_ADMIN", "CAP_SYS_TIME"],
    "gpus": [{"count": 1}]
}"#;

fn config(json: &str) -> Config {
    Config::parse(json).unwrap_or_else(|violations| panic!("{json}: {violations:?}"))
}

fn beyond(json: &str, policy: &DevicePolicy) -> Vec<String> {
    match config(json).allowed_by(policy) {
        Ok(()) => Vec::new(),
        Err(violations) => violations.into_iter().map(|violation| violation.path).collect(),
    }
}

fn policy(json: &str) -> DevicePolicy {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn the_default_policy_allows_nothing_that_reaches_the_host() {
    let expected = [
        "network_mode",
        "volumes[1].source",
        "volumes[2].source",
        "devices[0].source",
        "cap_add[0]",
        "cap_add[1]",
        "gpus",
    ];
    assert_eq!(beyond(GREEDY, &DevicePolicy::default()), expected);
    assert_eq!(policy("{}"), DevicePolicy::default());
    let harmless = r#"{"ports": [{"target": 1, "published": 1}], "cap_drop": ["ALL"], "tmpfs": ["/tmp"],
                       "volumes": [{"type": "volume", "source": "data", "target": "/data"}]}"#;
    assert_eq!(config(harmless).allowed_by(&DevicePolicy::default()), Ok(()));
}

#[test]
fn each_permission_allows_its_own_thing() {
    let cases = [
        (r#"{"host_network": true}"#, &["network_mode"][..]),
        (r#"{"gpus": true}"#, &["gpus"]),
        (r#"{"devices": ["/dev/ttyUSB*"]}"#, &["devices[0].source"]),
        (r#"{"cap_add": ["NET_ADMIN"]}"#, &["cap_add[0]"]),
        (r#"{"cap_add": ["CAP_SYS_TIME"]}"#, &["cap_add[1]"]),
        (r#"{"cap_add": ["ALL"]}"#, &["cap_add[0]", "cap_add[1]"]),
        (r#"{"binds": [{"path": "/srv"}]}"#, &["volumes[2].source"]),
        (
            r#"{"binds": [{"path": "/srv/app", "read_only": false}]}"#,
            &["volumes[1].source", "volumes[2].source"],
        ),
    ];
    let all = beyond(GREEDY, &DevicePolicy::default());
    for (json, allowed) in cases {
        let left = beyond(GREEDY, &policy(json));
        let gone: Vec<&String> = all.iter().filter(|path| !left.contains(path)).collect();
        assert_eq!(gone, allowed, "{json}");
    }
    let everything = r#"{"host_network": true, "gpus": true, "devices": ["/dev/ttyUSB0"],
        "cap_add": ["ALL"], "binds": [{"path": "/srv", "read_only": false}]}"#;
    assert_eq!(config(GREEDY).allowed_by(&policy(everything)), Ok(()));
}

#[test]
fn paths_are_compared_by_whole_components() {
    let bind = |source: &str| {
        format!(r#"{{"volumes": [{{"type": "bind", "source": "{source}", "target": "/a"}}]}}"#)
    };
    let path = HostPath::parse("/srv/app").expect("the path is plain");
    let policy =
        DevicePolicy { binds: vec![Bind { path, read_only: false }], ..DevicePolicy::default() };
    for inside in ["/srv/app", "/srv/app/data"] {
        assert_eq!(config(&bind(inside)).allowed_by(&policy), Ok(()));
    }
    for outside in ["/srv", "/srv/application", "/srv/other", "/data/srv/app"] {
        assert!(config(&bind(outside)).allowed_by(&policy).is_err(), "{outside}");
    }
}

#[test]
fn device_patterns_match_one_name() {
    let device = |source: &str| format!(r#"{{"devices": [{{"source": "{source}"}}]}}"#);
    let cases = [
        ("/dev/ttyUSB0", "/dev/ttyUSB0", true),
        ("/dev/ttyUSB0", "/dev/ttyUSB01", false),
        ("/dev/ttyUSB*", "/dev/ttyUSB12", true),
        ("/dev/ttyUSB*", "/dev/ttyACM0", false),
        ("/dev/snd*", "/dev/snd/pcm", false),
    ];
    for (pattern, source, allowed) in cases {
        let devices = vec![DevicePattern::parse(pattern).expect("the pattern is valid")];
        let policy = DevicePolicy { devices, ..DevicePolicy::default() };
        assert_eq!(
            config(&device(source)).allowed_by(&policy).is_ok(),
            allowed,
            "{pattern} {source}"
        );
    }
    for bad in ["", "*", "/dev/*", "/dev", "/etc/*", "/dev/a*b*", "/dev/../etc/x", "ttyUSB*"] {
        assert!(DevicePattern::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_policy_with_a_mistake_is_no_policy() {
    for bad in [
        r#"{"host-network": true}"#,
        r#"{"cap_add": ["net_admin"]}"#,
        r#"{"devices": ["*"]}"#,
        r#"{"binds": [{"path": "srv"}]}"#,
        r#"{"binds": [{"path": "/srv", "readonly": true}]}"#,
        r#"{"binds": ["/srv"]}"#,
    ] {
        assert!(serde_json::from_str::<DevicePolicy>(bad).is_err(), "{bad}");
    }
    assert_eq!(policy(r#"{"cap_add": ["ALL"]}"#).cap_add, [Capability::ALL]);
}

#[test]
fn the_message_names_what_is_missing_and_who_can_allow_it() {
    let Err(violations) = config(GREEDY).allowed_by(&DevicePolicy::default()) else {
        panic!("the default policy allows it")
    };
    assert_eq!(
        violations[1].to_string(),
        "volumes[1].source: this device's policy does not allow writing `/srv/app`; remove it, or \
         have the device's owner allow it"
    );
}
