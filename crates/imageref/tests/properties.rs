//! What holds for every name.

use imageref::{
    Digest, Host, HostPattern, ImagePattern, Namespace, Reference, Repository, RepositoryGlob, Tag,
    canonical, parse, parse_any,
};
use proptest::prelude::*;

fn component() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}"
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(component(), 1..5).prop_map(|components| components.join("/"))
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "(docker\\.io|index\\.docker\\.io|registry-1\\.docker\\.io|DOCKER\\.IO)(:443)?/",
        "[a-zA-Z0-9]{1,8}(\\.[a-zA-Z0-9]{1,5}){1,2}(:[1-9][0-9]{0,3})?/",
        "[a-zA-Z][a-z0-9]{0,5}:(443|80|5000|0443)/",
        "\\[(fd00|::|FE80)::?[1-9a-f]\\](:443|:5000)?/",
        Just("localhost/".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let tag = prop_oneof![Just(String::new()), ":[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}"];
    let digest = prop_oneof![Just(String::new()), "@sha256:[0-9a-f]{64}", "@sha512:[0-9a-f]{128}"];
    (host(), path(), tag, digest)
        .prop_map(|(host, path, tag, digest)| host + &path + &tag + &digest)
}

/// A spelling, and what it is a spelling of.
fn reference() -> impl Strategy<Value = (String, Reference)> {
    name().prop_filter_map("not a name", |name| canonical(&name).ok().map(|found| (name, found)))
}

/// Text made of what names are made of, mostly no names.
fn garbage() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-zA0:/@.*_\\[\\] \\-\n\u{e9}]{0,24}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn canonical_is_idempotent_and_display_reads_back((_, reference) in reference()) {
        let text = reference.to_string();
        let again = canonical(&text);
        prop_assert_eq!(again.as_ref(), Ok(&reference));
        // The canonical text means the same to engines.
        let parsed = parse(&text).expect("a canonical name is a name");
        prop_assert_eq!(&parsed.to_string(), &text);
        prop_assert_eq!((parsed.host(), &*parsed.path()), (reference.host(), reference.path()));
    }

    #[test]
    fn canonical_changes_the_spelling_of_the_host_alone((name, reference) in reference()) {
        let parsed = parse(&name).expect("what is canonical is a name");
        prop_assert_eq!(parsed.tag(), reference.tag().map(Tag::as_str));
        prop_assert_eq!(parsed.digest(), reference.digest().map(Digest::as_str));
        let path = parsed.path();
        prop_assert_eq!(reference.path().strip_prefix("library/").unwrap_or(reference.path()),
            path.strip_prefix("library/").unwrap_or(&path));
        let host = Host::parse(parsed.host()).expect("a canonical name has a host");
        prop_assert_eq!(host.as_str(), reference.host());
    }

    #[test]
    fn familiar_names_read_back((_, reference) in reference()) {
        let (again, repository) = (canonical(&reference.familiar()), reference.repository());
        prop_assert_eq!(again.as_ref(), Ok(&reference));
        let again = Repository::parse(repository.familiar());
        prop_assert_eq!(again.as_ref(), Ok(repository));
    }

    #[test]
    fn parts_make_the_repository_that_they_came_from((_, reference) in reference()) {
        let repository = reference.repository();
        let (registry, namespace) = (Some(repository.registry()), repository.namespace());
        let again = Repository::from_parts(registry, namespace, repository.name());
        prop_assert_eq!(again.as_ref(), Ok(repository));
        if let Some(namespace) = namespace {
            let holds = Namespace::new(repository.registry(), namespace)
                .expect("a part of a path is a path")
                .contains(repository);
            prop_assert!(holds);
        }
    }

    #[test]
    fn a_name_as_pattern_matches_exactly_itself((_, one) in reference(), (_, other) in reference()) {
        let (name, same) = (one.repository().as_str(), one.repository() == other.repository());
        let exact = ImagePattern::parse(name).expect("a name is a pattern");
        prop_assert!(exact.matches(one.repository(), one.tag()));
        prop_assert_eq!(exact.matches_repository(other.repository()), same);
        let glob = RepositoryGlob::parse(name).expect("a name is a glob");
        prop_assert!(glob.matches(one.repository()));
        prop_assert_eq!(glob.matches(other.repository()), same);
        let everything = ImagePattern::parse("**").expect("`**` is a pattern");
        prop_assert!(everything.matches(one.repository(), one.tag()));
        prop_assert!(everything.specificity() < exact.specificity());
    }

    #[test]
    fn nothing_panics_on_any_text(text in garbage()) {
        let shown = [
            parse(&text).map(|found| found.familiar() + &found.to_pull().to_string()).map_err(|e| e.to_string()),
            parse_any(&text).map(|_| String::new()).map_err(|e| e.to_string()),
            Reference::parse(&text).map(|found| found.familiar()).map_err(|e| e.to_string()),
            Repository::parse(&text).map(|found| found.name().to_owned()).map_err(|e| e.to_string()),
            Repository::from_parts(Some(&text), Some(&text), &text).map(|_| String::new()).map_err(|e| e.to_string()),
            Host::parse(&text).map(|found| found.to_string()).map_err(|e| e.to_string()),
            Tag::parse(&text).map(|found| found.to_string()).map_err(|e| e.to_string()),
            Digest::parse(&text).map(|found| found.to_string()).map_err(|e| e.to_string()),
            ImagePattern::parse(&text).map(|found| format!("{:?}", found.specificity())).map_err(|e| e.to_string()),
            RepositoryGlob::parse(&text).map(|found| found.to_string()).map_err(|e| e.to_string()),
            HostPattern::parse(&text).map(|found| found.to_string()).map_err(|e| e.to_string()),
        ];
        for message in shown.into_iter().filter_map(Result::err) {
            prop_assert!(!message.chars().any(char::is_control), "{message:?}");
        }
    }

    #[test]
    fn a_glob_matches_as_a_backtracking_reading_of_it_would(
        glob in "[ab/*]{1,9}", path in "[ab]{1,3}(/[ab]{1,3}){0,2}"
    ) {
        let Ok(pattern) = RepositoryGlob::parse(&glob) else { return Ok(()) };
        let repository = Repository::parse(&format!("edge.example/{path}")).expect("a valid name");
        prop_assert_eq!(pattern.matches(&repository), naive(glob.as_bytes(), path.as_bytes()));
    }
}

fn naive(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([b'*', b'*', rest @ ..], _) => {
            naive(rest, text) || !text.is_empty() && naive(glob, &text[1..])
        }
        ([b'*', rest @ ..], _) => {
            naive(rest, text) || text.first().is_some_and(|b| *b != b'/') && naive(glob, &text[1..])
        }
        ([g, rest @ ..], [t, text @ ..]) => g == t && naive(rest, text),
        ([], text) => text.is_empty(),
        (_, []) => false,
    }
}
