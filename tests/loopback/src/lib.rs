//! A small registry on loopback that speaks the distribution API, and can be made to misbehave.

#![expect(clippy::unwrap_used, reason = "a test ends where its registry breaks")]

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How the registry misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Every answer has this status, and perhaps a header.
    Status(u16, Option<(&'static str, String)>),
    /// No answer comes at all.
    Silence,
    /// Bodies break off in the middle.
    HalfBody,
    /// Bodies are not what their digest says.
    WrongBody,
    /// The digest is not told.
    NoDigestHeader,
    /// Something that is no digest is told.
    BadDigestHeader,
    /// Looking at a manifest without fetching it is not offered.
    NoHead,
    /// Manifests are larger than anybody wants.
    HugeBody,
    /// Blobs lie elsewhere.
    BlobsAt(String),
    /// A token is wanted, from this place; empty = from the registry's own.
    Token(String),
    /// A user name and password are wanted.
    Password,
}

/// The registry.
#[derive(Debug)]
pub struct LoopbackRegistry {
    /// Where it answers, `http://127.0.0.1:<port>`.
    pub url: String,
    store: Arc<Mutex<Store>>,
    server: AbortHandle,
}

#[derive(Debug, Default)]
struct Store {
    /// By repository and tag or digest.
    manifests: HashMap<(String, String), Manifest>,
    blobs: HashMap<String, Bytes>,
    repositories: HashSet<String>,
    fault: Option<Fault>,
    requests: Vec<String>,
}

#[derive(Debug, Clone)]
struct Manifest {
    media_type: String,
    body: Bytes,
    digest: String,
}

impl LoopbackRegistry {
    /// Starts an empty one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let store = Arc::<Mutex<Store>>::default();
        let router = Router::new().fallback(answer).with_state((store.clone(), url.clone()));
        let serve = async move { axum::serve(listener, router).await };
        Self { url, store, server: tokio::spawn(serve).abort_handle() }
    }

    /// Pushes a manifest or index under a tag; returns its digest.
    pub fn push(&self, repository: &str, tag: &str, media_type: &str, manifest: &Value) -> String {
        let body = Bytes::from(manifest.to_string());
        let digest = digest_of(&body);
        let manifest = Manifest { media_type: media_type.to_owned(), body, digest: digest.clone() };
        let mut store = self.store();
        store.repositories.insert(repository.to_owned());
        for version in [tag.to_owned(), digest.clone()] {
            store.manifests.insert((repository.to_owned(), version), manifest.clone());
        }
        digest
    }

    /// Pushes an image for one platform; `note` makes it another image. Returns its digest.
    pub fn push_image(
        &self,
        repository: &str,
        tag: &str,
        architecture: &str,
        note: &str,
    ) -> String {
        let config = json!({"os": "linux", "architecture": architecture, "note": note});
        let config = Bytes::from(config.to_string());
        let config_digest = digest_of(&config);
        let size = config.len();
        self.store().blobs.insert(config_digest.clone(), config);
        let descriptor = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_digest, "size": size,
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": [],
        });
        self.push(repository, tag, MANIFEST, &manifest)
    }

    /// Pushes an index of images for these platforms, and an attestation; returns its digest.
    pub fn push_index(&self, repository: &str, tag: &str, architectures: &[&str]) -> String {
        let mut manifests: Vec<_> = architectures
            .iter()
            .map(|architecture| {
                let digest = self.push_image(repository, architecture, architecture, tag);
                json!({
                    "mediaType": MANIFEST, "digest": digest, "size": 7,
                    "platform": {"os": "linux", "architecture": architecture},
                })
            })
            .collect();
        manifests.push(json!({
            "mediaType": MANIFEST, "digest": digest_of(tag.as_bytes()), "size": 7,
            "platform": {"os": "unknown", "architecture": "unknown"},
        }));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.push(repository, tag, INDEX, &index)
    }

    /// Misbehaves from now on.
    pub fn misbehave(&self, fault: Fault) {
        self.store().fault = Some(fault);
    }

    /// Behaves from now on.
    pub fn behave(&self) {
        self.store().fault = None;
    }

    /// The requests so far, as `METHOD path`.
    pub fn requests(&self) -> Vec<String> {
        self.store().requests.clone()
    }

    /// How many requests of a method there were.
    pub fn count(&self, method: &str) -> usize {
        let wanted = format!("{method} ");
        self.store().requests.iter().filter(|request| request.starts_with(&wanted)).count()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }
}

impl Drop for LoopbackRegistry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A URL at which nobody answers.
pub async fn nobodys_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// The SHA-256 digest of bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

async fn answer(
    State((shared, url)): State<(Arc<Mutex<Store>>, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let fault = {
        let mut store = shared.lock().unwrap();
        store.requests.push(format!("{method} {uri}"));
        store.fault.clone()
    };
    match &fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Status(status, header)) => return refusal(*status, header.as_ref()),
        Some(Fault::Password) => {
            let wanted = ("www-authenticate", "Basic realm=\"x\"".to_owned());
            return refusal(401, Some(&wanted));
        }
        Some(Fault::Token(realm)) => {
            if uri.path() == "/token" {
                return axum::Json(json!({"token": token(uri.query())})).into_response();
            }
            let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            let scope = "scope=repository%3Aacme%2Fapp%3Apull";
            if !bearer
                .is_some_and(|bearer| bearer.contains("service=loopback") && bearer.contains(scope))
            {
                let own = format!("{url}/token");
                let realm = if realm.is_empty() { &own } else { realm };
                let challenge = format!(
                    "Bearer realm=\"{realm}\",service=\"loopback\",scope=\"repository:acme/app:pull\""
                );
                return refusal(401, Some(&("www-authenticate", challenge)));
            }
        }
        Some(_) | None => {}
    }
    let store = shared.lock().unwrap();
    find(&store, &method, uri.path(), fault.as_ref())
}

/// The token that was asked for with this query.
fn token(query: Option<&str>) -> String {
    query.unwrap_or_default().to_owned()
}

fn find(store: &Store, method: &Method, path: &str, fault: Option<&Fault>) -> Response {
    let Some(path) = path.strip_prefix("/v2/") else { return refusal(404, None) };
    if path.is_empty() {
        return axum::Json(json!({})).into_response();
    }
    if let Some(repository) = path.strip_suffix("/tags/list") {
        let status = if store.repositories.contains(repository) { 200 } else { 404 };
        return refusal(status, None);
    }
    if let Some((_, digest)) = path.split_once("/blobs/") {
        if let Some(Fault::BlobsAt(place)) = fault {
            return refusal(307, Some(&("location", place.clone())));
        }
        return match store.blobs.get(digest) {
            Some(blob) => blob.clone().into_response(),
            None => refusal(404, None),
        };
    }
    let Some((repository, version)) = path.split_once("/manifests/") else {
        return refusal(404, None);
    };
    match store.manifests.get(&(repository.to_owned(), version.to_owned())) {
        Some(manifest) => manifest_answer(manifest, method, fault),
        None => refusal(404, None),
    }
}

fn manifest_answer(manifest: &Manifest, method: &Method, fault: Option<&Fault>) -> Response {
    if method == Method::HEAD && fault == Some(&Fault::NoHead) {
        return refusal(405, None);
    }
    let half = manifest.body.slice(..manifest.body.len() / 2);
    let body = match fault {
        Some(Fault::HalfBody) => {
            let broken = io::Error::other("the connection is cut");
            Body::from_stream(tokio_stream::iter([Ok(half), Err(broken)]))
        }
        Some(Fault::WrongBody) => Body::from(manifest.body.to_vec().to_ascii_uppercase()),
        Some(Fault::HugeBody) => Body::from(vec![b' '; (4 << 20) + 1]),
        Some(_) | None => Body::from(manifest.body.clone()),
    };
    let digest = match fault {
        Some(Fault::NoDigestHeader | Fault::NoHead) => None,
        Some(Fault::BadDigestHeader) => Some("sha256:none"),
        Some(_) | None => Some(manifest.digest.as_str()),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, manifest.media_type.parse().unwrap());
    if let Some(digest) = digest {
        headers.insert("docker-content-digest", digest.parse().unwrap());
    }
    response
}

fn refusal(status: u16, header: Option<&(&'static str, String)>) -> Response {
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}
