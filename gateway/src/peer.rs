//! One process behind the gateway, as calls see it.
//!
//! A channel that cannot be used says so in the words of its transport. Here it is said which
//! process does not answer, and whether it was away or too slow.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, Uri};
use proto::reason;
use runtime::{Code, Problem, client};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Status, TimeoutExpired};
use tower::Service;

/// A process and the channel to it.
#[derive(Debug, Clone)]
pub struct Peer {
    name: &'static str,
    reason: &'static str,
    channel: Channel,
}

impl Peer {
    /// Opens a channel to a process; it connects when it is used. `reason` is told when it is away.
    #[must_use]
    pub fn new(name: &'static str, reason: &'static str, address: &Uri) -> Self {
        Self { name, reason, channel: client::channel(address) }
    }

    /// What the process is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn lost(&self, error: &(dyn Error + 'static)) -> Status {
        let problem = if was_slow(error) {
            Problem::new(
                Code::DeadlineExceeded,
                reason::DEADLINE_EXCEEDED,
                format!(
                    "the process `{}` did not answer in time; see whether it is done",
                    self.name
                ),
            )
        } else {
            Problem::unavailable(
                self.reason,
                format!("the process `{}` does not answer; try again soon", self.name),
            )
        };
        tracing::debug!(peer = self.name, "a call was lost: {}", runtime::problem::Chain(error));
        problem.into()
    }
}

fn was_slow(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let ready = self.channel.poll_ready(cx);
        ready.map(|ready| ready.map_err(|error| self.lost(&error)))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = self.channel.call(request);
        let peer = self.clone();
        Box::pin(async move { call.await.map_err(|error| peer.lost(&error)) })
    }
}
