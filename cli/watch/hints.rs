//! Hints that a rollout changed: its live events.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::{Client, Event};

/// How long to wait before the line is opened again.
const AGAIN: Duration = Duration::from_secs(5);

/// A line that rings when the rollout changed. Without it the rollout is still read now and then.
#[derive(Debug)]
pub struct Hints {
    rings: Arc<Notify>,
    listener: JoinHandle<()>,
}

impl Hints {
    /// Listens for events of a rollout.
    pub fn listen(api: Client, id: &str) -> Self {
        let rings = Arc::new(Notify::new());
        let listener = tokio::spawn(listen(api, id.to_owned(), Arc::clone(&rings)));
        Self { rings, listener }
    }

    /// Waits for the next hint. Those that came meanwhile count as one.
    pub async fn next(&mut self) {
        self.rings.notified().await;
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(api: Client, id: String, rings: Arc<Notify>) {
    let types = ["image.rollout_*".to_owned()];
    loop {
        if let Ok(mut events) = api.events(&types, None).await {
            // What happened before the line was open is not told.
            rings.notify_one();
            while let Some(event) = events.next().await {
                if is_about(&event, &id) {
                    rings.notify_one();
                }
            }
        }
        sleep(AGAIN).await;
    }
}

fn is_about(event: &Event, id: &str) -> bool {
    let resource = event.data.get("resource").and_then(|resource| resource.get("id"));
    event.kind == "reset" || resource.and_then(|id| id.as_str()) == Some(id)
}
