//! Whom a command talks to, and as whom.

use std::path::{Path, PathBuf};

use reqwest::Url;
use runtime::secret::Secret;

use crate::context::{Contexts, Entry};
use crate::failure::{Exit, Failure, Result};
use crate::options::Options;

/// Where `slipway up` listens when nothing else is said.
const USUAL_URL: &str = "http://127.0.0.1:4002";
/// The variable with a token, stronger than a context's.
const TOKEN_VARIABLE: &str = "SLIPWAY_TOKEN";

/// One Slipway and one identity.
#[derive(Debug, Clone)]
pub struct Target {
    url: Url,
    context: Option<String>,
    token: Option<Secret>,
    ca_file: Option<PathBuf>,
}

impl Target {
    /// As the flags, the environment and the contexts say, in this order.
    pub fn choose(options: &Options) -> Result<Self> {
        let token = token_from_environment();
        if let Some(url) = options.url.as_deref().filter(|url| !url.is_empty()) {
            // A context's token must not go to another server than the context's.
            let url = parse_url(url)?;
            return Ok(Self { url, context: None, token, ca_file: None });
        }
        let contexts = Contexts::load()?;
        let named = options.context.as_deref().filter(|name| !name.is_empty());
        let Some(name) = named.or(contexts.current.as_deref()) else {
            let url = parse_url(USUAL_URL)?;
            return Ok(Self { url, context: None, token, ca_file: None });
        };
        let Some(entry) = contexts.contexts.get(name) else {
            return Err(unknown_context(name, &contexts));
        };
        Self::of(name, entry, token)
    }

    /// A context; `token` is stronger than its own.
    pub fn of(name: &str, entry: &Entry, token: Option<Secret>) -> Result<Self> {
        Ok(Self {
            url: parse_url(&entry.url)?,
            context: Some(name.to_owned()),
            token: token.or_else(|| entry.token.as_deref().map(Secret::new)),
            ca_file: entry.ca_file.clone(),
        })
    }

    /// The same server with another token.
    #[must_use]
    pub fn with_token(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Where it answers.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The context's name.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The token.
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// The file with certificates to trust.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Whether the server is on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.url.host_str() {
            Some("localhost") => true,
            Some(host) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            None => false,
        }
    }

    /// The URL without the slash at its end.
    pub fn shown_url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// URL and context, for sentences.
    pub fn place(&self) -> String {
        match &self.context {
            Some(name) => format!("{} (context `{name}`)", self.shown_url()),
            None => self.shown_url().to_owned(),
        }
    }

    /// The line that signs in.
    pub fn login_line(&self) -> String {
        match (&self.context, self.token.is_some() && token_from_environment().is_some()) {
            (_, true) => format!("put another token into {TOKEN_VARIABLE}, or unset it"),
            (Some(name), false) => {
                format!("`slipway login --context {name} < FILE` signs in with the token in FILE")
            }
            (None, false) => format!(
                "`slipway login --url {} < FILE` signs in with the token in FILE",
                self.shown_url()
            ),
        }
    }

    /// What to do when it does not answer.
    pub fn reach_line(&self) -> String {
        if self.is_loopback() {
            "`slipway up` starts Slipway on this machine; `slipway context list` shows the others"
                .to_owned()
        } else {
            "`slipway doctor` looks further; `slipway context list` shows the others".to_owned()
        }
    }
}

/// The token in the environment.
pub fn token_from_environment() -> Option<Secret> {
    let token = std::env::var(TOKEN_VARIABLE).ok()?;
    let token = token.trim();
    (!token.is_empty()).then(|| Secret::new(token))
}

/// A gateway's URL.
pub fn parse_url(text: &str) -> Result<Url> {
    let wrong = || {
        Failure::usage(format!("`{text}` is no URL of a gateway"))
            .hint(format!("write {USUAL_URL} or https://slipway.example"))
    };
    let url = Url::parse(text).map_err(|error| wrong().cause(&error))?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    let has_password = url.password().is_some() || !url.username().is_empty();
    match url.scheme() {
        "http" | "https" if is_plain && !has_password && url.has_host() => Ok(url),
        _ => Err(wrong()),
    }
}

/// No context has the name.
pub fn unknown_context(name: &str, contexts: &Contexts) -> Failure {
    let names = contexts.contexts.keys().map(String::as_str);
    let failure = Failure::new(Exit::NotFound, format!("there is no context `{name}`"));
    match runtime::nearest::nearest(name, names) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure.hint("`slipway context list` shows those there are"),
    }
}
