//! Every process says what it serves and that it is well, and what the documents print for
//! `grpcurl` works as printed.

mod caller;
mod printed;

use std::collections::BTreeMap;
use std::path::Path;

use runtime::client;
use runtime::secret::Secret;
use serde_json::{Value, json};
use testbed::Slipway;
use testbed::steps::add_receiver;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use caller::Caller;
use printed::Line;

/// What each listener serves: its process, its usual port, its services.
const LISTENERS: [(&str, u16, &[&str]); 5] = [
    ("registry", 4011, &["registry.v1.ImageRegistry", "registry.v1.Gate", "registry.v1.Upstreams"]),
    (
        "approval",
        4012,
        &[
            "approval.v1.Pushes",
            "approval.v1.Reviews",
            "approval.v1.Targets",
            "approval.v1.Receivers",
        ],
    ),
    ("rollout", 4013, &["rollout.v1.Policies", "rollout.v1.Rollouts", "rollout.v1.Devices"]),
    ("access", 4014, &["access.v1.Tokens", "access.v1.AuditLog"]),
    ("link", 4020, &["rollout.v1.DeviceLink"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_says_what_it_serves_and_that_it_is_well() {
    let slipway = Slipway::start().await;
    for (process, _, services) in LISTENERS {
        let uri = slipway.uri(process);
        let caller = Caller::connect(&uri).await;
        let mut health = HealthClient::new(client::channel(&uri));
        let full = services.iter().map(|name| format!("slipway.{name}"));
        for service in full.chain([String::new()]) {
            let known = service.is_empty() || caller.services().contains(&service);
            assert!(known, "{process} serves {:?}, not `{service}`", caller.services());
            let asked = HealthCheckRequest { service: service.clone() };
            let answer = health.check(asked).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{process}: {service}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_grpcurl_line_of_the_documents_works_as_printed() {
    let slipway = Slipway::start().await;
    add_receiver(&slipway.api).await;
    let device = json!({"name": "one", "fleet": "north"});
    let device = slipway.api.post("/api/v1/devices", &device).await.expect(201);
    let tokens = BTreeMap::from([
        ("$TOKEN", slipway.tokens.admin.clone()),
        ("$DEVICE_TOKEN", Secret::new(device.text_at("/token"))),
    ]);
    let mut called = Vec::new();
    for (place, line) in documents().iter().flat_map(|(name, text)| printed_in(name, text)) {
        let answer = run(&slipway, &tokens, &line).await;
        assert!(answer.is_ok(), "{place}: {line:?}: {answer:?}");
        called.push(line.method);
    }
    for (process, _, services) in LISTENERS {
        for service in services {
            let method = format!("slipway.{service}/");
            let printed = called.iter().any(|called| called.starts_with(&method));
            assert!(printed, "no document prints a call of `{service}` of {process}");
        }
    }
}

/// Runs a line against the process whose usual port it names.
async fn run(
    slipway: &Slipway,
    tokens: &BTreeMap<&str, Secret>,
    line: &Line,
) -> Result<Vec<Value>, String> {
    let listener = LISTENERS.iter().find(|(_, port, _)| *port == line.port);
    let (process, _, _) = listener.ok_or("nobody listens there")?;
    let caller = Caller::connect(&slipway.uri(process)).await;
    if line.method == "list" {
        return Ok(caller.services().iter().map(|name| json!(name)).collect());
    }
    let mut headers = Vec::new();
    for (name, value) in &line.headers {
        let known = tokens.iter().find(|(variable, _)| value.contains(**variable));
        let filled = match known {
            Some((variable, token)) => value.replace(variable, token.expose()),
            None => value.clone(),
        };
        headers.push((name.clone(), filled));
    }
    caller.call(&line.method, &headers, &line.data).await
}

fn printed_in<'a>(name: &'a str, text: &str) -> impl Iterator<Item = (&'a str, Line)> + use<'a> {
    printed::lines(text).into_iter().map(move |line| (name, line))
}

/// The documents of the project, by name.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let documents = paths.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    documents
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}
