//! The calls of the protocol.

use std::str::FromStr as _;
use std::sync::Arc;

use futures_util::FutureExt as _;
use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::device_link_client::DeviceLinkClient;
use runtime::context::TRACEPARENT;
use runtime::secret::Secret;
use runtime::{Code, Problem};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::mailbox::{Known, Work};
use super::{Call, Connector, Done, LinkConfig};
use crate::identity::Identity;
use crate::moment::Time;
use crate::timing::Timing;

/// One connection, and who uses it.
#[derive(Clone)]
pub(super) struct Wire {
    client: DeviceLinkClient<Channel>,
    authorization: MetadataValue<Ascii>,
    timing: Arc<Timing>,
    time: Time,
    hello: pb::SubscribeRequest,
}

impl Wire {
    pub(super) fn new(channel: Channel, config: &LinkConfig) -> Self {
        Self {
            client: DeviceLinkClient::new(channel),
            authorization: authorization(&config.token),
            timing: Arc::clone(&config.timing),
            time: config.time.clone(),
            hello: pb::SubscribeRequest {
                known_generation: 0,
                known_etag: String::new(),
                boot_id: config.boot_id.clone(),
                agent_version: env!("CARGO_PKG_VERSION").to_owned(),
                platform: Some(config.platform.clone().into()),
            },
        }
    }

    /// Opens the stream.
    pub(super) async fn subscribe(
        &self,
        known: Known,
    ) -> Result<Streaming<pb::SubscribeResponse>, Problem> {
        let hello = pb::SubscribeRequest {
            known_generation: known.generation,
            known_etag: known.etag,
            ..self.hello.clone()
        };
        let mut client = self.client.clone();
        self.bounded(client.subscribe(self.request(hello))).await
    }

    /// Begins a call.
    pub(super) fn begin(&self, work: Work, known: Known) -> Call {
        let wire = self.clone();
        match work {
            Work::Report(report) => async move {
                let seq = report.seq;
                Done::Reported(seq, wire.report(*report).await)
            }
            .boxed(),
            Work::Ask => async move { Done::Asked(wire.get_target(known).await) }.boxed(),
        }
    }

    async fn report(&self, report: pb::ReportRequest) -> Result<pb::ReportResponse, Problem> {
        let traceparent = report.traceparent.parse().ok();
        let mut request = self.request(report);
        if let Some(traceparent) = traceparent {
            request.metadata_mut().insert(TRACEPARENT, traceparent);
        }
        let mut client = self.client.clone();
        self.bounded(client.report(request)).await
    }

    async fn get_target(&self, known: Known) -> Result<pb::GetTargetResponse, Problem> {
        let request = self.request(pb::GetTargetRequest { known_etag: known.etag });
        let mut client = self.client.clone();
        self.bounded(client.get_target(request)).await
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Problem> {
        answer_within(&self.time, &self.timing, call).await
    }
}

/// Makes the caller a device of the key's fleet.
///
/// # Errors
///
/// What the server says, or that it does not answer.
pub async fn enroll(
    connector: &Connector,
    time: &Time,
    timing: &Timing,
    request: pb::EnrollRequest,
) -> Result<Identity, Problem> {
    let connected = time.within(timing.link.answer, connector.connect()).await;
    let mut client = DeviceLinkClient::new(connected.unwrap_or_else(|| Err(too_slow()))?);
    let response = answer_within(time, timing, client.enroll(request)).await?;
    Ok(Identity {
        device_id: response.device_id,
        token: Secret::new(response.token),
        name: response.name,
        fleet: response.fleet,
    })
}

async fn answer_within<T>(
    time: &Time,
    timing: &Timing,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Problem> {
    match time.within(timing.link.answer, call).await {
        Some(Ok(response)) => Ok(response.into_inner()),
        Some(Err(status)) => Err(Problem::from(status)),
        None => Err(too_slow()),
    }
}

fn too_slow() -> Problem {
    Problem::new(
        Code::DeadlineExceeded,
        reason::DEADLINE_EXCEEDED,
        "the server did not answer in time",
    )
}

fn authorization(token: &Secret) -> MetadataValue<Ascii> {
    let text = format!("Bearer {}", token.expose());
    // A token of ours is plain ASCII; with any other the server says that it knows no such device.
    let mut value =
        MetadataValue::from_str(&text).unwrap_or_else(|_| MetadataValue::from_static("Bearer"));
    value.set_sensitive(true);
    value
}
