//! What is mounted.

use workload::Mount;

use crate::{container, refused};

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
