//! A `registry` with images in memory: the gate's rules as its documents give them, upstreams that a
//! test fills, and the feed of what happened.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::Uri;
use imageref::Reference;
use proto::event::v1 as event;
use proto::reason;
use proto::registry::v1 as pb;
use proto::types::v1 as types;
use runtime::auth::{Actor, ActorKind, ON_BEHALF_OF};
use runtime::{Code, Problem};
use tokio::sync::{Notify, watch};
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::{Server, gate, unary};

pub struct Registry {
    pub server: Server,
    state: Arc<Mutex<State>>,
    fed: watch::Sender<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) images: BTreeMap<String, Image>,
    pub(super) unknown_tag: UnknownTag,
    /// What upstreams say about a reference, by host; a host that is not here has no upstream.
    upstreams: HashMap<String, HashMap<String, Answer>>,
    events: Vec<event::Event>,
    admitted: Vec<pb::AdmitReferenceRequest>,
    resolved: Vec<String>,
    approved: Vec<Told<pb::ApproveImageRequest>>,
    rejected: Vec<Told<pb::RejectImageRequest>>,
    /// Holds answers of the gate back; each ring lets one go.
    pause: Option<Arc<Notify>>,
}

/// A request with whom it was for.
#[derive(Debug, Clone)]
pub struct Told<T> {
    pub request: T,
    pub person: Option<Actor>,
}

#[derive(Debug, Clone)]
pub(super) struct Image {
    id: i64,
    pub(super) status: pb::ApprovalStatus,
    /// Whether each tag is deprecated.
    pub(super) tags: BTreeMap<String, bool>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownTag {
    #[default]
    AutoAdd,
    Request,
    Deny,
}

/// What an upstream says.
#[derive(Debug, Clone)]
pub enum Answer {
    Digest(String),
    NotFound,
    Unreachable,
    Refused,
    RateLimited(Duration),
    /// It never answers.
    Silence,
}

/// A digest that is told from others by a digit.
pub fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

pub fn platform(digit: char) -> types::Platform {
    types::Platform {
        os: "linux".to_owned(),
        architecture: "arm64".to_owned(),
        variant: String::new(),
        digest: digest(digit),
        size_bytes: 10,
    }
}

fn repository(text: &str) -> String {
    Reference::parse(text).unwrap().repository().to_string()
}

impl Registry {
    pub fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let fed = watch::Sender::new(());
        let images = "/slipway.registry.v1.ImageRegistry";
        let router = Router::new()
            .route(&format!("{images}/AdmitReference"), {
                let (state, fed) = (state.clone(), fed.clone());
                unary(move |request| admit(state.clone(), fed.clone(), request))
            })
            .route(&format!("{images}/GetImage"), {
                let state = state.clone();
                unary(move |request| std::future::ready(get(&state, request)))
            })
            .route(&format!("{images}/ApproveImage"), {
                let (state, fed) = (state.clone(), fed.clone());
                unary(move |request| std::future::ready(Ok(approve(&state, &fed, request))))
            })
            .route(&format!("{images}/RejectImage"), {
                let (state, fed) = (state.clone(), fed.clone());
                unary(move |request| std::future::ready(Ok(reject(&state, &fed, request))))
            })
            .route("/slipway.registry.v1.Upstreams/ResolveTag", {
                let state = state.clone();
                unary(move |request| resolve(state.clone(), request))
            })
            .route("/slipway.event.v1.EventLog/WatchEvents", {
                let (state, fed) = (state.clone(), fed.clone());
                post(move |request: http::Request<Body>| watch_events(state, fed, request))
            });
        Self { server: Server::start(router), state, fed }
    }

    pub fn uri(&self) -> Uri {
        self.server.uri()
    }

    /// Lists an approved image with tags, without telling anybody.
    pub fn approve(&self, name: &str, tags: &[&str]) {
        let image = self.set(name, pb::ApprovalStatus::Approved);
        let mut state = self.state.lock().unwrap();
        for tag in tags {
            state.images.get_mut(&image).unwrap().tags.insert((*tag).to_owned(), false);
        }
    }

    /// Puts an image into a state without telling anybody.
    pub fn set(&self, name: &str, status: pb::ApprovalStatus) -> String {
        let repository = repository(name);
        self.state.lock().unwrap().image(&repository).status = status;
        repository
    }

    pub fn deprecate(&self, name: &str, tag: &str) {
        let mut state = self.state.lock().unwrap();
        state.image(&repository(name)).tags.insert(tag.to_owned(), true);
    }

    pub fn remove(&self, name: &str) {
        self.state.lock().unwrap().images.remove(&repository(name));
    }

    pub fn unknown_tag(&self, rule: UnknownTag) {
        self.state.lock().unwrap().unknown_tag = rule;
    }

    /// Tells what an upstream says about `host/path:tag`.
    pub fn upstream(&self, reference: &str, answer: Answer) {
        let reference = Reference::parse(reference).unwrap();
        let mut state = self.state.lock().unwrap();
        let host = state.upstreams.entry(reference.host().to_owned()).or_default();
        host.insert(reference.to_string(), answer);
    }

    /// Writes an event about an image or a tag, as by a person.
    pub fn tell(&self, kind: &str, name: &str, by: &Actor) {
        let mut state = self.state.lock().unwrap();
        let id = state.images.get(&repository(name)).map_or(99, |image| image.id);
        state.event(kind, id, name, by);
        self.fed.send_replace(());
    }

    /// Holds the gate's answers back; each ring of the bell lets one go.
    pub fn pause(&self) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        self.state.lock().unwrap().pause = Some(bell.clone());
        bell
    }

    pub fn resume(&self) {
        self.state.lock().unwrap().pause = None;
    }

    pub fn admitted(&self) -> Vec<pb::AdmitReferenceRequest> {
        self.state.lock().unwrap().admitted.clone()
    }

    pub fn resolved(&self) -> Vec<String> {
        self.state.lock().unwrap().resolved.clone()
    }

    pub fn approvals(&self) -> Vec<Told<pb::ApproveImageRequest>> {
        self.state.lock().unwrap().approved.clone()
    }

    pub fn rejections(&self) -> Vec<Told<pb::RejectImageRequest>> {
        self.state.lock().unwrap().rejected.clone()
    }

    pub fn has_tag(&self, name: &str, tag: &str) -> bool {
        let state = self.state.lock().unwrap();
        state.images.get(&repository(name)).is_some_and(|image| image.tags.contains_key(tag))
    }
}

impl State {
    fn image(&mut self, repository: &str) -> &mut Image {
        let id = i64::try_from(self.images.len()).unwrap() + 1;
        let tags = BTreeMap::new();
        let status = pb::ApprovalStatus::Pending;
        self.images.entry(repository.to_owned()).or_insert(Image { id, status, tags })
    }

    fn event(&mut self, kind: &str, id: i64, name: &str, by: &Actor) {
        let sequence = i64::try_from(self.events.len()).unwrap() + 1;
        let noun = if kind.starts_with("image.tag.") { "tag" } else { "image" };
        let (id, name) = (id.to_string(), name.to_owned());
        self.events.push(event::Event {
            sequence,
            id: uuid::Uuid::from_u128(sequence.try_into().unwrap()).to_string(),
            r#type: kind.to_owned(),
            actor: Some(by.into()),
            resource: Some(types::Resource { kind: noun.to_owned(), id, name }),
            envelope: r#"{"before":{"approval_status":"approved","is_deprecated":false}}"#
                .to_owned(),
            ..Default::default()
        });
    }
}

impl State {
    /// Says for whom the last event was caused.
    fn for_whom(&mut self, person: Option<Actor>) {
        if let Some(event) = self.events.last_mut() {
            event.on_behalf_of = person.as_ref().map(Into::into);
        }
    }
}

fn person<T>(request: &Request<T>) -> Option<Actor> {
    let value = request.metadata().get(ON_BEHALF_OF)?;
    Actor::from_header(value.to_str().ok()?)
}

fn approval() -> Actor {
    Actor::new(ActorKind::System, "approval", "approval")
}

async fn admit(
    state: Arc<Mutex<State>>,
    fed: watch::Sender<()>,
    request: Request<pb::AdmitReferenceRequest>,
) -> Result<pb::Verdict, Status> {
    let pause = state.lock().unwrap().pause.clone();
    if let Some(bell) = pause {
        bell.notified().await;
    }
    let request = request.into_inner();
    let mut state = state.lock().unwrap();
    state.admitted.push(request.clone());
    let reference = Reference::parse(&request.reference).map_err(|error| {
        Problem::new(Code::InvalidArgument, reason::INVALID_REFERENCE, error.to_string())
    })?;
    let verdict = gate::verdict(&mut state, &reference, request.record);
    if verdict.tag_added && request.record {
        state.event("image.tag.added", 1, &reference.to_string(), &approval());
        fed.send_replace(());
    }
    Ok(verdict)
}

fn get(state: &Mutex<State>, request: Request<pb::GetImageRequest>) -> Result<pb::Image, Status> {
    let id = request.into_inner().id;
    let state = state.lock().unwrap();
    match state.images.iter().find(|(_, image)| image.id == id) {
        Some((repository, image)) => Ok(shown(repository, image)),
        None => Err(Problem::new(Code::NotFound, reason::IMAGE_NOT_FOUND, "no such image").into()),
    }
}

fn shown(repository: &str, image: &Image) -> pb::Image {
    pb::Image {
        id: image.id,
        repository: repository.to_owned(),
        approval_status: image.status.into(),
        ..Default::default()
    }
}

fn approve(
    state: &Mutex<State>,
    fed: &watch::Sender<()>,
    request: Request<pb::ApproveImageRequest>,
) -> pb::Image {
    let person = person(&request);
    let request = request.into_inner();
    let mut state = state.lock().unwrap();
    let repository = request.repository.clone();
    let image = state.image(&repository);
    image.status = pb::ApprovalStatus::Approved;
    for tag in &request.tags {
        image.tags.entry(tag.tag.clone()).or_insert(false);
    }
    let answer = shown(&repository, image);
    state.approved.push(Told { request, person: person.clone() });
    state.event("image.registry.approved", answer.id, &repository, &approval());
    state.for_whom(person);
    fed.send_replace(());
    answer
}

fn reject(
    state: &Mutex<State>,
    fed: &watch::Sender<()>,
    request: Request<pb::RejectImageRequest>,
) -> pb::Image {
    let person = person(&request);
    let request = request.into_inner();
    let mut state = state.lock().unwrap();
    let repository = request.repository.clone();
    let image = state.image(&repository);
    image.status = pb::ApprovalStatus::Rejected;
    let answer = shown(&repository, image);
    state.rejected.push(Told { request, person: person.clone() });
    state.event("image.registry.rejected", answer.id, &repository, &approval());
    state.for_whom(person);
    fed.send_replace(());
    answer
}

async fn resolve(
    state: Arc<Mutex<State>>,
    request: Request<pb::ResolveTagRequest>,
) -> Result<pb::ResolveTagResponse, Status> {
    let text = request.into_inner().reference;
    let reference = Reference::parse(&text).unwrap();
    let answer = {
        let mut state = state.lock().unwrap();
        state.resolved.push(text.clone());
        let host = state.upstreams.get(reference.host());
        host.map(|host| host.get(&text).cloned().unwrap_or(Answer::NotFound))
    };
    let refused =
        |code, reason| Err(Problem::new(code, reason, format!("upstream: {reason}")).into());
    match answer {
        None => refused(Code::FailedPrecondition, reason::UPSTREAM_NOT_CONFIGURED),
        Some(Answer::Digest(digest)) => {
            let platforms = vec![platform('9')];
            Ok(pb::ResolveTagResponse { digest, platforms, ..Default::default() })
        }
        Some(Answer::NotFound) => refused(Code::NotFound, reason::TAG_NOT_FOUND),
        Some(Answer::Unreachable) => refused(Code::Unavailable, reason::UPSTREAM_UNREACHABLE),
        Some(Answer::Refused) => refused(Code::PermissionDenied, reason::UPSTREAM_REFUSED),
        Some(Answer::RateLimited(wait)) => {
            let code = Code::ResourceExhausted;
            let problem = Problem::new(code, reason::UPSTREAM_RATE_LIMITED, "slow down");
            Err(problem.retry_after(wait).into())
        }
        Some(Answer::Silence) => std::future::pending().await,
    }
}

/// Streams the feed: what is stored, then what comes.
async fn watch_events(
    state: Arc<Mutex<State>>,
    fed: watch::Sender<()>,
    request: http::Request<Body>,
) -> http::Response<tonic::body::Body> {
    let call = tower::service_fn(move |request: Request<event::WatchEventsRequest>| {
        let after = request.into_inner().after_sequence;
        let (state, mut fed) = (state.clone(), fed.subscribe());
        fed.mark_changed();
        let stream = futures_util::stream::unfold((after, fed), move |(after, fed)| {
            next_batch(state.clone(), after, fed)
        });
        std::future::ready(Ok::<_, Status>(Response::new(Box::pin(stream))))
    });
    let codec = ProstCodec::<event::WatchEventsResponse, event::WatchEventsRequest>::default();
    Grpc::new(codec).server_streaming(call, request).await
}

type Batch = Result<event::WatchEventsResponse, Status>;

async fn next_batch(
    state: Arc<Mutex<State>>,
    after: i64,
    mut fed: watch::Receiver<()>,
) -> Option<(Batch, (i64, watch::Receiver<()>))> {
    loop {
        fed.changed().await.ok()?;
        let events: Vec<_> = {
            let state = state.lock().unwrap();
            state.events.iter().filter(|event| event.sequence > after).cloned().collect()
        };
        if let Some(last) = events.last().map(|event| event.sequence) {
            return Some((Ok(event::WatchEventsResponse { events }), (last, fed)));
        }
    }
}
