//! Patterns: what they match, which wins, and which are refused.

use std::time::{Duration, Instant};

use imageref::{Host, HostPattern, ImagePattern, PatternError, Repository, RepositoryGlob, Tag};

fn pattern(text: &str) -> ImagePattern {
    ImagePattern::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn repository(text: &str) -> Repository {
    Repository::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn fits(text: &str, name: &str, tag: &str) -> bool {
    let tag = (!tag.is_empty()).then(|| Tag::parse(tag).expect("the tag is valid"));
    pattern(text).matches(&repository(name), tag.as_ref())
}

#[test]
fn repository_and_tag_are_matched_apart_and_whole() {
    let cases = [
        ("redis:*", "redis", "7-alpine", true),
        ("redis:*", "redis", "", true),
        ("redis", "redis", "7", true),
        ("redis", "redis", "", true),
        ("redis:7", "redis", "7", true),
        ("redis:7", "redis", "7-alpine", false),
        ("redis:7", "redis", "", false),
        ("redis:7*", "redis", "7-alpine", true),
        ("redis:7*", "redis", "", false),
        ("redis:*-alpine", "redis", "7-alpine", true),
        ("redis:*-alpine", "redis", "7-alpine3", false),
        ("redis:v*.*", "redis", "v1.2.3", true),
        ("redis:**", "redis", "7", true),
        // Look-alikes.
        ("redis:*", "evil/redis", "7", false),
        ("redis:*", "redis2", "7", false),
        ("redis:*", "myredis", "7", false),
        ("redis:*", "ghcr.io/redis", "7", false),
        ("redis:*", "redis/redis", "7", false),
        // A port is no tag.
        ("localhost:5000/app", "localhost:5000/app", "7", true),
        ("localhost:5000/*:v*", "localhost:5000/app", "v1", true),
        ("localhost:5000/*:v*", "localhost:5000/app", "1", false),
        ("localhost:*/app", "localhost:5000/app", "1", true),
    ];
    for (text, name, tag, expected) in cases {
        assert_eq!(fits(text, name, tag), expected, "{text} and {name}:{tag}");
    }
}

#[test]
fn canonical_and_familiar_spellings_match_alike() {
    for text in [
        "redis:7",
        "library/redis:7",
        "docker.io/redis:7",
        "docker.io/library/redis:7",
        "DOCKER.io/redis:7",
        "registry-1.docker.io/library/redis:7",
        "index.docker.io/red*:7",
        "re*s:7",
        "library/*:7",
        "docker.io/*:7",
        "docker.io/library/*:7",
        "docker.io/**:7",
        "*:7",
        "**:7",
        "docker.io/*/redis:7",
        "*/library/redis:7",
        "*/*/redis:7",
        "**/redis:7",
    ] {
        assert!(fits(text, "redis", "7"), "{text}");
    }
    for text in ["*/redis:7", "ghcr.io/**:7", "docker.io:5000/**:7", "acme/*:7", "r*:8", "**s/x"] {
        assert!(!fits(text, "redis", "7"), "{text}");
    }
}

#[test]
fn one_star_stays_within_a_component_and_two_cross() {
    let cases = [
        ("ghcr.io/acme/*", "ghcr.io/acme/app", true),
        ("ghcr.io/acme/*", "ghcr.io/acme/team/app", false),
        ("ghcr.io/acme/**", "ghcr.io/acme/team/app", true),
        ("ghcr.io/acme/**", "ghcr.io/acme", false),
        ("ghcr.io/acme/**", "ghcr.io/acme-evil/app", false),
        ("ghcr.io/**/app", "ghcr.io/acme/team/app", true),
        ("ghcr.io/**/app", "ghcr.io/app", false),
        ("ghcr.io/acme/app-*", "ghcr.io/acme/app-1", true),
        ("ghcr.io/acme/app*", "ghcr.io/acme/app", true),
        ("GHCR.io:443/acme/*", "ghcr.io/acme/app", true),
        ("*/acme/app", "ghcr.io/acme/app", true),
        ("*/acme/app", "docker.io/acme/app", true),
        ("*/app", "acme/app", true),
        ("*.example.com/app", "eu.example.com/app", true),
        ("*.example.com/app", "evil-example.com/app", false),
        ("*.example.com/app", "a.example.com.evil.io/app", false),
        // Without a host the pattern is for Docker Hub.
        ("iot*/agent", "iotistic/agent", true),
        ("iot*/agent", "iot.example.com/agent", false),
        ("iot**", "iot.example.com/agent", false),
        ("acme/*", "ghcr.io/acme/app", false),
    ];
    for (text, name, expected) in cases {
        let found = pattern(text).matches_repository(&repository(name));
        assert_eq!(found, expected, "{text} and {name}");
    }
}

#[test]
fn the_closer_description_wins() {
    let descending = [
        "ghcr.io/acme/app:v1.2",
        "ghcr.io/acme/app:v1",
        "ghcr.io/acme/app:v1*",
        "ghcr.io/acme/app:v*",
        "ghcr.io/acme/app",
        "ghcr.io/acme/a*:v1.2",
        "ghcr.io/acme/a*",
        "ghcr.io/acme/*:v1.2",
        "ghcr.io/acme/*",
        "ghcr.io/**:v1",
        "ghcr.io/**",
        "*/acme/*",
        "**:v1",
        "**",
    ];
    for pair in descending.windows(2) {
        let (greater, lesser) = (pattern(pair[0]).specificity(), pattern(pair[1]).specificity());
        assert!(greater > lesser, "{} before {}", pair[0], pair[1]);
    }
    for (one, other) in [
        ("redis:7", "docker.io/library/redis:7"),
        ("redis:*", "redis"),
        ("acme/*", "index.docker.io/acme/*"),
    ] {
        assert_eq!(pattern(one).specificity(), pattern(other).specificity(), "{one} and {other}");
    }
}

#[test]
fn patterns_that_can_match_nothing_are_refused() {
    let long = "a".repeat(641);
    let cases = [
        ("", "the pattern is empty"),
        (&long, "the pattern has 641 characters"),
        ("redis:", "the tag of pattern `redis:` is empty"),
        ("*:", "the tag of pattern"),
        ("acme//*", "empty component"),
        ("/*", "empty component"),
        ("acme/*/", "empty component"),
        ("ghcr.io/*/", "empty component"),
        ("acme//app", "empty component"),
        ("acme/***", "`***` is no wildcard"),
        ("redis:****", "`****` is no wildcard"),
        ("redis:7?", "`7?` is not a tag"),
        ("redis:7?*", "holds `?`, which no tag has"),
        ("red?s*", "holds `?`, which no repository has"),
        ("^redis.*$", "holds `^`"),
        ("Acme/*", "holds `A`, which no repository has"),
        ("ghcr.io/Acme/*", "holds `A`"),
        ("Redis:*", "not in lower case"),
        ("GHCR.*/app", "holds `G`, which no registry host has"),
        (" redis:*", "blank"),
        ("redis:* ", "holds ` `"),
        ("redis\n*", "holds `\\n`"),
        ("r\u{435}d*", "holds `\\u{435}`"),
        ("_x/*", "`_x` cannot be part of a repository"),
        ("edge.example:0/*", "port `0`"),
        ("my_edge.example/*", "not a registry host"),
        ("my_edge.example/app", "not a registry host"),
        ("redis@sha256:00", "has a digest"),
        ("redis:-7", "`-7` is not a tag"),
        ("a:b:c", "is not a tag"),
    ];
    for (text, expected) in cases {
        let message = match ImagePattern::parse(text) {
            Ok(_) => panic!("{text:?} is accepted"),
            Err(error) => error.to_string(),
        };
        let refused = message.contains(expected) || message.contains("only a repository is wanted");
        assert!(refused, "{text:?}: {message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
}

#[test]
fn patterns_travel_as_given() {
    for text in ["redis:*", "DOCKER.io/redis", "ghcr.io/acme/**:v*"] {
        assert_eq!(pattern(text).to_string(), text);
        assert_eq!(pattern(text).as_str(), text);
        let json = serde_json::to_string(&pattern(text)).expect("a pattern is text");
        assert_eq!(
            serde_json::from_str::<ImagePattern>(&json).expect("it reads back"),
            pattern(text)
        );
    }
}

#[test]
fn no_pattern_makes_matching_slow() {
    let name = repository(&format!("edge.example/{}", "a".repeat(255)));
    let start = Instant::now();
    for stars in ["*a", "**a"] {
        let text = format!("edge.example/{}b", stars.repeat(600 / stars.len()));
        assert!(!pattern(&text).matches_repository(&name));
    }
    // A backtracking matcher would take longer than anyone waits.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn repository_globs_match_the_path_on_any_bound_host() {
    let cases = [
        ("**", "redis", true),
        ("**", "ghcr.io/a/b/c", true),
        ("*", "redis", true),
        ("*", "acme/app", false),
        ("*", "ghcr.io/app", true),
        ("redis", "redis", true),
        ("library/*", "redis", true),
        ("redis", "acme/redis", false),
        ("acme/*", "acme/app", true),
        ("acme/*", "ghcr.io/acme/app", true),
        ("acme/*", "ghcr.io/acme/team/app", false),
        ("acme/**", "ghcr.io/acme/team/app", true),
        ("acme/*", "acme-evil/app", false),
        ("ghcr.io/acme/*", "ghcr.io/acme/app", true),
        ("GHCR.io/acme/*", "ghcr.io/acme/app", true),
        ("ghcr.io/acme/*", "quay.io/acme/app", false),
        ("docker.io/redis", "redis", true),
    ];
    for (text, name, expected) in cases {
        let glob = RepositoryGlob::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(glob.matches(&repository(name)), expected, "{text} and {name}");
        assert_eq!(glob.to_string(), text);
    }
    assert_eq!(RepositoryGlob::parse("**"), Ok(RepositoryGlob::default()));
    for bad in ["", "acme/", "/acme", "Acme/*", "acme/app:7", "***", "a b", "edge.example:0/x"] {
        assert!(RepositoryGlob::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(RepositoryGlob::parse(""), Err(PatternError::Empty));
}

#[test]
fn host_patterns_are_any_or_one() {
    let any = HostPattern::parse("*").expect("`*` is any host");
    assert!(any.matches("docker.io") && any.matches("localhost:5000"));
    let hub = HostPattern::parse("REGISTRY-1.docker.io").expect("it is Docker Hub");
    assert_eq!(hub, HostPattern::Only(Host::docker_hub()));
    assert!(hub.matches("docker.io") && !hub.matches("ghcr.io"));
    assert_eq!((any.to_string(), hub.to_string()), ("*".to_owned(), "docker.io".to_owned()));
    for bad in ["", "**", "*.example.com", "acme", "https://ghcr.io", "ghcr.io/"] {
        assert!(HostPattern::parse(bad).is_err(), "{bad}");
    }
}
