//! A `rollout` that makes a rollout of everything, unless it is told otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use http::Uri;
use proto::rollout::v1 as pb;
use proto::rollout::v1::create_rollout_response::Outcome;
use runtime::auth::{Actor, ON_BEHALF_OF};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{Server, unary};

pub struct Rollout {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: HashMap<String, Script>,
    /// What each request id asked for, and its answer.
    answers: HashMap<String, (pb::CreateRolloutRequest, pb::CreateRolloutResponse)>,
    /// The release that each repository has last, with its rollout.
    current: HashMap<String, (pb::Release, String)>,
    created: Vec<Created>,
    revoked: Vec<pb::RevokeReleaseRequest>,
    /// Releases on their way that lost their approval.
    stopped: Vec<pb::Release>,
    restored: Vec<pb::RestoreReleaseRequest>,
    targets: Vec<pb::SetDeviceTargetRequest>,
    templates: Vec<pb::SetFleetTemplateRequest>,
    /// Requests whose id came before with another release.
    contradictions: Vec<pb::CreateRolloutRequest>,
}

/// What a repository's releases come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    NoPolicy,
    PolicyDisabled,
    NoTarget,
    Quarantined,
    PolicyUnknown,
}

/// A request that came, with whom it was for.
#[derive(Debug, Clone)]
pub struct Created {
    pub request: pb::CreateRolloutRequest,
    pub person: Option<Actor>,
}

impl Created {
    pub fn release(&self) -> &pb::Release {
        self.request.release.as_ref().expect("a release")
    }
}

impl Rollout {
    pub fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let router = Router::new()
            .route("/slipway.rollout.v1.Rollouts/CreateRollout", {
                let state = state.clone();
                unary(move |request| std::future::ready(create(&state, &request)))
            })
            .route("/slipway.rollout.v1.Rollouts/RevokeRelease", {
                let state = state.clone();
                unary(move |request: Request<pb::RevokeReleaseRequest>| {
                    state.lock().unwrap().revoked.push(request.into_inner());
                    std::future::ready(Ok(pb::RevokeReleaseResponse::default()))
                })
            })
            .route("/slipway.rollout.v1.Rollouts/GetRevokedReleases", {
                let state = state.clone();
                unary(move |request: Request<pb::GetRevokedReleasesRequest>| {
                    let repository = request.into_inner().repository;
                    let mut releases = state.lock().unwrap().stopped.clone();
                    releases.retain(|release| release.repository == repository);
                    std::future::ready(Ok(pb::GetRevokedReleasesResponse { releases }))
                })
            })
            .route("/slipway.rollout.v1.Rollouts/RestoreRelease", {
                let state = state.clone();
                unary(move |request: Request<pb::RestoreReleaseRequest>| {
                    state.lock().unwrap().restored.push(request.into_inner());
                    std::future::ready(Ok(pb::RestoreReleaseResponse::default()))
                })
            })
            .route("/slipway.rollout.v1.Devices/SetTarget", {
                let state = state.clone();
                unary(move |request| std::future::ready(Ok(set_target(&state, request))))
            })
            .route("/slipway.rollout.v1.Devices/SetTemplate", {
                let state = state.clone();
                unary(move |request: Request<pb::SetFleetTemplateRequest>| {
                    state.lock().unwrap().templates.push(request.into_inner());
                    std::future::ready(Ok(pb::SetFleetTemplateResponse { devices: 3 }))
                })
            });
        Self { server: Server::start(router), state }
    }

    pub fn uri(&self) -> Uri {
        self.server.uri()
    }

    pub fn script(&self, repository: &str, script: Script) {
        self.state.lock().unwrap().script.insert(repository.to_owned(), script);
    }

    /// All requests for rollouts, repeated ones too.
    pub fn created(&self) -> Vec<Created> {
        self.state.lock().unwrap().created.clone()
    }

    /// The different pushes that asked for rollouts.
    pub fn request_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> =
            self.created().into_iter().map(|created| created.request.request_id).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    pub fn revoked(&self) -> Vec<pb::RevokeReleaseRequest> {
        self.state.lock().unwrap().revoked.clone()
    }

    /// Lets a release be on its way that lost its approval.
    pub fn stop(&self, repository: &str, tag: &str, digest: &str) {
        let release = pb::Release {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            ..pb::Release::default()
        };
        self.state.lock().unwrap().stopped.push(release);
    }

    /// The tags whose releases may go on.
    pub fn restored(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.restored.iter().map(|request| request.tag.clone()).collect()
    }

    pub fn targets(&self) -> Vec<pb::SetDeviceTargetRequest> {
        self.state.lock().unwrap().targets.clone()
    }

    pub fn templates(&self) -> Vec<pb::SetFleetTemplateRequest> {
        self.state.lock().unwrap().templates.clone()
    }

    /// Asserts that no request id ever asked for two things.
    pub fn assert_consistent(&self) {
        let state = self.state.lock().unwrap();
        assert!(state.contradictions.is_empty(), "{:#?}", state.contradictions);
    }

    /// The release that a repository has last.
    pub fn current(&self, repository: &str) -> Option<pb::Release> {
        self.state.lock().unwrap().current.get(repository).map(|(release, _)| release.clone())
    }
}

fn set_target(
    state: &Mutex<State>,
    request: Request<pb::SetDeviceTargetRequest>,
) -> pb::TargetState {
    let request = request.into_inner();
    let target = pb::TargetState {
        device_id: request.device_id.clone(),
        generation: 7,
        etag: "e7".to_owned(),
        services: request.services.clone(),
        ..Default::default()
    };
    state.lock().unwrap().targets.push(request);
    target
}

fn create(
    state: &Mutex<State>,
    request: &Request<pb::CreateRolloutRequest>,
) -> Result<pb::CreateRolloutResponse, Status> {
    let mut state = state.lock().unwrap();
    let person = request
        .metadata()
        .get(ON_BEHALF_OF)
        .and_then(|value| Actor::from_header(value.to_str().ok()?));
    let request = request.get_ref().clone();
    state.created.push(Created { request: request.clone(), person });
    if let Some((before, answer)) = state.answers.get(&request.request_id).cloned() {
        if before != request {
            state.contradictions.push(request);
        }
        return Ok(answer);
    }
    let release = request.release.clone().expect("a release");
    let script = state.script.get(&release.repository).copied();
    let outcome = match script {
        Some(Script::NoPolicy) => Outcome::NoPolicy(Default::default()),
        Some(Script::PolicyDisabled) => {
            Outcome::NoPolicy(pb::create_rollout_response::NoPolicy { disabled: true })
        }
        Some(Script::NoTarget) => Outcome::NoTarget(Default::default()),
        Some(Script::Quarantined) => {
            let rollout_id = "bad".to_owned();
            Outcome::Quarantined(pb::create_rollout_response::Quarantined { rollout_id })
        }
        Some(Script::PolicyUnknown) => return Err(no_policy()),
        None => make(&mut state, &release),
    };
    let answer = pb::CreateRolloutResponse { outcome: Some(outcome) };
    state.answers.insert(request.request_id.clone(), (request, answer.clone()));
    Ok(answer)
}

fn no_policy() -> Status {
    let code = runtime::Code::NotFound;
    runtime::Problem::new(code, proto::reason::POLICY_NOT_FOUND, "there is no such policy").into()
}

fn make(state: &mut State, release: &pb::Release) -> Outcome {
    let same = state
        .current
        .get(&release.repository)
        .filter(|(current, _)| !release.digest.is_empty() && current.digest == release.digest);
    if let Some((_, rollout)) = same {
        let rollout_id = rollout.clone();
        return Outcome::Unchanged(pb::create_rollout_response::Unchanged { rollout_id });
    }
    let number = u128::try_from(state.answers.len()).unwrap() + 1;
    let id = Uuid::from_u128(number).to_string();
    state.current.insert(release.repository.clone(), (release.clone(), id.clone()));
    Outcome::Rollout(Box::new(pb::Rollout { id, ..Default::default() }))
}
