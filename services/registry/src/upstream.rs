//! Upstreams: registries elsewhere that may be asked for digests.

mod url;

use chrono::{DateTime, Utc};
use imageref::Host;
use runtime::Problem;
use serde::Serialize;

use crate::Error;

pub(crate) use url::{UpstreamUrl, is_loopback};

runtime::id! {
    /// The number of an upstream.
    UpstreamId: i64
}

/// A registry elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Upstream {
    pub id: UpstreamId,
    pub name: String,
    /// In normal form.
    pub url: String,
    /// The host that references name.
    pub host: String,
    pub allow_plain_http: bool,
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    #[serde(skip)]
    pub version: i64,
}

/// The settings of an upstream, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub name: String,
    pub url: UpstreamUrl,
    pub host: Host,
    pub allow_plain_http: bool,
    pub is_default: bool,
}

/// New settings as they came; `None` = as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UpstreamChange {
    pub name: Option<String>,
    pub url: Option<String>,
    /// Empty = the URL's.
    pub host: Option<String>,
    pub allow_plain_http: Option<bool>,
    pub is_default: Option<bool>,
}

const MAX_NAME: usize = 100;

impl Settings {
    /// Checks the settings of a new upstream.
    pub(crate) fn new(change: UpstreamChange) -> Result<Self, Problem> {
        let name = change.name.unwrap_or_default();
        check_name(&name)?;
        let url = UpstreamUrl::parse(&change.url.unwrap_or_default())
            .map_err(|error| Problem::invalid("upstream.url", error.to_string()))?;
        let host = match change.host.unwrap_or_default().as_str() {
            "" => url.host().map_err(|error| {
                let message = format!("names no registry host by itself ({error}); give `host`");
                Problem::invalid("upstream.url", message)
            }),
            given => Host::parse(given)
                .map_err(|error| Problem::invalid("upstream.host", error.to_string())),
        }?;
        let allow_plain_http = change.allow_plain_http.unwrap_or_default();
        if url.is_plain_http() && !allow_plain_http && !url.is_loopback() {
            let message = "is plain HTTP, which anybody on the way can change; use `https:` or set \
                           `allow_plain_http`";
            return Err(Problem::invalid("upstream.url", message));
        }
        Ok(Self {
            name,
            url,
            host,
            allow_plain_http,
            is_default: change.is_default.unwrap_or_default(),
        })
    }

    /// Whether an upstream has these settings.
    pub(crate) fn are_those_of(&self, upstream: &Upstream) -> bool {
        self.name == upstream.name
            && self.url.as_str() == upstream.url
            && self.host.as_str() == upstream.host
            && self.allow_plain_http == upstream.allow_plain_http
            && self.is_default == upstream.is_default
    }
}

impl Upstream {
    /// Changes with every change of the upstream.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Refuses a caller that has seen another version; an empty etag has seen any.
    pub(crate) fn require_etag(&self, etag: &str) -> Result<(), Error> {
        if etag.is_empty() || etag == self.etag() {
            return Ok(());
        }
        Err(Error::StaleEtag { noun: "upstream", name: self.name.clone(), etag: self.etag() })
    }

    /// Its settings with new values, checked as a whole. A host that was the URL's goes with the URL.
    pub(crate) fn settings_with(&self, change: UpstreamChange) -> Result<Settings, Problem> {
        let host_was_given = UpstreamUrl::parse(&self.url)
            .ok()
            .and_then(|url| url.host().ok())
            .is_none_or(|host| host.as_str() != self.host);
        let kept = if host_was_given { self.host.clone() } else { String::new() };
        Settings::new(UpstreamChange {
            name: Some(change.name.unwrap_or_else(|| self.name.clone())),
            url: Some(change.url.unwrap_or_else(|| self.url.clone())),
            host: Some(change.host.unwrap_or(kept)),
            allow_plain_http: Some(change.allow_plain_http.unwrap_or(self.allow_plain_http)),
            is_default: Some(change.is_default.unwrap_or(self.is_default)),
        })
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let shown = || name.chars().all(|c| !c.is_control()) && name.trim().len() == name.len();
    if name.is_empty() || name.chars().count() > MAX_NAME || !shown() {
        let message = format!("is no name; use 1 to {MAX_NAME} characters without blanks around");
        return Err(Problem::invalid("upstream.name", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(url: &str, host: &str) -> UpstreamChange {
        UpstreamChange {
            name: Some("one".to_owned()),
            url: Some(url.to_owned()),
            host: Some(host.to_owned()),
            ..UpstreamChange::default()
        }
    }

    fn upstream(url: &str, host: &str) -> Upstream {
        let settings = Settings::new(change(url, host)).unwrap();
        Upstream {
            id: UpstreamId(1),
            name: settings.name,
            url: settings.url.as_str().to_owned(),
            host: settings.host.to_string(),
            allow_plain_http: false,
            is_default: false,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            version: 1,
        }
    }

    #[test]
    fn the_host_is_the_urls_unless_it_is_given() {
        let host = |url, host| Settings::new(change(url, host)).unwrap().host.to_string();
        assert_eq!(host("https://registry-1.docker.io", ""), "docker.io");
        assert_eq!(host("https://Harbor.example.com:443/v2/", ""), "harbor.example.com");
        assert_eq!(host("https://10.0.0.1:5000", "ghcr.io"), "ghcr.io");
        let problem = Settings::new(change("https://registry", "")).unwrap_err();
        assert_eq!(problem.field_violations()[0].field, "upstream.url");
    }

    #[test]
    fn plain_http_must_be_meant() {
        let problem = Settings::new(change("http://registry.example.com", "")).unwrap_err();
        assert!(problem.message().contains("plain HTTP"), "{problem}");
        let meant = UpstreamChange {
            allow_plain_http: Some(true),
            ..change("http://registry.example.com", "")
        };
        assert!(Settings::new(meant).is_ok());
        for loopback in ["http://127.0.0.1:5000", "http://[::1]:5000", "http://localhost:5000"] {
            assert!(Settings::new(change(loopback, "")).is_ok(), "{loopback}");
        }
    }

    #[test]
    fn a_new_url_takes_its_host_along_and_leaves_a_given_one() {
        let moved = |upstream: &Upstream| {
            let url = Some("https://new.example.com".to_owned());
            let change = UpstreamChange { url, ..UpstreamChange::default() };
            upstream.settings_with(change).unwrap().host.to_string()
        };
        assert_eq!(moved(&upstream("https://old.example.com", "")), "new.example.com");
        assert_eq!(moved(&upstream("https://old.example.com", "ghcr.io")), "ghcr.io");
    }
}
