//! The device in shell that `docs/DEVICES.md` prints, as it stands there.

use std::path::Path;

use serde_json::json;
use testbed::{Slipway, enrolment_key, eventually, set_template};
use tokio::process::Command;

fn script() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DEVICES.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, part) = page.split_once("## A device in shell").unwrap();
    let (_, block) = part.split_once("```sh\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_in_shell_joins_runs_and_follows_a_rollout() {
    let script = script();
    assert!(script.lines().count() <= 40, "{} lines", script.lines().count());

    let slipway = Slipway::start().await;
    let api = &slipway.api;
    set_template(api, "shell", &[("cache", "redis:7-alpine")]).await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    enrolment_key(api, "shell").await.write(&key).unwrap();
    let file = folder.path().join("device.sh");
    std::fs::write(&file, script).unwrap();
    let call = async || {
        let mut device = Command::new("sh");
        device
            .arg(&file)
            .env("SLIPWAY", api.url())
            .env("ENROLMENT_KEY_FILE", &key)
            .env("STATE", folder.path().join("state"))
            .env("NAME", "shell-1");
        let output = device.output().await.expect("a shell; the script needs curl beside it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    };
    let device = async || {
        let answer = api.get("/api/v1/devices?fleet=shell").await.expect(200);
        answer.body["devices"][0].clone()
    };

    call().await;
    let first = device().await;
    assert_eq!(first["name"], "shell-1");
    assert_eq!(first["online"], true, "{first}");
    assert_eq!(first["in_sync"], true, "{first}");
    call().await;

    let policy = json!({
        "name": "shell", "image_pattern": "redis:*", "update_strategy": "auto",
        "soak_device_seconds": 0, "device_selector": {"fleet": "shell"},
    });
    api.post("/api/v1/policies", &policy).await.expect(201);
    let asked = api.post("/api/v1/rollouts", &json!({"image": "redis:7.5-alpine"})).await;
    assert!(asked.status < 300, "{asked:?}");
    let rollout = eventually("the rollout to succeed", async || {
        call().await;
        let answer = api.get("/api/v1/rollouts").await.expect(200);
        if answer.text_at("/rollouts/0/state") == "succeeded" {
            Ok(answer)
        } else {
            Err(format!("{answer:?}"))
        }
    })
    .await;
    assert_eq!(rollout.body["rollouts"][0]["tally"]["succeeded"], 1);
    assert_eq!(device().await["services"][0]["image"], "docker.io/library/redis:7.5-alpine");
}
