//! Live events, as the gateway sends them: `text/event-stream`, read line by line.

use futures_util::StreamExt as _;
use serde_json::Value;

/// One frame of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its position in the log; none for what is not in it.
    pub id: Option<i64>,
    /// Its type, for instance `image.rollout_paused`; `reset` = some were left out.
    pub kind: String,
    /// What happened.
    pub data: Value,
}

/// An open stream.
pub struct Events {
    chunks: futures_util::stream::BoxStream<'static, Option<Vec<u8>>>,
    frames: Frames,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Events({:?})", self.frames)
    }
}

impl Events {
    /// Reads a stream.
    pub fn new(response: reqwest::Response) -> Self {
        let chunks = response.bytes_stream().map(|chunk| chunk.ok().map(|chunk| chunk.to_vec()));
        Self { chunks: chunks.boxed(), frames: Frames::default() }
    }

    /// The next event; none when the stream ended or broke.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.frames.next() {
                return Some(event);
            }
            self.frames.feed(&self.chunks.next().await??);
        }
    }
}

/// Puts frames together from pieces of the stream.
#[derive(Debug, Default)]
struct Frames {
    rest: Vec<u8>,
    id: Option<i64>,
    kind: String,
    data: Vec<String>,
}

impl Frames {
    fn feed(&mut self, piece: &[u8]) {
        self.rest.extend_from_slice(piece);
    }

    /// The next whole frame. Beats and other comments are passed over.
    fn next(&mut self) -> Option<Event> {
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                if let Some(event) = self.take() {
                    return Some(event);
                }
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => self.id = value.parse().ok(),
                "event" => value.clone_into(&mut self.kind),
                "data" => self.data.push(value.to_owned()),
                _ => {}
            }
        }
        None
    }

    fn take(&mut self) -> Option<Event> {
        let kind = std::mem::take(&mut self.kind);
        let data = std::mem::take(&mut self.data).join("\n");
        let id = self.id.take();
        if data.is_empty() && kind.is_empty() {
            return None;
        }
        let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
        Some(Event { id, kind, data })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_are_read_wherever_the_stream_is_cut() {
        let stream = ": beat\n\nid: 7\r\nevent: image.rollout_paused\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nevent: reset\ndata:\n\n";
        for cut in 0..stream.len() {
            let mut frames = Frames::default();
            let mut events = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                frames.feed(piece.as_bytes());
                while let Some(event) = frames.next() {
                    events.push(event);
                }
            }
            let paused = Event {
                id: Some(7),
                kind: "image.rollout_paused".to_owned(),
                data: json!({"a": 1}),
            };
            let reset =
                Event { id: None, kind: "reset".to_owned(), data: Value::String(String::new()) };
            assert_eq!(events, [paused, reset], "cut at {cut}");
        }
    }
}
