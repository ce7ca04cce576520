//! What is written down about a request, and what is not.

use std::io;
use std::sync::{Arc, Mutex};

use proto::approval::v1 as pb;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::world::World;

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn neither_tokens_nor_bodies_are_written_down() {
    let log = Log::default();
    let writing_to = |log: &Log| {
        let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG);
        tracing::Dispatch::new(lines.with_writer(log.clone()).finish())
    };
    let subscriber = writing_to(&log);
    // While there is one subscriber, a place that another test's thread comes by first asks that
    // thread's, which is none, and is silent from then on. With two it asks both.
    let _second = writing_to(&Log::default());
    // The process runs on this thread alone, so that all it logs is seen.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = tracing::dispatcher::set_default(&subscriber);
    runtime.block_on(requests().with_current_subscriber());
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("POST /api/v1/webhooks/receivers/{token} answered 200"), "{text}");
    assert!(text.contains("GET other answered 404"), "{text}");
    for secret in ["whr_secret", "ghd_secret", "body-secret", "query-secret", "path-secret"] {
        assert!(!text.contains(secret), "{secret} stands in {text}");
    }
}

async fn requests() {
    let world = World::start().await;
    tracing::callsite::rebuild_interest_cache();
    let answer = pb::SubmitDeliveryResponse::default();
    world.approval.answer("approval.v1.Pushes/SubmitDelivery", answer);
    let call = world.post("/api/v1/webhooks/receivers/whr_secret").token("ghd_secret");
    call.body("{\"body-secret\": 1}").send().await.expect(200);
    world.get("/api/v1/images?search=query-secret&nmae=x").send().await.expect(400);
    world.get("/path-secret/x").send().await.expect(404);
}
