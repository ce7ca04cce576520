//! The other processes: what is asked of them, in this process's words.

use std::time::Duration;

use http::Uri;
use proto::event::v1::event_log_client::EventLogClient;
use proto::reason;
use proto::registry::v1 as registry;
use proto::registry::v1::image_registry_client::ImageRegistryClient;
use proto::registry::v1::upstreams_client::UpstreamsClient;
use proto::rollout::v1 as rollout;
use proto::rollout::v1::devices_client::DevicesClient;
use proto::rollout::v1::rollouts_client::RolloutsClient;
use runtime::client::{Outbound, on_behalf_of};
use runtime::process::Process;
use runtime::{Actor, Code, Problem};
use tonic::{Request, Response, Status};

use crate::answer::{Admitted, Created, Resolved, Verdict};
use crate::convert;
use crate::finding::{Platform, Reason};
use crate::push::Push;

/// How long a process of ours may take. Shorter than the lease of a claim, so that nobody else
/// takes a push over while its holder still waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Channels to the other processes.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    images: ImageRegistryClient<Outbound>,
    upstreams: UpstreamsClient<Outbound>,
    events: EventLogClient<Outbound>,
    rollouts: RolloutsClient<Outbound>,
    devices: DevicesClient<Outbound>,
}

/// A tag that an approval brings with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApprovedTag {
    pub tag: String,
    /// Empty = not known.
    pub digest: String,
    pub platforms: Vec<Platform>,
}

impl Peers {
    pub(crate) fn connect(process: &Process, registry: &Uri, rollout: &Uri) -> Self {
        let (registry, rollout) = (process.connect(registry), process.connect(rollout));
        Self {
            images: ImageRegistryClient::new(registry.clone()),
            upstreams: UpstreamsClient::new(registry.clone()),
            events: EventLogClient::new(registry),
            rollouts: RolloutsClient::new(rollout.clone()),
            devices: DevicesClient::new(rollout),
        }
    }

    /// Asks a registry elsewhere which digest a reference has; `fresh` takes no older answer.
    pub(crate) async fn resolve(
        &self,
        reference: String,
        fresh: bool,
        patience: Duration,
    ) -> Resolved {
        let mut request = Request::new(registry::ResolveTagRequest { reference, fresh });
        request.set_timeout(patience.min(PATIENCE));
        match self.upstreams.clone().resolve_tag(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let platforms = answer.platforms.into_iter().map(Platform::from).collect();
                Resolved::Digest { digest: answer.digest, platforms }
            }
            Err(status) => unresolved(&status.into()),
        }
    }

    /// Asks the gate whether a reference may run; `record` lets it write down what it adds.
    pub(crate) async fn admit(&self, question: Admission<'_>) -> Admitted {
        let message = registry::AdmitReferenceRequest {
            reference: question.reference.to_owned(),
            digest: question.digest.to_owned(),
            platforms: question.platforms.iter().cloned().map(Into::into).collect(),
            record: question.record,
        };
        let request = patiently(on_behalf_of(message, question.actor));
        match self.images.clone().admit_reference(request).await {
            Ok(answer) => Admitted::Verdict(Verdict::from(answer.into_inner())),
            Err(status) => match Problem::from(status) {
                problem if problem.code() == Code::InvalidArgument => {
                    Admitted::Malformed(problem.message().to_owned())
                }
                problem => Admitted::Away(away("registry", &problem)),
            },
        }
    }

    /// Asks for the rollout of a push that may run. Repeating it gets the first answer.
    pub(crate) async fn create_rollout(&self, push: &Push) -> Created {
        let message = convert::push::create_rollout(push);
        let request = patiently(on_behalf_of(message, &push.actor));
        match self.rollouts.clone().create_rollout(request).await {
            Ok(answer) => convert::push::created(answer.into_inner()),
            Err(status) => match Problem::from(status) {
                problem if is_final(&problem) => {
                    Created::Refused(Reason::new(problem.reason(), problem.message()))
                }
                problem => Created::Away(away("rollout", &problem)),
            },
        }
    }

    /// Approves an image and adds tags. Repeating it changes nothing.
    pub(crate) async fn approve_image(
        &self,
        review: &str,
        repository: &str,
        tags: Vec<ApprovedTag>,
        voter: &Actor,
    ) -> Result<(), Problem> {
        let tags = tags.into_iter().map(Into::into).collect();
        let message = registry::ApproveImageRequest {
            repository: repository.to_owned(),
            tags,
            request_id: review.to_owned(),
            ..Default::default()
        };
        done(self.images.clone().approve_image(patiently(on_behalf_of(message, voter))).await)
    }

    /// Rejects an image. Repeating it changes nothing.
    pub(crate) async fn reject_image(
        &self,
        review: &str,
        repository: &str,
        reason: &str,
        voter: &Actor,
    ) -> Result<(), Problem> {
        let message = registry::RejectImageRequest {
            repository: repository.to_owned(),
            reason: reason.to_owned(),
            request_id: review.to_owned(),
            ..Default::default()
        };
        done(self.images.clone().reject_image(patiently(on_behalf_of(message, voter))).await)
    }

    /// Reads an image; `None` = it was removed.
    pub(crate) async fn image(&self, id: i64) -> Result<Option<registry::Image>, Problem> {
        let request = patiently(Request::new(registry::GetImageRequest { id }));
        match self.images.clone().get_image(request).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) => match Problem::from(status) {
                problem if problem.code() == Code::NotFound => Ok(None),
                problem => Err(problem),
            },
        }
    }

    /// Streams the registry's events after a sequence number.
    pub(crate) async fn watch_registry(
        &self,
        after_sequence: i64,
    ) -> Result<tonic::Streaming<proto::event::v1::WatchEventsResponse>, Problem> {
        let request = proto::event::v1::WatchEventsRequest { after_sequence };
        let answer = self.events.clone().watch_events(request).await.map_err(Problem::from)?;
        Ok(answer.into_inner())
    }

    /// Takes the approval of a release back.
    pub(crate) async fn revoke_release(
        &self,
        repository: &str,
        tag: &str,
        reason: &str,
    ) -> Result<(), Problem> {
        let message = rollout::RevokeReleaseRequest {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: String::new(),
            reason: reason.to_owned(),
        };
        done(self.rollouts.clone().revoke_release(patiently(Request::new(message))).await)
    }

    /// The releases on their way whose approval was taken back.
    pub(crate) async fn revoked_releases(
        &self,
        repository: &str,
    ) -> Result<Vec<rollout::Release>, Problem> {
        let message = rollout::GetRevokedReleasesRequest { repository: repository.to_owned() };
        let request = patiently(Request::new(message));
        Ok(answered(self.rollouts.clone().get_revoked_releases(request).await)?.releases)
    }

    /// Gives the approval of a release back.
    pub(crate) async fn restore_release(&self, release: rollout::Release) -> Result<(), Problem> {
        let message = rollout::RestoreReleaseRequest {
            repository: release.repository,
            tag: release.tag,
            digest: release.digest,
        };
        done(self.rollouts.clone().restore_release(patiently(Request::new(message))).await)
    }

    /// Sets what a device runs, in admitted references.
    pub(crate) async fn set_target(
        &self,
        message: rollout::SetDeviceTargetRequest,
        person: &Actor,
    ) -> Result<rollout::TargetState, Problem> {
        let request = patiently(on_behalf_of(message, person));
        answered(self.devices.clone().set_target(request).await)
    }

    /// Sets a fleet's template, in admitted references.
    pub(crate) async fn set_template(
        &self,
        message: rollout::SetFleetTemplateRequest,
        person: &Actor,
    ) -> Result<rollout::SetFleetTemplateResponse, Problem> {
        let request = patiently(on_behalf_of(message, person));
        answered(self.devices.clone().set_template(request).await)
    }
}

/// What the gate is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission<'a> {
    pub reference: &'a str,
    /// Empty = it was not resolved.
    pub digest: &'a str,
    pub platforms: &'a [Platform],
    pub record: bool,
    /// Who wants it to run.
    pub actor: &'a Actor,
}

impl<'a> Admission<'a> {
    /// Asks about a push, and lets the gate write down what it adds.
    pub(crate) fn of(push: &'a Push, reference: &'a str) -> Self {
        let digest = push.vouched_digest();
        Self { reference, digest, platforms: &push.platforms, record: true, actor: &push.actor }
    }
}

fn unresolved(problem: &Problem) -> Resolved {
    let message = problem.message().to_owned();
    match problem.reason() {
        reason::UPSTREAM_NOT_CONFIGURED => Resolved::NotConfigured,
        reason::TAG_NOT_FOUND => Resolved::NotFound,
        reason::UPSTREAM_UNREACHABLE => Resolved::Unreachable(message),
        reason::UPSTREAM_REFUSED => Resolved::Refused(message),
        reason::UPSTREAM_RATE_LIMITED => {
            Resolved::RateLimited(problem.retry_time().unwrap_or(Duration::from_secs(60)))
        }
        _ if problem.code() == Code::InvalidArgument => Resolved::Malformed(message),
        // It was `registry` that took the question and the upstream that took too long.
        _ if problem.code() == Code::DeadlineExceeded => {
            Resolved::Unreachable("the registry did not answer in time".to_owned())
        }
        _ => Resolved::Away(away("registry", problem)),
    }
}

/// Whether the same request can never work.
fn is_final(problem: &Problem) -> bool {
    matches!(
        problem.code(),
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition
    )
}

/// The sentence about a process that does not answer as it should.
fn away(process: &str, problem: &Problem) -> String {
    if !problem.is_transient() {
        tracing::warn!(error = ?problem, "`{process}` refused what it should take");
    }
    format!("the process `{process}` does not answer; it is asked again")
}

fn patiently<T>(mut request: Request<T>) -> Request<T> {
    request.set_timeout(PATIENCE);
    request
}

fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T, Problem> {
    answer.map(Response::into_inner).map_err(Problem::from)
}

fn done<T>(answer: Result<Response<T>, Status>) -> Result<(), Problem> {
    answered(answer).map(|_| ())
}
