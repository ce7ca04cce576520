//! A small HTTP server on loopback with answers that a test has written down.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// The time that the server tells: 2026-11-21 12:00:00.
const DATE: &str = "Sat, 21 Nov 2026 12:00:00 GMT";
/// How often a live event comes.
const RING: Duration = Duration::from_millis(50);

/// An answer.
#[derive(Debug, Clone)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and path with the query: `GET /api/v1/me`.
    pub line: String,
    /// Headers by name in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Value,
}

#[derive(Debug, Default)]
struct Script {
    answers: HashMap<String, Vec<Answer>>,
    seen: Vec<Seen>,
    rings_for: Option<String>,
    mute: Vec<String>,
}

/// The server. It lives as long as the test's process.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it answers.
    pub url: String,
    script: Arc<Mutex<Script>>,
}

impl Server {
    /// A server that knows no route yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let of_server = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = Arc::clone(&of_server);
                std::thread::spawn(move || serve(stream, &script));
            }
        });
        Self { url, script }
    }

    /// Answers a route (`GET /api/v1/me`) with 200: whatever the query, or a query alone that is
    /// given whole. Several answers to one route come one after the other; the last one stays.
    #[must_use]
    pub fn on(self, route: &str, body: Value) -> Self {
        self.answers(route, 200, &[], body)
    }

    /// Answers a route with a status and headers.
    #[must_use]
    pub fn answers(self, route: &str, status: u16, headers: &[(&str, &str)], body: Value) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let answer = Answer { status, headers: headers.collect(), body: body.to_string() };
        self.script.lock().unwrap().answers.entry(route.to_owned()).or_default().push(answer);
        self
    }

    /// Tells again and again in live events that a rollout changed.
    #[must_use]
    pub fn rings_for(self, rollout: &str) -> Self {
        self.script.lock().unwrap().rings_for = Some(rollout.to_owned());
        self
    }

    /// Takes requests of a route and never answers them.
    #[must_use]
    pub fn mute_on(self, route: &str) -> Self {
        self.script.lock().unwrap().mute.push(route.to_owned());
        self
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }

    /// The one request of a route, with any query.
    pub fn only(&self, route: &str) -> Seen {
        let seen = self.seen();
        let mut fitting = seen.iter().filter(|seen| without_query(&seen.line) == route);
        let one = fitting.next().unwrap_or_else(|| panic!("no `{route}` in {seen:#?}")).clone();
        assert!(fitting.next().is_none(), "`{route}` came more than once");
        one
    }
}

fn without_query(line: &str) -> &str {
    line.split('?').next().unwrap_or(line)
}

/// Answers the requests of a connection until it is closed.
fn serve(stream: TcpStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(seen) = read(&mut reader) {
        let (whole, route) = (seen.line.clone(), without_query(&seen.line).to_owned());
        let (answer, rings_for) = {
            let mut script = script.lock().unwrap();
            script.seen.push(seen);
            if script.mute.contains(&route) {
                // The connection stays open until whoever asked is out of patience.
                drop(script);
                let _ = reader.read_to_end(&mut Vec::new());
                return;
            }
            let key = if script.answers.contains_key(&whole) { &whole } else { &route };
            let answer = script.answers.get_mut(key).map(|answers| match answers.len() {
                1 => answers[0].clone(),
                _ => answers.remove(0),
            });
            (answer, script.rings_for.clone())
        };
        if let (None, "GET /api/v1/events", Some(id)) = (&answer, &*route, rings_for) {
            ring(&mut stream, &id);
            return;
        }
        let answer = answer.unwrap_or_else(|| Answer {
            status: 404,
            headers: Vec::new(),
            body: format!("{{\"message\": \"the test has no `{route}`\"}}"),
        });
        if write(&mut stream, &answer).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    let line = first.rsplit_once(" HTTP/")?.0.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Seen { line, headers, body })
}

fn write(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let Answer { status, headers, body } = answer;
    let mut head = format!(
        "HTTP/1.1 {status} x\r\ndate: {DATE}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())
}

fn ring(stream: &mut TcpStream, id: &str) {
    let head = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let event = format!(
        "event: image.rollout_batch_completed\ndata: {{\"resource\":{{\"id\":\"{id}\"}}}}\n\n"
    );
    let mut next = stream.write_all(head.as_bytes());
    while next.is_ok() {
        next = stream.write_all(event.as_bytes());
        std::thread::sleep(RING);
    }
}
