//! `parse`: the docker-style reading, rule by rule.

use imageref::{AnyReference, Error, parse, parse_any};

const HEX: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn parts(input: &str) -> (String, String, Option<String>, Option<String>) {
    let parsed = parse(input).unwrap_or_else(|error| panic!("{input:?}: {error}"));
    (
        parsed.host().to_owned(),
        parsed.path().into_owned(),
        parsed.tag().map(str::to_owned),
        parsed.digest().map(str::to_owned),
    )
}

#[test]
fn host_and_library_are_filled_in_as_engines_do() {
    let cases = [
        ("mongo", "docker.io", "library/mongo"),
        ("library/mongo", "docker.io", "library/mongo"),
        ("acme/app", "docker.io", "acme/app"),
        ("acme/team/app", "docker.io", "acme/team/app"),
        ("docker.io/mongo", "docker.io", "library/mongo"),
        ("docker.io/acme/app", "docker.io", "acme/app"),
        ("index.docker.io/mongo", "docker.io", "library/mongo"),
        ("docker.io/library/acme/app", "docker.io", "library/acme/app"),
        ("localhost/app", "localhost", "app"),
        ("localhost:5000/app", "localhost:5000", "app"),
        ("node7:5000/app", "node7:5000", "app"),
        ("edge.example/app", "edge.example", "app"),
        ("10.0.0.7/app", "10.0.0.7", "app"),
        ("[fd12::7]:5000/app", "[fd12::7]:5000", "app"),
        ("mongo.example", "docker.io", "library/mongo.example"),
    ];
    for (input, host, path) in cases {
        let found = parts(input);
        assert_eq!((found.0.as_str(), found.1.as_str()), (host, path), "{input}");
    }
}

#[test]
fn the_oddities_of_the_reference_implementation_are_kept() {
    // The case of a host is kept, and an upper-case first component is a host.
    assert_eq!(parts("EDGE.Example/app").0, "EDGE.Example");
    assert_eq!(parts("Acme/app"), ("Acme".into(), "app".into(), None, None));
    // Other hosts of Docker Hub are hosts of their own, and gain no `library/`.
    assert_eq!(parts("registry-1.docker.io/mongo").1, "mongo");
    assert_eq!(parts("docker.io:443/mongo").0, "docker.io:443");
    // Any digits are a port.
    assert_eq!(parts("edge.example:0/app").0, "edge.example:0");
    assert_eq!(parts("edge.example:0080/app").0, "edge.example:0080");
    assert_eq!(parts("edge.example:99999/app").0, "edge.example:99999");
    // What looks like a host, is none, and would do as a path has no host at all.
    assert_eq!(
        parts("my_edge.example/app"),
        (String::new(), "my_edge.example/app".into(), None, None)
    );
}

#[test]
fn tag_and_digest_are_told_from_port_and_path() {
    let digest = format!("sha256:{HEX}");
    let cases = [
        // A port is no tag, and a tag no port.
        ("localhost:5000".to_owned(), "library/localhost", Some("5000"), None),
        ("localhost:5000/app".to_owned(), "app", None, None),
        ("localhost:5000/app:7".to_owned(), "app", Some("7"), None),
        ("acme/app.v2:8080".to_owned(), "acme/app.v2", Some("8080"), None),
        // Tag and digest together; the digest's own colon splits nothing.
        (format!("mongo:7@{digest}"), "library/mongo", Some("7"), Some(digest.as_str())),
        (format!("mongo@{digest}"), "library/mongo", None, Some(digest.as_str())),
        (format!("node7:5000/app@{digest}"), "app", None, Some(digest.as_str())),
        (format!("node7:5000/app:7@{digest}"), "app", Some("7"), Some(digest.as_str())),
        // A digest without `@` is a repository with a tag.
        (format!("sha256:{HEX}"), "library/sha256", Some(HEX), None),
    ];
    for (input, path, tag, digest) in cases {
        let found = parts(&input);
        assert_eq!(
            (found.1.as_str(), found.2.as_deref(), found.3.as_deref()),
            (path, tag, digest),
            "{input}"
        );
    }
}

#[test]
fn components_follow_their_grammar() {
    for good in ["a", "7", "a.b", "a_b", "a__b", "a-b", "a---b", "a.b_c__d-e", "a/b.c/d"] {
        assert!(parse(good).is_ok(), "{good}");
    }
    for bad in ["a..b", "a___b", "a._b", "a-.b", ".a", "_a", "-a", "a.", "a_", "a-", "a~b", "a+b"] {
        assert!(matches!(parse(bad), Err(Error::Component { .. })), "{bad}: {:?}", parse(bad));
    }
    for bad in ["a//b", "/a", "a/", "/", "edge.example/", "edge.example//a"] {
        assert!(matches!(parse(bad), Err(Error::EmptyComponent { .. })), "{bad}: {:?}", parse(bad));
    }
    for bad in ["Mongo", "acme/App", "edge.example/Acme/app", "library/MONGO:7"] {
        assert!(matches!(parse(bad), Err(Error::UpperCase { .. })), "{bad}: {:?}", parse(bad));
    }
}

#[test]
fn hosts_follow_their_grammar() {
    let good = ["a.b", "a-b.c", "a--b.c", "1.2", "xn--4ca.example", "[::]", "[FD00::1]:1", "a:1"];
    for good in good {
        assert!(parse(&format!("{good}/app")).is_ok(), "{good}");
    }
    for bad in [
        "-a.b",
        "a-.b",
        ".a",
        "a.",
        "a..b",
        "a:",
        "a:b",
        "a:1:2",
        "a_b:1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[fe80::1%eth0]",
        "::1",
        "a b.c",
        "user:pw@a.b",
    ] {
        let input = format!("{bad}/app");
        assert!(matches!(parse(&input), Err(Error::Host { .. })), "{input}: {:?}", parse(&input));
    }
    assert!(parse("[::1]").is_err(), "an address alone is no name");
}

#[test]
fn lengths_are_counted_as_engines_do() {
    let long = |n: usize| "n".repeat(n);
    assert!(parse(&long(247)).is_ok(), "with `library/` 255");
    assert_eq!(parse(&long(248)), Err(Error::TooLong { length: 256 }));
    assert!(parse(&format!("acme/{}", long(250))).is_ok());
    assert!(parse(&format!("edge.example/{}", long(255))).is_ok(), "the host is not counted");
    assert_eq!(parse(&format!("edge.example/{}", long(256))), Err(Error::TooLong { length: 256 }));
    assert!(parse(&format!("{}.example/app", long(300))).is_ok());
    assert!(parse(&format!("mongo:{}", long(128))).is_ok());
    assert!(matches!(parse(&format!("mongo:{}", long(129))), Err(Error::Tag { .. })));
}

#[test]
fn tags_follow_their_grammar() {
    for good in ["7", "_", "v1.2-rc_3", "A", "7.", "7-", "__"] {
        assert_eq!(parts(&format!("mongo:{good}")).2.as_deref(), Some(good));
    }
    for bad in ["", "-7", ".7", "7:8", "7+x", "7~", "7 8", ":7"] {
        assert!(parse(&format!("mongo:{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn digests_are_whole_lower_case_and_of_a_known_algorithm() {
    assert!(parse(&format!("mongo@sha256:{HEX}")).is_ok());
    assert!(parse(&format!("mongo@sha512:{HEX}{HEX}")).is_ok());
    let malformed = [
        String::new(),
        "sha256".to_owned(),
        format!(":{HEX}"),
        format!("sha256:{}", HEX.to_uppercase()),
        format!("sha256:{}g", &HEX[..63]),
        format!("sha256:{HEX}@sha256:{HEX}"),
        format!("sha256:{HEX}:7"),
    ];
    for digest in malformed {
        let input = format!("mongo@{digest}");
        assert!(matches!(parse(&input), Err(Error::Digest { .. })), "{input}: {:?}", parse(&input));
    }
    for (digest, length) in [("sha256:", 0), ("sha256:abcd", 4)] {
        let error = parse(&format!("mongo@{digest}")).map(drop);
        assert_eq!(error, Err(Error::DigestLength { algorithm: "sha256", wanted: 64, length }));
    }
    let error = parse(&format!("mongo@sha512:{HEX}")).map(drop);
    assert_eq!(error, Err(Error::DigestLength { algorithm: "sha512", wanted: 128, length: 64 }));
    for algorithm in ["md5", "sha384", "SHA256", "sha256+b64"] {
        let error = parse(&format!("mongo@{algorithm}:{HEX}")).map(drop);
        assert_eq!(error, Err(Error::Algorithm { algorithm: algorithm.to_owned() }));
    }
}

#[test]
fn a_bare_content_id_is_no_name() {
    assert_eq!(parse(HEX), Err(Error::Identifier));
    assert!(parse(&HEX[1..]).is_ok(), "63 digits are a name");
    assert!(parse(&format!("{HEX}:7")).is_ok(), "with a tag they are a name");
    assert!(parse(&format!("docker.io/{HEX}")).is_ok(), "with a host they are a name");
    let content = |input: &str| match parse_any(input) {
        Ok(AnyReference::Content(digest)) => Some(digest.to_string()),
        Ok(AnyReference::Named(_)) | Err(_) => None,
    };
    assert_eq!(content(HEX), Some(format!("sha256:{HEX}")));
    assert_eq!(content(&format!("sha512:{HEX}{HEX}")), Some(format!("sha512:{HEX}{HEX}")));
    assert_eq!(content("mongo"), None);
    assert!(matches!(parse_any("mongo"), Ok(AnyReference::Named(_))));
    assert!(parse_any("Mongo").is_err());
}

#[test]
fn what_engines_show_and_pull_follows_from_the_parts() {
    let digest = format!("sha256:{HEX}");
    let cases = [
        ("mongo", "docker.io/library/mongo", "mongo", "docker.io/library/mongo:latest"),
        (
            "index.docker.io/acme/app:7",
            "docker.io/acme/app:7",
            "acme/app:7",
            "docker.io/acme/app:7",
        ),
        ("localhost/app", "localhost/app", "localhost/app", "localhost/app:latest"),
        ("library/a/b:7", "docker.io/library/a/b:7", "library/a/b:7", "docker.io/library/a/b:7"),
        (
            "my_edge.example/app",
            "my_edge.example/app",
            "my_edge.example/app",
            "my_edge.example/app:latest",
        ),
    ];
    for (input, normalised, familiar, pulled) in cases {
        let parsed = parse(input).expect("the case is valid");
        assert_eq!(parsed.to_string(), normalised);
        assert_eq!(parsed.familiar(), familiar);
        assert_eq!(parsed.to_pull().to_string(), pulled);
    }
    let pinned = format!("mongo:7@{digest}");
    let parsed = parse(&pinned).expect("the case is valid");
    assert_eq!(parsed.to_string(), format!("docker.io/library/{pinned}"));
    assert_eq!(parsed.to_pull().to_string(), format!("docker.io/library/mongo@{digest}"));
}
