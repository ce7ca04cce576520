//! Traces over OTLP, and metrics as Prometheus reads them.

mod collector;

use std::collections::BTreeSet;
use std::process::Stdio;

use loopback::LoopbackRegistry;
use serde_json::json;
use testbed::steps::{
    Rollout, WEBHOOK, add_policy, add_receiver, docker_hub, enrolment_key, quick_policy,
    set_template,
};
use testbed::{Api, Processes, SERVICES, eventually, free_port};
use tokio::process::{Child, Command};

use crate::PROGRAM;
use collector::Collector;

/// The trace that the sender of the webhook began, and its span.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

/// Processes that send their spans to a collector, soon.
async fn traced(collector: &Collector) -> Processes {
    let names: Vec<_> = SERVICES
        .into_iter()
        .chain(["gateway"])
        .map(|process| (process, format!("{}_OTLP_ENDPOINT", process.to_uppercase())))
        .collect();
    let mut environment = Vec::new();
    for (process, endpoint) in &names {
        environment.push((*process, endpoint.as_str(), collector.url.as_str()));
        environment.push((*process, "OTEL_BSP_SCHEDULE_DELAY", "100"));
    }
    Processes::start_with(PROGRAM, &environment).await
}

/// Two devices of the fleet `north`, in a process of their own.
async fn devices(slipway: &Processes, collector: &Collector, folder: &tempfile::TempDir) -> Child {
    let key = folder.path().join("key");
    enrolment_key(&slipway.api, "north").await.write(&key).unwrap();
    Command::new(PROGRAM)
        .args(["simulate", "--devices", "2", "--fast", "--supervised"])
        .args(["--link-url", &slipway.link, "--enrolment-key-file"])
        .arg(&key)
        .env("SIMULATE_OTLP_ENDPOINT", &collector.url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn in_sync(api: &Api, count: usize) {
    eventually("the devices to run what they should", async || {
        let fleet = api.get("/api/v1/fleets/north").await;
        if fleet.body["in_sync_count"] == count { Ok(()) } else { Err(format!("{fleet:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_crosses_all_processes_from_the_webhook_to_the_device() {
    let collector = Collector::start().await;
    let slipway = traced(&collector).await;
    let api = &slipway.api;
    let registry = LoopbackRegistry::start().await;
    for tag in ["7-alpine", "7.5-alpine"] {
        registry.push_index("library/redis", tag, &["amd64"]);
    }
    let upstream = json!({"name": "hub", "url": registry.url, "host": "docker.io"});
    api.post("/api/v1/image-registries", &upstream).await.expect(201);
    add_receiver(api).await;
    set_template(api, "north", &[("cache", "redis:7-alpine")]).await;
    let folder = tempfile::tempdir().unwrap();
    let _devices = devices(&slipway, &collector, &folder).await;
    in_sync(api, 2).await;
    add_policy(api, &quick_policy("north", "redis:*", "auto")).await;

    let traceparent = format!("00-{TRACE}-{SENDER}-01");
    let body = docker_hub("redis:7.5-alpine", runtime::Clock::system().now().timestamp());
    let headers = [("traceparent", traceparent.as_str())];
    let answer = api.nobody().send(http::Method::POST, WEBHOOK, &headers, body.to_string()).await;
    Rollout::of(api, answer).wait_for("succeeded").await;

    let wanted: BTreeSet<_> = ["gateway", "approval", "registry", "rollout", "device"]
        .map(|process| format!("slipway-{process}"))
        .into();
    eventually("every process and both devices to be in the trace", async || {
        let spans = collector.spans_of(TRACE);
        let seen: BTreeSet<_> = spans.iter().map(|span| span.process.clone()).collect();
        let updates = spans.iter().filter(|span| span.name == "device.update").count();
        let orphans = collector::orphans(&spans, SENDER);
        if wanted.is_subset(&seen) && updates == 2 && orphans.is_empty() {
            Ok(())
        } else {
            Err(format!("{updates} updates; without a parent: {orphans:?}; {spans:#?}"))
        }
    })
    .await;
    slipway.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_tells_its_metrics_on_a_port_of_its_own() {
    let names: Vec<_> = SERVICES
        .into_iter()
        .chain(["gateway"])
        .map(|process| {
            let flag = format!("{}_METRICS_LISTEN", process.to_uppercase());
            (process, flag, free_port())
        })
        .collect();
    let ports: Vec<_> = names.iter().map(|(_, _, port)| port.to_string()).collect();
    let environment: Vec<_> = names
        .iter()
        .zip(&ports)
        .map(|((process, flag, _), port)| (*process, flag.as_str(), port.as_str()))
        .collect();
    let slipway = Processes::start_with(PROGRAM, &environment).await;
    slipway.api.get("/api/v1/images").await.expect(200);
    slipway.api.get("/api/v1/policies").await.expect(200);
    slipway.api.get("/api/v1/pushes").await.expect(200);
    for (process, _, port) in &names {
        let metrics = Api::new(&format!("http://{port}"), None);
        metrics.get("/live").await.expect(200);
        let text = metrics.get("/metrics").await.expect(200).text;
        let counted = if *process == "gateway" { "http_" } else { "rpc_" };
        let described = format!("# TYPE {counted}");
        assert!(text.contains(&described), "{process} has no `{described}`: {text}");
        assert_readable(process, &text);
    }
}

/// Every line is a comment or `name{labels} value`.
fn assert_readable(process: &str, text: &str) {
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
        assert!(matches!(value, Some(Ok(_))), "{process}: {line}");
    }
}
