//! What devices cost, and how fast things reach them.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use proto::rollout::v1::Phase;
use runtime::secret::Secret;
use serde_json::{Value, json};
use testbed::{Processes, eventually};

use crate::device::Device;
use crate::figures::{Durations, head, line, rate, shown};
use crate::raw;

/// How many devices the large measurements have.
const DEVICES: usize = 5_000;
/// How many of them do something at once.
const AT_ONCE: usize = 256;

/// From asking for a new target to the device that has it.
pub async fn commit_to_device(slipway: &Processes) {
    head("commit → device", "p50 < 20 ms");
    let mut devices = fleet(slipway, "one", 1, "redis:7-alpine").await;
    let device = &mut devices[0];
    let path = format!("/api/v1/devices/{}/target", device.id);
    let mut durations = Vec::new();
    for number in 0..300 {
        let config = json!({"environment": {"NUMBER": number.to_string()}});
        let services = json!([{"name": "app", "image": "redis:7-alpine", "config": config}]);
        let begun = Instant::now();
        let body = json!({"services": services});
        let asked = slipway.api.put(&path, &body);
        let (answer, came) = tokio::join!(asked, device.next_target());
        answer.expect(200);
        durations.push(came.duration_since(begun));
    }
    line("REST asked → gate → commit → device has it", &Durations::of(durations).shown());
}

/// From the last report of a batch to the first target of the next.
pub async fn report_to_next_batch(slipway: &Processes) {
    const BATCHES: usize = 100;
    head("last report → next batch", "p99 < 1 s");
    let mut devices = fleet(slipway, "batches", BATCHES, "nginx:1-alpine").await;
    let batches: Vec<Value> =
        (0..BATCHES).map(|_| json!({"count": 1, "soak_seconds": 0})).collect();
    policy(slipway, "batches", "nginx:*", json!({"update_strategy": "staged", "batches": batches}))
        .await;
    push(slipway, "nginx", "bench-batches").await;

    let mut durations = Vec::new();
    let mut reported: Option<Instant> = None;
    // They stay connected: only who is there succeeds.
    let mut updated = Vec::new();
    while !devices.is_empty() {
        let waiting = devices
            .iter_mut()
            .enumerate()
            .map(|(index, device)| Box::pin(async move { (index, device.next_target().await) }));
        let next = futures_util::future::select_all(waiting);
        let Ok(((index, came), _, _)) = tokio::time::timeout(testbed::PATIENCE, next).await else {
            let rollouts = slipway.api.get("/api/v1/rollouts?limit=1").await;
            panic!("no batch came for {:?}: {rollouts:?}", testbed::PATIENCE);
        };
        durations.extend(reported.map(|reported| came.saturating_duration_since(reported)));
        let mut device = devices.swap_remove(index);
        device.report_running().await;
        reported = Some(Instant::now());
        updated.push(device);
    }
    line("report answered → next batch's target", &Durations::of(durations).shown());
}

/// Memory of streams, reports, and one batch to all of them.
pub async fn at_scale(slipway: &Processes, reports: bool, fan_out: bool) {
    head("5,000 streams, one connection each", "≤ 24 KiB each");
    let before = resident(slipway.id("rollout"));
    let begun = Instant::now();
    let mut devices = fleet(slipway, "many", DEVICES, "iotistic/agent:v2.0.0").await;
    line("enrolled, connected, first report", &format!("{:.1} s", begun.elapsed().as_secs_f64()));
    // What enrolling took is given back first.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let each = resident(slipway.id("rollout")).saturating_sub(before) / DEVICES;
    line("memory of `rollout` per stream", &format!("{:.1} KiB", kib(each)));

    if reports {
        head("durable reports that change something", "≥ 10,000/s");
        const ROUNDS: i32 = 5;
        let begun = Instant::now();
        for round in 1..=ROUNDS {
            all(&mut devices, async |device: &mut Device| {
                device.report(Phase::Downloading, false, round).await;
            })
            .await;
        }
        let count = DEVICES * usize::try_from(ROUNDS).unwrap();
        line("5,000 devices, 256 at once", &format!("{:.0}/s", rate(count, begun.elapsed())));
        all(&mut devices, Device::report_running).await;
    }
    if fan_out {
        head("one batch to 5,000 streams, no pace limit", "≥ 0.4 of raw TCP");
        let bytes = prost::Message::encoded_len(&devices[0].target) + 200;
        let limit = raw::fan_out(DEVICES, bytes).await;
        line("limit: the same bytes over bare TCP", &shown(limit));
        let everything = json!({"update_strategy": "auto", "max_in_flight": "100%"});
        policy(slipway, "many", "iotistic/agent:*", everything).await;
        let begun = Instant::now();
        let push = push(slipway, "iotistic/agent", "bench-all");
        let came = async { all_came(&mut devices).await };
        let ((), came) = tokio::join!(push, came);
        let (first, last) = (came.at(0.0), came.at(1.0));
        let spread = last.saturating_sub(first);
        line("webhook sent → first, median, last", &came.since(begun));
        line("first device → last device", &shown(spread));
        let ratio = limit.as_secs_f64() / spread.as_secs_f64();
        line("of raw TCP", &format!("{ratio:.2}×"));
    }
}

/// When the targets came, as time since the first instant of the process.
struct Came {
    at: Durations,
    origin: Instant,
}

impl Came {
    fn at(&self, share: f64) -> Duration {
        self.at.at(share)
    }

    fn since(&self, begun: Instant) -> String {
        let offset = begun.saturating_duration_since(self.origin);
        let shown = |share| shown(self.at(share).saturating_sub(offset));
        format!("{}, {}, {}", shown(0.0), shown(0.5), shown(1.0))
    }
}

async fn all_came(devices: &mut [Device]) -> Came {
    let origin = Instant::now();
    let waiting = devices.iter_mut().map(Device::next_target);
    let came = futures_util::future::join_all(waiting).await;
    let at = came.into_iter().map(|came| came.saturating_duration_since(origin)).collect();
    Came { at: Durations::of(at), origin }
}

/// Enrols devices that run an image, connected and reported.
async fn fleet(slipway: &Processes, name: &str, count: usize, image: &str) -> Vec<Device> {
    testbed::set_template(&slipway.api, name, &[("app", image)]).await;
    let key = testbed::enrolment_key(&slipway.api, name).await;
    let enrolled = (0..count).map(|index| enrolled(&slipway.link, &key, name, index));
    futures_util::stream::iter(enrolled).buffer_unordered(AT_ONCE).collect().await
}

async fn enrolled(link: &str, key: &Secret, name: &str, index: usize) -> Device {
    let mut device = Device::enrol(link, key, format!("{name}-{index:04}")).await;
    device.connect().await;
    device.report_running().await;
    device
}

/// Lets all devices do something, some at once.
async fn all(devices: &mut [Device], work: impl AsyncFn(&mut Device)) {
    let work = &work;
    let pieces = devices.iter_mut().map(async |device| work(device).await);
    futures_util::stream::iter(pieces).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Makes a policy that does not wait for anything.
async fn policy(slipway: &Processes, name: &str, pattern: &str, settings: Value) {
    let mut policy = json!({
        "name": name, "image_pattern": pattern, "device_selector": {"fleet": name},
        "soak_device_seconds": 0, "enabled": true,
    });
    let members = settings.as_object().unwrap().clone();
    policy.as_object_mut().unwrap().extend(members);
    slipway.api.post("/api/v1/policies", &policy).await.expect(201);
}

/// Pushes a tag by hand; what runs it is updated.
async fn push(slipway: &Processes, repository: &str, tag: &str) {
    let body = json!({"image": format!("{repository}:{tag}")});
    let answer = slipway.api.post("/api/v1/rollouts", &body).await;
    assert!(answer.status < 300, "{answer:?}");
    eventually("a rollout", async || {
        let answer = slipway.api.get("/api/v1/rollouts").await;
        if answer.text.contains(tag) { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

/// Resident memory of a process in bytes.
fn resident(process: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1_024
}

fn kib(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap()) / 1_024.0
}
