//! Peers: small servers on real sockets that answer what a test told them and note what they were
//! asked.

mod gate;
pub mod registry;
pub mod rollout;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, post};
use http::Uri;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::server::Grpc;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// A server that can be killed and started again at the same address. It runs on a thread of its
/// own, so that its connections end with it.
pub struct Server {
    address: SocketAddr,
    router: Router,
    running: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Server {
    pub fn start(router: Router) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut server = Self { address, router, running: Mutex::default() };
        server.address = server.serve();
        server
    }

    pub fn uri(&self) -> Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Ends it with all its connections, as a killed process would.
    pub fn kill(&self) {
        let (kill, thread) = self.running.lock().unwrap().take().expect("it runs");
        drop(kill);
        thread.join().unwrap();
    }

    /// Starts it again where it was.
    pub fn revive(&self) {
        assert_eq!(self.serve(), self.address);
    }

    fn serve(&self) -> SocketAddr {
        let (kill, killed) = oneshot::channel();
        let (told, bound) = std::sync::mpsc::channel();
        let (wanted, router) = (self.address, self.router.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind(wanted).await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                let server = tonic::transport::Server::builder()
                    .add_routes(Routes::from(router))
                    .serve_with_incoming(incoming);
                tokio::select! {
                    served = server => served.unwrap(),
                    _ = killed => {}
                }
            });
            runtime.shutdown_background();
        });
        *self.running.lock().unwrap() = Some((kill, thread));
        bound.recv().unwrap()
    }
}

/// Serves one RPC with a function.
pub fn unary<Req, Res, F, A>(answer: F) -> MethodRouter
where
    Req: prost::Message + Default + 'static,
    Res: prost::Message + Default + 'static,
    F: Fn(Request<Req>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Res, Status>> + Send + 'static,
{
    post(move |request: http::Request<Body>| async move {
        let call = tower::service_fn(move |request: Request<Req>| {
            let answer = answer(request);
            async move { answer.await.map(Response::new) }
        });
        let response = Grpc::new(ProstCodec::<Res, Req>::default()).unary(call, request).await;
        Ok::<_, Infallible>(response)
    })
}
