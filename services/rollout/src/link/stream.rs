//! The stream of one device: first what it has to know, then the newest word of its slot.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use proto::reason;
use proto::rollout::v1::{Drain, SubscribeResponse, subscribe_response};
use runtime::{Code, Problem, backoff, time};
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

use crate::device_auth::DeviceAuth;
use crate::session::{End, Mail, Session};

/// What a device receives. Dropping it closes the session.
pub struct DeviceStream {
    session: Session,
    auth: DeviceAuth,
    first: Option<SubscribeResponse>,
    mail: WatchStream<Mail>,
    told: i64,
    ended: bool,
    /// Over how long the devices of this replica spread their return.
    spread: Duration,
}

impl DeviceStream {
    /// Makes a stream of a session; `streams` is how many the replica holds.
    #[must_use]
    pub fn new(
        session: Session,
        first: SubscribeResponse,
        auth: DeviceAuth,
        streams: usize,
    ) -> Self {
        let mail = WatchStream::from_changes(session.mail.clone());
        let told = match &first.event {
            Some(subscribe_response::Event::Target(target)) => target.generation,
            Some(subscribe_response::Event::NotModified(known)) => known.generation,
            Some(subscribe_response::Event::Drain(_)) | None => 0,
        };
        let spread = Duration::from_secs(1)
            + Duration::from_millis(2) * u32::try_from(streams).unwrap_or(u32::MAX);
        Self { session, auth, first: Some(first), mail, told, ended: false, spread }
    }

    fn next(&mut self, mail: &Mail) -> Option<Result<SubscribeResponse, Status>> {
        if let Some(end) = mail.end {
            self.ended = true;
            return Some(self.farewell(end));
        }
        let target = mail.target.as_ref().filter(|target| target.generation > self.told)?;
        self.told = target.generation;
        Some(Ok(SubscribeResponse {
            session: None,
            event: Some(subscribe_response::Event::Target((**target).clone())),
        }))
    }

    fn farewell(&self, end: End) -> Result<SubscribeResponse, Status> {
        let problem = match end {
            End::Draining => {
                let after = backoff::jitter(self.spread / 2, 1.0);
                let drain = Drain { reconnect_after: Some(time::to_duration(after)) };
                let event = Some(subscribe_response::Event::Drain(drain));
                return Ok(SubscribeResponse { session: None, event });
            }
            End::Superseded => Problem::new(
                Code::Aborted,
                reason::SESSION_SUPERSEDED,
                "a newer stream of this device took this one's place",
            ),
            End::Revoked => {
                self.auth.forget(self.session.device);
                Problem::new(
                    Code::Unauthenticated,
                    reason::DEVICE_REVOKED,
                    "the device's credentials were ended",
                )
            }
        };
        Err(problem.into())
    }
}

impl Stream for DeviceStream {
    type Item = Result<SubscribeResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            // What was put into the slot before this stream was polled is not lost: it is there.
            return Poll::Ready(Some(Ok(first)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.mail).poll_next(cx) {
                Poll::Ready(Some(mail)) => {
                    if let Some(item) = self.next(&mail) {
                        return Poll::Ready(Some(item));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
