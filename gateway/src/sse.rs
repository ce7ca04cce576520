//! Server-sent events: frames, and how many streams may be open.
//!
//! A stream is fed by `access` and held back by its reader; nothing is buffered here. When nothing
//! comes for a while a comment is sent, so that both ends see that the line is there. It ends when
//! the process stops, when `access` ends it, or when the client leaves; the client comes again with
//! the last id it has seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slots;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use proto::access::v1::{Entry, WatchEntriesResponse};
use proto::reason;
use runtime::backoff::Backoff;
use runtime::secret::Hash;
use runtime::{Clock, Code, Lifecycle, Problem};
use tonic::Streaming;

/// How long nothing may come before a comment does.
pub const BEAT: Duration = Duration::from_secs(5);
/// How long a client waits at least before it comes again; up to three times that, at random.
const RETRY: Duration = Duration::from_secs(1);

/// The open streams.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    most: usize,
    most_per_caller: usize,
    open: Mutex<HashMap<Hash, usize>>,
}

impl Streams {
    /// Lets so many be open, and so many for one caller.
    #[must_use]
    pub fn new(most: usize, most_per_caller: usize) -> Self {
        Self(Arc::new(Counts { most, most_per_caller, open: Mutex::default() }))
    }

    /// Takes a place among the open streams.
    ///
    /// # Errors
    ///
    /// `TOO_MANY_STREAMS`.
    pub fn open(&self, caller: Hash) -> Result<Place, Problem> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(&caller).copied().unwrap_or(0);
        if all >= self.0.most || own >= self.0.most_per_caller {
            return Err(Problem::new(
                Code::ResourceExhausted,
                reason::TOO_MANY_STREAMS,
                "too many live streams are open; close one, or come again later",
            )
            .retry_after(BEAT));
        }
        open.insert(caller, own + 1);
        Ok(Place { streams: self.clone(), caller })
    }
}

/// A place among the open streams, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    streams: Streams,
    caller: Hash,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Slots::Occupied(mut slot) = open.entry(self.caller) {
            *slot.get_mut() -= 1;
            if *slot.get() == 0 {
                slot.remove();
            }
        }
    }
}

/// One stream.
#[derive(Debug)]
pub struct EventStream {
    /// What is told.
    pub entries: Streaming<WatchEntriesResponse>,
    /// The clock of the beat.
    pub clock: Clock,
    /// Ends it.
    pub lifecycle: Lifecycle,
    /// Its place, given back with the stream.
    #[expect(dead_code, reason = "it is held, not read")]
    pub place: Place,
}

impl EventStream {
    /// The answer that carries it.
    #[must_use]
    pub fn into_response(self) -> Response {
        let jitter = Backoff::new(2 * RETRY, 2 * RETRY).wait(1);
        let hello = format!("retry: {}\n: slipway\n\n", (RETRY + jitter).as_millis());
        let frames = stream::unfold((Some(hello), self), |(hello, mut stream)| async move {
            let frame = match hello {
                Some(hello) => hello,
                None => stream.next().await?,
            };
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(frame)), (None, stream)))
        });
        let mut response = Response::new(Body::from_stream(frames));
        let fixed = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        for (name, value) in fixed {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// The next frames; `None` = the stream ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            let message = tokio::select! {
                () = self.lifecycle.stopping() => return None,
                message = self.entries.message() => message,
                () = self.clock.sleep(BEAT) => return Some(": beat\n\n".to_owned()),
            };
            match message {
                Ok(Some(message)) => {
                    let frames = frames(&message);
                    if !frames.is_empty() {
                        return Some(frames);
                    }
                }
                Ok(None) => return None,
                Err(status) => {
                    tracing::debug!("a live stream ends: {}", status.message());
                    return None;
                }
            }
        }
    }
}

/// The frames of a message.
fn frames(message: &WatchEntriesResponse) -> String {
    let mut frames = String::new();
    if message.reset {
        let last = message.last_sequence;
        frame(&mut frames, last, "reset", &format!("{{\"last_sequence\":{last}}}"));
    }
    for entry in &message.entries {
        frame(&mut frames, entry.sequence, kind(entry), envelope(entry));
    }
    frames
}

fn kind(entry: &Entry) -> &str {
    entry.event.as_ref().map(|event| event.r#type.as_str()).unwrap_or_default()
}

fn envelope(entry: &Entry) -> &str {
    entry.event.as_ref().map(|event| event.envelope.as_str()).unwrap_or_default()
}

/// Writes one frame; a line break inside a value begins a line of its own, as the format asks.
fn frame(frames: &mut String, id: i64, event: &str, data: &str) {
    let event = event.replace(['\r', '\n'], " ");
    let _ = write!(frames, "id: {id}\nevent: {event}\n");
    for line in data.split(['\r', '\n']) {
        let _ = writeln!(frames, "data: {line}");
    }
    frames.push('\n');
}

#[cfg(test)]
mod tests {
    use proto::event::v1::Event;

    use super::*;

    fn entry(sequence: i64, kind: &str, envelope: &str) -> Entry {
        let event =
            Event { r#type: kind.to_owned(), envelope: envelope.to_owned(), ..Event::default() };
        Entry { sequence, event: Some(event), ..Entry::default() }
    }

    #[test]
    fn a_message_becomes_frames_in_its_order() {
        let message = WatchEntriesResponse {
            entries: vec![entry(8, "image.tag.added", "{\"a\":1}"), entry(9, "x\ny", "1\n2")],
            reset: true,
            last_sequence: 7,
        };
        assert_eq!(
            frames(&message),
            "id: 7\nevent: reset\ndata: {\"last_sequence\":7}\n\n\
             id: 8\nevent: image.tag.added\ndata: {\"a\":1}\n\n\
             id: 9\nevent: x y\ndata: 1\ndata: 2\n\n"
        );
        assert_eq!(frames(&WatchEntriesResponse::default()), "");
    }

    #[test]
    fn a_caller_has_its_share_and_gives_it_back() {
        let streams = Streams::new(3, 2);
        let (alice, bob) = (Hash::of("alice"), Hash::of("bob"));
        let first = streams.open(alice).expect("the first");
        let _second = streams.open(alice).expect("the second");
        let refused = streams.open(alice).expect_err("a third");
        assert_eq!(refused.reason(), reason::TOO_MANY_STREAMS);
        let _third = streams.open(bob).expect("another caller's");
        assert!(streams.open(bob).is_err(), "all places are taken");
        drop(first);
        assert!(streams.open(bob).is_ok());
    }
}
