//! The URL of an upstream in its one spelling.

use std::net::IpAddr;

use imageref::{DOCKER_HUB, Host};
use reqwest::Url;

/// Where Docker Hub serves the distribution API; its other hosts only redirect people.
const DOCKER_HUB_API: &str = "https://registry-1.docker.io";

/// Scheme, lower-case host, no default port, no trailing slash, no `/v1` or `/v2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamUrl {
    text: String,
    url: Url,
}

/// Why a text is no URL of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("is no URL; write one such as `https://registry.example.com`")]
    NotAUrl,
    #[error("is not served by HTTP; use `https://`")]
    Scheme,
    #[error("holds a user name or password; remove it")]
    Credentials,
    #[error("has a `?` or `#` part; remove it")]
    Query,
}

impl UpstreamUrl {
    /// Reads a URL and brings it into its one spelling.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        // The parser would silently leave these out, or guess.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) || !text.contains("://") {
            return Err(UrlError::NotAUrl);
        }
        let mut url = Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(UrlError::NotAUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Query);
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").or_else(|| path.strip_suffix("/v2")).unwrap_or(path);
        let path = path.trim_end_matches('/').to_owned();
        url.set_path(&path);
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { text, url })
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The host that references name for it.
    pub(crate) fn host(&self) -> Result<Host, imageref::Error> {
        let name = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => Host::parse(&format!("{name}:{port}")),
            None => Host::parse(name),
        }
    }

    /// The URL of a path of the distribution API, such as `library/redis/manifests/7`; empty = its
    /// root.
    pub(crate) fn api(&self, path: &str) -> Url {
        let base = match self.host() {
            Ok(host) if host.as_str() == DOCKER_HUB => DOCKER_HUB_API,
            Ok(_) | Err(_) => &self.text,
        };
        let url = format!("{base}/v2/{path}");
        Url::parse(&url).expect("a URL with an image's path behind it is one")
    }

    /// Whether it goes unencrypted.
    pub(crate) fn is_plain_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Whether it stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }
}

/// Whether a URL stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_spelling() {
        for (given, normal) in [
            ("https://registry-1.docker.io", "https://registry-1.docker.io"),
            ("HTTPS://Registry-1.Docker.IO:443/", "https://registry-1.docker.io"),
            ("https://index.docker.io/v1/", "https://index.docker.io"),
            ("https://ghcr.io/v2", "https://ghcr.io"),
            ("http://localhost:80/v2/", "http://localhost"),
            ("http://localhost:5000//", "http://localhost:5000"),
            ("https://harbor.example.com/proxy/v2/", "https://harbor.example.com/proxy"),
            ("https://[::1]:5000", "https://[::1]:5000"),
        ] {
            assert_eq!(UpstreamUrl::parse(given).map(|url| url.text), Ok(normal.to_owned()));
            assert_eq!(UpstreamUrl::parse(normal).map(|url| url.text), Ok(normal.to_owned()));
        }
    }

    #[test]
    fn what_is_no_registrys_url_is_refused() {
        for (given, error) in [
            ("", UrlError::NotAUrl),
            ("registry.example.com", UrlError::NotAUrl),
            ("https:registry.example.com", UrlError::NotAUrl),
            (" https://registry.example.com", UrlError::NotAUrl),
            ("https://registry\n.example.com", UrlError::NotAUrl),
            ("https://", UrlError::NotAUrl),
            ("ftp://registry.example.com", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("https://user:secret@registry.example.com", UrlError::Credentials),
            ("https://registry.example.com?x=1", UrlError::Query),
            ("https://registry.example.com/#x", UrlError::Query),
        ] {
            assert_eq!(UpstreamUrl::parse(given), Err(error), "{given}");
        }
    }

    #[test]
    fn docker_hub_is_asked_where_it_serves() {
        for text in ["https://docker.io", "https://index.docker.io/v1/", "https://hub.docker.com"] {
            let url = UpstreamUrl::parse(text).unwrap();
            assert_eq!(url.host().unwrap().as_str(), "docker.io");
            assert_eq!(url.api("").as_str(), "https://registry-1.docker.io/v2/");
        }
        let harbor = UpstreamUrl::parse("https://harbor.example.com/proxy").unwrap();
        let manifest = harbor.api("library/redis/manifests/7");
        assert_eq!(
            manifest.as_str(),
            "https://harbor.example.com/proxy/v2/library/redis/manifests/7"
        );
    }

    #[test]
    fn loopback_is_this_machine_in_any_form() {
        let loopback = |text| UpstreamUrl::parse(text).unwrap().is_loopback();
        assert!(
            ["http://127.0.0.2:1", "http://0x7f.1:1", "http://[::1]"].into_iter().all(loopback)
        );
        assert!(!loopback("http://127.0.0.1.example.com"));
        assert!(!loopback("http://10.0.0.1"));
    }
}
