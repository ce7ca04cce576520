//! Live events over a real connection.

use std::time::Duration;

use gateway::Settings;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use proto::access::v1 as pb;
use proto::event::v1::Event;
use proto::reason;
use runtime::{Code, Problem};

use crate::peer::Feed;
use crate::world::World;

const WATCH: &str = "access.v1.AuditLog/WatchEntries";

type Entries = Feed<pb::WatchEntriesResponse>;

fn told(sequence: i64) -> pb::WatchEntriesResponse {
    let event = Event {
        r#type: "image.tag.added".to_owned(),
        envelope: format!("{{\"n\":{sequence}}}"),
        ..Event::default()
    };
    let entry = pb::Entry { sequence, event: Some(event), ..Default::default() };
    pb::WatchEntriesResponse { entries: vec![entry], ..Default::default() }
}

/// Reads frames until one holds a text, and returns all of them.
async fn until(stream: &mut Incoming, text: &str) -> String {
    let mut read = String::new();
    let reading = async {
        while !read.contains(text) {
            let frame = stream.frame().await.expect("the stream goes on").unwrap();
            read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("it comes");
    read
}

async fn ends(stream: &mut Incoming) {
    let rest = async { while stream.frame().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(30), rest).await.expect("it ends");
}

#[tokio::test]
async fn events_come_with_their_sequence_and_a_beat_when_nothing_does() {
    let world = World::start().await;
    let feed: Entries = world.access.stream(WATCH);
    let answer = world.get("/api/v1/events?types=image.tag.*,device.enrolled").open().await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let mut stream = answer.into_body();
    let hello = until(&mut stream, "\n\n").await;
    assert!(hello.starts_with("retry: "), "{hello}");
    feed.send(&told(41));
    let frame = until(&mut stream, "\n\n").await;
    assert_eq!(frame, "id: 41\nevent: image.tag.added\ndata: {\"n\":41}\n\n");
    let asked: pb::WatchEntriesRequest = world.access.asked(WATCH);
    assert_eq!(asked.types, ["image.tag.*", "device.enrolled"]);
    assert_eq!(asked.after_sequence, None);
    beat(&world, &mut stream).await;
}

/// Lets time pass until the beat is there; the clock may move before the stream waits for it.
async fn beat(world: &World, stream: &mut Incoming) {
    let passing = async {
        loop {
            world.clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        frames = until(stream, ": beat\n\n") => assert!(frames.starts_with(": beat")),
        () = passing => {}
    }
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_seen() {
    let world = World::start().await;
    for (path, last, after) in [
        ("/api/v1/events?after=7", None, Some(7)),
        ("/api/v1/events?after=7", Some("41"), Some(41)),
        ("/api/v1/events", Some("0"), Some(0)),
    ] {
        let feed: Entries = world.access.stream(WATCH);
        let call = world.get(path);
        let call = match last {
            Some(id) => call.header("last-event-id", id),
            None => call,
        };
        let answer = call.open().await;
        assert_eq!(answer.status(), 200);
        let asked: pb::WatchEntriesRequest = world.access.asked(WATCH);
        assert_eq!(asked.after_sequence, after);
        drop(answer);
        feed.closed().await;
    }
    let told = world.get("/api/v1/events").header("last-event-id", "x").send().await;
    assert_eq!(told.expect(400)["violations"][0]["field"], "Last-Event-ID");
}

#[tokio::test]
async fn a_gap_is_told_as_a_reset() {
    let world = World::start().await;
    let feed: Entries = world.access.stream(WATCH);
    let mut stream = world.get("/api/v1/events").open().await.into_body();
    feed.send(&pb::WatchEntriesResponse { reset: true, last_sequence: 90, ..Default::default() });
    let frames = until(&mut stream, "reset").await;
    assert!(frames.ends_with("id: 90\nevent: reset\ndata: {\"last_sequence\":90}\n\n"), "{frames}");
}

#[tokio::test]
async fn a_stream_ends_with_the_process_and_with_its_source() {
    let world = World::start().await;
    let feed: Entries = world.access.stream(WATCH);
    let mut stream = world.get("/api/v1/events").open().await.into_body();
    drop(feed);
    ends(&mut stream).await;

    let _feed: Entries = world.access.stream(WATCH);
    let mut stream = world.get("/api/v1/events").open().await.into_body();
    until(&mut stream, "\n\n").await;
    assert!(world.lifecycle.finish(Duration::from_secs(10)).await);
    ends(&mut stream).await;
}

#[tokio::test]
async fn a_caller_holds_no_more_streams_than_its_share() {
    let settings = Settings { streams_per_caller: 1, ..Settings::default() };
    let world = World::start_with(settings, |_| {}).await;
    let open = async |token: &str| -> (Entries, Response<Incoming>) {
        let feed = world.access.stream(WATCH);
        (feed, world.get("/api/v1/events").token(token).open().await)
    };
    let (feed, first) = open("ghd_alice").await;
    let (_other_feed, other) = open("ghd_bob").await;
    assert_eq!((first.status().as_u16(), other.status().as_u16()), (200, 200));
    let told = world.get("/api/v1/events").token("ghd_alice").send().await;
    assert_eq!(told.expect(429)["reason"], "TOO_MANY_STREAMS");
    assert_eq!(told.header("retry-after"), "5");
    drop(first);
    feed.closed().await;
    let (_feed, again) = open("ghd_alice").await;
    assert_eq!(again.status(), 200);
}

#[tokio::test]
async fn a_refusal_is_an_ordinary_answer() {
    let world = World::start().await;
    world.access.refuse(
        WATCH,
        Problem::new(Code::Unauthenticated, reason::CREDENTIALS_MISSING, "no credential came"),
    );
    let told = world.get("/api/v1/events").send().await;
    assert_eq!(told.expect(401)["reason"], "CREDENTIALS_MISSING");
    assert_eq!(told.header("www-authenticate"), "Bearer realm=\"slipway\"");
}
