//! Repositories, namespaces, and the fields they come from.

use imageref::{Error, Namespace, Repository};

fn repository(text: &str) -> Repository {
    Repository::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn a_repository_has_registry_namespace_and_name() {
    let cases = [
        ("mongo", "docker.io", "library/mongo", Some("library"), "mongo"),
        ("grafana/grafana", "docker.io", "grafana/grafana", Some("grafana"), "grafana"),
        ("ghcr.io/a/b/c", "ghcr.io", "a/b/c", Some("a/b"), "c"),
        ("localhost:5000/app", "localhost:5000", "app", None, "app"),
    ];
    for (text, registry, path, namespace, name) in cases {
        let found = repository(text);
        assert_eq!(found.registry(), registry);
        assert_eq!(found.path(), path);
        assert_eq!(found.namespace(), namespace);
        assert_eq!(found.name(), name);
        assert_eq!(found.as_str(), format!("{registry}/{path}"));
    }
}

#[test]
fn a_version_is_refused_where_a_repository_is_wanted() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    assert!(matches!(Repository::parse("mongo:7"), Err(Error::TagNotWanted { .. })));
    assert!(matches!(Repository::parse("localhost:5000"), Err(Error::TagNotWanted { .. })));
    for text in [format!("mongo@{digest}"), format!("mongo:7@{digest}")] {
        assert!(matches!(Repository::parse(&text), Err(Error::DigestNotWanted { .. })));
    }
}

#[test]
fn familiar_repositories_are_as_people_write_them() {
    for text in ["redis", "portainer/portainer-ce", "ghcr.io/a/b", "localhost:5000/app"] {
        assert_eq!(repository(text).familiar(), text);
    }
    assert_eq!(repository("index.docker.io/library/redis").familiar(), "redis");
}

#[test]
fn the_fields_of_a_request_make_one_repository() {
    let cases = [
        (None, None, "mongo", "docker.io/library/mongo"),
        (Some(""), Some(""), "mongo", "docker.io/library/mongo"),
        (Some("docker.io"), None, "mongo", "docker.io/library/mongo"),
        (Some("docker.io"), Some("library"), "mongo", "docker.io/library/mongo"),
        (Some("registry-1.docker.io"), None, "mongo", "docker.io/library/mongo"),
        (Some("docker.io"), None, "grafana/grafana", "docker.io/grafana/grafana"),
        (Some("docker.io"), Some("grafana"), "grafana", "docker.io/grafana/grafana"),
        (Some("docker.io"), Some("grafana"), "grafana/grafana", "docker.io/grafana/grafana"),
        (None, Some("grafana"), "grafana", "docker.io/grafana/grafana"),
        (None, None, "ghcr.io/acme/app", "ghcr.io/acme/app"),
        (Some("GHCR.io:443"), Some("acme"), "app", "ghcr.io/acme/app"),
        (Some("ghcr.io"), None, "ghcr.io/acme/app", "ghcr.io/acme/app"),
        (Some("docker.io"), None, "index.docker.io/mongo", "docker.io/library/mongo"),
        (Some("ghcr.io"), Some("a/b"), "c/d", "ghcr.io/a/b/c/d"),
        (Some("ghcr.io"), Some("edge.example"), "app", "ghcr.io/edge.example/app"),
        (Some("localhost:5000"), None, "app", "localhost:5000/app"),
        // Only a whole component repeats the namespace.
        (Some("ghcr.io"), Some("acme"), "acmeapp", "ghcr.io/acme/acmeapp"),
    ];
    for (registry, namespace, name, expected) in cases {
        let found =
            Repository::from_parts(registry, namespace, name).map(|found| found.to_string());
        assert_eq!(found, Ok(expected.to_owned()), "{registry:?} {namespace:?} {name:?}");
    }
}

#[test]
fn contradicting_and_broken_fields_are_refused() {
    let two = |in_name: &str, given: &str| Error::TwoHosts {
        in_name: in_name.to_owned(),
        given: given.to_owned(),
    };
    let cases = [
        (Some("docker.io"), None, "ghcr.io/acme/app", two("ghcr.io", "docker.io")),
        (Some("ghcr.io"), None, "localhost/app", two("localhost", "ghcr.io")),
        (None, None, "", Error::Empty),
        (Some("docker.io"), None, "", Error::Empty),
        (Some("docker.io"), Some("acme"), "", Error::Empty),
        (Some("docker.io"), None, "mongo:7", Error::TagNotWanted { text: "mongo:7".into() }),
        (None, Some("acme"), "app:7", Error::TagNotWanted { text: "acme/app:7".into() }),
        (Some("docker.io"), None, "a@b", Error::DigestNotWanted { text: "a@b".into() }),
        (Some("docker.io"), None, "mongo ", Error::SurroundingBlank { text: "mongo ".into() }),
        (
            Some("docker.io"),
            Some("ac\tme"),
            "x",
            Error::ControlCharacter { character: '\t', at: 2 },
        ),
        (Some(" docker.io"), None, "x", Error::SurroundingBlank { text: " docker.io".into() }),
        (Some("https://ghcr.io"), None, "x", Error::Scheme { scheme: "https://".into() }),
        (Some("acme"), None, "app", Error::UnqualifiedHost { host: "acme".into() }),
        (Some("docker.io"), Some("Acme"), "app", Error::UpperCase { path: "Acme/app".into() }),
        (
            Some("docker.io"),
            Some("acme/"),
            "app",
            Error::EmptyComponent { path: "acme//app".into() },
        ),
    ];
    for (registry, namespace, name, error) in cases {
        let found = Repository::from_parts(registry, namespace, name);
        assert_eq!(found, Err(error), "{registry:?} {namespace:?} {name:?}");
    }
}

#[test]
fn a_namespace_holds_whole_components_of_its_own_host() {
    let internal = Namespace::new("Docker.io", "iotistic").expect("the namespace is valid");
    for inside in ["iotistic/agent", "registry-1.docker.io/iotistic/agent", "iotistic/a/b"] {
        assert!(internal.contains(&repository(inside)), "{inside}");
    }
    for outside in [
        "iotistic",
        "iotistic-evil/agent",
        "iotisticagent/x",
        "evil/iotistic/agent",
        "ghcr.io/iotistic/agent",
        "evil.example/iotistic/agent",
        "docker.io:5000/iotistic/agent",
    ] {
        assert!(!internal.contains(&repository(outside)), "{outside}");
    }
    assert!(repository("mongo").in_namespace("docker.io", "library"));
    assert!(!repository("mongo").in_namespace("docker.io", ""));
    assert!(!repository("mongo").in_namespace("docker.io", "lib"));
}

#[test]
fn a_namespace_is_checked_and_travels_as_its_two_fields() {
    for (host, path) in [("", "a"), ("docker.io", ""), ("docker.io", "a/"), ("docker.io", "a/*")] {
        assert!(Namespace::new(host, path).is_err(), "{host:?} {path:?}");
    }
    let json = r#"{"host":"ghcr.io","namespace":"acme/edge"}"#;
    let namespace: Namespace = serde_json::from_str(json).expect("the fields are valid");
    assert_eq!(namespace.to_string(), "ghcr.io/acme/edge");
    assert_eq!((namespace.host().as_str(), namespace.path()), ("ghcr.io", "acme/edge"));
    assert_eq!(serde_json::to_string(&namespace).expect("it is text"), json);
    assert!(serde_json::from_str::<Namespace>(r#"{"host":"ghcr.io","namespace":"Acme"}"#).is_err());
}
