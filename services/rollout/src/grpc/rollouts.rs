//! `slipway.rollout.v1.Rollouts`.

use proto::reason;
use proto::rollout::v1 as pb;
use proto::rollout::v1::rollouts_server::Rollouts as Service;
use runtime::{Caller, Problem, database, page};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::watch;
use crate::app::App;
use crate::command::{self, Order};
use crate::convert;
use crate::create::{self, Asked, Outcome};
use crate::drive::Look;
use crate::error::Error;
use crate::plan;
use crate::policy::PolicyId;
use crate::revoke::{self, Releases};
use crate::rollout::{Command, RolloutId, State};
use crate::store::rollout::Filter;
use crate::store::{self};

/// The longest reason of a command.
const REASON_LENGTH: usize = 500;
/// The shortest beginning of an id that names a rollout.
const PREFIX: usize = 8;

/// Serves rollouts.
#[derive(Debug, Clone)]
pub struct Rollouts(pub App);

/// Looks at a rollout.
pub(super) async fn load(app: &App, id: RolloutId) -> Result<Look, Error> {
    let mut db = app.pool.acquire().await?;
    let now = database::now(&mut db, &app.clock).await?;
    Look::at(&mut db, id, app.heard_since(now), now).await
}

/// A rollout that was looked at, as the wire carries it.
pub(super) fn picture(look: &Look) -> pb::Rollout {
    convert::rollout_to_pb(&look.view(), look.at)
}

impl Rollouts {
    async fn get(&self, id: RolloutId) -> Result<pb::Rollout, Error> {
        Ok(picture(&load(&self.0, id).await?))
    }

    /// Reads an id, or the beginning of one.
    async fn resolve(&self, text: &str) -> Result<RolloutId, Error> {
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(RolloutId(id));
        }
        let plain = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if text.len() < PREFIX || !plain {
            return Ok(RolloutId::parse("id", text)?);
        }
        let mut db = self.0.pool.acquire().await?;
        store::rollout::by_prefix(&mut db, &text.to_lowercase())
            .await?
            .ok_or_else(|| Error::RolloutNotFound(text.to_owned()))
    }

    async fn command(
        &self,
        caller: &Caller,
        text: pb::RolloutCommand,
        command: Command,
    ) -> Result<Response<pb::Rollout>, Status> {
        if text.reason.chars().count() > REASON_LENGTH {
            let wrong = format!("is longer than {REASON_LENGTH} characters");
            return Err(Problem::invalid("reason", wrong).into());
        }
        let order = Order {
            rollout: self.resolve(&text.id).await?,
            command,
            why: text.reason,
            request_id: convert::optional_uuid("request_id", &text.request_id)?,
            version: convert::version(&text.etag)?,
        };
        match command::execute(&self.0, caller, &order).await {
            Ok(()) => Ok(Response::new(self.get(order.rollout).await?)),
            Err(error) if command == Command::RollBack => {
                Err(self.undo_hint(order.rollout, error).await)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A succeeded rollout is undone by a rollout of the release before it.
    async fn undo_hint(&self, id: RolloutId, error: Error) -> Status {
        let Error::WrongState { reason: reason::ROLLOUT_ENDED, .. } = error else {
            return error.into();
        };
        let problem = Problem::from(error);
        let earlier = async {
            let mut db = self.0.pool.acquire().await?;
            let rollout = store::rollout::get(&mut db, id).await?;
            store::rollout::before(&mut db, &rollout).await
        };
        match earlier.await {
            Ok(Some((before, reference))) => {
                problem.with("undo_rollout_id", before).with("undo_image", reference).into()
            }
            Ok(None) | Err(_) => problem.into(),
        }
    }

    async fn list(
        &self,
        request: pb::ListRolloutsRequest,
    ) -> Result<pb::ListRolloutsResponse, Error> {
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let skip = page::skip(request.skip)?;
        let filter = filter(&request)?;
        let key = format!("rollouts {filter:?}");
        let before = match page::key(&request.page_token, &key)? {
            Some(id) => Some(runtime::id::parse_uuid("page_token", &id)?),
            None => None,
        };
        let mut db = self.0.pool.acquire().await?;
        let now = database::now(&mut db, &self.0.clock).await?;
        let (found, total) = store::rollout::list(&mut db, &filter, before, skip, size + 1).await?;
        let (found, next_page_token) =
            page::cut(found, size, &key, |rollout| rollout.id.to_string());
        let mut rollouts = Vec::with_capacity(found.len());
        for rollout in found {
            let look = Look::at(&mut db, rollout.id, self.0.heard_since(now), now).await?;
            rollouts.push(picture(&look));
        }
        let total_size = i32::try_from(total).unwrap_or(i32::MAX);
        Ok(pb::ListRolloutsResponse { rollouts, next_page_token, total_size })
    }

    async fn explain(&self, id: RolloutId) -> Result<pb::ExplainRolloutResponse, Error> {
        let mut db = self.0.pool.acquire().await?;
        let now = database::now(&mut db, &self.0.clock).await?;
        let look = Look::at(&mut db, id, self.0.heard_since(now), now).await?;
        let conditions = plan::conditions(&look.view(), now);
        let blocking =
            conditions.iter().find(|condition| condition.outcome == plan::Outcome::Blocks).or_else(
                || conditions.iter().find(|condition| condition.outcome == plan::Outcome::Waits),
            );
        Ok(pb::ExplainRolloutResponse {
            checks: conditions.iter().map(convert::check_to_pb).collect(),
            blocked_by: blocking
                .map(|condition| format!("{}: {}", condition.name, condition.detail))
                .unwrap_or_default(),
            next_step: next_step(&look),
            rollout: Some(picture(&look)),
        })
    }
}

/// The line to type next.
fn next_step(look: &Look) -> String {
    let id = look.rollout.id;
    match look.rollout.state {
        State::Pending => format!("slipway rollout start {id}"),
        State::Paused if look.rollout.revoked_reason.is_empty() => {
            format!("slipway rollout resume {id}")
        }
        State::Paused => format!("slipway rollout cancel {id}"),
        State::Running => {
            let current = plan::current_batch(&look.batches);
            let next = current.and_then(|current| plan::next_batch(&look.batches, current));
            match (current, next) {
                (Some(current), Some(next))
                    if current.completed_at.is_some()
                        && current.manual_gate
                        && next.promoted_at.is_none() =>
                {
                    format!("slipway rollout promote {id} {}", next.number)
                }
                _ => String::new(),
            }
        }
        State::Settling
        | State::Succeeded
        | State::RollingBack
        | State::RolledBack
        | State::RollbackIncomplete
        | State::Cancelling
        | State::Cancelled
        | State::Superseded
        | State::Failed => String::new(),
    }
}

fn filter(request: &pb::ListRolloutsRequest) -> Result<Filter, Error> {
    let mut states = request
        .states
        .iter()
        .map(|state| convert::state_from_pb(*state))
        .collect::<Result<Vec<_>, _>>()?;
    if request.active {
        let asked = std::mem::take(&mut states);
        states = State::ALL
            .into_iter()
            .filter(|state| !state.is_terminal() && (asked.is_empty() || asked.contains(state)))
            .collect();
    }
    let repository = match &*request.repository {
        "" => None,
        text => Some(
            imageref::Repository::parse(text)
                .map_err(|error| Problem::invalid("repository", error.to_string()))?
                .as_str()
                .to_owned(),
        ),
    };
    let policy = convert::optional_uuid("policy_id", &request.policy_id)?;
    Ok(Filter { states, repository, policy })
}

#[async_trait]
impl Service for Rollouts {
    async fn create_rollout(
        &self,
        request: Request<pb::CreateRolloutRequest>,
    ) -> Result<Response<pb::CreateRolloutResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let release = request.release.ok_or_else(|| Problem::invalid("release", "is missing"))?;
        let asked = Asked {
            release: convert::release_from_pb(release, &request.request_id)?,
            policy: convert::optional_uuid("policy_id", &request.policy_id)?.map(PolicyId),
            selector: convert::selector_from_pb(request.device_selector.as_ref())?,
            actor: caller.person().clone(),
            by_hand: request.by_hand,
        };
        use pb::create_rollout_response as answer;
        let outcome = match create::create(&self.0, &caller, asked).await? {
            Outcome::Made(id) => answer::Outcome::Rollout(Box::new(self.get(id).await?)),
            Outcome::NoPolicy { disabled } => {
                answer::Outcome::NoPolicy(answer::NoPolicy { disabled })
            }
            Outcome::NoTarget { policy, excluded } => answer::Outcome::NoTarget(answer::NoTarget {
                policy_id: policy.to_string(),
                excluded_count: i32::try_from(excluded).unwrap_or(i32::MAX),
            }),
            Outcome::Unchanged(rollout) => answer::Outcome::Unchanged(answer::Unchanged {
                rollout_id: rollout.map(|id| id.to_string()).unwrap_or_default(),
            }),
            Outcome::Quarantined(rollout) => answer::Outcome::Quarantined(answer::Quarantined {
                rollout_id: rollout.to_string(),
            }),
        };
        Ok(Response::new(pb::CreateRolloutResponse { outcome: Some(outcome) }))
    }

    async fn revoke_release(
        &self,
        request: Request<pb::RevokeReleaseRequest>,
    ) -> Result<Response<pb::RevokeReleaseResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let why = given(request.reason).unwrap_or("the approval was taken back".to_owned());
        let releases = Releases {
            repository: request.repository,
            tag: given(request.tag),
            digest: given(request.digest),
        };
        let ids = revoke::revoke(&self.0, &caller, &releases, &why).await?;
        let rollout_ids = ids.iter().map(ToString::to_string).collect();
        Ok(Response::new(pb::RevokeReleaseResponse { rollout_ids }))
    }

    async fn get_revoked_releases(
        &self,
        request: Request<pb::GetRevokedReleasesRequest>,
    ) -> Result<Response<pb::GetRevokedReleasesResponse>, Status> {
        let repository = request.into_inner().repository;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let revoked = store::release::revoked(&mut db, &repository).await?;
        let releases = revoked.into_iter().map(|(tag, digest)| pb::Release {
            repository: repository.clone(),
            tag,
            digest: digest.unwrap_or_default(),
            ..Default::default()
        });
        Ok(Response::new(pb::GetRevokedReleasesResponse { releases: releases.collect() }))
    }

    async fn restore_release(
        &self,
        request: Request<pb::RestoreReleaseRequest>,
    ) -> Result<Response<pb::RestoreReleaseResponse>, Status> {
        let pb::RestoreReleaseRequest { repository, tag, digest } = request.into_inner();
        let digest = Some(digest).filter(|digest| !digest.is_empty());
        let ids = revoke::restore(&self.0, &repository, &tag, digest.as_deref()).await?;
        let rollout_ids = ids.iter().map(ToString::to_string).collect();
        Ok(Response::new(pb::RestoreReleaseResponse { rollout_ids }))
    }

    async fn get_rollout(
        &self,
        request: Request<pb::GetRolloutRequest>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let id = self.resolve(&request.into_inner().id).await?;
        Ok(Response::new(self.get(id).await?))
    }

    async fn list_rollouts(
        &self,
        request: Request<pb::ListRolloutsRequest>,
    ) -> Result<Response<pb::ListRolloutsResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn list_assignments(
        &self,
        request: Request<pb::ListAssignmentsRequest>,
    ) -> Result<Response<pb::ListAssignmentsResponse>, Status> {
        let request = request.into_inner();
        let id = self.resolve(&request.rollout_id).await?;
        let size = page::size(request.page_size, 1_000)?;
        let states = request
            .states
            .iter()
            .map(|state| convert::try_state_from_pb(*state))
            .collect::<Result<Vec<_>, _>>()?;
        let batch = Some(request.batch_number).filter(|number| *number > 0);
        let key = format!("assignments {id} {states:?} {batch:?}");
        let after = match page::key(&request.page_token, &key)? {
            Some(text) => text
                .split_once('/')
                .and_then(|(batch, place)| Some((batch.parse().ok()?, place.parse().ok()?))),
            None => None,
        };
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        store::rollout::get(&mut db, id).await?;
        let (found, total) =
            store::assignment::list(&mut db, id, &states, batch, after, size + 1).await?;
        let (found, next_page_token) = page::cut(found, size, &key, |stored| {
            format!("{}/{}", stored.batch_number, stored.position)
        });
        Ok(Response::new(pb::ListAssignmentsResponse {
            assignments: found.iter().map(convert::assignment_to_pb).collect(),
            next_page_token,
            total_size: i32::try_from(total).unwrap_or(i32::MAX),
        }))
    }

    type WatchRolloutStream = ReceiverStream<Result<pb::WatchRolloutResponse, Status>>;

    async fn watch_rollout(
        &self,
        request: Request<pb::WatchRolloutRequest>,
    ) -> Result<Response<Self::WatchRolloutStream>, Status> {
        let id = self.resolve(&request.into_inner().id).await?;
        load(&self.0, id).await?;
        let (sender, receiver) = mpsc::channel(4);
        let app = self.0.clone();
        tokio::spawn(async move { watch::watch(&app, id, sender).await });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn explain_rollout(
        &self,
        request: Request<pb::ExplainRolloutRequest>,
    ) -> Result<Response<pb::ExplainRolloutResponse>, Status> {
        let id = self.resolve(&request.into_inner().id).await?;
        Ok(Response::new(self.explain(id).await?))
    }

    async fn start_rollout(
        &self,
        request: Request<pb::RolloutCommand>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let caller = Caller::of(&request);
        self.command(&caller, request.into_inner(), Command::Start).await
    }

    async fn promote_batch(
        &self,
        request: Request<pb::PromoteBatchRequest>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let batch = u32::try_from(request.batch)
            .map_err(|_| Problem::invalid("batch", "is no batch; batches are numbered from 1"))?;
        let text = pb::RolloutCommand {
            id: request.id,
            reason: String::new(),
            request_id: request.request_id,
            etag: request.etag,
        };
        self.command(&caller, text, Command::Promote(batch)).await
    }

    async fn pause_rollout(
        &self,
        request: Request<pb::RolloutCommand>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let caller = Caller::of(&request);
        self.command(&caller, request.into_inner(), Command::Pause).await
    }

    async fn resume_rollout(
        &self,
        request: Request<pb::RolloutCommand>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let caller = Caller::of(&request);
        self.command(&caller, request.into_inner(), Command::Resume).await
    }

    async fn cancel_rollout(
        &self,
        request: Request<pb::CancelRolloutRequest>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let revert = request.revert;
        let text = pb::RolloutCommand {
            id: request.id,
            reason: request.reason,
            request_id: request.request_id,
            etag: request.etag,
        };
        self.command(&caller, text, Command::Cancel { revert }).await
    }

    async fn roll_back_rollout(
        &self,
        request: Request<pb::RolloutCommand>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let caller = Caller::of(&request);
        self.command(&caller, request.into_inner(), Command::RollBack).await
    }

    async fn retry_failed(
        &self,
        request: Request<pb::RolloutCommand>,
    ) -> Result<Response<pb::Rollout>, Status> {
        let caller = Caller::of(&request);
        self.command(&caller, request.into_inner(), Command::Retry).await
    }

    async fn digests_in_use(
        &self,
        request: Request<pb::DigestsInUseRequest>,
    ) -> Result<Response<pb::DigestsInUseResponse>, Status> {
        let asked = request.into_inner().repository;
        let repository = Some(asked.as_str()).filter(|text| !text.is_empty());
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let used = store::target::digests_in_use(&mut db, repository).await?;
        let digests = used
            .into_iter()
            .map(|(image, digest, devices)| pb::digests_in_use_response::Use {
                repository: imageref::Reference::parse(&image)
                    .map_or(image, |known| known.repository().as_str().to_owned()),
                digest,
                devices: i32::try_from(devices).unwrap_or(i32::MAX),
            })
            .collect();
        Ok(Response::new(pb::DigestsInUseResponse { digests }))
    }
}
