//! `WWW-Authenticate`: where to get a token, and whether to go there.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use reqwest::Url;

use crate::upstream::is_loopback;

/// A registry's wish for a bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

impl Challenge {
    /// The first bearer challenge of an answer.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(Self::parse)
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim_start().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut challenge = Self { realm: String::new(), service: None, scope: None };
        for (name, value) in Parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = value,
                "service" => challenge.service = Some(value),
                "scope" => challenge.scope = Some(value),
                _ => {}
            }
        }
        (!challenge.realm.is_empty()).then_some(challenge)
    }

    /// The URL that gives the token, when it may be asked: over TLS, or without it on the host that
    /// asked without it. Nobody elsewhere sends us to this machine.
    pub(super) fn token_url(&self, registry: &Url, scope: &str) -> Option<Url> {
        let mut realm = Url::parse(&self.realm).ok()?;
        let same_host = realm.host_str() == registry.host_str();
        let may_be_asked = match realm.scheme() {
            "https" => !is_loopback(&realm) || is_loopback(registry),
            "http" => {
                registry.scheme() == "http"
                    && (same_host || is_loopback(&realm) && is_loopback(registry))
            }
            _ => false,
        };
        if !may_be_asked {
            return None;
        }
        {
            let mut query = realm.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            query.append_pair("scope", self.scope.as_deref().unwrap_or(scope));
        }
        Some(realm)
    }
}

/// The `name=value` and `name="value"` of a challenge.
struct Parameters<'a>(&'a str);

impl Iterator for Parameters<'_> {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches([' ', '\t', ',']);
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let rest = rest.trim_start();
                let end = rest.find([',', ' ']).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        self.0 = rest;
        Some((name.trim().to_owned(), value))
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn challenge(text: &str) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"x\""));
        headers.append(WWW_AUTHENTICATE, text.parse().unwrap());
        Challenge::of(&headers)
    }

    fn token_url(text: &str, registry: &str) -> Option<String> {
        let registry = Url::parse(registry).unwrap();
        challenge(text)?.token_url(&registry, "repository:a/b:pull").map(String::from)
    }

    #[test]
    fn docker_hubs_challenge_is_read() {
        let text = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
                    scope=\"repository:library/redis:pull\"";
        assert_eq!(
            token_url(text, "https://registry-1.docker.io/v2/").as_deref(),
            Some(
                "https://auth.docker.io/token?service=registry.docker.io\
                 &scope=repository%3Alibrary%2Fredis%3Apull"
            )
        );
    }

    #[test]
    fn spellings_of_a_challenge() {
        for text in [
            "bearer Realm=https://a.example/t , service=s",
            "BEARER service=\"s\", realm=\"https://a.example/t\", error=\"x, y=z\"",
            "Bearer realm=\"https://a.example\\/t\",service=s",
        ] {
            let found = challenge(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (found.realm.as_str(), found.service.as_deref()),
                ("https://a.example/t", Some("s"))
            );
        }
        for text in ["Basic realm=\"https://a.example/t\"", "Bearer", "Bearer service=\"s\""] {
            assert_eq!(challenge(text), None, "{text}");
        }
    }

    #[test]
    fn a_realm_is_asked_over_tls_or_on_the_same_plain_host() {
        let asked = |realm: &str, registry| {
            token_url(&format!("Bearer realm=\"{realm}\""), registry).is_some()
        };
        assert!(asked("https://auth.example.com/token", "https://registry.example.com/v2/"));
        assert!(asked("https://auth.example.com/token", "http://127.0.0.1:5000/v2/"));
        assert!(asked("http://127.0.0.1:5001/token", "http://localhost:5000/v2/"));
        assert!(asked("http://registry.lan/token", "http://registry.lan:5000/v2/"));
        for (realm, registry) in [
            ("http://auth.example.com/token", "https://registry.example.com/v2/"),
            ("http://registry.example.com/token", "https://registry.example.com/v2/"),
            ("http://auth.example.com/token", "http://registry.example.com/v2/"),
            ("http://127.0.0.1:4011/token", "https://registry.example.com/v2/"),
            ("http://127.0.0.1:4011/token", "http://registry.example.com/v2/"),
            ("https://localhost/token", "https://registry.example.com/v2/"),
            ("file:///etc/passwd", "https://registry.example.com/v2/"),
            ("/token", "https://registry.example.com/v2/"),
        ] {
            assert!(!asked(realm, registry), "{realm} for {registry}");
        }
    }

    proptest! {
        #[test]
        fn no_header_brings_the_reader_down(text in "[Bb]earer [ -~]{0,60}") {
            let _ = Challenge::parse(&text);
        }
    }
}
