//! What there is on the first start: a receiver for the documents' webhooks, and, unless it is not
//! wanted, fleets with templates, policies that move in seconds, and one review that waits.
//!
//! Everything goes through the public API with the administrator's token, like anybody's data. Each
//! part is made once; a start that was cut off in the middle goes on where it was.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use proto::approval::v1::receivers_client::ReceiversClient;
use proto::approval::v1::targets_client::TargetsClient;
use proto::approval::v1::{self as approval, CreateReceiverRequest, SetTemplateRequest};
use proto::rollout::v1::devices_client::DevicesClient;
use proto::rollout::v1::policies_client::PoliciesClient;
use proto::rollout::v1::{self as rollout, CreateEnrolmentKeyRequest, CreatePolicyRequest};
use runtime::client::{self, Identity, Outbound};
use runtime::secret::Secret;
use runtime::{Code, Problem, time};
use serde_json::json;

use super::data_dir::DataDir;
use super::endpoints::{Endpoints, url};
use super::step;

/// The fleets, each with its services: name and image.
const FLEETS: [(&str, &[(&str, &str)]); 3] = [
    ("north", &[("cache", "redis:7-alpine"), ("agent", "iotistic/agent:v2.0.0")]),
    ("south", &[("cache", "redis:7-alpine"), ("sensor", "iotistic/sensor:v1.0.0")]),
    ("depot", &[("agent", "iotistic/agent:v2.0.0"), ("sensor", "iotistic/sensor:v1.0.0")]),
];
/// The tag that fails on the devices.
pub const BAD_IMAGE: &str = "iotistic/sensor:v2.0.0-broken";
/// The image whose review waits.
const ASKED_IMAGE: (&str, &str) = ("eclipse-mosquitto", "2.0");

/// The simulated devices per fleet.
pub fn fleets(devices: usize) -> impl Iterator<Item = (&'static str, usize)> {
    let (share, rest) = (devices / FLEETS.len(), devices % FLEETS.len());
    FLEETS
        .into_iter()
        .enumerate()
        .map(move |(index, (fleet, _))| (fleet, share + usize::from(index < rest)))
        .filter(|(_, count)| *count > 0)
}

/// How the simulated devices behave: well, but for the one bad image.
pub fn profile() -> String {
    format!("good,unhealthy:100%@docker.io/{BAD_IMAGE}")
}

/// The file with the key that a fleet's simulated devices enrol with.
pub fn enrolment_key_file(data: &DataDir, fleet: &str) -> PathBuf {
    data.secrets().join(format!("enrolment-{fleet}.key"))
}

/// Makes the default receiver, on loopback only: it takes what nobody has signed. Returns whether
/// this is the first start.
pub async fn receiver(
    data: &DataDir,
    endpoints: &Endpoints,
    admin: &Secret,
    is_loopback: bool,
) -> Result<bool> {
    if is_done(data, "receiver") {
        return Ok(false);
    }
    if is_loopback {
        let mut receivers = ReceiversClient::new(connect(&url(endpoints.approval), admin)?);
        let receiver = approval::Receiver {
            name: "default".to_owned(),
            vendor: approval::Vendor::Generic.into(),
            allow_unauthenticated: true,
            registries: vec!["docker.io".to_owned(), "ghcr.io".to_owned()],
            repositories: vec!["**".to_owned()],
            payload_trust: true,
            is_default: true,
            ..approval::Receiver::default()
        };
        let request = CreateReceiverRequest { receiver: Some(receiver), secret: String::new() };
        made(receivers.create_receiver(request).await)?;
    }
    done(data, "receiver")?;
    Ok(true)
}

/// Makes the demo data.
pub async fn first_data(data: &DataDir, endpoints: &Endpoints, admin: &Secret) -> Result<()> {
    if is_done(data, "demo") {
        return Ok(());
    }
    step("Making demo data");
    policies(endpoints, admin).await?;
    templates(endpoints, admin).await?;
    enrolment_keys(data, endpoints, admin).await?;
    waiting_review(endpoints).await?;
    done(data, "demo")
}

async fn policies(endpoints: &Endpoints, admin: &Secret) -> Result<()> {
    let mut policies = PoliciesClient::new(connect(&url(endpoints.rollout), admin)?);
    let staged = |name: &str, pattern: &str| rollout::Policy {
        name: name.to_owned(),
        image_pattern: pattern.to_owned(),
        strategy: rollout::Strategy::Staged.into(),
        batch_delay: seconds(4),
        ..quick()
    };
    for policy in [
        staged("redis", "redis:*"),
        staged("sensors", "iotistic/sensor:*"),
        rollout::Policy {
            name: "iotistic".to_owned(),
            image_pattern: "iotistic/*:*".to_owned(),
            strategy: rollout::Strategy::Auto.into(),
            ..quick()
        },
    ] {
        let request = CreatePolicyRequest { policy: Some(policy), request_id: String::new() };
        made(policies.create_policy(request).await)?;
    }
    Ok(())
}

/// A policy that moves in seconds.
fn quick() -> rollout::Policy {
    let percent = rollout::device_quota::Quota::Percent(50.0);
    rollout::Policy {
        enabled: true,
        max_in_flight: Some(rollout::DeviceQuota { quota: Some(percent) }),
        device_soak: seconds(2),
        timers: Some(rollout::Timers {
            ack: seconds(20),
            pull: seconds(60),
            install: seconds(30),
            verify: seconds(10),
            total: seconds(120),
        }),
        dead_man: seconds(60),
        ..rollout::Policy::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "durations on the wire are optional")]
fn seconds(seconds: u64) -> Option<prost_types::Duration> {
    Some(time::to_duration(Duration::from_secs(seconds)))
}

async fn templates(endpoints: &Endpoints, admin: &Secret) -> Result<()> {
    let mut targets = TargetsClient::new(connect(&url(endpoints.approval), admin)?);
    for (fleet, services) in FLEETS {
        let services = services
            .iter()
            .map(|(name, image)| approval::TargetService {
                name: (*name).to_owned(),
                image: (*image).to_owned(),
                config: String::new(),
            })
            .collect();
        let request = SetTemplateRequest { fleet: fleet.to_owned(), services };
        targets.set_template(request).await.map_err(problem)?;
    }
    Ok(())
}

async fn enrolment_keys(data: &DataDir, endpoints: &Endpoints, admin: &Secret) -> Result<()> {
    let mut devices = DevicesClient::new(connect(&url(endpoints.rollout), admin)?);
    for (fleet, _) in FLEETS {
        let path = enrolment_key_file(data, fleet);
        if path.exists() {
            continue;
        }
        // A start that was cut off may have made a key whose secret nobody kept.
        for number in 1.. {
            let name = format!("simulated-{fleet}-{number}");
            let request = CreateEnrolmentKeyRequest {
                name,
                fleet: fleet.to_owned(),
                ..CreateEnrolmentKeyRequest::default()
            };
            let Some(key) = made(devices.create_enrolment_key(request).await)? else { continue };
            Secret::new(key.secret)
                .write(&path)
                .with_context(|| format!("`{}` cannot be written", path.display()))?;
            break;
        }
    }
    Ok(())
}

/// A push of an image that nobody has approved: its review waits for the first visitor.
async fn waiting_review(endpoints: &Endpoints) -> Result<()> {
    let (image, tag) = ASKED_IMAGE;
    let address = format!("{}/api/v1/webhooks/docker-registry", endpoints.gateway_url());
    let body = json!({"repository": {"repo_name": image}, "push_data": {"tag": tag}});
    let answer = reqwest::Client::new()
        .post(&address)
        .json(&body)
        .send()
        .await
        .with_context(|| format!("the gateway does not answer on {address}"))?;
    match answer.status().as_u16() {
        403 | 404 => Ok(()),
        status => {
            bail!("a push of `{image}:{tag}` was to open a review, and was answered {status}")
        }
    }
}

fn connect(address: &str, admin: &Secret) -> Result<Outbound> {
    let address = address.parse().context("a process's address is none")?;
    Ok(client::connect(&address, Identity::of(admin)))
}

/// What was made; `None` = it was there already.
fn made<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<Option<T>> {
    match answer.map_err(Problem::from) {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(problem) if problem.code() == Code::AlreadyExists => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

fn problem(status: tonic::Status) -> anyhow::Error {
    Problem::from(status).into()
}

fn is_done(data: &DataDir, part: &str) -> bool {
    data.path().join(format!(".{part}-done")).exists()
}

fn done(data: &DataDir, part: &str) -> Result<()> {
    data.write(&format!(".{part}-done"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_are_shared_out_among_the_fleets() {
        let counts: Vec<_> = fleets(25).map(|(_, count)| count).collect();
        assert_eq!(counts, [9, 8, 8]);
        assert_eq!(fleets(2).count(), 2);
    }
}
