//! A process whose events are collected, which does everything that a feed may do wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use http::Uri;
use proto::event::v1::event_log_server::{EventLog, EventLogServer};
use proto::event::v1::{
    Event, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
};
use runtime::event::Resource;
use runtime::{Actor, ActorKind};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

/// What a feed does wrong. Listing is always right.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Every so many events of a stream one is left out.
    pub lose: Option<u64>,
    /// Every message comes twice.
    pub repeat: bool,
    /// Every so many messages the stream breaks.
    pub cut: Option<u64>,
    /// How many events a message holds; 0 = 50.
    pub message: usize,
}

/// A process with events.
#[derive(Clone)]
pub struct FakeSource {
    name: &'static str,
    faults: Faults,
    listener: Arc<std::net::TcpListener>,
    events: Arc<Mutex<BTreeMap<i64, Event>>>,
    changed: watch::Sender<()>,
    /// The highest number that its reader said it has stored.
    acknowledged: Arc<AtomicI64>,
    counter: Arc<AtomicU64>,
    opened: Arc<AtomicU64>,
}

impl FakeSource {
    pub fn new(name: &'static str, faults: Faults) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            name,
            faults,
            listener: Arc::new(listener),
            events: Arc::default(),
            changed: watch::channel(()).0,
            acknowledged: Arc::default(),
            counter: Arc::default(),
            opened: Arc::default(),
        }
    }

    /// Adds so many events.
    pub fn emit(&self, count: usize) -> &Self {
        for _ in 0..count {
            let number = self.last() + 1;
            let actor = Actor::new(ActorKind::User, "ops", "Olga");
            self.emit_as(actor, "image.tag.added", &format!("{}-{number}", self.name));
        }
        self
    }

    /// Adds an event.
    pub fn emit_as(&self, actor: Actor, kind: &'static str, resource: &str) -> &Self {
        let number = self.last() + 1;
        let time = DateTime::from_timestamp(1_780_000_000 + number, 0).unwrap();
        let resource = Resource::new("tag", number, resource);
        let event = runtime::event::Event::of(actor, kind, resource, time).from_ip("192.0.2.7");
        self.emit_raw(&event.envelope())
    }

    /// Adds whatever it is.
    pub fn emit_raw(&self, envelope: &str) -> &Self {
        let sequence = self.last() + 1;
        let event = Event { sequence, envelope: envelope.to_owned(), ..Default::default() };
        self.events.lock().unwrap().insert(sequence, event);
        self.changed.send_replace(());
        self
    }

    /// Forgets the events with numbers above this, as a restored backup does.
    pub fn set_back(&self, last: i64) {
        self.events.lock().unwrap().split_off(&(last + 1));
    }

    /// Frees the events up to a number.
    pub fn free(&self, to: i64) {
        let mut events = self.events.lock().unwrap();
        *events = events.split_off(&(to + 1));
    }

    fn last(&self) -> i64 {
        self.events.lock().unwrap().keys().last().copied().unwrap_or(0)
    }

    fn after(&self, sequence: i64, limit: usize) -> Vec<Event> {
        let events = self.events.lock().unwrap();
        events.range(sequence + 1..).take(limit).map(|(_, event)| event.clone()).collect()
    }

    /// The highest number that its reader said it has stored.
    pub fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// How many streams were opened.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    /// Where it is served.
    pub fn uri(&self) -> Uri {
        format!("http://{}", self.listener.local_addr().unwrap()).parse().unwrap()
    }

    /// Serves it; the port stays the same.
    pub fn serve(&self) -> Served {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = EventLogServer::new(self.clone());
        let listener = self.listener.try_clone().unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            Server::builder().add_service(service).serve_with_incoming(incoming).await
        });
        Served(Some(runtime))
    }

    /// Streams what is stored and what comes, with the faults.
    async fn stream(
        self,
        mut after: i64,
        sender: mpsc::Sender<Result<WatchEventsResponse, Status>>,
    ) {
        let size = if self.faults.message == 0 { 50 } else { self.faults.message };
        let mut changed = self.changed.subscribe();
        let mut messages = 0;
        loop {
            changed.mark_unchanged();
            let mut events = self.after(after, size);
            let Some(last) = events.last() else {
                tokio::select! {
                    _ = changed.changed() => continue,
                    () = sender.closed() => return,
                }
            };
            after = last.sequence;
            if let Some(every) = self.faults.lose {
                events.retain(|_| self.counter.fetch_add(1, Ordering::SeqCst) % every != every - 1);
            }
            for _ in 0..if self.faults.repeat { 2 } else { 1 } {
                let message = WatchEventsResponse { events: events.clone() };
                if sender.send(Ok(message)).await.is_err() {
                    return;
                }
            }
            messages += 1;
            if self.faults.cut.is_some_and(|every| messages % every == 0) {
                let _ = sender.send(Err(Status::unknown("transport error"))).await;
                return;
            }
        }
    }
}

#[async_trait]
impl EventLog for FakeSource {
    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer slw_access");
        let request = request.into_inner();
        self.acknowledged.fetch_max(request.after_sequence, Ordering::SeqCst);
        let limit = usize::try_from(request.page_size).unwrap().min(1_000);
        let events = self.after(request.after_sequence, limit);
        Ok(Response::new(ListEventsResponse { events, last_sequence: self.last() }))
    }

    type WatchEventsStream = ReceiverStream<Result<WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let after = request.into_inner().after_sequence;
        self.acknowledged.fetch_max(after, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(self.clone().stream(after, sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// A source that is served until this value is dropped.
pub struct Served(Option<Runtime>);

impl Served {
    /// Ends it at once, connections and all. Who connects before it is served again waits.
    pub async fn kill(mut self) {
        let runtime = self.0.take().unwrap();
        let end = move || runtime.shutdown_timeout(Duration::from_secs(5));
        tokio::task::spawn_blocking(end).await.unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
