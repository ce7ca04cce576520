//! The HTTP listener: HTTP/1.1 and HTTP/2 without TLS on one port, limits, drain.
//!
//! A stop ends it in this order: no connection is taken any more, live streams end by themselves,
//! open requests are answered, idle connections are closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use runtime::Lifecycle;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tower::ServiceExt as _;

use crate::relay::CallerAddress;

/// How much of a request's head is read at all; the router's limit is lower and says so in words.
const HEAD_BYTES: usize = 64 << 10;
/// How many connections may be open.
const CONNECTIONS: usize = 10_000;
/// How many requests one HTTP/2 connection may have open.
const REQUESTS_PER_CONNECTION: u32 = 128;
/// What HTTP/2 begins with, and no HTTP/1 request can do without.
const PREFACE_BYTES: usize = 24;

/// Serves until the process stops and what is open is done.
///
/// # Errors
///
/// Never; the listener outlives what goes wrong with single connections.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    read_timeout: Duration,
    lifecycle: Lifecycle,
) -> io::Result<()> {
    let builder = Arc::new(builder(read_timeout));
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let slot = slots.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = lifecycle.stopping() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let router = router.clone();
                let connection = Connection {
                    stream,
                    address: CallerAddress(address),
                    builder: builder.clone(),
                    watcher: graceful.watcher(),
                    read_timeout,
                    _slot: slot,
                };
                let lifecycle = lifecycle.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection.serve(router) => {}
                        () = lifecycle.cut_off() => {}
                    }
                });
            }
            Err(error) => {
                // Too many open files, mostly: what is open goes on and makes room.
                tracing::warn!("a connection could not be taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

fn builder(read_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(read_timeout)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(REQUESTS_PER_CONNECTION)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

struct Connection {
    stream: TcpStream,
    address: CallerAddress,
    builder: Arc<Builder<TokioExecutor>>,
    watcher: Watcher,
    read_timeout: Duration,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, router: Router) {
        let _ = self.stream.set_nodelay(true);
        let address = self.address;
        let service = router.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(address);
            request.map(Body::new)
        });
        let io = TokioIo::new(Prompt::new(self.stream, self.read_timeout));
        let connection = self.builder.serve_connection(io, TowerToHyperService::new(service));
        if let Err(error) = self.watcher.watch(connection.into_owned()).await {
            tracing::debug!("a connection ended early: {error}");
        }
    }
}

/// A connection that must say something soon: whoever connects and says too little to tell its
/// protocol is cut off.
struct Prompt {
    stream: TcpStream,
    read: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Prompt {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(Instant::now() + patience));
        Self { stream, read: 0, deadline }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read = self.read.saturating_add(buffer.filled().len() - before);
        let waits = polled.is_pending() && self.read < PREFACE_BYTES;
        if waits && self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
