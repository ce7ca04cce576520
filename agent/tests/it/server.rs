//! A device link that does as it is told, on a real socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::rollout::v1 as pb;
use proto::rollout::v1::device_link_server::{DeviceLink, DeviceLinkServer};
use proto::rollout::v1::subscribe_response::Event;
use runtime::{Code, Problem};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

type Frame = Result<pb::SubscribeResponse, Status>;

/// The script and what was seen. Clones are the same server.
#[derive(Clone)]
pub struct Scripted {
    state: Arc<Mutex<State>>,
    changes: Arc<watch::Sender<u64>>,
    pub address: SocketAddr,
}

pub struct State {
    /// What should run, for all devices; their ids are put in.
    pub target: pb::TargetState,
    /// What streams are refused with.
    pub refuse_streams: Option<Problem>,
    /// What reports are refused with.
    pub refuse_reports: Option<Problem>,
    /// Whether reports are answered at all.
    pub silent: bool,
    /// The attempts that count as over.
    pub over: Vec<(String, i32)>,
    /// What a stream says first, in place of the target.
    pub first: Option<Event>,
    /// How often reports are asked for.
    pub report_interval: Duration,
    /// The names that are taken.
    pub taken: Vec<String>,
    /// Every report that came, with the device it is of.
    pub reports: Vec<(String, pb::ReportRequest)>,
    /// Every stream that was opened, and with what.
    pub subscribed: Vec<(String, pb::SubscribeRequest)>,
    /// How often the target was asked for.
    pub asked: usize,
    devices: HashMap<String, String>,
    last_seq: HashMap<String, i64>,
    streams: HashMap<String, mpsc::Sender<Frame>>,
    epoch: i64,
}

impl Scripted {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            target: crate::targets::target(0),
            refuse_streams: None,
            refuse_reports: None,
            silent: false,
            over: Vec::new(),
            first: None,
            report_interval: Duration::from_secs(30),
            taken: Vec::new(),
            reports: Vec::new(),
            subscribed: Vec::new(),
            asked: 0,
            devices: HashMap::new(),
            last_seq: HashMap::new(),
            streams: HashMap::new(),
            epoch: 0,
        };
        let server = Self {
            state: Arc::new(Mutex::new(state)),
            changes: Arc::new(watch::channel(0).0),
            address,
        };
        let service = DeviceLinkServer::new(server.clone());
        tokio::spawn(
            Server::builder()
                .tcp_nodelay(true)
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at or changes the script.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.state.lock().unwrap());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Sends every device this target.
    pub fn send(&self, target: pb::TargetState) {
        let streams = self.with(|state| {
            state.target = target;
            state.streams.clone()
        });
        for (device, stream) in streams {
            let event = Event::Target(self.target_of(&device));
            let _ = stream.try_send(Ok(frame(event)));
        }
    }

    /// Sends every device something.
    pub fn push(&self, event: &Event) {
        for stream in self.with(|state| state.streams.clone()).into_values() {
            let _ = stream.try_send(Ok(frame(event.clone())));
        }
    }

    /// Ends every stream, well or with a problem.
    pub async fn end_streams(&self, problem: Option<Problem>) {
        let streams = self.with(|state| std::mem::take(&mut state.streams));
        for stream in streams.into_values() {
            if let Some(problem) = problem.clone() {
                let _ = stream.send(Err(Status::from(problem))).await;
            }
        }
    }

    /// Waits until the server has seen something.
    pub async fn wait_for(&self, what: &str, mut is_so: impl FnMut(&State) -> bool) {
        let mut changes = self.changes.subscribe();
        let wait = async {
            while !is_so(&self.state.lock().unwrap()) {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), wait).await.is_err() {
            let state = self.state.lock().unwrap();
            panic!("waited for {what}; the last report: {:#?}", state.reports.last());
        }
    }

    fn target_of(&self, device: &str) -> pb::TargetState {
        let target = self.state.lock().unwrap().target.clone();
        pb::TargetState { device_id: device.to_owned(), ..target }
    }

    fn device<T>(&self, request: &Request<T>) -> Result<String, Status> {
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let state = self.state.lock().unwrap();
        state.devices.get(token).cloned().ok_or_else(|| {
            Problem::new(Code::Unauthenticated, "DEVICE_TOKEN_UNKNOWN", "no such device").into()
        })
    }
}

impl State {
    /// The newest report of any device.
    pub fn newest(&self) -> Option<&pb::ReportRequest> {
        self.reports.last().map(|(_, report)| report)
    }

    /// Whether the newest report says this of a service.
    pub fn says(&self, service: &str, phase: pb::Phase, rollout: &str) -> bool {
        self.newest().is_some_and(|report| {
            report
                .services
                .iter()
                .any(|row| row.name == service && row.phase() == phase && row.rollout_id == rollout)
        })
    }

    /// How many streams are open.
    pub fn open(&self) -> usize {
        self.streams.values().filter(|stream| !stream.is_closed()).count()
    }

    /// How many different devices have reported that a service runs well.
    pub fn running(&self, service: &str, digest: &str) -> usize {
        let mut devices: Vec<&str> = Vec::new();
        for (device, report) in &self.reports {
            let runs = report.services.iter().any(|row| {
                row.name == service
                    && row.phase() == pb::Phase::Running
                    && row.healthy
                    && row.digest == digest
            });
            if runs {
                devices.push(device);
            }
        }
        devices.sort_unstable();
        devices.dedup();
        devices.len()
    }
}

#[tonic::async_trait]
impl DeviceLink for Scripted {
    type SubscribeStream = ReceiverStream<Frame>;

    async fn enroll(
        &self,
        request: Request<pb::EnrollRequest>,
    ) -> Result<Response<pb::EnrollResponse>, Status> {
        let request = request.into_inner();
        let key = request.enrolment_key.clone();
        if key != "key" {
            let problem =
                Problem::new(Code::Unauthenticated, "ENROLMENT_KEY_UNKNOWN", "no such key");
            return Err(problem.into());
        }
        let response = self.with(|state| {
            if state.taken.contains(&request.name) {
                let problem = Problem::new(Code::AlreadyExists, "DEVICE_EXISTS", "it is taken");
                return Err(Status::from(problem));
            }
            let number = state.devices.len() + 1;
            let device_id = format!("0198f3a4-0000-7000-8000-{number:012}");
            let token = format!("token-{number}");
            state.devices.insert(token.clone(), device_id.clone());
            let name = match request.name.as_str() {
                "" => format!("device-{number}"),
                name => name.to_owned(),
            };
            state.taken.push(name.clone());
            let labels = request.labels;
            Ok(pb::EnrollResponse { device_id, token, name, fleet: "north".to_owned(), labels })
        })?;
        Ok(Response::new(response))
    }

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let device = self.device(&request)?;
        let request = request.into_inner();
        let target = self.target_of(&device);
        let (sender, receiver) = mpsc::channel(256);
        let first = self.with(|state| {
            state.subscribed.push((device.clone(), request.clone()));
            if let Some(problem) = state.refuse_streams.clone() {
                return Err(Status::from(problem));
            }
            state.epoch += 1;
            let superseded = state.streams.insert(device.clone(), sender.clone());
            if let Some(older) = superseded {
                let problem = Problem::new(Code::Aborted, "SESSION_SUPERSEDED", "a newer one");
                let _ = older.try_send(Err(problem.into()));
            }
            let session = pb::Session {
                epoch: state.epoch,
                last_seq: state.last_seq.get(&device).copied().unwrap_or_default(),
                report_interval: Some(state.report_interval.try_into().unwrap()),
                server_time: None,
            };
            let is_known =
                request.known_etag == target.etag && request.known_generation == target.generation;
            let event = match state.first.clone() {
                Some(event) => event,
                None if is_known => Event::NotModified(pb::NotModified {
                    generation: target.generation,
                    etag: target.etag.clone(),
                }),
                None => Event::Target(target),
            };
            Ok(pb::SubscribeResponse { session: Some(session), event: Some(event) })
        })?;
        sender.send(Ok(first)).await.unwrap();
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_target(
        &self,
        request: Request<pb::GetTargetRequest>,
    ) -> Result<Response<pb::GetTargetResponse>, Status> {
        let device = self.device(&request)?;
        let known = request.into_inner().known_etag;
        let target = self.target_of(&device);
        let last_seq = self.with(|state| {
            state.asked += 1;
            state.last_seq.get(&device).copied().unwrap_or_default()
        });
        Ok(Response::new(pb::GetTargetResponse {
            target: (target.etag != known).then_some(target),
            last_seq,
            report_interval: None,
        }))
    }

    async fn report(
        &self,
        request: Request<pb::ReportRequest>,
    ) -> Result<Response<pb::ReportResponse>, Status> {
        let device = self.device(&request)?;
        let report = request.into_inner();
        let answer = self.with(|state| {
            if let Some(problem) = state.refuse_reports.clone() {
                return Err(Status::from(problem));
            }
            let last = state.last_seq.entry(device.clone()).or_default();
            let is_old = report.seq <= *last;
            *last = report.seq.max(*last);
            let last_seq = *last;
            let stale_services: Vec<String> = report
                .services
                .iter()
                .filter(|row| state.over.contains(&(row.rollout_id.clone(), row.attempt)))
                .map(|row| row.name.clone())
                .collect();
            let stale = is_old || !stale_services.is_empty();
            state.reports.push((device, report));
            Ok((pb::ReportResponse { stale, last_seq, stale_services }, state.silent))
        });
        let (answer, silent) = answer?;
        if silent {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(answer))
    }
}

fn frame(event: Event) -> pb::SubscribeResponse {
    pb::SubscribeResponse { session: None, event: Some(event) }
}
