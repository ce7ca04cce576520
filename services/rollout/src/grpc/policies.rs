//! `slipway.rollout.v1.Policies`.

use imageref::{Reference, Repository};
use proto::rollout::v1 as pb;
use proto::rollout::v1::policies_server::Policies as Service;
use runtime::event::{Event, Resource};
use runtime::{Caller, Problem, database, page};
use serde_json::{Value, json};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::app::App;
use crate::convert;
use crate::create;
use crate::error::Error;
use crate::policy::{self, Policy, PolicyId, Selector};
use crate::rollout::Release;
use crate::select::{Candidate, select};
use crate::store::{self};

/// The most devices a preview names.
const SHOWN: usize = 100;
/// A policy without a selector takes every device.
const FLEETWIDE: &str = "policies.fleetwide";

/// Serves policies.
#[derive(Debug, Clone)]
pub struct Policies(pub App);

#[async_trait]
impl Service for Policies {
    async fn create_policy(
        &self,
        request: Request<pb::CreatePolicyRequest>,
    ) -> Result<Response<pb::Policy>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let created = self.create(&caller, request).await?;
        Ok(Response::new(convert::policy_to_pb(&created)))
    }

    async fn get_policy(
        &self,
        request: Request<pb::GetPolicyRequest>,
    ) -> Result<Response<pb::Policy>, Status> {
        let id = PolicyId::parse("id", &request.into_inner().id)?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let policies = store::policy::list(&mut db).await?;
        let policy = policies.iter().find(|policy| policy.id == id);
        Ok(Response::new(convert::policy_to_pb(policy.ok_or(Error::PolicyNotFound(id))?)))
    }

    async fn list_policies(
        &self,
        request: Request<pb::ListPoliciesRequest>,
    ) -> Result<Response<pb::ListPoliciesResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let after = page::key(&request.page_token, "policies")?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let mut policies = store::policy::list(&mut db).await?;
        policy::sort(&mut policies);
        let total_size = i32::try_from(policies.len()).unwrap_or(i32::MAX);
        let start = after
            .and_then(|after| policies.iter().position(|policy| policy.id.to_string() == after))
            .map_or(0, |at| at + 1);
        let rest: Vec<_> = policies.drain(start..).collect();
        let (policies, next_page_token) =
            page::cut(rest, size, "policies", |policy| policy.id.to_string());
        Ok(Response::new(pb::ListPoliciesResponse {
            policies: policies.iter().map(convert::policy_to_pb).collect(),
            next_page_token,
            total_size,
        }))
    }

    async fn update_policy(
        &self,
        request: Request<pb::UpdatePolicyRequest>,
    ) -> Result<Response<pb::Policy>, Status> {
        let caller = Caller::of(&request);
        let updated = self.update(&caller, request.into_inner()).await?;
        Ok(Response::new(convert::policy_to_pb(&updated)))
    }

    async fn delete_policy(
        &self,
        request: Request<pb::DeletePolicyRequest>,
    ) -> Result<Response<pb::Policy>, Status> {
        let caller = Caller::of(&request);
        let id = PolicyId::parse("id", &request.into_inner().id)?;
        let deleted = self.delete(&caller, id).await?;
        Ok(Response::new(convert::policy_to_pb(&deleted)))
    }

    async fn preview_policy(
        &self,
        request: Request<pb::PreviewPolicyRequest>,
    ) -> Result<Response<pb::PreviewPolicyResponse>, Status> {
        Ok(Response::new(self.preview(request.into_inner()).await?))
    }

    async fn match_repository(
        &self,
        request: Request<pb::MatchRepositoryRequest>,
    ) -> Result<Response<pb::MatchRepositoryResponse>, Status> {
        let repository = Repository::parse(&request.into_inner().repository)
            .map_err(|error| Problem::invalid("repository", error.to_string()))?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let mut policies = store::policy::list(&mut db).await?;
        policies.retain(|policy| policy.enabled && policy.matches_repository(&repository));
        policy::sort(&mut policies);
        let policies = policies.iter().map(convert::policy_to_pb).collect();
        Ok(Response::new(pb::MatchRepositoryResponse { policies }))
    }
}

impl Policies {
    async fn create(
        &self,
        caller: &Caller,
        request: pb::CreatePolicyRequest,
    ) -> Result<Policy, Error> {
        let app = &self.0;
        let request_id = convert::optional_uuid("request_id", &request.request_id)?;
        let mut tx = app.pool.begin().await?;
        let now = database::now(&mut tx, &app.clock).await?;
        let asked = request.policy.ok_or_else(|| Problem::invalid("policy", "is missing"))?;
        let policy = convert::policy_from_pb(asked, PolicyId::new(now), now)?;
        require_fleetwide(caller, &policy)?;
        if let Some(request) = request_id
            && let Some(made) = store::policy::by_request(&mut tx, request).await?
        {
            return repeated(store::policy::lock(&mut tx, made).await?, &policy, request);
        }
        store::policy::insert(&mut tx, &policy, request_id).await?;
        let event =
            Event::by(caller, "policy.created", resource(&policy), now).after(facts(&policy));
        app.outbox.append(&mut tx, &event).await?;
        app.outbox.commit(tx).await?;
        Ok(policy)
    }

    async fn update(
        &self,
        caller: &Caller,
        request: pb::UpdatePolicyRequest,
    ) -> Result<Policy, Error> {
        let app = &self.0;
        let change = request.policy.ok_or_else(|| Problem::invalid("policy", "is missing"))?;
        let id = PolicyId::parse("policy.id", &change.id)?;
        let seen = convert::version(&change.etag)?;
        let mask = request.update_mask.unwrap_or_default().paths;
        let mut tx = app.pool.begin().await?;
        let now = database::now(&mut tx, &app.clock).await?;
        let stored = store::policy::lock(&mut tx, id).await?;
        if seen.is_some_and(|seen| seen != stored.revision) {
            return Err(Error::StaleEtag);
        }
        let next = convert::update_policy(&stored, change, &mask)?;
        let Policy { revision, created_at, updated_at, .. } = stored;
        let next = convert::policy_from_pb(next, id, now)?;
        require_fleetwide(caller, &next)?;
        if (Policy { revision, created_at, updated_at, ..next.clone() }) == stored {
            return Ok(stored);
        }
        let next = Policy { revision: revision + 1, created_at, ..next };
        store::policy::update(&mut tx, &next).await?;
        let event = Event::by(caller, "policy.updated", resource(&next), now)
            .before(facts(&stored))
            .after(facts(&next));
        app.outbox.append(&mut tx, &event).await?;
        app.outbox.commit(tx).await?;
        Ok(next)
    }

    async fn delete(&self, caller: &Caller, id: PolicyId) -> Result<Policy, Error> {
        let app = &self.0;
        let mut tx = app.pool.begin().await?;
        let now = database::now(&mut tx, &app.clock).await?;
        let policy = store::policy::lock(&mut tx, id).await?;
        if let Some(rollout) = store::policy::live_rollout(&mut tx, id).await? {
            return Err(Error::PolicyHasRollouts { rollout });
        }
        store::policy::delete(&mut tx, id).await?;
        let event =
            Event::by(caller, "policy.deleted", resource(&policy), now).before(facts(&policy));
        app.outbox.append(&mut tx, &event).await?;
        app.outbox.commit(tx).await?;
        Ok(policy)
    }

    /// The same selection and the same batches as the next rollout has, with nothing stored.
    async fn preview(
        &self,
        request: pb::PreviewPolicyRequest,
    ) -> Result<pb::PreviewPolicyResponse, Error> {
        let mut db = self.0.pool.acquire().await?;
        let now = database::now(&mut db, &self.0.clock).await?;
        let asked = request.policy.ok_or_else(|| Problem::invalid("policy", "is missing"))?;
        let policy = convert::policy_from_pb(asked, PolicyId::new(now), now)?;
        let release = previewed(&request.reference, &policy)?;
        let selectors: Vec<&Selector> = policy.rules.selector.iter().collect();
        let candidates = store::device::candidates(&mut db, &selectors, None).await?;
        let seed = store::rollout::newest(&mut db, &release.repository).await?;
        let selection = select(candidates, &release, seed);
        let devices = u32::try_from(selection.taken.len()).unwrap_or(u32::MAX);
        let mut taken = selection.taken.iter();
        let batches = create::planned(&policy, devices)
            .into_iter()
            .map(|batch| {
                let seats: Vec<_> = taken.by_ref().take(batch.size as usize).collect();
                pb::preview_policy_response::Batch {
                    number: i32::try_from(batch.number).unwrap_or(i32::MAX),
                    size: i32::try_from(batch.size).unwrap_or(i32::MAX),
                    devices: seats.into_iter().take(SHOWN).map(device_ref).collect(),
                }
            })
            .collect();
        Ok(pb::PreviewPolicyResponse {
            devices: i32::try_from(devices).unwrap_or(i32::MAX),
            batches,
            excluded_count: i32::try_from(selection.excluded.len()).unwrap_or(i32::MAX),
            excluded: selection
                .excluded
                .iter()
                .take(SHOWN)
                .map(|(device, reason)| pb::preview_policy_response::Excluded {
                    device: Some(device_ref(device)),
                    reason: (*reason).to_owned(),
                })
                .collect(),
        })
    }
}

fn device_ref(candidate: &Candidate) -> pb::DeviceRef {
    pb::DeviceRef { id: candidate.id.to_string(), name: candidate.name.clone() }
}

fn previewed(reference: &str, policy: &Policy) -> Result<Release, Problem> {
    let reference = Reference::parse(reference)
        .map_err(|error| Problem::invalid("reference", error.to_string()))?;
    let (repository, tag, digest) = reference.into_parts();
    if policy.matches(&repository, tag.as_ref()).is_none() {
        return Err(Problem::invalid(
            "reference",
            format!("does not match the policy's pattern `{}`", policy.image_pattern),
        ));
    }
    Ok(Release {
        repository: repository.as_str().to_owned(),
        tag: tag.map(|tag| tag.to_string()).unwrap_or_default(),
        digest: digest.map(|digest| digest.to_string()),
        platforms: Vec::new(),
        push: Uuid::nil(),
    })
}

fn require_fleetwide(caller: &Caller, policy: &Policy) -> Result<(), Problem> {
    let everything = policy.rules.selector.as_ref().is_none_or(Selector::is_fleetwide);
    if everything { caller.require(FLEETWIDE) } else { Ok(()) }
}

/// A repeated request gets what the first one made, when it asks for the same.
fn repeated(made: Policy, asked: &Policy, request: Uuid) -> Result<Policy, Error> {
    let same = made.name == asked.name
        && made.image_pattern == asked.image_pattern
        && made.strategy == asked.strategy
        && made.rules == asked.rules;
    if same || made.revision > 1 { Ok(made) } else { Err(Error::RequestIdReused(request)) }
}

fn resource(policy: &Policy) -> Resource {
    Resource::new("policy", policy.id, policy.title())
}

fn facts(policy: &Policy) -> Value {
    serde_json::to_value(policy).unwrap_or_else(|_| json!({"id": policy.id}))
}
