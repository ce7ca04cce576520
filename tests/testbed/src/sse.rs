//! The stream of events as a program reads it.

use serde_json::Value;

use crate::Api;
use crate::patience::PATIENCE;

/// An open stream of server-sent events.
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    unread: String,
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// What `Last-Event-ID` takes.
    pub id: i64,
    /// Its type.
    pub kind: String,
    /// The event.
    pub data: Value,
}

impl EventStream {
    /// Opens one; after an event, where its id is given.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn open(api: &Api, query: &str, last_id: Option<i64>) -> Self {
        let last_id = last_id.map(|id| id.to_string());
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last_id.as_deref().map(|id| ("last-event-id", id)));
        let response = api.open(&format!("/api/v1/events{query}"), &headers).await;
        assert_eq!(response.status().as_u16(), 200, "{response:?}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { response, unread: String::new() };
        // It greets as soon as it is ready: whatever happens from here on is told.
        let hello = stream.frame().await;
        assert!(hello.starts_with("retry: "), "{hello}");
        stream
    }

    /// The next event.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub async fn next(&mut self) -> StreamEvent {
        loop {
            let frame = self.frame().await;
            if frame.starts_with(':') {
                continue;
            }
            let member = |name: &str| {
                let mut values = frame.lines().filter_map(|line| line.strip_prefix(name));
                values.next().unwrap_or_else(|| panic!("no `{name}` in {frame}")).to_owned()
            };
            return StreamEvent {
                id: member("id: ").parse().unwrap(),
                kind: member("event: "),
                data: serde_json::from_str(&member("data: ")).unwrap(),
            };
        }
    }

    /// The events up to the first of this type, which is the last one returned.
    pub async fn until(&mut self, kind: &str) -> Vec<StreamEvent> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await;
            let is_last = event.kind == kind;
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    async fn frame(&mut self) -> String {
        loop {
            if let Some((frame, rest)) = self.unread.split_once("\n\n") {
                let frame = frame.to_owned();
                self.unread = rest.to_owned();
                return frame;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("something comes").unwrap().expect("the stream goes on");
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}
