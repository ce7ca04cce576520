//! A device that does as little as the protocol allows.

use std::time::Instant;

use proto::rollout::v1 as pb;
use proto::rollout::v1::device_link_client::DeviceLinkClient;
use runtime::client::{self, Identity, Outbound};
use runtime::secret::Secret;
use tonic::Streaming;

/// One device with its own connection.
pub struct Device {
    client: DeviceLinkClient<Outbound>,
    stream: Option<Streaming<pb::SubscribeResponse>>,
    seq: i64,
    /// Its id.
    pub id: String,
    /// What it should run.
    pub target: pb::TargetState,
}

impl Device {
    /// Enrols.
    pub async fn enrol(link: &str, key: &Secret, name: String) -> Self {
        let address = link.parse().unwrap();
        let mut nobody = DeviceLinkClient::new(client::connect(&address, Identity::none()));
        let request = pb::EnrollRequest {
            enrolment_key: key.expose().to_owned(),
            name,
            ..pb::EnrollRequest::default()
        };
        let made = nobody.enroll(request).await.unwrap().into_inner();
        let identity = Identity::of(&Secret::new(made.token));
        let client = DeviceLinkClient::new(client::connect(&address, identity));
        let target = pb::TargetState::default();
        Self { client, stream: None, seq: 0, id: made.device_id, target }
    }

    /// Opens its stream and takes the first target.
    pub async fn connect(&mut self) {
        let request = pb::SubscribeRequest {
            boot_id: "bench".to_owned(),
            agent_version: "bench".to_owned(),
            ..pb::SubscribeRequest::default()
        };
        self.stream = Some(self.client.subscribe(request).await.unwrap().into_inner());
        self.next_target().await;
    }

    /// Waits for a target; returns when it came.
    pub async fn next_target(&mut self) -> Instant {
        let stream = self.stream.as_mut().unwrap();
        loop {
            let message = stream.message().await.unwrap().unwrap();
            if let Some(pb::subscribe_response::Event::Target(target)) = message.event {
                self.target = target;
                return Instant::now();
            }
        }
    }

    /// Reports that everything of the target runs and is healthy, with or without its soak.
    pub async fn report_running(&mut self) {
        self.report(pb::Phase::Running, true, 0).await;
    }

    /// Reports where all services are.
    pub async fn report(&mut self, phase: pb::Phase, healthy: bool, progress: i32) {
        self.seq += 1;
        let seen = |service: &pb::Service| {
            let rollout = service.rollout.clone().unwrap_or_default();
            pb::ServiceReport {
                name: service.name.clone(),
                image: service.image.clone(),
                digest: service.digest.clone(),
                release_id: service.release_id.clone(),
                phase: phase.into(),
                healthy,
                rollout_id: rollout.id,
                attempt: rollout.attempt,
                progress_percent: progress,
                ..pb::ServiceReport::default()
            }
        };
        let request = pb::ReportRequest {
            boot_id: "bench".to_owned(),
            seq: self.seq,
            generation: self.target.generation,
            etag: self.target.etag.clone(),
            services: self.target.services.iter().map(seen).collect(),
            ..pb::ReportRequest::default()
        };
        self.client.report(request).await.unwrap();
    }
}
