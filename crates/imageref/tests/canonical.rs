//! `canonical`: many spellings, one name; and what only looks like a name.

use imageref::{Digest, Error, Host, Reference, Tag, canonical};

const DIGEST: &str = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn text(input: &str) -> String {
    canonical(input).unwrap_or_else(|error| panic!("{input:?}: {error}")).to_string()
}

#[test]
fn every_spelling_of_docker_hub_is_one_name() {
    let hosts = [
        "",
        "docker.io/",
        "DOCKER.IO/",
        "Docker.io/",
        "docker.io:443/",
        "index.docker.io/",
        "index.docker.io:443/",
        "registry-1.docker.io/",
        "REGISTRY-1.docker.io:443/",
        "registry.hub.docker.com/",
        "hub.docker.com/",
        "docker.io:0443/",
    ];
    for host in hosts {
        for path in ["mongo", "library/mongo"] {
            assert_eq!(text(&format!("{host}{path}:7")), "docker.io/library/mongo:7", "{host}");
        }
        assert_eq!(text(&format!("{host}acme/app")), "docker.io/acme/app", "{host}");
    }
}

#[test]
fn another_port_or_name_is_another_registry() {
    for other in ["docker.io:5000/mongo", "hub.docker.io/mongo", "docker.io.example/mongo"] {
        assert_eq!(text(other), other);
    }
}

#[test]
fn hosts_are_brought_into_one_spelling() {
    let cases = [
        ("GHCR.io/acme/app", "ghcr.io/acme/app"),
        ("ghcr.io:443/acme/app", "ghcr.io/acme/app"),
        ("edge.example:00080/app", "edge.example:80/app"),
        ("edge.example:65535/app", "edge.example:65535/app"),
        ("LOCALHOST/app", "localhost/app"),
        ("localhost:443/app", "localhost/app"),
        ("[FD00:0:0::1]:443/app", "[fd00::1]/app"),
        ("[0:0:0:0:0:0:0:1]:5000/app", "[::1]:5000/app"),
        // Without its port a single label would become an owner on Docker Hub.
        ("node7:443/app", "node7:443/app"),
        ("NODE7:443/app", "node7:443/app"),
        ("Node7:5000/app", "node7:5000/app"),
    ];
    for (input, expected) in cases {
        assert_eq!(text(input), expected, "{input}");
        assert_eq!(text(expected), expected, "{expected} is already canonical");
    }
}

#[test]
fn what_only_looks_like_a_name_is_refused() {
    let host = |host: &str| Error::Host { host: host.to_owned() };
    let port = |port: &str| Error::Port { port: port.to_owned() };
    let long_host = format!("{}.example", "n".repeat(250));
    let cases = [
        ("", Error::Empty),
        (" mongo", Error::SurroundingBlank { text: " mongo".into() }),
        ("mongo ", Error::SurroundingBlank { text: "mongo ".into() }),
        ("mongo\u{a0}", Error::SurroundingBlank { text: "mongo\u{a0}".into() }),
        ("mongo\n", Error::ControlCharacter { character: '\n', at: 5 }),
        ("mo\0ngo", Error::ControlCharacter { character: '\0', at: 2 }),
        ("mongo:7\u{1b}[2J", Error::ControlCharacter { character: '\u{1b}', at: 7 }),
        ("m\u{43e}ngo", Error::NotAscii { character: '\u{43e}', at: 1 }),
        ("mongo\u{200b}", Error::NotAscii { character: '\u{200b}', at: 5 }),
        ("mongo:\u{664}", Error::NotAscii { character: '\u{664}', at: 6 }),
        ("docker://mongo", Error::Scheme { scheme: "docker://".into() }),
        ("https://ghcr.io/acme/app", Error::Scheme { scheme: "https://".into() }),
        ("my_edge.example/app", host("my_edge.example")),
        ("[fffff::1]/app", host("[fffff::1]")),
        ("[1:2]/app", host("[1:2]")),
        ("edge.example:0/app", port("0")),
        ("edge.example:000/app", port("000")),
        ("edge.example:65536/app", port("65536")),
        ("edge.example:99999999999999999999/app", port("99999999999999999999")),
        ("[::ffff:a00:7]/app", Error::MappedAddress { host: "[::ffff:a00:7]".into() }),
        ("Acme/app", Error::UnqualifiedHost { host: "Acme".into() }),
        ("ghcr.io/Acme/app", Error::UpperCase { path: "Acme/app".into() }),
        ("mongo/", Error::EmptyComponent { path: "mongo/".into() }),
        ("mongo:", Error::Tag { tag: String::new() }),
    ];
    for (input, error) in cases {
        assert_eq!(canonical(input), Err(error), "{input:?}");
    }
    assert_eq!(canonical(&format!("{long_host}/app")), Err(host(&long_host)));
}

#[test]
fn an_address_that_reads_back_is_kept_whatever_its_zeros() {
    // `::a00:7` is "IPv4-compatible": deprecated, but not IPv4 under another name.
    assert_eq!(text("[::a00:7]/app"), "[::a00:7]/app");
    assert_eq!(text("[::]/app"), "[::]/app");
}

#[test]
fn path_length_counts_the_library_that_an_alias_brings() {
    let name = "n".repeat(248);
    assert!(canonical(&format!("edge.example/{name}")).is_ok());
    let error = canonical(&format!("registry-1.docker.io/{name}")).map(drop);
    assert_eq!(error, Err(Error::TooLong { length: 256 }));
}

#[test]
fn messages_are_sentences_that_show_nothing_raw() {
    let long = "x".repeat(5000);
    let inputs = [
        "",
        " a",
        "a\u{7}",
        "a\u{202e}b",
        "x://a",
        "A/a",
        "a..b",
        "a//b",
        "A",
        "a:-",
        "a@x",
        "a@md5:00",
        "a@sha256:00",
        "x:0/a",
        "[::ffff:1:1]/a",
        "a_b.c/d",
        "a:`b`\u{feff}",
        &format!("{long}/{long}"),
        &format!("a:{long}"),
        &"0a".repeat(32),
    ];
    for input in inputs {
        let message = match canonical(input) {
            Ok(reference) => panic!("{input:?} is {reference}"),
            Err(error) => error.to_string(),
        };
        assert!(message.len() < 320, "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
        assert!(message.chars().all(|c| c.is_ascii() || c == '…'), "{message:?}");
        assert!(!message.ends_with('.') && !message.starts_with(char::is_uppercase), "{message}");
        assert!(message.contains(';') || message.contains(','), "no next step: {message}");
    }
    assert_eq!(
        canonical("ghcr.io/Acme/app").map(drop).map_err(|error| error.to_string()),
        Err("repository `Acme/app` is not in lower case; write `acme/app`".to_owned())
    );
    assert_eq!(
        canonical("mongo\t").map(drop).map_err(|error| error.to_string()),
        Err("the name holds the control character U+0009 at byte 5; remove it".to_owned())
    );
}

#[test]
fn a_reference_is_taken_apart_and_put_together() {
    let tag = |text: &str| Tag::parse(text).expect("the tag is valid");
    let digest = Digest::parse(DIGEST).expect("the digest is valid");
    let reference = canonical("GHCR.io/acme/app:1.2").expect("the name is valid");
    assert_eq!((reference.host(), reference.path()), ("ghcr.io", "acme/app"));
    assert_eq!(reference.tag(), Some(&tag("1.2")));
    assert_eq!(reference.digest(), None);
    assert_eq!(reference.repository().to_string(), "ghcr.io/acme/app");

    let pinned = reference.clone().with_digest(digest.clone());
    assert_eq!(pinned.to_string(), format!("ghcr.io/acme/app:1.2@{DIGEST}"));
    assert_eq!(pinned.to_pull().to_string(), format!("ghcr.io/acme/app@{DIGEST}"));
    assert_eq!(pinned.clone().without_digest(), reference);
    assert_eq!(
        pinned.clone().with_tag(tag("2")).to_string(),
        format!("ghcr.io/acme/app:2@{DIGEST}")
    );
    let (repository, tag, found) = pinned.clone().into_parts();
    assert_eq!(found, Some(digest));
    assert_eq!(Reference::new(repository.clone(), tag, found), pinned);
    assert_eq!(Reference::from(repository).to_pull().to_string(), "ghcr.io/acme/app:latest");
}

#[test]
fn familiar_names_read_back_as_the_same_image() {
    let id = "0a".repeat(32);
    let cases = [
        ("docker.io/library/mongo:7".to_owned(), "mongo:7".to_owned()),
        ("docker.io/acme/app".into(), "acme/app".into()),
        ("docker.io/library/a/b".into(), "library/a/b".into()),
        ("ghcr.io/acme/app:1".into(), "ghcr.io/acme/app:1".into()),
        ("docker.io/library/docker.io".into(), "docker.io".into()),
        // Shorter, these would be another registry's, or no name.
        ("docker.io/edge.example/app".into(), "docker.io/edge.example/app".into()),
        ("docker.io/localhost/app".into(), "docker.io/localhost/app".into()),
        (format!("docker.io/library/{id}"), format!("library/{id}")),
    ];
    for (name, familiar) in cases {
        let reference = canonical(&name).expect("the name is valid");
        assert_eq!(reference.familiar(), familiar);
        assert_eq!(canonical(&familiar), Ok(reference));
    }
}

#[test]
fn digests_know_their_algorithm() {
    let digest = Digest::parse(DIGEST).expect("the digest is valid");
    assert_eq!(digest.algorithm().name(), "sha256");
    assert_eq!(format!("sha256:{}", digest.hex()), DIGEST);
    let long = format!("sha512:{}", "0a".repeat(64));
    let digest = Digest::parse(&long).expect("the digest is valid");
    assert_eq!((digest.algorithm().name(), digest.to_string()), ("sha512", long));
    assert_eq!(Digest::parse(""), Err(Error::Empty));
    assert!(matches!(Digest::parse(&format!(" {DIGEST}")), Err(Error::SurroundingBlank { .. })));
}

#[test]
fn everything_travels_as_its_text() {
    let reference = canonical(&format!("mongo:7@{DIGEST}")).expect("the name is valid");
    let json = serde_json::to_string(&reference).expect("a reference is text");
    assert_eq!(json, format!("\"docker.io/library/mongo:7@{DIGEST}\""));
    assert_eq!(serde_json::from_str::<Reference>(&json).expect("it reads back"), reference);
    let error = serde_json::from_str::<Tag>("\"-7\"").expect_err("`-7` is not a tag");
    assert!(error.to_string().starts_with("`-7` is not a tag"), "{error}");
    assert_eq!(serde_json::from_str::<Host>("\"GHCR.io\"").expect("a host").as_str(), "ghcr.io");
}
