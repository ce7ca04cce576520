//! The log lines that people look for, word for word.

use std::cell::RefCell;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::fake::registry::UnknownTag;
use crate::world::{World, hub};

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the messages that a thread logs. It is the subscriber of all threads: one of a single thread
/// misses the places whose first caller is another thread.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        if *event.metadata().level() == Level::INFO && message.0.starts_with("[Webhook]") {
            SEEN.with_borrow_mut(|seen| seen.push(message.0));
        }
    }
}

fn seen() -> Vec<String> {
    SEEN.take()
}

#[test]
fn every_outcome_is_logged_as_the_documents_print_it() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Lines)).unwrap();
    // The process runs on this thread alone, so that all it logs is seen.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(outcomes());
}

async fn outcomes() {
    let world = World::start().await;
    world.demo_receiver().await;
    world.registry.approve("redis", &["7.5-alpine"]);
    let checking = "[Webhook] Checking approval status for public image: redis";

    world.push(&hub("redis", "7.5-alpine")).await;
    assert_eq!(seen(), [checking, "[Webhook] Image approved for deployment: redis:7.5-alpine"]);

    world.push(&hub("redis", "7.6-alpine")).await;
    assert_eq!(
        seen(),
        [
            checking,
            "[Webhook] Tag not found in approved list: 7.6-alpine",
            "[Webhook] Auto-added tag 7.6-alpine to approved image redis",
            "[Webhook] Image approved for deployment: redis:7.6-alpine",
        ]
    );

    world.push(&hub("unknown-image", "latest")).await;
    assert_eq!(
        seen(),
        [
            "[Webhook] Checking approval status for public image: unknown-image",
            "[Webhook] Image not found in approved registry: unknown-image",
        ]
    );

    world.push(&hub("iotistic/agent", "v2.1.0")).await;
    assert_eq!(seen(), ["[Webhook] Image approved for deployment: iotistic/agent:v2.1.0"]);

    world.registry.unknown_tag(UnknownTag::Deny);
    world.push(&hub("redis", "7.7-alpine")).await;
    assert_eq!(seen(), [checking, "[Webhook] Tag not found in approved list: 7.7-alpine"]);
}
