//! Questions to one registry about one repository.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use imageref::{Algorithm, Digest};
use reqwest::{Response, Url};
use serde::Deserialize;

use super::answer::ResolveError;
use super::challenge::Challenge;
use super::http::{Http, broken, read_body};
use super::manifest::{self, Contents, Document};
use crate::upstream::UpstreamUrl;

/// The most that a manifest or index may have.
const MANIFEST_BYTES: usize = 4 << 20;
/// The most that an answer with a token may have.
const TOKEN_BYTES: usize = 64 << 10;
/// How long to wait when a registry asks to and does not say how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);
/// However long a registry asks to wait, this is enough.
const MAX_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// One registry and one repository there. The token it gives is kept for the questions of the
/// session.
pub(super) struct Session<'a> {
    http: &'a Http,
    host: &'a str,
    url: &'a UpstreamUrl,
    path: &'a str,
    token: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Session<'a> {
    /// Begins; nothing is asked yet.
    pub(super) fn new(http: &'a Http, host: &'a str, url: &'a UpstreamUrl, path: &'a str) -> Self {
        Self { http, host, url, path, token: Mutex::default() }
    }

    /// Asks which digest a version has; `None` = the registry does not say without the manifest.
    pub(super) async fn digest_of(&self, version: &str) -> Result<Option<Digest>, ResolveError> {
        let response = self.send(Method::HEAD, &self.manifest(version)).await?;
        if matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
        {
            return Ok(None);
        }
        let response = self.expect_success(response, version)?;
        let digest = self.digest_header(response.headers())?;
        if let Some(digest) = &digest
            && Digest::parse(version).is_ok_and(|asked| asked != *digest)
        {
            return Err(self.unreachable("it names another digest than the one asked for"));
        }
        Ok(digest)
    }

    /// Fetches what a digest holds, and checks that it is what the digest says.
    pub(super) async fn contents_of(&self, digest: &Digest) -> Result<Contents, ResolveError> {
        let (body, content_type) = self.fetch_manifest(digest.as_str()).await?.0;
        if manifest::digest_like(digest.algorithm(), &body) != *digest {
            return Err(self.unreachable("it sent something else than its digest says"));
        }
        self.read(digest, &body, &content_type).await
    }

    /// Fetches what a version holds, and finds its digest by hashing.
    pub(super) async fn contents_of_version(
        &self,
        version: &str,
    ) -> Result<(Digest, Contents), ResolveError> {
        let ((body, content_type), said) = self.fetch_manifest(version).await?;
        let expected = said.or_else(|| Digest::parse(version).ok());
        let algorithm = expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = manifest::digest_like(algorithm, &body);
        if expected.is_some_and(|expected| expected != digest) {
            return Err(self.unreachable("it sent something else than its digest says"));
        }
        let contents = self.read(&digest, &body, &content_type).await?;
        Ok((digest, contents))
    }

    /// Asks whether the repository exists.
    pub(super) async fn find_repository(&self) -> Result<(), ResolveError> {
        let url = self.url.api(&format!("{}/tags/list?n=1", self.path));
        let response = self.send(Method::GET, &url).await?;
        self.expect_success(response, "").map(drop)
    }

    /// Asks whether this is a registry at all. One that wants a login is.
    pub(super) async fn contact(&self) -> Result<String, ResolveError> {
        let url = self.url.api("");
        let response = self.request(Method::GET, &url, None).await?;
        let status = response.status();
        let asks_for_login = status == StatusCode::UNAUTHORIZED
            && response.headers().contains_key(http::header::WWW_AUTHENTICATE);
        if asks_for_login {
            return Ok("it speaks the distribution API and asks for a login".to_owned());
        }
        if status == StatusCode::NOT_FOUND {
            return Err(self.unreachable("it answers, and does not speak the distribution API"));
        }
        self.expect_success(response, "")?;
        Ok("it speaks the distribution API".to_owned())
    }

    fn manifest(&self, version: &str) -> Url {
        self.url.api(&format!("{}/manifests/{version}", self.path))
    }

    /// The body of a manifest with its media type, and the digest that the registry says it has.
    async fn fetch_manifest(
        &self,
        version: &str,
    ) -> Result<((Vec<u8>, String), Option<Digest>), ResolveError> {
        let response = self.send(Method::GET, &self.manifest(version)).await?;
        let response = self.expect_success(response, version)?;
        let digest = self.digest_header(response.headers())?;
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_owned())
            .unwrap_or_default();
        let body = read_body(response, MANIFEST_BYTES).await;
        Ok(((body.map_err(|detail| self.unreachable(detail))?, content_type), digest))
    }

    async fn read(
        &self,
        digest: &Digest,
        body: &[u8],
        content_type: &str,
    ) -> Result<Contents, ResolveError> {
        let document =
            manifest::read(body, content_type).map_err(|detail| self.unreachable(detail))?;
        match document {
            Document::Index(contents) => Ok(contents),
            Document::Manifest { media_type, config } => {
                let config = match &config {
                    Some(config) => self.config(config).await,
                    None => None,
                };
                let platform = config
                    .and_then(|config| manifest::platform_of_config(&config, digest, body.len()));
                Ok(Contents { media_type, platforms: platform.into_iter().collect() })
            }
        }
    }

    /// An image's configuration. The digest stands without it, so whatever is wrong with it only
    /// leaves the platform unknown.
    async fn config(&self, digest: &Digest) -> Option<Vec<u8>> {
        let url = self.url.api(&format!("{}/blobs/{digest}", self.path));
        let response = self.send(Method::GET, &url).await.ok()?;
        let response = self.expect_success(response, "").ok()?;
        let body = read_body(response, MANIFEST_BYTES).await.ok()?;
        (manifest::digest_like(digest.algorithm(), &body) == *digest).then_some(body)
    }

    /// Sends a question; when the registry wants a token first, gets one and sends it again.
    async fn send(&self, method: Method, url: &Url) -> Result<Response, ResolveError> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = self.request(method.clone(), url, token.as_deref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || token.is_some() {
            return Ok(response);
        }
        let Some(challenge) = Challenge::of(response.headers()) else { return Ok(response) };
        let token = self.fetch_token(&challenge, url).await?;
        let response = self.request(method, url, Some(&token)).await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(response)
    }

    async fn fetch_token(
        &self,
        challenge: &Challenge,
        registry: &Url,
    ) -> Result<String, ResolveError> {
        let scope = format!("repository:{}:pull", self.path);
        let url = challenge.token_url(registry, &scope).ok_or_else(|| {
            self.unreachable("it wants a token from a place that is not asked for one")
        })?;
        let response = self.request(Method::GET, &url, None).await?;
        let response = self.expect_success(response, "").map_err(|error| match error {
            ResolveError::NotFound { .. } => self.unreachable("its place for tokens is gone"),
            other => other,
        })?;
        let body = read_body(response, TOKEN_BYTES).await;
        let body = body.map_err(|detail| self.unreachable(detail))?;
        serde_json::from_slice::<Token>(&body)
            .ok()
            .and_then(|token| token.token.or(token.access_token))
            .filter(|token| !token.is_empty())
            .ok_or_else(|| self.unreachable("its place for tokens gives none"))
    }

    async fn request(
        &self,
        method: Method,
        url: &Url,
        token: Option<&str>,
    ) -> Result<Response, ResolveError> {
        let client = self.http.client(url).map_err(|error| self.unreachable(broken(&error)))?;
        let mut request = client.request(method, url.clone()).header(ACCEPT, manifest::ACCEPT);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.map_err(|error| self.unreachable(broken(&error)))
    }

    /// What a status means; `version` = what was asked for, empty = the repository.
    fn expect_success(&self, response: Response, version: &str) -> Result<Response, ResolveError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(match status {
            StatusCode::NOT_FOUND => {
                let host = self.host.to_owned();
                ResolveError::NotFound { host, what: self.what(version) }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ResolveError::Refused { host: self.host.to_owned() }
            }
            StatusCode::TOO_MANY_REQUESTS => ResolveError::RateLimited {
                host: self.host.to_owned(),
                wait: wait(response.headers()),
            },
            other if other.is_redirection() => self.unreachable("it sends us to another place"),
            other => self.unreachable(format!("it answers {}", other.as_u16())),
        })
    }

    fn what(&self, version: &str) -> String {
        match version {
            "" => self.path.to_owned(),
            digest if Digest::parse(digest).is_ok() => format!("{}@{digest}", self.path),
            tag => format!("{}:{tag}", self.path),
        }
    }

    fn digest_header(&self, headers: &HeaderMap) -> Result<Option<Digest>, ResolveError> {
        let Some(value) = headers.get("docker-content-digest") else { return Ok(None) };
        let digest = value.to_str().ok().and_then(|text| Digest::parse(text).ok());
        digest.map(Some).ok_or_else(|| self.unreachable("it names something that is no digest"))
    }

    fn unreachable(&self, detail: impl Into<String>) -> ResolveError {
        ResolveError::Unreachable { host: self.host.to_owned(), detail: detail.into() }
    }
}

fn wait(headers: &HeaderMap) -> Duration {
    headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map_or(DEFAULT_WAIT, |seconds| Duration::from_secs(seconds).min(MAX_WAIT))
}
