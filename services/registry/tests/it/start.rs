//! Starting as `slipway serve registry` does.

use clap::Parser as _;
use registry::Args;
use runtime::auth::Peers;
use runtime::secret::{Hash, Secret};
use tempfile::TempDir;

use crate::harness::Registry;

struct Files(TempDir);

impl Files {
    fn new(database_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            Secret::new(text).write(&folder.path().join(name)).unwrap();
        };
        write("database-url", database_url);
        write("token", "slw_registry");
        let peers = ["registry", "approval"]
            .map(|name| Peers::line(name, &Hash::of(&format!("slw_{name}"))));
        write("peers", &peers.concat());
        Self(folder)
    }

    fn args(&self, more: &[&str]) -> Args {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        let (url, token, peers) = (path("database-url"), path("token"), path("peers"));
        let common = [
            "registry",
            "--listen",
            "127.0.0.1:0",
            "--database-url-file",
            &url,
            "--service-token-file",
            &token,
            "--peers-file",
            &peers,
        ];
        Args::parse_from(common.iter().chain(more))
    }
}

#[tokio::test]
async fn a_check_looks_whether_it_could_start_and_ends() {
    let registry = Registry::start().await;
    let files = Files::new(&registry.url());
    let checked = files.args(&["--check"]).start().await.unwrap();
    assert!(checked.is_none());
    let mut owner = registry.owner().await;
    sqlx::query("delete from registry._migrations where version > 1")
        .execute(&mut owner)
        .await
        .unwrap();
    let error = files.args(&["--check"]).start().await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("run `slipway migrate`"), "{error}");
}

#[tokio::test]
async fn it_starts_with_its_flags_and_stops_when_asked() {
    let registry = Registry::start().await;
    let files = Files::new(&registry.url());
    let args = files.args(&["--upstream-timeout-seconds", "2", "--keep-events-days", "7"]);
    let lifecycle = args.start().await.unwrap().expect("it runs");
    assert!(!lifecycle.is_stopping());
    assert!(lifecycle.finish(std::time::Duration::from_secs(10)).await, "all ended well");
}
