//! HTTP to registries: clients, redirects, bodies.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, ClientBuilder, Response, Url};
use rustls::crypto::{CryptoProvider, ring};

use crate::upstream::is_loopback;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a registry may send us on.
const REDIRECTS: usize = 3;

/// The clients, made when they are first used.
#[derive(Debug)]
pub(super) struct Http {
    timeout: Duration,
    plain: OnceLock<Result<Client, Arc<reqwest::Error>>>,
    encrypted: OnceLock<Result<Client, Arc<reqwest::Error>>>,
}

impl Http {
    /// Clients whose every request ends after a time.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, plain: OnceLock::new(), encrypted: OnceLock::new() }
    }

    /// The client for a URL.
    pub(super) fn client(&self, url: &Url) -> Result<&Client, Arc<reqwest::Error>> {
        let client = match url.scheme() {
            // The own network: no proxy, and no need of any authority's certificate.
            "http" => self.plain.get_or_init(|| {
                self.build(|builder| builder.no_proxy().tls_certs_only(std::iter::empty()))
            }),
            _ => self.encrypted.get_or_init(|| self.build(|builder| builder)),
        };
        client.as_ref().map_err(Arc::clone)
    }

    fn build(
        &self,
        change: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Arc<reqwest::Error>> {
        if CryptoProvider::get_default().is_none() {
            // Another thread may have been faster, with the same one.
            let _ = ring::default_provider().install_default();
        }
        let builder = Client::builder()
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT.min(self.timeout))
            .timeout(self.timeout)
            .redirect(Policy::custom(follow));
        change(builder).build().map_err(Arc::new)
    }
}

/// Follows a registry on its own host. Blobs may lie elsewhere, as long as the way there is
/// encrypted; whoever reads one checks its digest.
fn follow(attempt: Attempt<'_>) -> Action {
    let Some(first) = attempt.previous().first() else { return attempt.stop() };
    let next = attempt.url();
    let same_place = next.host_str() == first.host_str()
        && next.port_or_known_default() == first.port_or_known_default()
        && next.scheme() == first.scheme();
    let blob_elsewhere = first.path().contains("/blobs/")
        && first.scheme() == "https"
        && next.scheme() == "https"
        && !is_loopback(next);
    if attempt.previous().len() <= REDIRECTS && (same_place || blob_elsewhere) {
        return attempt.follow();
    }
    attempt.stop()
}

/// Reads a body of limited size.
///
/// # Errors
///
/// A sentence that says why it could not be read.
pub(super) async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + part.len() > limit {
            return Err(format!("it sent more than {limit} bytes"));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// What went wrong on the way, in words for people.
pub(super) fn broken(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    if error.is_connect() {
        return "no connection could be made".to_owned();
    }
    if error.is_builder() {
        return "its certificate cannot be checked here; is `ca-certificates` installed?"
            .to_owned();
    }
    "the answer broke off".to_owned()
}
