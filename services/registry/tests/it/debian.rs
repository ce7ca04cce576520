//! A registry that others wrote: Debian's package `docker-registry`, where it is installed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use proto::registry::v1 as pb;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::harness::{Registry, Who, tag};
use loopback::{INDEX, MANIFEST, digest_of};

const PROGRAM: &str = "/usr/bin/docker-registry";
const PATIENCE: Duration = Duration::from_secs(30);

struct Debian {
    url: String,
    http: Client,
    _child: Child,
    _data: TempDir,
}

impl Debian {
    /// Starts it; `None` = it is not installed, which is said.
    async fn start() -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("skipped: {PROGRAM} is not there; apt-get install docker-registry");
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        let address = free_address().await;
        let config = json!({
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": data.path().join("data")}},
            "http": {"addr": address.to_string()},
        });
        let path = data.path().join("config.yml");
        std::fs::write(&path, config.to_string()).unwrap();
        let child = Command::new(PROGRAM)
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let answers = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, answers).await;
        in_time.expect("docker-registry answers");
        let http = client();
        Some(Self { url: format!("http://{address}"), http, _child: child, _data: data })
    }

    async fn push_blob(&self, repository: &str, blob: Vec<u8>) -> String {
        let digest = digest_of(&blob);
        let start = format!("{}/v2/{repository}/blobs/uploads/", self.url);
        let begun = self.http.post(start).send().await.unwrap();
        assert_eq!(begun.status(), StatusCode::ACCEPTED);
        let place = begun.headers()["location"].to_str().unwrap().to_owned();
        let place = if place.starts_with('/') { format!("{}{place}", self.url) } else { place };
        let done = format!("{place}&digest={digest}");
        let done = self.http.put(done).body(blob).send().await.unwrap();
        assert_eq!(done.status(), StatusCode::CREATED);
        digest
    }

    async fn push(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        manifest: &Value,
    ) -> String {
        let body = manifest.to_string();
        let digest = digest_of(body.as_bytes());
        let url = format!("{}/v2/{repository}/manifests/{tag}", self.url);
        let request = self.http.put(url).header("content-type", media_type).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
        digest
    }

    async fn push_image(&self, repository: &str, architecture: &str) -> (String, usize) {
        let config = json!({"os": "linux", "architecture": architecture}).to_string();
        let size = config.len();
        let digest = self.push_blob(repository, config.into_bytes()).await;
        let descriptor = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size,
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": [],
        });
        (self.push(repository, architecture, MANIFEST, &manifest).await, manifest.to_string().len())
    }
}

fn client() -> Client {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Client::builder().no_proxy().build().unwrap()
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn tags_are_resolved_at_a_registry_that_others_wrote() {
    let Some(debian) = Debian::start().await else { return };
    let registry = Registry::start().await;
    registry.add_upstream(&debian.url, "docker.io").await;
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let (digest, size) = debian.push_image("acme/app", architecture).await;
        manifests.push(json!({
            "mediaType": MANIFEST, "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture},
        }));
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let digest = debian.push("acme/app", "1.0", INDEX, &index).await;

    let resolve = async |reference: &str| {
        let request = pb::ResolveTagRequest { reference: reference.to_owned(), fresh: true };
        registry.upstreams(Who::Approval).resolve_tag(request).await
    };
    let answer = resolve("acme/app:1.0").await.unwrap().into_inner();
    assert_eq!((answer.digest.as_str(), answer.media_type.as_str()), (digest.as_str(), INDEX));
    assert_eq!(answer.platforms.len(), 2);
    let single = resolve("acme/app:arm64").await.unwrap().into_inner();
    assert_eq!(
        (single.media_type.as_str(), single.platforms[0].architecture.as_str()),
        (MANIFEST, "arm64")
    );
    let by_digest = resolve(&format!("acme/app@{digest}")).await.unwrap().into_inner();
    assert_eq!(by_digest.platforms, answer.platforms);
    for missing in ["acme/app:2.0", "acme/none:1.0"] {
        let problem = crate::harness::refused(resolve(missing).await);
        assert_eq!(problem.reason(), proto::reason::TAG_NOT_FOUND);
    }
    let test = pb::TestUpstreamRequest { id: 1 };
    let test = registry.upstreams(Who::Operator).test_upstream(test).await.unwrap().into_inner();
    assert!(test.ok, "{}", test.detail);
    let image = registry.create_image("acme/app").await;
    assert!(image.verified, "{:?}", image.warnings);
    let added = registry.create_tag(image.id, tag("1.0")).await;
    assert_eq!((added.verified, added.digest.as_str()), (true, digest.as_str()));
}
