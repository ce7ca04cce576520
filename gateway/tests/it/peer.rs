//! A process behind the gateway: a gRPC server on a real socket that answers what it was told and
//! notes what it was asked.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, Uri};
use prost::Message;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use runtime::Problem;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::Grpc;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A scripted, recording process.
#[derive(Clone)]
pub struct Peer {
    uri: Uri,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    calls: Vec<Call>,
}

enum Script {
    Message(Bytes),
    Refusal(Status),
    Stream(mpsc::UnboundedReceiver<Bytes>),
}

/// A call that came.
#[derive(Debug, Clone)]
pub struct Call {
    /// Package, service and method, for instance `registry.v1.Gate/GetGate`.
    pub method: String,
    pub headers: HeaderMap,
    message: Bytes,
}

impl Call {
    /// What it asked.
    pub fn message<M: Message + Default>(&self) -> M {
        M::decode(self.message.clone()).unwrap()
    }

    /// A header's text; empty = it did not come.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Peer {
    /// Starts one that answers nothing yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let answering = state.clone();
        let router = Router::new().fallback(move |request: http::Request<Body>| {
            let state = answering.clone();
            async move { Ok::<_, Infallible>(serve(state, request).await) }
        });
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = tonic::transport::Server::builder()
            .add_routes(Routes::from(router))
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        Self { uri, state }
    }

    /// Where it answers.
    pub fn uri(&self) -> Uri {
        self.uri.clone()
    }

    /// Answers a method with a message from now on.
    pub fn answer(&self, method: &str, message: impl Message) {
        self.script(method, Script::Message(message.encode_to_vec().into()));
    }

    /// Refuses a method from now on.
    pub fn refuse(&self, method: &str, problem: Problem) {
        self.refuse_with(method, problem.into());
    }

    /// Refuses a method with a bare status from now on.
    pub fn refuse_with(&self, method: &str, status: Status) {
        self.script(method, Script::Refusal(status));
    }

    /// Answers the next call of a method with a stream that the test feeds.
    pub fn stream<M: Message>(&self, method: &str) -> Feed<M> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.script(method, Script::Stream(receiver));
        Feed { sender, of: std::marker::PhantomData }
    }

    /// What it was asked, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The last thing it was asked by this method.
    pub fn asked<M: Message + Default>(&self, method: &str) -> M {
        let calls = self.calls();
        let call = calls.iter().rev().find(|call| call.method == method);
        call.unwrap_or_else(|| panic!("`{method}` was not called")).message()
    }

    fn script(&self, method: &str, script: Script) {
        self.state.lock().unwrap().scripts.insert(method.to_owned(), script);
    }
}

/// Feeds a stream; it ends when this is dropped.
pub struct Feed<M> {
    sender: mpsc::UnboundedSender<Bytes>,
    of: std::marker::PhantomData<M>,
}

impl<M: Message> Feed<M> {
    /// Sends a message.
    pub fn send(&self, message: &M) {
        self.sender.send(message.encode_to_vec().into()).unwrap();
    }

    /// Waits until the reader is gone.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}

async fn serve(
    state: Arc<Mutex<State>>,
    request: http::Request<Body>,
) -> http::Response<tonic::body::Body> {
    let method = request.uri().path().trim_start_matches('/').trim_start_matches("slipway.");
    let (method, headers) = (method.to_owned(), request.headers().clone());
    let call = tower::service_fn(move |request: Request<Bytes>| {
        let call = Call {
            method: method.clone(),
            headers: headers.clone(),
            message: request.into_inner(),
        };
        std::future::ready(state.lock().unwrap().answer(call).map(Response::new))
    });
    Grpc::new(Raw).server_streaming(call, request).await
}

impl State {
    fn answer(&mut self, call: Call) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        let method = call.method.clone();
        self.calls.push(call);
        if matches!(self.scripts.get(&method), Some(Script::Stream(_)))
            && let Some(Script::Stream(receiver)) = self.scripts.remove(&method)
        {
            return Ok(UnboundedReceiverStream::new(receiver).map(Ok).boxed());
        }
        match self.scripts.get(&method) {
            Some(Script::Message(message)) => {
                let message = message.clone();
                Ok(stream::once(async { Ok(message) }).boxed())
            }
            Some(Script::Refusal(status)) => Err(status.clone()),
            Some(Script::Stream(_)) | None => {
                Err(Status::unimplemented(format!("`{method}` has no script")))
            }
        }
    }
}

/// Messages as bytes, so that one server speaks for every service.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
